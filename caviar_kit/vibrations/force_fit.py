"""Most likely force constants, and again with some of the states left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from caviar_kit.vibrations.likelihood import Evaluation, Likelihood

__all__ = ["ForceFit", "fit_force_constants", "leave_out_groups"]

_STEPS, _RENEW = 40, 6
_LOOSE, _TIGHT = 1e-2, 1e-6  # log-likelihood still to be gained
_DIFFERENCE = 1e-4  # of a standard error
_HALVINGS = 10
_BLOCKED, _PATIENCE = 0.1, 2  # steps cut below this share, and how many of them end a fit


@dataclass(frozen=True, eq=False)
class ForceFit:
    """Parameters of a force model [u/ps²] fitted to all states, and to all but a group."""

    parameters: np.ndarray
    """float (parameters,)."""
    without: np.ndarray
    """Fitted with group g left out, float (groups, parameters)."""
    information: np.ndarray
    """Expected Fisher information at the optimum."""
    converged: bool


def fit_force_constants(likelihood: Likelihood, groups: list[np.ndarray]) -> ForceFit:
    """Fisher scoring from equal springs; then one refit for each group of states left out."""
    states = np.arange(len(likelihood.patches[0].moved))
    start = _scaled_springs(likelihood, states)
    best, at, information, done = _score(likelihood, start, states)
    observed = _observed(likelihood, best, at, information, states)
    refits = [_refit(likelihood, best, observed, np.setdiff1d(states, group)) for group in groups]
    without = np.array([refit[0] for refit in refits]).reshape(len(groups), len(best))
    return ForceFit(best, without, information, done and all(refit[1] for refit in refits))


def leave_out_groups(states: int, most: int = 20) -> list[np.ndarray]:
    """Each state by itself, or ``most`` runs of consecutive states if there are more."""
    return list(np.array_split(np.arange(states), min(states, most)))


def _scaled_springs(likelihood: Likelihood, states: np.ndarray) -> np.ndarray:
    """Equal springs, as stiff as the displacements roughly ask for."""
    springs = likelihood.model.springs()
    springs = springs / np.abs(springs).max()
    trial = springs * 1e4
    for _ in range(60):
        at = likelihood.evaluate(trial, states)
        if at is None:
            raise ValueError(
                "lattice: the bonds within reach leave a part of the cell loose; use a larger reach"
            )
        slope = float(at.gradient @ trial)  # d log-likelihood / d log stiffness
        samples = sum(patch.moved.shape[1] * patch.moved.shape[2] for patch in likelihood.patches)
        trial = trial * float(np.exp(np.clip(2 * slope / (samples * (len(states) - 1)), -1.5, 1.5)))
        if abs(slope) < 0.05 * samples * (len(states) - 1) / 2:
            break
    return trial


def _score(
    likelihood: Likelihood, start: np.ndarray, states: np.ndarray
) -> tuple[np.ndarray, Evaluation, np.ndarray, bool]:
    now = start
    at = _evaluated(likelihood, now, states)
    for _ in range(_STEPS):
        information = likelihood.information(at, len(states))
        now, at, gain, share = _step(likelihood, now, at, information, states)
        if gain < _LOOSE or share < _BLOCKED:  # the information changes no more
            break
    now, at, done = _polish(likelihood, now, at, information, states)
    return now, at, likelihood.information(at, len(states)), done


def _refit(
    likelihood: Likelihood, start: np.ndarray, information: np.ndarray, states: np.ndarray
) -> tuple[np.ndarray, bool]:
    fewer = information * (len(states) - 1) / (len(likelihood.patches[0].moved) - 1)
    now, _, done = _polish(likelihood, start, _evaluated(likelihood, start, states), fewer, states)
    return now, done


def _observed(
    likelihood: Likelihood, best: np.ndarray, at: Evaluation, information: np.ndarray, states: np.ndarray
) -> np.ndarray:
    """Observed information: minus the slope of the gradient, by differences; expected if not positive."""
    steps = _DIFFERENCE / np.sqrt(np.diag(information))
    columns = []
    for number, step in enumerate(steps):
        there = best.copy()
        there[number] += step
        columns.append((at.gradient - _evaluated(likelihood, there, states).gradient) / step)
    observed = (np.array(columns) + np.array(columns).T) / 2
    return observed if np.linalg.eigvalsh(observed)[0] > 0 else information


def _polish(
    likelihood: Likelihood, now: np.ndarray, at: Evaluation, information: np.ndarray, states: np.ndarray
) -> tuple[np.ndarray, Evaluation, bool]:
    """Steps with a matrix that is seldom renewed; ends early, and says so, at the edge of stability."""
    blocked = 0
    for number in range(1, _STEPS + 1):
        now, at, gain, share = _step(likelihood, now, at, information, states)
        if gain < _TIGHT:
            return now, at, True
        blocked += share < _BLOCKED
        if blocked == _PATIENCE:
            break
        if number % _RENEW == 0:
            information = likelihood.information(at, len(states))
    return now, at, False


def _step(
    likelihood: Likelihood, now: np.ndarray, at: Evaluation, information: np.ndarray, states: np.ndarray
) -> tuple[np.ndarray, Evaluation, float, float]:
    """One step of Fisher scoring, halved until the crystal is stable and more likely.

    Also the gain that the whole step promised, and the share of it that was taken.
    """
    ridge = 1e-9 * np.trace(information) / len(information) * np.eye(len(information))
    step = cho_solve(cho_factor(information + ridge), at.gradient)
    promise = 0.5 * float(at.gradient @ step)
    for halving in range(_HALVINGS):
        share = 0.5**halving
        found = likelihood.evaluate(now + share * step, states)
        if found is not None and found.value > at.value:
            return now + share * step, found, promise, share
    return now, at, promise, 0.0


def _evaluated(likelihood: Likelihood, parameters: np.ndarray, states: np.ndarray) -> Evaluation:
    at = likelihood.evaluate(parameters, states)
    if at is None:
        raise RuntimeError("the fit left the stable crystals; this should not happen")
    return at
