"""Which pairs of atoms are nearest neighbours, which are next: read from the structure."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from caviar_kit import validation
from caviar_kit.vibrations._inputs import positions_2d

__all__ = ["SHELLS", "NeighbourShells", "neighbour_shells"]

SHELLS = ("self", "nearest", "next", "all")

_REACH = 3.5  # in median nearest distances: enough for the second shell of any plane lattice
_BLUR = 0.02  # relative: distances within 2 % belong together
_BIN = 0.005
_VALLEY = 0.5  # a shell ends where the density of pairs falls to half of both its neighbours
_APART = 0.12  # relative: nearer peaks are one strained shell (hBN's second and third are 14 % apart)
_LEAST_NEIGHBOURS = 0.3  # per atom: fewer pairs are a defect, not a shell
_WIDEST = 1.8  # 95th over 5th percentile of the distances in a believable first shell
_FALLBACK = (1.35, 2.0)  # in median nearest distances


@dataclass(frozen=True)
class NeighbourShells:
    """Distances between all atoms, and where the first two shells end."""

    distances: np.ndarray
    """float64 (atoms, atoms), Å."""
    edges_angstrom: tuple[float, float]
    """Where "nearest" ends and "next" begins, and where "next" ends, Å."""

    def mask(self, name: str) -> np.ndarray:
        """Ordered pairs (i, j) of one shell, bool (atoms, atoms).

        "self": i = j. "nearest": nearer than the first edge. "next": between the two edges.
        "all": every pair except self, because the large self terms would hide the rest.

        Raises
        ------
        ValueError
            If ``name`` is none of these.
        """
        validation.choice("name", name, SHELLS)
        same = np.eye(len(self.distances), dtype=bool)
        if name == "self":
            return same
        first, second = self.edges_angstrom
        low, high = {"nearest": (0.0, first), "next": (first, second), "all": (0.0, np.inf)}[name]
        return ~same & (self.distances >= low) & (self.distances < high)


def neighbour_shells(positions: ArrayLike, shell_edges: Sequence[float] | None = None) -> NeighbourShells:
    """Sort the pairs of a projected structure into shells of distance.

    Without ``shell_edges`` the edges are the first two valleys in the density of pair
    distances. The density is taken over the logarithm of distance (spread by strain and
    vibration grows with distance), blurred by 2 %, and peaks within 12 % are one strained
    shell. For projected Si [110] "nearest" is the dumbbell partner (1.36 Å) and "next" the two
    bonds of 2.35 Å; for hBN they are the three bonds of 1.45 Å and the six of 2.51 Å.

    Parameters
    ----------
    positions : array, (atoms, 2), Å
    shell_edges : pair of float, optional, Å
        Where "nearest" and where "next" end.

    Returns
    -------
    NeighbourShells

    Raises
    ------
    TypeError, ValueError
        If the positions are not finite (atoms, 2), two of them coincide, or the edges are not
        two increasing positive numbers.

    Warns
    -----
    UserWarning
        If the structure has no shells; then "nearest" ends at 1.35 and "next" at 2 times the
        median distance to the nearest neighbour.
    """
    where = positions_2d(positions)
    distances = cdist(where, where)
    closest = np.where(np.eye(len(where), dtype=bool), np.inf, distances).min(axis=1)
    twins = np.flatnonzero(closest <= 1e-6)
    if twins.size:
        raise ValueError(f"positions: atoms {twins[:8].tolist()} coincide with another atom")
    if shell_edges is not None:
        edges = validation.as_array("shell_edges", shell_edges, shape=(2,)).astype(float)
        if not 0 < edges[0] < edges[1]:
            raise ValueError(f"shell_edges must be two increasing distances [Å], got {edges.tolist()}")
        return NeighbourShells(distances, (float(edges[0]), float(edges[1])))
    if len(where) < 2:
        return NeighbourShells(distances, (0.0, 0.0))
    return NeighbourShells(distances, _edges(where, float(np.median(closest))))


def _edges(where: np.ndarray, scale: float) -> tuple[float, float]:
    pairs = KDTree(where).query_pairs(_REACH * scale, output_type="ndarray")
    separation = np.linalg.norm(where[pairs[:, 0]] - where[pairs[:, 1]], axis=1)
    ends = _valleys(separation, len(where))
    first = ends[0]
    shortest, longest = np.percentile(separation[separation < first], (5, 95))
    if longest > _WIDEST * shortest:
        first, second = _FALLBACK[0] * scale, _FALLBACK[1] * scale
        warnings.warn(
            f"the distances between the atoms form no shells; nearest neighbours end at {first:.3g} Å "
            f"and next at {second:.3g} Å; shell_edges= sets them",
            UserWarning,
            stacklevel=4,
        )
        return first, second
    return first, ends[1] if len(ends) > 1 else first


def _valleys(separation: np.ndarray, atoms: int) -> list[float]:
    """Upper ends [Å] of the first shells; the last one ends beyond the longest pair."""
    log = np.log(separation)
    padding = 6 * _BLUR
    grid = np.arange(log.min() - padding, log.max() + padding, _BIN)
    # over log distance a uniform plane grows as the distance squared: undo that
    weights = (separation.min() / separation) ** 2
    counts, _ = np.histogram(log, bins=np.append(grid, grid[-1] + _BIN), weights=weights)
    density = ndimage.gaussian_filter1d(counts.astype(float), _BLUR / _BIN, mode="constant", truncate=6)
    peaks = np.flatnonzero((density[1:-1] > density[:-2]) & (density[1:-1] >= density[2:])) + 1
    ends: list[float] = []
    start = -np.inf
    top = last = peaks[0]
    for peak in peaks[1:]:
        apart = (peak - last) * _BIN > _APART
        last = peak
        between = density[top : peak + 1]
        floor = between.min()
        neighbours = 2 * np.count_nonzero((log > start) & (log < grid[top + between.argmin()])) / atoms
        empty = floor < _VALLEY * min(density[top], density[peak])
        if apart and empty and neighbours >= _LEAST_NEIGHBOURS:
            # the middle of a wide gap, not the first place where it is empty
            low = top + np.flatnonzero(between <= floor + 1e-3 * density.max())
            start = grid[round(low.mean())] + _BIN / 2
            ends.append(float(np.exp(start)))
            top = peak
        elif density[peak] > density[top]:
            top = peak
    ends.append(float(np.exp(log.max()) * (1 + _BLUR)))
    return ends
