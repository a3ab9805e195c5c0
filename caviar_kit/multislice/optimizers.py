"""Optimisers as iterators: each ``next`` does one iteration and says where it stands.

They know nothing of ptychography; they ask an objective for ``loss`` and
``loss_and_gradient`` of a real vector (NumPy or CuPy).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from caviar_kit.backend import array_module

__all__ = ["LBFGS", "Adam", "Optimizer", "Step"]

Array = Any


class DifferentiableFunction(Protocol):
    """What an optimiser asks of an objective."""

    def loss(self, vector: Array, positions: Any = None) -> float: ...

    def loss_and_gradient(self, vector: Array, positions: Any = None) -> tuple[float, Array]: ...


@dataclass(frozen=True)
class Step:
    """Where the optimiser stands after an iteration."""

    iteration: int
    loss: float
    vector: Array
    converged: bool = False


class Optimizer(Protocol):
    """An iterator of steps whose state can be taken out and put back."""

    @property
    def vector(self) -> Array:
        """Unknowns after the latest step."""
        ...

    def __iter__(self) -> Iterator[Step]: ...

    def __next__(self) -> Step: ...

    def state(self) -> dict[str, Array]:
        """Arrays from which an optimiser of the same kind goes on, bit for bit."""
        ...


class LBFGS:
    """Limited-memory BFGS over all positions [Nocedal & Wright (2006), algorithm 7.5].

    A full step is tried with its gradient, as it nearly always succeeds; shorter ones are
    tried by loss only. Steps satisfy the Armijo condition, and pairs without positive
    curvature are left out of the history, so the model Hessian stays positive definite.
    The last step has ``converged=True`` when no descent is left.

    Parameters
    ----------
    objective : DifferentiableFunction
        The function to minimise.
    start : real vector
        Not modified.
    history : int
        Pairs kept.
    first_step : float
        Largest change of an unknown in the first, steepest-descent step.
    max_trials : int
        Shorter steps tried before the search direction is given up.
    state : dict, optional
        What :meth:`state` of another gave; ``start`` is then ignored.
    """

    def __init__(
        self,
        objective: DifferentiableFunction,
        start: Array,
        *,
        history: int = 20,
        first_step: float = 0.02,
        max_trials: int = 12,
        state: dict[str, Array] | None = None,
    ) -> None:
        self._objective, self._first_step, self._max_trials = objective, first_step, max_trials
        self._pairs: deque[tuple[Array, Array, float]] = deque(maxlen=history)
        self._vector, self._loss = start, math.inf
        self._gradient: Array = None
        self._iteration, self._finished = 0, False
        if state is not None:
            self._restore(state, array_module(start))

    def __iter__(self) -> Iterator[Step]:
        return self

    def __next__(self) -> Step:
        if self._finished:
            raise StopIteration
        if self._gradient is None:
            self._loss, self._gradient = self._objective.loss_and_gradient(self._vector)
        found = self._descend()
        if found is None and self._pairs:
            self._pairs.clear()  # stale curvature: start again from steepest descent
            found = self._descend()
        if found is None:
            self._finished = True
            return Step(self._iteration, self._loss, self._vector, converged=True)
        change, loss, gradient = found
        difference = gradient - self._gradient
        curvature = _dot(change, difference)
        if curvature > 1e-10 * np.sqrt(_dot(change, change) * _dot(difference, difference)):
            self._pairs.append((change, difference, curvature))
        self._vector = self._vector + change
        self._loss, self._gradient = loss, gradient
        self._iteration += 1
        return Step(self._iteration, self._loss, self._vector)

    def _descend(self) -> tuple[Array, float, Array] | None:
        """The change of the vector with the loss and gradient there, or None if there is no way down."""
        direction = _two_loop(self._gradient, self._pairs)
        if not self._pairs:
            largest = float(abs(self._gradient).max())
            if largest == 0:
                return None
            direction *= self._first_step / largest
        slope = _dot(self._gradient, direction)
        if not slope < 0:
            return None
        found = _search(self._objective, self._vector, self._loss, slope, direction, self._max_trials)
        return None if found is None else (found[0] * direction, found[1], found[2])

    @property
    def vector(self) -> Array:
        """Unknowns after the latest step; a new array at every step."""
        return self._vector

    def state(self) -> dict[str, Array]:
        """Vector, gradient, pairs and counters after the latest step."""
        numbers = [self._loss, self._iteration, self._finished, *(c for _, _, c in self._pairs)]
        state = {"vector": self._vector, "gradient": self._gradient, "numbers": np.array(numbers)}
        for n, (change, difference, _) in enumerate(self._pairs):  # apart: together they would be a copy
            state |= {f"change {n}": change, f"difference {n}": difference}
        return state

    def _restore(self, state: dict[str, Array], xp: Any) -> None:
        self._vector, self._gradient = xp.asarray(state["vector"]), xp.asarray(state["gradient"])
        loss, iteration, finished, *curvatures = (float(n) for n in state["numbers"])
        self._loss, self._iteration, self._finished = loss, int(iteration), bool(finished)
        for n, curvature in enumerate(curvatures):
            change, difference = (xp.asarray(state[f"{name} {n}"]) for name in ("change", "difference"))
            self._pairs.append((change, difference, curvature))


class Adam:
    """Adam over random batches of positions [Kingma & Ba (2015), arXiv:1412.6980].

    A step is an epoch, with the mean of the losses met in it.

    Parameters
    ----------
    objective : DifferentiableFunction
        The function to minimise.
    start : real vector
        Not modified.
    positions, batch_size : sequence of int, int
        Scan positions, and how many per update, reshuffled each epoch.
    rng : numpy.random.Generator
        Source of the shuffles.
    step_size : float
        Largest typical change of an unknown per update.
    shrink : float
        Factor by which the step shrinks from one epoch to the next, above 0, at most 1. Steps that stay as
        large as at first keep the noise of the batches.
    decay : (float, float)
        Memory of the running mean and mean square of the gradient.
    epsilon : float
        Added to the denominator, relative to the largest root-mean-square gradient, so that
        unknowns which are hardly lit stay put.
    state : dict, optional
        What :meth:`state` of another gave; ``start`` is then ignored. ``rng`` must be in the same state.
    """

    def __init__(
        self,
        objective: DifferentiableFunction,
        start: Array,
        *,
        positions: Sequence[int] | np.ndarray | None,
        batch_size: int = 32,
        rng: np.random.Generator,
        step_size: float = 0.01,
        shrink: float = 1.0,
        decay: tuple[float, float] = (0.9, 0.99),
        epsilon: float = 1e-2,
        state: dict[str, Array] | None = None,
    ) -> None:
        xp = array_module(start)
        self._objective, self._positions, self._batch_size = objective, np.asarray(positions), batch_size
        self._rng, self._decay, self._epsilon = rng, decay, epsilon
        self._step_size, self._shrink = step_size, shrink
        self._vector, self._update, self._epoch = start.copy(), 0, 0
        self._mean, self._square = xp.zeros_like(start), xp.zeros_like(start)
        if state is not None:
            self._vector, self._mean, self._square = (
                xp.array(state[name]) for name in ("vector", "mean", "square")
            )
            self._update, self._epoch = (int(n) for n in state["numbers"])

    def __iter__(self) -> Iterator[Step]:
        return self

    def __next__(self) -> Step:
        order = self._rng.permutation(self._positions)
        total = 0.0
        for first in range(0, len(order), self._batch_size):
            batch = order[first : first + self._batch_size]
            loss, gradient = self._objective.loss_and_gradient(self._vector, batch)
            total += loss * len(batch)
            self._move(gradient)
        self._epoch += 1
        return Step(self._epoch, total / len(order), self._vector)

    def _move(self, gradient: Array) -> None:
        xp = array_module(gradient)
        self._update += 1
        self._mean += (1 - self._decay[0]) * (gradient - self._mean)
        self._square += (1 - self._decay[1]) * (gradient**2 - self._square)
        root = xp.sqrt(self._square / (1 - self._decay[1] ** self._update))
        floor = max(self._epsilon * float(root.max()), np.finfo(root.dtype).tiny)  # no 0/0 at rest
        step = self._step_size * self._shrink**self._epoch / (1 - self._decay[0] ** self._update)
        self._vector = self._vector - step * self._mean / (root + floor)

    @property
    def vector(self) -> Array:
        """Unknowns after the latest epoch; a new array at every update."""
        return self._vector

    def state(self) -> dict[str, Array]:
        """Vector, running means and counters after the latest epoch."""
        return {
            "vector": self._vector,
            "mean": self._mean.copy(),  # updated in place
            "square": self._square.copy(),
            "numbers": np.array([self._update, self._epoch]),
        }


def _dot(a: Array, b: Array) -> float:
    return float(array_module(a).vdot(a, b))


def _two_loop(gradient: Array, pairs: deque[tuple[Array, Array, float]]) -> Array:
    """-H·gradient by the two-loop recursion, H scaled by the newest pair."""
    direction = -gradient
    weights = []
    for change, difference, curvature in reversed(pairs):
        weight = _dot(change, direction) / curvature
        direction -= weight * difference
        weights.append(weight)
    if pairs:
        change, difference, curvature = pairs[-1]
        direction *= curvature / _dot(difference, difference)
    for (change, difference, curvature), weight in zip(pairs, reversed(weights), strict=True):
        direction += (weight - _dot(difference, direction) / curvature) * change
    return direction


def _search(
    objective: DifferentiableFunction,
    vector: Array,
    loss: float,
    slope: float,
    direction: Array,
    max_trials: int,
    sufficient: float = 1e-4,
) -> tuple[float, float, Array] | None:
    """Step length with its loss and gradient, or None if no descent was found."""
    new_loss, gradient = objective.loss_and_gradient(vector + direction)
    if np.isfinite(new_loss) and new_loss <= loss + sufficient * slope:
        return 1.0, new_loss, gradient
    del gradient  # as large as the object
    step = 1.0
    for _ in range(max_trials):
        # minimum of the parabola through loss, slope and the failed trial, kept within reason
        bend = 2 * (new_loss - loss - slope * step)
        parabola = -slope * step**2 / bend if np.isfinite(bend) and bend > 0 else 0.0
        step = min(max(parabola, 0.1 * step), 0.5 * step)
        new_loss = objective.loss(vector + step * direction)
        if np.isfinite(new_loss) and new_loss <= loss + sufficient * step * slope:
            return step, *objective.loss_and_gradient(vector + step * direction)
    return None
