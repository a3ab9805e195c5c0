"""A two-dimensional lattice with a basis, and which atom sits on which of its sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations._inputs import positions_2d
from caviar_kit.vibrations._lattice_fit import (
    Fit,
    assign,
    first_fit,
    least_squares,
    occupied_share,
    prune,
    site_spacing,
    typical_share,
)
from caviar_kit.vibrations._lattice_order import along_x, nearest_neighbours, ordered, supercell
from caviar_kit.vibrations._lattice_search import Neighbours, find_vectors, refined_vectors, spacing_of

__all__ = ["Lattice", "fit_lattice"]

_SEARCH = 0.13  # of √(area per atom): half the width of a pile of equal differences
_TOLERANCE = 0.2  # of the shortest distance between sites
_FEWEST = 6
_FILLED = 0.8  # share of sites taken; below it a coarser lattice is tried
_ROUNDS = 12


@dataclass(frozen=True, eq=False)
class Lattice:
    """Cells and basis sites of a plane lattice; positions are y, x [Å]."""

    origin: np.ndarray
    """Corner of cell (0, 0), float64 (2,), y, x, Å."""
    vectors: np.ndarray
    """Rows a1, a2, float64 (2, 2); components y, x, Å."""
    basis: np.ndarray
    """Sites of one cell, float64 (sites, 2), y, x, Å from the cell's origin."""
    cells: np.ndarray
    """Cell of each atom along a1, a2, int64 (atoms, 2); (0, 0) where the atom is outside."""
    sites: np.ndarray
    """Basis index of each atom, int64 (atoms,); -1 outside (defect, boundary, other lattice)."""
    residual: np.ndarray
    """Distance of each atom from its ideal site, float64 (atoms,), Å; NaN where outside."""

    @property
    def inside(self) -> np.ndarray:
        """Whether each atom belongs to the lattice, bool (atoms,)."""
        return self.sites >= 0

    @property
    def axes(self) -> np.ndarray:
        """Local axes as rows (y', x'), float64 (2, 2), components y, x.

        x' points from site 0 to its nearest neighbour (the one nearest to +x of the image, if
        several are equally near, as on a honeycomb), y' is x' turned as +y is from +x.
        ``u @ axes.T`` are the local components (y', x') of u.
        """
        x = along_x(nearest_neighbours(self.vectors, self.basis, 0))
        x = x / np.linalg.norm(x)
        return np.array([[x[1], -x[0]], x])

    def ideal(self, cells: ArrayLike, sites: ArrayLike) -> np.ndarray:
        """Ideal positions, float64 (n, 2), Å, of ``cells`` (n, 2) and ``sites`` (n,)."""
        return self.origin + np.asarray(cells) @ self.vectors + self.basis[np.asarray(sites)]

    def within(self, low: ArrayLike, high: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """All sites in a rectangle, those where no atom was given included: where unseen neighbours must be.

        Parameters
        ----------
        low, high : array, (2,)
            Corners y, x [Å]; both belong to the rectangle.

        Returns
        -------
        positions : float64 (n, 2)
            Ideal positions y, x [Å], cell by cell.
        sites : int64 (n,)
            Basis index of each.

        Raises
        ------
        TypeError, ValueError
            If the corners are not two finite numbers each, or ``high`` is not above ``low``.
        """
        first, last = (
            validation.as_array(name, corner, shape=(2,)).astype(float)
            for name, corner in (("low", low), ("high", high))
        )
        if not (last > first).all():
            raise ValueError(f"high must be above low, got low={first.tolist()}, high={last.tolist()}")
        corners = np.array([[y, x] for y in (first[0], last[0]) for x in (first[1], last[1])])
        reached = (corners - self.origin) @ np.linalg.inv(self.vectors)
        margin = 1 + abs(self.basis @ np.linalg.inv(self.vectors)).max()
        start, stop = np.floor(reached.min(axis=0) - margin), np.ceil(reached.max(axis=0) + margin)
        cells = np.stack(np.meshgrid(*map(np.arange, start, stop + 1), indexing="ij"), axis=-1).reshape(-1, 2)
        cells = np.repeat(cells, len(self.basis), axis=0)
        sites = np.tile(np.arange(len(self.basis)), len(cells) // len(self.basis))
        places = self.ideal(cells, sites)
        inside = ((places >= first) & (places <= last)).all(axis=1)
        return places[inside], sites[inside]


def fit_lattice(
    positions: ArrayLike,
    *,
    sites: int | None = None,
    vectors: ArrayLike | None = None,
    species: ArrayLike | None = None,
    region: ArrayLike | None = None,
    tolerance: float | None = None,
    occupied: float = 0.65,
) -> Lattice:
    """Find the lattice that holds most atoms and give each atom its cell and basis site.

    Differences between neighbouring atoms pile up at the lattice vectors; the two shortest ones
    that carry most atoms, and leave few of their sites empty, start the search. Atoms one vector
    apart are then joined, all joined groups are fitted with common vectors by least squares with
    outliers weighted down, and every atom goes to the nearest site. Rotation, uniform strain, missing
    and extra atoms are borne; where distortions of the scan add up to more than ``tolerance``, atoms
    are outside.

    Parameters
    ----------
    positions : array, (atoms, 2), Å
        Mean positions, y then x; for example ``tracked.mean(axis=0)``.
    sites : int, optional
        Sites of one cell. By default those of the primitive cell, as many as are found. A multiple
        of that number gives a larger cell, as rectangular as can be: 4 for Si [110].
    vectors : array, (2, 2), Å, optional
        Rough lattice vectors as rows, for one lattice out of several or for a cell of your choice;
        they are refined, not reduced, and keep their order.
    species : array, (atoms,), optional
        Element of each atom as text or number; atoms of different species never share a site.
    region : array, bool, (atoms,), optional
        Atoms to look at; all others are outside, and the region's rim within the field of all
        positions counts as a boundary. ``region=first.sites < 0`` finds the second lattice of a
        twisted bilayer or bicrystal.
    tolerance : float, Å, optional
        An atom farther than this from its site is outside. A fifth of the shortest distance between
        sites by default.
    occupied : float
        An atom is outside if the share of the sites around it that are occupied (within 1.1 times the
        longer lattice vector, and within the convex hull of all positions) is less than this part of
        the median share, which is 1 unless vacancies are many: it is at a boundary or a defect.
        Atoms at a straight edge have a half to three quarters, next to a vacancy three quarters or
        more; 0 keeps all but those that sit on a site by chance (below 0.45).

    Returns
    -------
    Lattice
        Vectors are the shortest ones, 60° to 120° apart (120° if hexagonal); of equally short ones a1
        points most nearly along +x, and a2 lies on that side of a1 on which +y lies of +x. ``basis[0]``
        is 0, the other sites are taken as near to it as they come, and cells start at 0. Sites are
        ordered by species; within one, site 0 has its nearest neighbour most nearly along +x.

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be used, or no lattice (or none with so many sites) is found.
    """
    where = positions_2d(positions)
    chosen = _chosen(region, len(where))
    kinds = _species(species, len(where))
    wanted = None if sites is None else validation.integer("sites", sites)
    occupied = validation.number("occupied", occupied, minimum=0, maximum=1)
    if tolerance is not None:
        tolerance = validation.number("tolerance", tolerance, minimum=0, open_minimum=True, unit="Å")
    start = None if vectors is None else _vectors(vectors)
    spacing = spacing_of(where[chosen]) if chosen.sum() >= _FEWEST else 0.0
    if spacing == 0:
        raise ValueError(
            f"positions must hold at least {_FEWEST} atoms that do not lie on one line, "
            f"got {int(chosen.sum())}"
        )
    search = _SEARCH * spacing if tolerance is None else min(tolerance, 0.2 * spacing)
    neighbours = Neighbours(where[chosen], kinds[chosen], search)
    fit = _start(neighbours, spacing, start, wanted)
    fit, cells, found = _settled(fit, neighbours, where, tolerance)
    share = occupied_share(fit, where, cells, found)
    found = np.where(share < occupied * typical_share(share, found), -1, found)
    fit, cells, found = ordered(fit, cells, found, reduce=start is None)
    return _lattice(fit, cells, found, where, chosen)


def _start(neighbours: Neighbours, spacing: float, vectors: np.ndarray | None, wanted: int | None) -> Fit:
    if vectors is None:
        fit = _best_filled(neighbours, find_vectors(neighbours, spacing))
    else:
        fit = first_fit(neighbours, refined_vectors(neighbours, vectors), None)
    if fit is None:
        raise ValueError(
            f"positions: no lattice found among {len(neighbours.positions)} atoms; more atoms, rough "
            "vectors= or a larger tolerance= may help"
        )
    if wanted is None or wanted == len(fit.basis):
        return fit
    if vectors is None and wanted % len(fit.basis) == 0:
        return supercell(fit, wanted // len(fit.basis))
    other = first_fit(neighbours, fit.vectors, wanted)
    if other is None:
        raise ValueError(f"sites={wanted} does not agree with the {len(fit.basis)} sites found in the cell")
    return other


def _best_filled(neighbours: Neighbours, candidates: list[np.ndarray]) -> Fit | None:
    """The first candidate whose sites are taken, or a coarser one that holds no fewer atoms.

    One of two grains fills its finer lattice; a cell of several sites leaves most sites of a finer one empty.
    """
    best, filled, held = None, 0.0, 0
    for vectors in candidates:
        fit = first_fit(neighbours, vectors, None)
        if fit is None:
            continue
        cells, sites, _ = assign(fit, neighbours, _TOLERANCE * site_spacing(fit))
        share = typical_share(occupied_share(fit, neighbours.positions, cells, sites), sites)
        inside = int((sites >= 0).sum())
        if best is None or (share * _FILLED > filled and inside >= held):
            best, filled, held = fit, share, inside
        if filled >= _FILLED:
            break
    return best


def _settled(
    fit: Fit, neighbours: Neighbours, field: np.ndarray, tolerance: float | None
) -> tuple[Fit, np.ndarray, np.ndarray]:
    """Assign, prune and fit in turns until the same atoms stay; fit, cells and sites."""
    positions = neighbours.positions
    before = None
    for _ in range(_ROUNDS):
        limit = _TOLERANCE * site_spacing(fit) if tolerance is None else tolerance
        cells, sites, _ = assign(fit, neighbours, limit)
        sites = prune(fit, field, cells, sites)
        counts = np.bincount(sites[sites >= 0], minlength=len(fit.basis))
        if counts.min() < 2 or np.linalg.matrix_rank(cells[sites >= 0] - cells[sites >= 0][:1]) < 2:
            raise ValueError(
                f"positions: no lattice found; of the best one only {counts.sum()} of {len(positions)} atoms "
                "lie on a site with neighbours; rough vectors= or another tolerance= may help"
            )
        fit = least_squares(fit, positions, cells, sites)
        state = np.column_stack([cells, sites])
        if before is not None and np.array_equal(state[sites >= 0], before[sites >= 0]):
            break
        before = state
    return fit, cells, sites


def _lattice(
    fit: Fit, cells: np.ndarray, sites: np.ndarray, where: np.ndarray, chosen: np.ndarray
) -> Lattice:
    all_cells = np.zeros((len(where), 2), np.int64)
    all_sites = np.full(len(where), -1, np.int64)
    all_cells[chosen], all_sites[chosen] = cells, sites
    inside = all_sites >= 0
    residual = np.full(len(where), np.nan)
    residual[inside] = np.linalg.norm(where[inside] - fit.ideal(all_cells[inside], all_sites[inside]), axis=1)
    return Lattice(fit.origin, fit.vectors, fit.basis, all_cells, all_sites, residual)


def _chosen(region: ArrayLike | None, atoms: int) -> np.ndarray:
    if region is None:
        return np.ones(atoms, bool)
    mask = np.asarray(region)
    if mask.dtype != bool or mask.shape != (atoms,):
        raise ValueError(
            f"region must be bool of shape ({atoms},), got dtype {mask.dtype} of shape {mask.shape}"
        )
    return mask


def _species(species: ArrayLike | None, atoms: int) -> np.ndarray:
    if species is None:
        return np.zeros(atoms, np.int64)
    kinds = np.asarray(species)
    if kinds.shape != (atoms,) or kinds.dtype.kind not in "biufU":
        raise ValueError(
            f"species must be {atoms} texts or numbers, one for each atom, "
            f"got dtype {kinds.dtype} of shape {kinds.shape}"
        )
    return np.unique(kinds, return_inverse=True)[1].reshape(-1)


def _vectors(vectors: ArrayLike) -> np.ndarray:
    rows = validation.as_array("vectors", vectors, shape=(2, 2)).astype(np.float64)
    if abs(np.linalg.det(rows)) < 0.05 * np.linalg.norm(rows[0]) * np.linalg.norm(rows[1]):
        raise ValueError(f"vectors must not be parallel or zero, got {rows.tolist()}")
    return rows
