"""What is known of vibrations before any pattern is seen: penalties on the displacements of a fit.

A prior moves the result towards itself; a correlation that only appears with one is the prior's. The values
are added to the loss per pattern, of which correlations make up 1e-6 or so.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation

__all__ = ["EquivalentSites", "HarmonicBonds"]


@dataclass(frozen=True, eq=False)
class HarmonicBonds:
    """Springs between sites: weight/(2 S) Σ_states Σ_{i<j} c_ij |u_i - u_j|², c_ij = exp(-d_ij²/2ℓ²).

    Smooth with distance, and true to the acoustic sum rule [Born & Huang, *Dynamical Theory of Crystal
    Lattices* (1954), § 23]: it costs nothing to move all sites together. It favours neighbours that move
    alike, and small displacements where a site has none.

    Parameters
    ----------
    weight : float
        [1/Å²], as loss per pattern.
    positions : (sites, 2)
        y, x [Å] of what moves, in the order of the fit (``AtomisticFit.movers``).
    reach_angstrom : float
        ℓ; springs longer than 3 ℓ are left out.

    Raises
    ------
    TypeError, ValueError
        If a value is not usable, or no two sites are within reach.
    """

    weight: float
    positions: ArrayLike
    reach_angstrom: float

    def __post_init__(self) -> None:
        validation.number("weight", self.weight, minimum=0)
        reach = validation.number(
            "reach_angstrom", self.reach_angstrom, minimum=0, maximum=100, unit="Å", open_minimum=True
        )
        places = validation.as_array("positions", self.positions, shape=(None, 2)).astype(float)
        distance = np.linalg.norm(places[:, None] - places, axis=-1)
        springs = np.where(distance < 3 * reach, np.exp(-((distance / reach) ** 2) / 2), 0.0)
        np.fill_diagonal(springs, 0.0)
        if not springs.any():
            raise ValueError(
                f"reach_angstrom={reach:g} is too short: no two positions are within {3 * reach:g} Å"
            )
        object.__setattr__(self, "_forces", np.diag(springs.sum(axis=1)) - springs)

    def value_and_gradient(self, displacements: np.ndarray) -> tuple[float, np.ndarray]:
        """Penalty and its gradient in ``displacements`` (states, sites, 2) [Å]."""
        forces = _same_sites(self._forces, displacements)  # type: ignore[attr-defined]
        pulled = self.weight / len(displacements) * np.einsum("ij,sja->sia", forces, displacements)
        return float((pulled * displacements).sum()) / 2, pulled


@dataclass(frozen=True, eq=False)
class EquivalentSites:
    """Sites that symmetry makes equal share a covariance: weight Σ_i |R_i G_ii R_iᵀ - mean over its class|².

    Parameters
    ----------
    weight : float
        [1/Å⁴], as loss per pattern.
    labels : sequence, one per site
        Equal labels are equivalent; None for a site that has no equals.
    axes : (sites, 2, 2), optional
        Rows are the unit vectors y', x' of each site's own axes, in which it is equal to the others; the
        image's by default.

    Raises
    ------
    TypeError, ValueError
        If a value is not usable, or no label occurs twice.
    """

    weight: float
    labels: Sequence[Hashable]
    axes: ArrayLike | None = None

    def __post_init__(self) -> None:
        validation.number("weight", self.weight, minimum=0)
        sites = len(self.labels)
        names = [label for label in dict.fromkeys(self.labels) if label is not None]
        classes = [np.array([i for i, label in enumerate(self.labels) if label == name]) for name in names]
        classes = [members for members in classes if len(members) > 1]
        if not classes:
            raise ValueError("labels must name at least two equivalent sites")
        turned = np.broadcast_to(np.eye(2), (sites, 2, 2))
        if self.axes is not None:
            turned = validation.as_array("axes", self.axes, shape=(sites, 2, 2)).astype(float)
            if abs(np.einsum("nab,ncb->nac", turned, turned) - np.eye(2)).max() > 1e-6:
                raise ValueError("axes must be two orthogonal unit vectors for each site")
        object.__setattr__(self, "_classes", classes)
        object.__setattr__(self, "_axes", turned)

    def value_and_gradient(self, displacements: np.ndarray) -> tuple[float, np.ndarray]:
        """Penalty and its gradient in ``displacements`` (states, sites, 2) [Å]."""
        axes: np.ndarray = _same_sites(self._axes, displacements)  # type: ignore[attr-defined]
        own = np.einsum("nab,snb->sna", axes, displacements)
        covariance = np.einsum("sna,snb->nab", own, own) / len(own)
        value, pulled = 0.0, np.zeros_like(own)
        for members in self._classes:  # type: ignore[attr-defined]
            off = covariance[members] - covariance[members].mean(axis=0)
            value += float((off**2).sum())
            pulled[:, members] = np.einsum("nab,snb->sna", 4 * off, own[:, members]) / len(own)
        return self.weight * value, self.weight * np.einsum("nab,sna->snb", axes, pulled)


def _same_sites(array: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    if displacements.shape[1] != len(array):
        raise ValueError(
            f"priors were made for {len(array)} sites, the fit moves {displacements.shape[1]}; "
            "with rigid=False every slice of a site counts as one"
        )
    return array
