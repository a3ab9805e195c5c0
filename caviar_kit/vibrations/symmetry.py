"""Rotations and mirrors that map a plane crystal onto itself, and what they say about its force constants."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

__all__ = ["Operation", "equal_force_constants", "point_operations"]


@dataclass(frozen=True, eq=False)
class Operation:
    """A rotation or mirror, with the translation that goes with it, as it acts on cells and sites."""

    turn: np.ndarray
    """Orthogonal; row vectors (y, x) are mapped by ``row @ turn``, float (2, 2)."""
    cells: np.ndarray
    """Cell indices are mapped by ``row @ cells``, int (2, 2)."""
    sites: np.ndarray
    """Site κ goes to site ``sites[κ]``, int (sites,)."""
    shifts: np.ndarray
    """… of cell ``shifts[κ]``, int (sites, 2)."""


def point_operations(
    vectors: np.ndarray, basis: np.ndarray, kinds: np.ndarray, tolerance: float
) -> list[Operation]:
    """Operations that move no atom by more than ``tolerance`` [Å] from an atom of its kind.

    Parameters
    ----------
    vectors : array, (2, 2), Å
    basis : array, (sites, 2), Å
    kinds : array, (sites,)
        Sites of equal kind may be exchanged.
    tolerance : float, Å
        How far the lattice may be from the ideal one; fitted lattices are never exact. Turns are those of
        the ideal lattice.
    """
    inverse = np.linalg.inv(vectors)
    found = []
    for entries in product(range(-2, 3), repeat=4):
        cells = np.array(entries).reshape(2, 2)
        if abs(entries[0] * entries[3] - entries[1] * entries[2]) != 1:
            continue
        left, _, right = np.linalg.svd(inverse @ cells @ vectors)
        turn = left @ right
        if np.linalg.norm(vectors @ turn - cells @ vectors, axis=1).max() > tolerance:
            continue
        match = _match(basis @ turn, vectors, basis, kinds, tolerance)
        if match is not None:
            found.append(Operation(turn, cells, *match))
    return found


def equal_force_constants(
    operations: list[Operation], first: np.ndarray, second: np.ndarray, cells: np.ndarray
) -> np.ndarray:
    """Linear conditions rows @ blocks = 0, blocks (4 bonds,): equivalent bonds have equivalent blocks.

    Bonds whose image is not among the bonds are left alone.
    """
    number = {(k, m, *cell): bond for bond, (k, m, cell) in enumerate(_bonds(first, second, cells))}
    rows = []
    for operation in operations:
        turned = np.kron(operation.turn.T, operation.turn.T)  # of a block, row by row: Tᵀ Φ T
        for bond, (k, m, cell) in enumerate(_bonds(first, second, cells)):
            image = np.array(cell) @ operation.cells + operation.shifts[m] - operation.shifts[k]
            k_image, m_image = int(operation.sites[k]), int(operation.sites[m])
            forward = number.get((k_image, m_image, *image.tolist()))
            backward = number.get((m_image, k_image, *(-image).tolist()))
            if forward is None and backward is None:
                continue
            row = np.zeros((4, len(first), 4))
            row[:, bond] -= turned
            if forward is not None:
                row[:, forward] += np.eye(4)
            else:
                row[:, backward] += np.eye(4)[[0, 2, 1, 3]]  # the transposed block
            rows.append(row.reshape(4, -1))
    return np.concatenate(rows) if rows else np.zeros((0, 4 * len(first)))


def _bonds(
    first: np.ndarray, second: np.ndarray, cells: np.ndarray
) -> list[tuple[int, int, tuple[int, int]]]:
    places = [(int(cell[0]), int(cell[1])) for cell in cells]
    return list(zip(first.tolist(), second.tolist(), places, strict=True))


def _match(
    turned: np.ndarray, vectors: np.ndarray, basis: np.ndarray, kinds: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Where each turned site falls after the best common translation, or None."""
    inverse = np.linalg.inv(vectors)
    best, error = None, tolerance
    for start in np.flatnonzero(kinds == kinds[0]):
        moved = turned + basis[start] - turned[0]
        apart = (moved[:, None] - basis) @ inverse
        shifts = np.round(apart).astype(int)
        miss = np.linalg.norm((apart - shifts) @ vectors, axis=-1)
        miss[kinds[:, None] != kinds] = np.inf
        sites = miss.argmin(axis=1)
        worst = miss.min(axis=1).max()
        if worst <= error and len(set(sites.tolist())) == len(sites):
            best, error = (sites, shifts[np.arange(len(sites)), sites]), worst
    return best
