"""Optimisers as generators: each ``next`` does one iteration and yields where it stands.

They know nothing of ptychography; they ask an objective for ``loss`` and
``loss_and_gradient`` of a real vector (NumPy or CuPy).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from caviar_kit.backend import array_module

__all__ = ["Step", "adam", "lbfgs"]

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


def lbfgs(
    objective: DifferentiableFunction,
    start: Array,
    *,
    history: int = 20,
    first_step: float = 0.02,
    max_trials: int = 12,
) -> Iterator[Step]:
    """Limited-memory BFGS over all positions [Nocedal & Wright (2006), algorithm 7.5].

    A full step is tried with its gradient, as it nearly always succeeds; shorter ones are
    tried by loss only. Steps satisfy the Armijo condition, and pairs without positive
    curvature are left out of the history, so the model Hessian stays positive definite.

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

    Yields
    ------
    Step
        After each iteration; the last one has ``converged=True`` when no descent is left.
    """
    xp = array_module(start)
    vector = start.copy()
    loss, gradient = objective.loss_and_gradient(vector)
    pairs: deque[tuple[Array, Array, float]] = deque(maxlen=history)
    iteration = 0
    while True:
        direction = _two_loop(gradient, pairs)
        if not pairs:
            largest = float(xp.abs(gradient).max())
            if largest == 0:
                yield Step(iteration, loss, vector, converged=True)
                return
            direction *= first_step / largest
        slope = _dot(gradient, direction)
        found = _search(objective, vector, loss, slope, direction, max_trials) if slope < 0 else None
        if found is None:
            if not pairs:
                yield Step(iteration, loss, vector, converged=True)
                return
            pairs.clear()  # stale curvature: start again from steepest descent
            continue
        step, new_loss, new_gradient = found
        change = step * direction
        difference = new_gradient - gradient
        curvature = _dot(change, difference)
        if curvature > 1e-10 * np.sqrt(_dot(change, change) * _dot(difference, difference)):
            pairs.append((change, difference, curvature))
        vector = vector + change
        loss, gradient = new_loss, new_gradient
        iteration += 1
        yield Step(iteration, loss, vector)


def adam(
    objective: DifferentiableFunction,
    start: Array,
    *,
    num_positions: int,
    batch_size: int,
    rng: np.random.Generator,
    step_size: float = 0.01,
    decay: tuple[float, float] = (0.9, 0.99),
    epsilon: float = 1e-2,
) -> Iterator[Step]:
    """Mini-batch Adam [Kingma & Ba (2015), arXiv:1412.6980]; one iteration is one epoch.

    Parameters
    ----------
    objective : DifferentiableFunction
        The function to minimise.
    start : real vector
        Not modified.
    num_positions, batch_size : int
        Scan positions in all and per update, reshuffled each epoch.
    rng : numpy.random.Generator
        Source of the shuffles.
    step_size : float
        Largest typical change of an unknown per update.
    decay : (float, float)
        Memory of the running mean and mean square of the gradient.
    epsilon : float
        Added to the denominator, relative to the largest root-mean-square gradient, so that
        unknowns which are hardly lit stay put.

    Yields
    ------
    Step
        After each epoch, with the mean of the losses met in it.
    """
    xp = array_module(start)
    vector, mean, square = start.copy(), xp.zeros_like(start), xp.zeros_like(start)
    update, epoch = 0, 0
    while True:
        order = rng.permutation(num_positions)
        total = 0.0
        for first in range(0, num_positions, batch_size):
            batch = order[first : first + batch_size]
            loss, gradient = objective.loss_and_gradient(vector, batch)
            total += loss * len(batch)
            update += 1
            mean += (1 - decay[0]) * (gradient - mean)
            square += (1 - decay[1]) * (gradient**2 - square)
            root = xp.sqrt(square / (1 - decay[1] ** update))
            floor = max(epsilon * float(root.max()), np.finfo(root.dtype).tiny)  # no 0/0 at rest
            vector = vector - step_size / (1 - decay[0] ** update) * mean / (root + floor)
        epoch += 1
        yield Step(epoch, total / num_positions, vector)


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
