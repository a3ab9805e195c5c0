"""The data of a dispersion: a patch of a larger crystal, irregular and with holes.

A patch is not periodic. What it says about the crystal is only how atoms a few cells apart move together, in
a frame that may have been shifted from state to state. Rigid shifts are therefore projected out, of the data
and of the model alike, so it makes no difference whether the mean displacement of each state was subtracted
before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caviar_kit.vibrations.lattice import Lattice

__all__ = ["Patch", "patches_of", "unit_grid", "without_shift"]

_LARGEST = 150  # atoms per tile: cost grows with their cube
_FEWEST = 3


@dataclass(frozen=True, eq=False)
class Patch:
    """Atoms of one tile that are present in the same slices, and how they moved."""

    cells: np.ndarray
    """int (atoms, 2)."""
    sites: np.ndarray
    """int (atoms,)."""
    moved: np.ndarray
    """Displacements less their mean over states and over atoms, float (states, slices, 2 atoms) [Å]."""

    def index(self, grid: tuple[int, int], sites: int) -> np.ndarray:
        """Where Cov(u_i, u_j) stands in the flat C(R) of (*grid, 2 sites, 2 sites); int (2 atoms,) * 2."""
        apart = (self.cells[:, None] - self.cells) % grid
        place = (apart[..., 0] * grid[1] + apart[..., 1]) * 4 * sites**2
        row = (2 * self.sites[:, None] + np.arange(2)).ravel()
        place = np.repeat(np.repeat(place, 2, axis=0), 2, axis=1)
        return place + row[:, None] * 2 * sites + row


def patches_of(u: np.ndarray, lattice: Lattice) -> list[Patch]:
    """Split displacements (states, slices, atoms, 2), NaN = missing, into patches without holes.

    An atom that is NaN in one state of a slice is left out of that slice. Slices with the same atoms share a
    patch. More than 150 atoms are cut into tiles, whose likelihoods are added.
    """
    present = (lattice.sites >= 0) & ~np.isnan(u).any(axis=(0, 3))  # (slices, atoms)
    result = []
    masks, member = np.unique(present, axis=0, return_inverse=True)
    for number, mask in enumerate(masks):
        inside = u[:, member.ravel() == number]
        for tile in _tiles(np.flatnonzero(mask), lattice.cells):
            if len(tile) >= _FEWEST:
                result.append(_patch(inside[:, :, tile], lattice.cells[tile], lattice.sites[tile]))
    return result


def unit_grid(patches: list[Patch]) -> tuple[int, int]:
    """Cells of the periodic crystal that stands for the infinite one: three patches wide, at least 24.

    One cell along an axis along which all patches are one cell wide.
    """
    extent = np.max([np.ptp(patch.cells, axis=0) for patch in patches], axis=0)
    n1, n2 = (1 if width == 0 else max(24, 2 * round(1.5 * (width + 1))) for width in extent)
    return int(n1), int(n2)


def without_shift(matrix: np.ndarray) -> np.ndarray:
    """Rows (…, 2 atoms) less the mean over atoms of each component."""
    pairs = matrix.reshape(*matrix.shape[:-1], -1, 2)
    return (pairs - pairs.mean(axis=-2, keepdims=True)).reshape(matrix.shape)


def _patch(u: np.ndarray, cells: np.ndarray, sites: np.ndarray) -> Patch:
    states, slices, atoms = u.shape[:3]
    centred = (u - u.mean(axis=0)).reshape(states, slices, 2 * atoms)
    return Patch(cells, sites, without_shift(centred))


def _tiles(atoms: np.ndarray, cells: np.ndarray) -> list[np.ndarray]:
    if len(atoms) <= _LARGEST:
        return [atoms]
    where = cells[atoms]
    axis = int(np.ptp(where, axis=0).argmax())
    order = np.argsort(where[:, axis], kind="stable")
    middle = where[order[len(order) // 2], axis]
    low = where[:, axis] < middle
    if not low.any() or low.all():
        return [atoms]
    return _tiles(atoms[low], cells) + _tiles(atoms[~low], cells)
