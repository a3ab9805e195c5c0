"""How unknowns become the displacements of all states: freely, or as a Gaussian of low rank."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.stats import norm, qmc

from caviar_kit import validation

__all__ = ["Ensemble", "FreeStates", "GaussianStates"]

_GAIN = 6.0  # of differences between states: the patterns respond to them in second order only


class Ensemble(Protocol):
    """What a fit asks of an ensemble; arrays are float64 on the host, displacements [Å]."""

    @property
    def num_states(self) -> int:
        """States."""

    def start(self, sites: int, rms_angstrom: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Unknowns of white displacements about no mean shift."""

    def unknowns(self, displacements: np.ndarray) -> dict[str, np.ndarray]:
        """Unknowns that stand for these displacements, or come nearest to them."""

    def displacements(self, unknowns: dict[str, np.ndarray]) -> np.ndarray:
        """(states, sites, 2), the shift of the mean included."""

    def pull_back(self, gradient: np.ndarray) -> dict[str, np.ndarray]:
        """Gradient in the unknowns from that in the displacements; the map is linear."""


@dataclass(frozen=True)
class FreeStates:
    """Every displacement of every state is an unknown.

    Parameters
    ----------
    num_states : int
        States; a tensor of up to num_states - 1 independent motions can be held.
    """

    num_states: int

    def __post_init__(self) -> None:
        validation.integer("num_states", self.num_states)

    def start(self, sites: int, rms_angstrom: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """White displacements; with one state none."""
        if self.num_states == 1:
            return {"states": np.zeros((1, sites, 2))}
        drawn = rng.normal(0, rms_angstrom / self._gain, (self.num_states, sites, 2))
        return {"states": drawn - drawn.mean(axis=0)}

    @property
    def _gain(self) -> float:
        return _GAIN if self.num_states > 1 else 1.0

    def unknowns(self, displacements: np.ndarray) -> dict[str, np.ndarray]:
        """Exactly these."""
        return {"states": _spread(displacements, 1 / self._gain)}

    def displacements(self, unknowns: dict[str, np.ndarray]) -> np.ndarray:
        """Differences from the mean count ``gain`` times."""
        return _spread(unknowns["states"], self._gain)

    def pull_back(self, gradient: np.ndarray) -> dict[str, np.ndarray]:
        """The map is its own adjoint."""
        return {"states": _spread(gradient, self._gain)}


@dataclass(frozen=True)
class GaussianStates:
    """Displacements u = m + A ξ with fixed draws ξ: covariance A Aᵀ exactly, of rank ``rank``.

    The draws are quasi-random normal numbers (scrambled Sobol) with their mean taken out and their
    covariance made unity, so that the covariance of the states is A Aᵀ without chance. Fewer unknowns than
    free states; higher moments approach a Gaussian's, which harmonic motion has, with many more states
    than motions.

    Parameters
    ----------
    num_states : int
        Draws, more than ``rank``.
    rank : int
        Independent motions.
    seed : int
        Of the draws.

    Raises
    ------
    TypeError, ValueError
        If there are not more states than motions.
    """

    num_states: int
    rank: int
    seed: int = 0

    def __post_init__(self) -> None:
        states, rank = (
            validation.integer("num_states", self.num_states),
            validation.integer("rank", self.rank),
        )
        validation.integer("seed", self.seed, minimum=0)
        if states <= rank:
            raise ValueError(
                f"num_states must be more than rank={rank} to hold so many motions, got {states}"
            )

    def start(self, sites: int, rms_angstrom: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """A white factor."""
        size = rms_angstrom / (_GAIN * math.sqrt(self.rank))
        return {"mean": np.zeros((sites, 2)), "factor": rng.normal(0, size, (self.rank, sites, 2))}

    def unknowns(self, displacements: np.ndarray) -> dict[str, np.ndarray]:
        """The nearest of this form: what the draws do not span is lost."""
        mean = displacements.mean(axis=0)
        factor = np.tensordot(self._draws().T, displacements - mean, axes=1) / (_GAIN * self.num_states)
        return {"mean": mean, "factor": factor}

    def displacements(self, unknowns: dict[str, np.ndarray]) -> np.ndarray:
        """Mean and factor times draws."""
        moved = np.tensordot(self._draws(), unknowns["factor"], axes=1)
        return np.asarray(unknowns["mean"] + _GAIN * moved)

    def pull_back(self, gradient: np.ndarray) -> dict[str, np.ndarray]:
        """Adjoint of both."""
        return {
            "mean": gradient.sum(axis=0),
            "factor": _GAIN * np.tensordot(self._draws().T, gradient, axes=1),
        }

    def _draws(self) -> np.ndarray:
        """(states, rank), mean 0 and covariance 1."""
        points = qmc.Sobol(self.rank, seed=self.seed).random_base2(math.ceil(math.log2(self.num_states)))
        drawn = norm.ppf(points[: self.num_states])
        drawn -= drawn.mean(axis=0)
        left, _, right = np.linalg.svd(drawn, full_matrices=False)
        return np.asarray(math.sqrt(self.num_states) * left @ right)


def _spread(states: np.ndarray, gain: float) -> np.ndarray:
    """Differences from the mean times ``gain``."""
    mean = states.mean(axis=0)
    spread: np.ndarray = mean + gain * (states - mean)
    return spread
