"""L-BFGS and Adam on functions whose minimum is known."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from caviar_kit.multislice.optimizers import LBFGS, Adam, Step


class Counted:
    """A function of a vector with its gradient, and how often each was asked for."""

    def __init__(self, value: Any, gradient: Any) -> None:
        self._value, self._gradient = value, gradient
        self.losses = self.gradients = 0

    def loss(self, vector, positions=None):
        self.losses += 1
        return float(self._value(vector))

    def loss_and_gradient(self, vector, positions=None):
        self.gradients += 1
        return float(self._value(vector)), self._gradient(vector)


class LeastSquares:
    """Mean over rows of (A x - b)² for the rows asked for."""

    def __init__(self, rows: int = 40, unknowns: int = 6, noise: float = 0.0) -> None:
        rng = np.random.default_rng(0)
        self.matrix, self.solution = rng.normal(size=(rows, unknowns)), rng.normal(size=unknowns)
        self.data = self.matrix @ self.solution + noise * rng.normal(size=rows)
        self.batches: list[np.ndarray] = []

    def loss(self, vector, positions=None):
        return self.loss_and_gradient(vector, positions)[0]

    def loss_and_gradient(self, vector, positions=None):
        rows = np.arange(len(self.data)) if positions is None else np.asarray(positions)
        self.batches.append(rows)
        misfit = self.matrix[rows] @ vector - self.data[rows]
        return float(misfit @ misfit) / len(rows), 2 * self.matrix[rows].T @ misfit / len(rows)


def rosenbrock() -> Counted:
    def value(x):
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    def gradient(x):
        result = np.zeros_like(x)
        bend = x[1:] - x[:-1] ** 2
        result[:-1] = -400 * x[:-1] * bend - 2 * (1 - x[:-1])
        result[1:] += 200 * bend
        return result

    return Counted(value, gradient)


def quadratic(condition: float = 1e4, unknowns: int = 30) -> Counted:
    scale = np.geomspace(1, condition, unknowns)
    return Counted(lambda x: (scale * x**2).sum() / 2, lambda x: scale * x)


@pytest.mark.parametrize(
    ("function", "start", "minimum"),
    [
        (rosenbrock(), np.array([-1.2, 1.0]), np.ones(2)),
        (rosenbrock(), np.tile([-1.2, 1.0], 4), np.ones(8)),
        (quadratic(1e3), np.ones(30), np.zeros(30)),
    ],
)
def test_lbfgs_finds_the_minimum_and_never_climbs(function, start, minimum):
    kept = start.copy()
    steps = list(islice(LBFGS(function, start), 400))
    losses = [step.loss for step in steps]
    assert (np.diff(losses) <= 0).all()
    np.testing.assert_allclose(steps[-1].vector, minimum, atol=1e-5)
    np.testing.assert_array_equal(start, kept)
    iterations = [step.iteration for step in steps if not step.converged]
    assert iterations == list(range(1, len(iterations) + 1))


def test_lbfgs_is_as_fast_as_scipys():
    function = quadratic()
    found = minimize(
        function.loss_and_gradient,
        np.ones(30),
        jac=True,
        method="L-BFGS-B",
        options={"maxcor": 20, "maxiter": 200, "ftol": 0, "gtol": 0},
    )
    steps = list(islice(LBFGS(quadratic(), np.ones(30), history=20), 200))
    assert steps[-1].loss < 10 * found.fun < 1e-2


def test_longer_history_converges_faster():
    long, short = (list(islice(LBFGS(quadratic(), np.ones(30), history=n), 200))[-1].loss for n in (20, 2))
    assert long < 0.1 * short


def test_first_step_changes_no_unknown_by_more_than_asked():
    step = next(LBFGS(quadratic(), np.ones(30), first_step=0.005))
    assert abs(step.vector - 1).max() == pytest.approx(0.005)


def test_full_step_costs_one_gradient_and_shorter_trials_only_losses():
    function = quadratic(10)
    steps = LBFGS(function, np.ones(30))
    next(steps)
    assert (function.losses, function.gradients) == (0, 2)  # at the start, and of the accepted full step
    steep = Counted(lambda x: (1e3 * x**2).sum(), lambda x: 2e3 * x)
    start = np.array([1e-3])
    next(LBFGS(steep, start, first_step=1.0))  # 1000 times too long: rejected, then shortened
    assert steep.losses >= 1
    assert steep.gradients == 3  # start, rejected full step, accepted shorter one


def test_infinite_loss_is_stepped_back_from():
    def value(x):
        return np.inf if x[0] <= 0 else x[0] - np.log(x[0])

    function = Counted(value, lambda x: 1 - 1 / x)
    steps = list(islice(LBFGS(function, np.array([3.0]), first_step=5.0), 60))
    assert steps[-1].vector[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("start", [np.zeros(3), np.full(3, 1e-200)])
def test_lbfgs_says_when_no_descent_is_left(start):
    steps = list(islice(LBFGS(Counted(lambda x: x @ x, lambda x: 2 * x), start), 60))
    assert steps[-1].converged
    assert abs(steps[-1].vector).max() <= 1e-200


def test_lbfgs_ends_by_itself():
    steps = list(LBFGS(quadratic(10), np.ones(30)))
    assert steps[-1].converged and not any(step.converged for step in steps[:-1])


@pytest.mark.parametrize("batch_size", [1, 7, 40, 1000])
def test_adam_decreases_a_least_squares_problem(batch_size):
    problem = LeastSquares()
    steps = list(
        islice(
            Adam(
                problem,
                np.zeros(6),
                positions=range(40),
                batch_size=batch_size,
                rng=np.random.default_rng(0),
                step_size=0.05,
            ),
            200,
        )
    )
    assert steps[-1].loss < 1e-2 * steps[0].loss
    np.testing.assert_allclose(steps[-1].vector, problem.solution, atol=0.3)


def test_one_epoch_of_adam_meets_every_position_once():
    problem = LeastSquares()
    steps = Adam(problem, np.zeros(6), positions=range(40), batch_size=7, rng=np.random.default_rng(0))
    for _ in range(2):
        problem.batches.clear()
        next(steps)
        np.testing.assert_array_equal(np.sort(np.concatenate(problem.batches)), np.arange(40))
        assert [len(batch) for batch in problem.batches] == [7] * 5 + [5]


def test_a_shrinking_step_settles_where_a_constant_one_is_tossed_about():
    """Least squares with noise: batches disagree about the minimum, the mean over all rows has one."""

    def left(shrink: float) -> float:
        problem = LeastSquares(noise=1)
        minimum = np.linalg.lstsq(problem.matrix, problem.data, rcond=None)[0]
        rng = np.random.default_rng(0)
        steps = Adam(
            problem,
            np.zeros(6),
            positions=range(40),
            batch_size=4,
            rng=rng,
            step_size=0.1,
            shrink=shrink,
        )
        return float(np.linalg.norm(list(islice(steps, 60))[-1].vector - minimum))

    assert left(0.9) < 0.2 * left(1.0)


def test_the_step_shrinks_once_per_epoch():
    """A constant slope: every update is one step."""
    slope = Counted(lambda x: x.sum(), np.ones_like)
    steps = Adam(
        slope, np.zeros(2), positions=range(6), batch_size=2, rng=np.random.default_rng(0), shrink=0.5
    )
    ends = np.array([0.0, *(step.vector[0] for step in islice(steps, 3))])
    np.testing.assert_allclose(np.diff(ends), [-0.03, -0.015, -0.0075], rtol=0.02)


def test_adam_repeats_bit_for_bit_with_its_seed():
    def last(seed: int) -> Step:
        steps = Adam(
            LeastSquares(noise=1),
            np.zeros(6),
            positions=range(40),
            batch_size=7,
            rng=np.random.default_rng(seed),
        )
        return list(islice(steps, 5))[-1]

    np.testing.assert_array_equal(last(1).vector, last(1).vector)
    assert (last(1).vector != last(2).vector).any()


@pytest.mark.filterwarnings("error")
def test_adam_rests_where_the_gradient_vanishes():
    problem = LeastSquares()
    problem.data[:] = 0
    step = next(Adam(problem, np.zeros(6), positions=range(40), batch_size=7, rng=np.random.default_rng(0)))
    np.testing.assert_array_equal(step.vector, 0)
