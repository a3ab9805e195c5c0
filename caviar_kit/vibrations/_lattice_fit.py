"""From lattice vectors to indices: grow sublattices hop by hop, fit them together, judge each atom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.spatial import ConvexHull

from caviar_kit.vibrations._lattice_search import Neighbours

__all__ = [
    "Fit",
    "assign",
    "first_fit",
    "least_squares",
    "occupied_share",
    "prune",
    "site_spacing",
    "typical_share",
]

_LEAST_SITE = 0.5  # of the fullest site: a sparser one is a row of extra atoms, not a site
_CHANCE = 0.45  # of the typical share of sites taken about an atom: a straight edge keeps over half
_RIM = 1e-6  # Å: sites on the very rim of the field are not counted, or rounding would decide
_TUKEY = 4.685  # 95 % efficient for Gaussian residuals
_HOPS = ((1, 0), (0, 1), (1, 1), (1, -1))


@dataclass(frozen=True)
class Fit:
    """Origin, vectors and basis [Å, y then x], basis[0] = 0; species of each site."""

    origin: np.ndarray
    vectors: np.ndarray
    basis: np.ndarray
    kinds: np.ndarray

    def ideal(self, cells: np.ndarray, sites: np.ndarray) -> np.ndarray:
        """Positions [Å] of the given cells and sites."""
        return self.origin + cells @ self.vectors + self.basis[sites]


def first_fit(neighbours: Neighbours, vectors: np.ndarray, sites: int | None) -> Fit | None:
    """Join atoms that lie one lattice vector apart, then fit all joined groups with common vectors."""
    groups = _grown(neighbours, vectors)
    if not groups:
        return None
    positions = neighbours.positions
    for _ in range(3):
        vectors = _common_vectors(positions, groups, vectors)
    offsets = np.array([np.median(positions[atoms] - cells @ vectors, axis=0) for atoms, cells in groups])
    sizes = np.array([len(atoms) for atoms, _ in groups])
    kinds = np.array([neighbours.species[atoms[0]] for atoms, _ in groups])
    return _merged(offsets, sizes, kinds, vectors, neighbours.tolerance, sites)


def assign(fit: Fit, neighbours: Neighbours, tolerance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest site of each atom, at most one atom to a site; cells, sites (-1 outside), residual [Å]."""
    positions = neighbours.positions
    inverse = np.linalg.inv(fit.vectors)
    offset = positions[:, None] - fit.origin - fit.basis  # (atoms, sites, 2)
    cells = np.rint(offset @ inverse).astype(int)
    distance = np.linalg.norm(offset - cells @ fit.vectors, axis=2)
    distance = np.where(neighbours.species[:, None] == fit.kinds, distance, np.inf)
    sites = distance.argmin(axis=1)
    rows = np.arange(len(positions))
    residual, cells = distance[rows, sites], cells[rows, sites]
    order = np.argsort(residual, kind="stable")
    keys = np.column_stack([cells, sites])[order]
    _, first = np.unique(keys, axis=0, return_index=True)
    winner = np.zeros(len(positions), bool)
    winner[order[first]] = True
    sites = np.where(winner & (residual <= tolerance), sites, -1)
    return cells, sites, residual


def occupied_share(fit: Fit, field: np.ndarray, cells: np.ndarray, sites: np.ndarray) -> np.ndarray:
    """Share of the lattice sites about each atom that are taken, float64 (atoms,); 0 outside.

    Counted are the sites within 1.1 times the longer lattice vector that lie in the convex hull of
    ``field`` (any, 2); 1 where there is none.
    """
    planes = ConvexHull(field).equations
    hops, targets = _surroundings(fit)
    taken = _Taken(cells, sites, len(fit.basis))
    share = np.zeros(len(sites))
    for kind in range(len(fit.basis)):
        atoms = np.flatnonzero(sites == kind)
        near = cells[atoms, None] + hops[kind]
        there = fit.origin + near @ fit.vectors + fit.basis[targets[kind]]
        room = ((there @ planes[:, :2].T + planes[:, 2]) < -_RIM).all(axis=2)
        held = taken(near, targets[kind]) & room
        count = room.sum(axis=1)
        share[atoms] = np.where(count > 0, held.sum(axis=1) / np.maximum(count, 1), 1.0)
    return share


def prune(fit: Fit, field: np.ndarray, cells: np.ndarray, sites: np.ndarray) -> np.ndarray:
    """Drop atoms that sit on a site by chance, in rounds; returns the new ``sites``."""
    least = _CHANCE * typical_share(occupied_share(fit, field, cells, sites), sites)
    while True:
        alone = (sites >= 0) & (occupied_share(fit, field, cells, sites) < least)
        if not alone.any():
            return sites
        sites = np.where(alone, -1, sites)


def typical_share(share: np.ndarray, sites: np.ndarray) -> float:
    """Median share of the atoms inside: 1 for a perfect crystal, less with many vacancies."""
    inside = sites >= 0
    return float(np.median(share[inside])) if inside.any() else 0.0


class _Taken:
    """Look-up of occupied lattice sites."""

    def __init__(self, cells: np.ndarray, sites: np.ndarray, kinds: int) -> None:
        inside = sites >= 0
        span = np.abs(cells[inside]).max(initial=0) + 1
        self._span = int(span)
        self._grid = np.zeros((2 * self._span + 1, 2 * self._span + 1, kinds), bool)
        self._grid[cells[inside, 0] + self._span, cells[inside, 1] + self._span, sites[inside]] = True

    def __call__(self, cells: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        within = (np.abs(cells) <= self._span).all(axis=-1)
        y, x = np.moveaxis(np.clip(cells, -self._span, self._span) + self._span, -1, 0)
        return self._grid[y, x, kinds] & within


def least_squares(fit: Fit, positions: np.ndarray, cells: np.ndarray, sites: np.ndarray) -> Fit:
    """Origin, vectors and basis that fit the atoms inside best, outliers weighted down (Tukey)."""
    inside = sites >= 0
    n, s, r = cells[inside], sites[inside], positions[inside]
    design = np.zeros((len(r), 2 + len(fit.basis)))
    design[:, :2] = n - n.mean(axis=0)
    design[np.arange(len(r)), 2 + s] = 1
    weight = np.ones(len(r))
    for _ in range(8):
        root = np.sqrt(weight)[:, None]
        solution = np.linalg.lstsq(design * root, r * root, rcond=None)[0]
        apart = np.linalg.norm(r - design @ solution, axis=1)
        scale = max(1.4826 * float(np.median(apart)) / 1.1774, 1e-9)  # σ per axis of a Rayleigh median
        weight = np.clip(1 - (apart / (_TUKEY * scale)) ** 2, 0, None) ** 2
    vectors, corners = solution[:2], solution[2:]
    corners = corners - n.mean(axis=0) @ vectors
    return Fit(corners[0], vectors, corners - corners[0], fit.kinds)


def site_spacing(fit: Fit) -> float:
    """Shortest distance between two sites of the infinite lattice [Å]."""
    hops = np.array([(a, b) for a in range(-2, 3) for b in range(-2, 3)])
    apart = (fit.basis[:, None] - fit.basis)[:, :, None] + hops @ fit.vectors
    distance = np.linalg.norm(apart, axis=-1)
    return float(distance[distance > 1e-6].min())


def _grown(neighbours: Neighbours, vectors: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Groups of atoms joined by lattice hops, as (atoms, their cells), the largest first."""
    starts, ends, hops = [], [], []
    for hop in np.array(_HOPS):
        reached = neighbours.at(hop @ vectors)
        back = neighbours.at(-hop @ vectors)
        start = np.flatnonzero(reached >= 0)
        start = start[back[reached[start]] == start]  # both must be each other's choice
        starts.append(start)
        ends.append(reached[start])
        hops.append(np.tile(hop, (len(start), 1)))
    i, j, hop = np.concatenate(starts), np.concatenate(ends), np.concatenate(hops)
    atoms = len(neighbours.positions)
    step = {(int(a), int(b)): h for a, b, h in zip(i, j, hop, strict=True)}
    graph = coo_matrix((np.ones(len(i)), (i, j)), shape=(atoms, atoms)).tocsr()
    count, label = connected_components(graph, directed=False)
    sizes = np.bincount(label, minlength=count)
    groups = []
    for which in np.argsort(-sizes, kind="stable"):
        if sizes[which] < 3 or sizes[which] < 0.1 * sizes.max():
            break
        seed = int(np.flatnonzero(label == which)[0])
        order, before = breadth_first_order(graph, seed, directed=False)
        cells = np.zeros((atoms, 2), int)
        for atom in order[1:]:
            parent = int(before[atom])
            forward = step.get((parent, int(atom)))
            cells[atom] = cells[parent] + (forward if forward is not None else -step[(int(atom), parent)])
        groups.append((order, cells[order]))
    return groups


def _common_vectors(
    positions: np.ndarray, groups: list[tuple[np.ndarray, np.ndarray]], vectors: np.ndarray
) -> np.ndarray:
    """Least squares of all groups with one pair of vectors, each group its own origin, robustly."""
    rows, sides = [], []
    for atoms, cells in groups:
        offset = positions[atoms] - cells @ vectors
        apart = np.linalg.norm(offset - np.median(offset, axis=0), axis=1)
        good = apart <= max(3 * float(np.median(apart)), 1e-6)
        n, r = cells[good], positions[atoms][good]
        rows.append(n - n.mean(axis=0))
        sides.append(r - r.mean(axis=0))
    design, side = np.concatenate(rows), np.concatenate(sides)
    if np.linalg.matrix_rank(design) < 2:
        return vectors
    return np.linalg.lstsq(design, side, rcond=None)[0]


def _merged(
    offsets: np.ndarray,
    sizes: np.ndarray,
    kinds: np.ndarray,
    vectors: np.ndarray,
    tolerance: float,
    wanted: int | None,
) -> Fit | None:
    """Groups whose offsets agree modulo the lattice are one site; sparse sites are dropped."""
    inverse = np.linalg.inv(vectors)
    corners: list[np.ndarray] = []
    totals: list[int] = []
    species: list = []
    for offset, size, kind in zip(offsets, sizes, kinds, strict=True):
        for k, corner in enumerate(corners):
            apart = offset - corner
            apart = apart - np.rint(apart @ inverse) @ vectors
            if np.linalg.norm(apart) <= 1.5 * tolerance and kind == species[k]:
                corners[k] = corner + apart * size / (totals[k] + size)
                totals[k] += int(size)
                break
        else:
            corners.append(offset)
            totals.append(int(size))
            species.append(kind)
    order = np.argsort(-np.array(totals), kind="stable")
    least = _LEAST_SITE * totals[order[0]]
    kept = order[:wanted] if wanted is not None else [k for k in order if totals[k] >= least]
    if wanted is not None and len(kept) < wanted:
        return None
    basis = np.array([corners[k] for k in kept])
    basis = basis - np.rint((basis - basis[0]) @ inverse) @ vectors
    return Fit(basis[0], vectors, basis - basis[0], np.array([species[k] for k in kept]))


def _surroundings(fit: Fit) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """For each site the cell differences and sites of what lies about it."""
    reach = 1.1 * float(np.linalg.norm(fit.vectors, axis=1).max())
    span = 1 + int(
        np.ceil(reach / np.abs(np.linalg.det(fit.vectors)) * np.linalg.norm(fit.vectors, axis=1).max())
    )
    line = np.arange(-span, span + 1)
    cells = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    cells = np.repeat(cells, len(fit.basis), axis=0)
    sites = np.tile(np.arange(len(fit.basis)), len(cells) // len(fit.basis))
    where = cells @ fit.vectors + fit.basis[sites]
    hops, targets = [], []
    for corner in fit.basis:
        distance = np.linalg.norm(where - corner, axis=1)
        near = (distance <= reach) & (distance > 1e-6)
        hops.append(cells[near])
        targets.append(sites[near])
    return hops, targets
