"""Simulated measurements of correlations: a truth, errors of its elements, what a fit makes of both."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from caviar_kit import validation
from caviar_kit.atomistic.positivity import PositiveFit
from caviar_kit.vibrations.shells import neighbour_shells
from caviar_kit.vibrations.similarity import figures_of, shortest_vector, tensor_as_vectors

__all__ = ["Measurements"]

_FLOOR = 0.01  # as of compare_correlations
_SAME_PLACE = 0.5  # Å


class Measurements:
    """Draws of the correlations of some atoms, the random numbers of which are the same at every dose.

    Parameters
    ----------
    positions : (sites, 2)
        Sites whose correlations are measured [Å].
    elements : int (elements, 2)
        Coordinates of the measured elements.
    modes : (elements, modes)
        Independent directions of error, see :class:`caviar_kit.atomistic.CorrelationErrors`.
    expected : (sites, 2, sites, 2)
        Correlations of all sites [Å²]; NaN counts as 0.
    truth : ((atoms, 2, atoms, 2), (atoms, 2))
        Correlations and positions of the atoms to compare; their block of ``expected`` is replaced.
    states : int or None
        Of the fit; None takes the elements as measured.
    draws, seed : int
        How many.

    Raises
    ------
    TypeError, ValueError
        If shapes disagree, or an atom is at no site that was measured.
    """

    def __init__(
        self,
        positions: np.ndarray,
        elements: np.ndarray,
        modes: np.ndarray,
        expected: np.ndarray,
        *,
        truth: tuple[ArrayLike, ArrayLike],
        states: int | None,
        draws: int,
        seed: int,
    ) -> None:
        places = validation.as_array("positions", truth[1], shape=(None, 2)).astype(float)
        self._true = tensor_as_vectors("greens_tensor", truth[0], len(places))
        self._rank = None if states is None else validation.integer("states", states, minimum=2) - 1
        rng = np.random.default_rng(validation.integer("seed", seed, minimum=0))
        self._random = rng.normal(size=(validation.integer("draws", draws), modes.shape[1]))
        self._shells, self._elements, self._modes = neighbour_shells(places), elements, modes
        self._site = _sites_of(places, positions, elements)
        size = len(positions)
        whole = np.nan_to_num(expected).astype(float)
        whole[self._site[:, None], :, self._site, :] = self._true  # axes y, x come last when picked so
        self._whole = whole.reshape(2 * size, 2 * size)
        measured = np.zeros((size, size), bool)
        measured[tuple((elements // 2).T)] = True
        self._measured = (measured | measured.T)[np.ix_(self._site, self._site)]

    def tensors(self, found: list[np.ndarray]) -> np.ndarray:
        """Vectors of every draw as tensors (draws, atoms, 2, atoms, 2) [Å²]; NaN where not measured."""
        gaps = np.where(self._measured, 0.0, np.nan)[:, None, :, None]
        return np.stack(found).transpose(0, 1, 3, 2, 4) + gaps

    def known(self, shell: str) -> bool:
        """Whether all pairs of a shell are measured, and the truth has something to compare."""
        mask = self._shells.mask(shell)
        if not mask.any() or not self._measured[mask].all():
            return False
        return bool((np.linalg.norm(self._true[mask], axis=-1) > self._shortest).any())

    def with_variances(self, variances: np.ndarray) -> list[np.ndarray]:
        """Measured vectors (atoms, atoms, 2, 2) of every draw, for the variance of each mode [Å²]."""
        rows, columns = self._elements.T
        noisy = self._whole[rows, columns] + (self._random * np.sqrt(variances)) @ self._modes.T
        if self._rank is None:
            return [self._vectors(rows, columns, values) for values in noisy]
        covariance = (self._modes * variances) @ self._modes.T
        fit = PositiveFit(self._elements, covariance, self._whole, min(self._rank, len(self._whole)))
        return [self._vectors(rows, columns, fit(values)[rows, columns]) for values in noisy]

    def figures(self, shell: str, found: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """CSM and LSM of every draw; NaN for a shell that is not known."""
        if not self.known(shell):
            return np.full(len(found), np.nan), np.full(len(found), np.nan)
        mask = self._shells.mask(shell)
        csm, lsm = np.array([figures_of(self._true, one, mask, self._shortest)[:2] for one in found]).T
        return csm, lsm

    @property
    def _shortest(self) -> float:
        return shortest_vector(self._true, _FLOOR)

    def _vectors(self, rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        flat = np.zeros_like(self._whole)
        flat[rows, columns] = flat[columns, rows] = values
        tensor = flat.reshape(len(flat) // 2, 2, -1, 2)
        return tensor[self._site][:, :, self._site].transpose(0, 2, 1, 3)


def _sites_of(places: np.ndarray, positions: np.ndarray, elements: np.ndarray) -> np.ndarray:
    """The site of each atom, (atoms,)."""
    distance, site = KDTree(positions).query(places)
    lost = np.flatnonzero((distance > _SAME_PLACE) | ~np.isin(site, elements // 2))
    if len(lost) or len(np.unique(site)) < len(site):
        raise ValueError(
            f"positions must each be those of one lit site, to within {_SAME_PLACE} Å: "
            f"atoms {lost[:20].tolist()} are not"
        )
    return np.asarray(site)
