"""A silicon grain and its mirror image: the Σ9 {221} tilt boundary before any relaxation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["PERIODS", "bicrystal"]

_LATTICE = 5.431  # Å
_DIRECTIONS = ((1, 1, -4), (2, 2, 1), (1, -1, 0))
PERIODS = tuple(_LATTICE * np.sqrt([4.5, 9.0, 0.5]))
"""Periods of the crystal [Å] along x [1 1 -4] / 2, y [2 2 1] and z [1 -1 0] / 2: 11.52, 16.29, 3.84."""

_COLLISION = 1.6  # Å, well below the bond of 2.35


def bicrystal(repeats: int, shift: tuple[float, float] = (0.5, 0.0), collision: float = _COLLISION) -> Atoms:
    """Periodic cell with two symmetric Σ9 {221}/[1 -1 0] boundaries between unrelaxed crystals.

    Two crystals turned by 38.94° about [1 -1 0] share one site in nine. (2 2 1) halves that angle:
    mirrored in this plane, a crystal becomes the other one. The first grain, between y = 0 and
    ``repeats`` · 16.29 Å, has a bond along [1 1 1] in its middle, about which it is symmetric, so that both
    its boundaries are the same. The second is its image (x, y, z) → (x + shift_x, -y, z + shift_z). In the
    cell, y = 0 is that (glide) mirror plane, z = 0 and, for the default shift, x = 0 are mirror planes of the
    grains and of the whole. Where the crystal is cut is no choice: its (2 2 1) planes of atoms stand 0.453 Å
    apart, and a cut between any two of them is this one, seen from another atom.

    Parameters
    ----------
    repeats : int
        Thickness of each grain in periods along y.
    shift : (float, float)
        Rigid shift of the second grain along x and z, in periods. The default, a glide by half a period
        along x, has the lowest energy and leaves no atom without its four neighbours
        (``benchmarks/sigma9_search.py``).
    collision : float
        Atoms of the two grains closer than this [Å] become one, half-way between them.

    Returns
    -------
    ase.Atoms
        Tag 0 in the first grain, 1 in the second.
    """
    from ase import Atoms

    grain, length = _grain(repeats)
    image = grain * [1, -1, 1] + np.array([shift[0] * PERIODS[0], 0, shift[1] * PERIODS[2]])
    atoms = Atoms(
        f"Si{2 * len(grain)}",
        positions=np.concatenate([grain, image]),
        cell=length * [1, 2, 1],
        pbc=True,
        tags=np.repeat([0, 1], len(grain)),
    )
    _merge(atoms, collision)
    return atoms


def _grain(repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (atoms, 3) of the first grain and its lengths (3,) [Å]."""
    from ase.lattice.cubic import Diamond
    from ase.neighborlist import neighbor_list

    crystal = Diamond("Si", latticeconstant=_LATTICE, directions=_DIRECTIONS, size=(1, repeats, 1))
    length = crystal.cell.lengths()
    start, bond = neighbor_list("iD", crystal, _LATTICE / 2)
    along = bond @ np.array([-2 / np.sqrt(18), 5 / 3, 0])  # [1 1 1] in the frame of the cell
    chosen = np.argmax(along)
    middle = crystal.positions[start[chosen]] + bond[chosen] / 2
    positions = crystal.positions - middle + [length[0] / 4, length[1] / 2, 0]
    positions[:, 1] %= length[1]
    return positions, length


def _merge(atoms: Atoms, collision: float) -> None:
    """Make one atom of any two that stand closer than ``collision`` [Å]."""
    from ase.neighborlist import neighbor_list

    first, second, between = neighbor_list("ijD", atoms, collision)
    kept = first < second
    first, second, between = first[kept], second[kept], between[kept]
    atoms.positions[first] += between / 2
    del atoms[np.unique(second)]
