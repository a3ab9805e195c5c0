"""One way, out of the many equal ones, to write a lattice down: vectors, site order, cell numbers."""

from __future__ import annotations

import numpy as np

from caviar_kit.vibrations._lattice_fit import Fit
from caviar_kit.vibrations._lattice_search import reduced

__all__ = ["nearest_neighbours", "ordered", "supercell"]

_EQUAL = 1.05  # distances that differ by less are equally near (noise, strain)


def ordered(
    fit: Fit, cells: np.ndarray, sites: np.ndarray, reduce: bool
) -> tuple[Fit, np.ndarray, np.ndarray]:
    """Standard vectors, sites in their documented order, cells from 0; returns fit, cells and sites."""
    if reduce:
        vectors, matrix = reduced(fit.vectors)
        cells = np.rint(cells @ np.linalg.inv(matrix)).astype(int)
        fit = Fit(fit.origin, vectors, fit.basis, fit.kinds)
    rank = sorted(range(len(fit.basis)), key=lambda k: (_place(fit.kinds, k), -_along_x(fit, k), k))
    first = fit.basis[rank[0]]
    offset = fit.basis[rank] - first
    basis = np.array([_nearest_image(apart, fit.vectors) for apart in offset])
    moved = np.rint((offset - basis) @ np.linalg.inv(fit.vectors)).astype(int)
    place = np.argsort(rank)
    inside = sites >= 0
    sites = np.where(inside, place[sites], -1)
    cells = np.where(inside[:, None], cells + moved[sites], 0)
    lowest = cells[inside].min(axis=0)
    cells = np.where(inside[:, None], cells - lowest, 0)
    return Fit(fit.origin + first + lowest @ fit.vectors, fit.vectors, basis, fit.kinds[rank]), cells, sites


def supercell(fit: Fit, times: int) -> Fit:
    """The cell of ``times`` the area that is closest to a rectangle and compact."""
    best = None
    for rows in (r for r in range(1, times + 1) if times % r == 0):
        for shift in range(rows):
            vectors, _ = reduced(np.array([[rows, 0], [shift, times // rows]]) @ fit.vectors)
            lengths = np.linalg.norm(vectors, axis=1)
            key = (round(abs(vectors[0] @ vectors[1]) / lengths.prod(), 1), float((lengths**2).sum()))
            best = min(best or (key, vectors), (key, vectors), key=lambda pair: pair[0])
    assert best is not None  # times ≥ 1: the cell itself is always tried
    vectors = best[1]
    inverse = np.linalg.inv(vectors)
    line = np.arange(-2 * times, 2 * times + 1)
    steps = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    steps = steps[np.argsort((steps**2).sum(axis=1), kind="stable")] @ fit.vectors
    distinct: list[np.ndarray] = []
    for step in steps:
        same = any(np.abs((f := (step - d) @ inverse) - np.rint(f)).max() < 1e-6 for d in distinct)
        if not same:
            distinct.append(step)
    basis = np.concatenate([fit.basis + step for step in distinct])
    return Fit(fit.origin, vectors, basis, np.tile(fit.kinds, len(distinct)))


def nearest_neighbours(vectors: np.ndarray, basis: np.ndarray, site: int) -> np.ndarray:
    """Vectors [Å] from ``site`` to all its nearest neighbours, (neighbours, 2)."""
    line = np.arange(-3, 4)
    hops = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2) @ vectors
    apart = (basis[:, None] - basis[site] + hops).reshape(-1, 2)
    distance = np.linalg.norm(apart, axis=1)
    apart, distance = apart[distance > 1e-6], distance[distance > 1e-6]
    return apart[distance <= _EQUAL * distance.min()]


def along_x(candidates: np.ndarray) -> np.ndarray:
    """The vector of ``candidates`` (n, 2) that points most nearly along +x."""
    slope = candidates[:, 1] / np.linalg.norm(candidates, axis=1)
    return candidates[np.argmax(slope + 1e-6 * np.sign(candidates[:, 0]))]


def _along_x(fit: Fit, site: int) -> float:
    vector = along_x(nearest_neighbours(fit.vectors, fit.basis, site))
    return round(float(vector[1] / np.linalg.norm(vector)), 3)


def _place(kinds: np.ndarray, site: int) -> int:
    return int(np.searchsorted(np.unique(kinds), kinds[site]))


def _nearest_image(apart: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The shortest of ``apart`` plus lattice vectors; of equally short ones that along +x."""
    centre = apart - np.rint(apart @ np.linalg.inv(vectors)) @ vectors
    line = np.arange(-2, 3)
    images = centre + np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2) @ vectors
    distance = np.linalg.norm(images, axis=1)
    if distance.min() < 1e-9:
        return np.zeros(2)
    return along_x(images[distance <= _EQUAL * distance.min()])
