"""How well correlations are known: standard errors, what similarity to expect, how many scans it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from caviar_kit import validation
from caviar_kit.vibrations.shells import SHELLS, neighbour_shells
from caviar_kit.vibrations.similarity import figures_of, shortest_vector, tensor_as_vectors

__all__ = ["CorrelationErrors", "ExpectedSimilarity"]

_FLOOR = 0.01  # as of compare_correlations
_SAME_PLACE = 0.5  # Å
_MOST_SCANS = 10**9


@dataclass(frozen=True, eq=False)
class ExpectedSimilarity:
    """CSM and LSM of one shell if the truth were measured many times.

    Attributes
    ----------
    csm, lsm : float64 (draws,)
        As of :func:`caviar_kit.compare_correlations`; NaN if the shell reaches farther than the errors do.
    """

    csm: np.ndarray
    lsm: np.ndarray

    @property
    def mean(self) -> tuple[float, float]:
        """Mean CSM and LSM."""
        return float(self.csm.mean()), float(self.lsm.mean())

    @property
    def interval(self) -> np.ndarray:
        """Where 95 % of the draws lie: rows CSM and LSM, columns low and high."""
        return np.quantile(np.stack([self.csm, self.lsm]), [0.025, 0.975], axis=1).T


@dataclass(frozen=True, eq=False)
class CorrelationErrors:
    """Errors of the displacement correlations of sites, from counting statistics and a weak prior.

    With s scans of N electrons per pattern the covariance is modes · diag(1/(1 + s N information)) · modesᵀ:
    a direction about which the patterns say nothing keeps its prior.

    Attributes
    ----------
    positions : float64 (sites, 2)
        Mean y, x [Å].
    elements : int (elements, 2)
        Coordinates 2 · site + axis of each unknown element of G, the smaller first.
    modes : float64 (elements, modes)
        [Å²].
    information : float64 (modes,)
        For one electron per pattern.
    electrons_per_pattern : float
        N.
    reach_angstrom : float
        Elements between sites farther apart are not among them.
    """

    positions: np.ndarray
    elements: np.ndarray
    modes: np.ndarray
    information: np.ndarray
    electrons_per_pattern: float
    reach_angstrom: float

    def at(self, electrons_per_pattern: float) -> CorrelationErrors:
        """The same experiment at another dose; costs nothing.

        Raises
        ------
        TypeError, ValueError
            If it is not a positive number.
        """
        electrons = validation.number(
            "electrons_per_pattern", electrons_per_pattern, minimum=0, open_minimum=True
        )
        return replace(self, electrons_per_pattern=electrons)

    @property
    def covariance(self) -> np.ndarray:
        """Of the elements, (elements, elements) [Å⁴]."""
        return np.asarray((self.modes * self._variances(1)) @ self.modes.T)

    @property
    def standard_error(self) -> np.ndarray:
        """Of each element of G, (sites, 2, sites, 2) [Å²]; NaN between sites out of reach, or unlit."""
        return self._tensor(np.sqrt((self.modes**2) @ self._variances(1)))

    @property
    def prior_share(self) -> np.ndarray:
        """Variance of each element as a fraction of its prior's, (sites, 2, sites, 2): 1 if not measured."""
        prior = (self.modes**2).sum(axis=1)
        return self._tensor((self.modes**2) @ self._variances(1) / prior)

    def expected_similarity(
        self,
        greens_tensor: ArrayLike,
        positions: ArrayLike,
        *,
        scans: float = 1,
        draws: int = 200,
        seed: int = 0,
    ) -> Mapping[str, ExpectedSimilarity]:
        """CSM and LSM to expect in each shell, if ``greens_tensor`` is the truth.

        Parameters
        ----------
        greens_tensor : (atoms, 2, atoms, 2)
            The truth [Å²].
        positions : (atoms, 2)
            Of its atoms, in the frame of ``self.positions`` [Å].
        scans : float
            Scans, or equivalent cells, that are averaged.
        draws, seed : int
            Of simulated measurements.

        Returns
        -------
        dict of ExpectedSimilarity
            "self", "nearest", "next", "all".

        Raises
        ------
        TypeError, ValueError
            If shapes disagree, or an atom is at no lit site.
        """
        validation.number("scans", scans, minimum=0, open_minimum=True)
        drawn = _Draws(self, greens_tensor, positions, draws, seed)
        noise = drawn.noise(self._variances(scans))
        return {name: ExpectedSimilarity(*drawn.figures(name, noise)) for name in SHELLS}

    def scans_needed(
        self,
        greens_tensor: ArrayLike,
        positions: ArrayLike,
        *,
        shell: str = "nearest",
        csm: float = 0.95,
        draws: int = 200,
        seed: int = 0,
    ) -> int:
        """Scans, or equivalent cells, to average until the mean CSM of a shell is ``csm``.

        Raises
        ------
        TypeError, ValueError
            If an argument is not usable, the shell is out of reach or has no correlation to find, or a
            billion scans do not suffice.
        """
        validation.choice("shell", shell, SHELLS)
        validation.number("csm", csm, minimum=0, maximum=1, open_minimum=True)
        drawn = _Draws(self, greens_tensor, positions, draws, seed)

        def reached(scans: int) -> bool:
            return bool(drawn.figures(shell, drawn.noise(self._variances(scans)))[0].mean() >= csm)

        if np.isnan(drawn.figures(shell, drawn.noise(self._variances(1)))[0]).any():
            raise ValueError(
                f"shell={shell!r} has no correlation to find, or pairs farther apart than "
                f"reach_angstrom={self.reach_angstrom:g}"
            )
        low, high = 0, 1
        while not reached(high):
            low, high = high, 2 * high
            if high > _MOST_SCANS:
                raise ValueError(f"csm={csm:g} is not reached with {low} scans")
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if reached(middle) else (middle, high)
        return high

    def _variances(self, scans: float) -> np.ndarray:
        return np.asarray(1 / (1 + scans * self.electrons_per_pattern * self.information))

    def _tensor(self, values: np.ndarray) -> np.ndarray:
        size = 2 * len(self.positions)
        flat = np.full((size, size), np.nan)
        a, b = self.elements.T
        flat[a, b] = flat[b, a] = values
        return flat.reshape(size // 2, 2, size // 2, 2)


class _Draws:
    """Measurements of a truth with the errors of its elements, drawn at random."""

    def __init__(
        self, errors: CorrelationErrors, greens_tensor: ArrayLike, positions: ArrayLike, draws: int, seed: int
    ) -> None:
        places = validation.as_array("positions", positions, shape=(None, 2)).astype(float)
        self._true = tensor_as_vectors("greens_tensor", greens_tensor, len(places))
        self._shells = neighbour_shells(places)
        distance, site = KDTree(errors.positions).query(places)
        lost = np.flatnonzero((distance > _SAME_PLACE) | ~np.isin(site, errors.elements // 2))
        if len(lost) or len(np.unique(site)) < len(site):
            raise ValueError(
                f"positions must each be those of one lit site, to within {_SAME_PLACE} Å: "
                f"atoms {lost[:20].tolist()} are not"
            )
        atom = np.full(len(errors.positions), -1)
        atom[site] = np.arange(len(site))
        among = (atom[errors.elements // 2] >= 0).all(axis=1)
        self._modes = errors.modes[among]
        self._at = 2 * atom[errors.elements[among] // 2] + errors.elements[among] % 2
        known = np.zeros((len(places), len(places)), bool)
        known[tuple((self._at // 2).T)] = True
        self._known = known | known.T
        rng = np.random.default_rng(validation.integer("seed", seed, minimum=0))
        self._random = rng.normal(size=(validation.integer("draws", draws), self._modes.shape[1]))

    def noise(self, variances: np.ndarray) -> np.ndarray:
        """Errors (draws, atoms, atoms, 2, 2) of the vectors of G [Å²]."""
        values = (self._random * np.sqrt(variances)) @ self._modes.T
        size = 2 * len(self._known)
        flat = np.zeros((len(values), size, size))
        a, b = self._at.T
        flat[:, a, b] = flat[:, b, a] = values
        return flat.reshape(-1, size // 2, 2, size // 2, 2).transpose(0, 1, 3, 2, 4)

    def figures(self, shell: str, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """CSM and LSM of every draw."""
        mask = self._shells.mask(shell)
        if not mask.any() or not self._known[mask].all():
            return np.full(len(noise), np.nan), np.full(len(noise), np.nan)
        shortest = shortest_vector(self._true, _FLOOR)
        found = [figures_of(self._true, self._true + error, mask, shortest)[:2] for error in noise]
        csm, lsm = np.array(found).T
        return csm, lsm
