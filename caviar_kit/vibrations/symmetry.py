"""Rotations and mirrors that map a lattice with its basis onto itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations.lattice import Lattice

__all__ = ["LatticeOperation", "lattice_operations"]

_SMALL = np.arange(-2, 3)
_LARGEST_GROUP = 12  # 6mm


@dataclass(frozen=True, eq=False)
class LatticeOperation:
    """One rotation or mirror: r → matrix @ r + shift maps the ideal lattice onto itself."""

    matrix: np.ndarray
    """Orthogonal, float64 (2, 2), acting on column vectors (y, x)."""
    cells: np.ndarray
    """Cell n becomes n @ cells, plus ``hops`` of the site; int (2, 2)."""
    sites: np.ndarray
    """Site κ becomes site ``sites[κ]``; int (sites,)."""
    hops: np.ndarray
    """Extra cells by which site κ moves; int (sites, 2)."""


def lattice_operations(
    lattice: Lattice,
    point_group: str | Sequence[ArrayLike] = "site",
    *,
    tolerance: float = 0.1,
) -> tuple[LatticeOperation, ...]:
    """Find the point operations of a fitted lattice, the identity first.

    Parameters
    ----------
    lattice : Lattice
    point_group : {"site", "lattice"} or sequence of (2, 2) matrices
        "site": all operations that take each site to itself or its copies: the point group common
        to all sites (3m for hBN). It is right whatever the elements are. "lattice": also those
        that exchange sites, for crystals whose sites all hold the same element (6mm for graphene,
        and the inversion about the middle of a silicon dumbbell). Matrices act on (y, x) columns,
        are orthogonal, and may exchange sites; the group that they generate is taken.
    tolerance : float, Å
        How far a site may miss its image: fitted lattices are never exactly symmetric.

    Returns
    -------
    tuple of LatticeOperation

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be used, or a given matrix is not a symmetry of the lattice.
    """
    if not isinstance(lattice, Lattice):
        raise TypeError(f"lattice must be a Lattice from fit_lattice, got {type(lattice).__name__}")
    limit = validation.number("tolerance", tolerance, minimum=0, open_minimum=True, unit="Å")
    if isinstance(point_group, str):
        validation.choice("point_group", point_group, ("site", "lattice"))
        found = [_operation(lattice, r, limit, point_group == "site") for r in _rotations(lattice, limit)]
        return _exact_group(lattice, [operation for group in found for operation in group])
    operations: list[LatticeOperation] = []
    for matrix in _closed(_given(point_group)):
        some = _operation(lattice, matrix, limit, True) or _operation(lattice, matrix, limit, False)[:1]
        if not some or not _maps(lattice, matrix, limit):
            raise ValueError(
                f"point_group does not map the lattice onto itself within {limit:g} Å: {matrix.tolist()}"
            )
        operations += some
    return tuple(operations)


def _given(point_group: Sequence[ArrayLike]) -> list[np.ndarray]:
    matrices = []
    for k, given in enumerate(point_group):
        matrix = validation.as_array(f"point_group[{k}]", given, shape=(2, 2)).astype(np.float64)
        if np.abs(matrix @ matrix.T - np.eye(2)).max() > 1e-6:
            raise ValueError(f"point_group[{k}] must be a rotation or mirror, got {matrix.tolist()}")
        matrices.append(matrix)
    return matrices


def _closed(matrices: list[np.ndarray]) -> list[np.ndarray]:
    """The group that ``matrices`` generate, the identity first."""
    group = [np.eye(2)]
    new = list(group)
    while new:
        products = [m @ g for g in new for m in matrices]
        new = []
        for product in products:
            if all(np.abs(product - g).max() > 1e-3 for g in group):
                group.append(product)
                new.append(product)
        if len(group) > _LARGEST_GROUP:
            raise ValueError(
                f"point_group generates more than {_LARGEST_GROUP} operations; no plane lattice has these"
            )
    return group


def _rotations(lattice: Lattice, limit: float) -> list[np.ndarray]:
    """Orthogonal matrices close to a map of the lattice's vectors onto each other; identity first."""
    found: list[np.ndarray] = []
    rows = np.stack(np.meshgrid(_SMALL, _SMALL, indexing="ij"), axis=-1).reshape(-1, 2)
    for a in rows:
        for b in rows:
            if abs(a[0] * b[1] - a[1] * b[0]) != 1:
                continue
            # R a_i ≈ images_i: the nearest orthogonal matrix (Procrustes)
            images = np.array([a, b]) @ lattice.vectors
            left, _, right = np.linalg.svd(images.T @ lattice.vectors)
            matrix = left @ right
            if np.linalg.norm(lattice.vectors @ matrix.T - images, axis=1).max() <= limit:
                found.append(matrix)
    return sorted(found, key=lambda m: -np.trace(m))


def _exact_group(lattice: Lattice, operations: list[LatticeOperation]) -> tuple[LatticeOperation, ...]:
    """The same operations, their matrices those of the nearest symmetric lattice.

    Matrices fitted one by one to a slightly distorted lattice are no group: products differ from members by
    the distortion, and force constants equal under all of them would be fewer than under the group.
    """
    rows = lattice.vectors
    metric = np.mean([op.cells @ rows @ rows.T @ op.cells.T for op in operations], axis=0)
    some = np.linalg.cholesky(metric)  # symmetric, in any orientation
    left, _, right = np.linalg.svd(some.T @ rows)
    symmetric = some @ left @ right
    inverse = np.linalg.inv(symmetric)
    return tuple(replace(op, matrix=(inverse @ op.cells @ symmetric).T) for op in operations)


def _maps(lattice: Lattice, matrix: np.ndarray, limit: float) -> bool:
    images = lattice.vectors @ matrix.T
    times = np.rint(images @ np.linalg.inv(lattice.vectors))
    return bool(np.linalg.norm(times @ lattice.vectors - images, axis=1).max() <= limit)


def _operation(lattice: Lattice, matrix: np.ndarray, limit: float, fixed: bool) -> list[LatticeOperation]:
    """All operations with this matrix: one for every site that site 0 can become."""
    inverse = np.linalg.inv(lattice.vectors)
    cells = np.rint(lattice.vectors @ matrix.T @ inverse).astype(int)
    turned = lattice.basis @ matrix.T
    found = []
    for target in range(1 if fixed else len(lattice.basis)):
        moved = turned - turned[0] + lattice.basis[target]
        apart = moved[:, None] - lattice.basis
        hops = np.rint(apart @ inverse).astype(int)
        miss = np.linalg.norm(apart - hops @ lattice.vectors, axis=2)
        sites = miss.argmin(axis=1)
        # the images need not centre on site 0: take out the mean miss before judging
        rows = np.arange(len(sites))
        left = (apart - hops @ lattice.vectors)[rows, sites]
        if np.linalg.norm(left - left.mean(axis=0), axis=1).max() > limit:
            continue
        if len(np.unique(sites)) < len(sites) or (fixed and (sites != rows).any()):
            continue
        found.append(LatticeOperation(matrix, cells, sites, hops[rows, sites]))
    return found
