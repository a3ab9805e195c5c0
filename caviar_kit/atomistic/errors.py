"""How well correlations are known: standard errors, what similarity to expect, how many scans it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.atomistic.measurements import Measurements
from caviar_kit.vibrations.shells import SHELLS

__all__ = ["CorrelationErrors", "ExpectedSimilarity"]

_MOST_SCANS = 10**6


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
    greens_tensor : float64 (sites, 2, sites, 2)
        Correlations that were expected [Å²].
    """

    positions: np.ndarray
    elements: np.ndarray
    modes: np.ndarray
    information: np.ndarray
    electrons_per_pattern: float
    reach_angstrom: float
    greens_tensor: np.ndarray

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
        states: int | None = 20,
        draws: int = 40,
        seed: int = 0,
    ) -> Mapping[str, ExpectedSimilarity]:
        """CSM and LSM to expect in each shell, if ``greens_tensor`` is the truth.

        Every draw is the truth with the errors of its elements, and then the nearest tensor that so many
        states can have: a fit of states cannot follow noise that makes a variance negative.

        Parameters
        ----------
        greens_tensor : (atoms, 2, atoms, 2)
            The truth [Å²].
        positions : (atoms, 2)
            Of its atoms, in the frame of ``self.positions`` [Å].
        scans : float
            Scans, or equivalent cells, that are fitted together.
        states : int, optional
            States of the fit; None takes the elements of G as they were measured, positive or not.
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
        scans = validation.number("scans", scans, minimum=0, open_minimum=True)
        measured = self._measurements(greens_tensor, positions, states, draws, seed)
        found = measured.with_variances(self._variances(scans))
        return {name: ExpectedSimilarity(*measured.figures(name, found)) for name in SHELLS}

    def draw_tensors(
        self,
        greens_tensor: ArrayLike,
        positions: ArrayLike,
        *,
        scans: float = 1,
        states: int | None = 20,
        draws: int = 40,
        seed: int = 0,
    ) -> np.ndarray:
        """Tensors that measurements would give, (draws, atoms, 2, atoms, 2) [Å²]; NaN out of reach.

        Parameters and errors as for :meth:`expected_similarity`, which compares them with the truth.
        """
        scans = validation.number("scans", scans, minimum=0, open_minimum=True)
        measured = self._measurements(greens_tensor, positions, states, draws, seed)
        return measured.tensors(measured.with_variances(self._variances(scans)))

    def scans_needed(
        self,
        greens_tensor: ArrayLike,
        positions: ArrayLike,
        *,
        shell: str = "nearest",
        csm: float = 0.95,
        states: int | None = 20,
        draws: int = 40,
        seed: int = 0,
    ) -> int:
        """Scans, or equivalent cells, to fit together until the mean CSM of a shell is ``csm``.

        Parameters as for :meth:`expected_similarity`, and

        Parameters
        ----------
        shell : {"nearest", "next", "self", "all"}
            Which pairs.
        csm : float
            What to reach.

        Raises
        ------
        TypeError, ValueError
            If an argument is not usable, the shell is out of reach or has no correlation to find, or a
            million scans do not suffice.
        """
        validation.choice("shell", shell, SHELLS)
        validation.number("csm", csm, minimum=0, maximum=1, open_minimum=True)
        measured = self._measurements(greens_tensor, positions, states, draws, seed)
        if not measured.known(shell):
            raise ValueError(
                f"shell={shell!r} has no correlation to find, or pairs farther apart than "
                f"reach_angstrom={self.reach_angstrom:g}"
            )

        def reached(scans: int) -> bool:
            found = measured.with_variances(self._variances(scans))
            return bool(measured.figures(shell, found)[0].mean() >= csm)

        low, high = 0, 1
        while not reached(high):
            low, high = high, 2 * high
            if high > _MOST_SCANS:
                raise ValueError(f"csm={csm:g} is not reached with {low} scans")
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if reached(middle) else (middle, high)
        return high

    def _measurements(
        self, greens_tensor: ArrayLike, positions: ArrayLike, states: int | None, draws: int, seed: int
    ) -> Measurements:
        return Measurements(
            self.positions,
            self.elements,
            self.modes,
            self.greens_tensor,
            truth=(greens_tensor, positions),
            states=states,
            draws=draws,
            seed=seed,
        )

    def _variances(self, scans: float) -> np.ndarray:
        return np.asarray(1 / (1 + scans * self.electrons_per_pattern * self.information))

    def _tensor(self, values: np.ndarray) -> np.ndarray:
        size = 2 * len(self.positions)
        flat = np.full((size, size), np.nan)
        a, b = self.elements.T
        flat[a, b] = flat[b, a] = values
        return flat.reshape(size // 2, 2, size // 2, 2)
