"""Twisted hexagonal boron nitride: two crystals, one on top of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from caviar_kit import validation
from caviar_kit.simulation.specimens.coincidence import CommensurateCell, commensurate_cell

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["twisted_hbn"]


def twisted_hbn(
    layers_lower: int,
    layers_upper: int,
    angle_deg: float = 10.99,
    *,
    lattice_constant_angstrom: float = 2.504,
    interlayer_angstrom: float = 3.33,
    angle_tolerance_deg: float = 0.05,
    max_atoms_per_layer: int = 1000,
    max_strain: float = 0.005,
) -> Atoms:
    """A stack of flat hBN layers, the upper ones turned against the lower ones, beam along z.

    Within each half the stacking is AA': every boron atom has nitrogen atoms above and below; at an angle of
    0 it is so throughout. The beam meets the lower half (small z) first. The cell is the one that both
    lattices share, see :func:`commensurate_cell`; the stack has two surfaces, the cell is periodic in the
    plane only.

    Parameters
    ----------
    layers_lower, layers_upper : int
        Layers of each half; one of them may be 0, for a single crystal.
    angle_deg : float
        Twist [°], 0 to 60; the angle nearest to it that has a small cell is taken.
    lattice_constant_angstrom : float
        Of a layer [Å]. The default, and that of the next, are those of Lynch and Drickamer,
        J. Chem. Phys. 44, 181 (1966), at room temperature.
    interlayer_angstrom : float
        Distance of neighbouring layers, half the c axis [Å].
    angle_tolerance_deg, max_strain : float
        As in :func:`commensurate_cell`.
    max_atoms_per_layer : int
        Largest number of atoms in a layer of the cell.

    Returns
    -------
    ase.Atoms
        ``.arrays["mol-id"]``: the layer of each atom, from 1 (as LAMMPS's interlayer potential wants it);
        ``.arrays["half"]``: 0 for the lower half, 1 for the upper. ``.info``: ``"angle_deg"``, the exact
        twist; ``"indices_lower"``, ``"indices_upper"``, ``"strain_lower"``, ``"strain_upper"`` as in
        :class:`CommensurateCell`; ``"atoms_per_layer"``, two numbers that differ only under strain.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or no cell is small enough.
    """
    from ase import Atoms

    counts = tuple(
        validation.integer(name, value, minimum=0, maximum=1000)
        for name, value in (("layers_lower", layers_lower), ("layers_upper", layers_upper))
    )
    if not any(counts):
        raise ValueError("layers_lower or layers_upper must be at least 1, got 0 for both")
    metres = "is it in angstrom?"
    lattice = validation.number(
        "lattice_constant_angstrom", lattice_constant_angstrom, minimum=2, maximum=3, unit="Å", hint=metres
    )
    spacing = validation.number(
        "interlayer_angstrom", interlayer_angstrom, minimum=2, maximum=10, unit="Å", hint=metres
    )
    shared = commensurate_cell(
        angle_deg,
        angle_tolerance_deg=angle_tolerance_deg,
        max_points=validation.integer("max_atoms_per_layer", max_atoms_per_layer, minimum=2) // 2,
        max_strain=max_strain,
    )
    side = lattice * shared.side
    stack = Atoms(
        cell=[[side, 0, 0], [side / 2, side * np.sqrt(0.75), 0], [0, 0, sum(counts) * spacing]],
        pbc=(True, True, False),
    )
    indices = (shared.indices_lower, shared.indices_upper)
    for layer in range(sum(counts)):
        half = int(layer >= counts[0])
        flat = _layer(indices[half], side, flipped=layer % 2 == 1)
        flat.positions[:, 2] = (layer + 0.5) * spacing
        flat.set_array("mol-id", np.full(len(flat), layer + 1))
        flat.set_array("half", np.full(len(flat), half))
        stack.extend(flat)
    stack.info.update(_report(shared))
    return stack


def _layer(indices: tuple[int, int], side: float, flipped: bool) -> Atoms:
    """A layer of the lattice whose vector (m, n) is the cell's first vector, (``side``, 0)."""
    from ase import Atoms
    from ase.build import make_supercell

    m, n = indices
    lattice = side / np.sqrt(m * m + m * n + n * n)
    unit = Atoms(
        "NB" if flipped else "BN",
        scaled_positions=[[0, 0, 0], [1 / 3, 1 / 3, 0]],
        cell=lattice * np.array([[1, 0, 0], [0.5, np.sqrt(0.75), 0], [0, 0, 1]]),
        pbc=(True, True, False),
    )
    flat = make_supercell(unit, [[m, n, 0], [-n, m + n, 0], [0, 0, 1]])
    flat.rotate(-np.degrees(np.arctan2(n * np.sqrt(0.75), m + n / 2)), "z", rotate_cell=True)
    flat.wrap(pbc=(True, True, False))
    return flat


def _report(shared: CommensurateCell) -> dict[str, object]:
    lower, upper = shared.points
    return {
        "angle_deg": shared.angle_deg,
        "indices_lower": shared.indices_lower,
        "indices_upper": shared.indices_upper,
        "strain_lower": shared.strain_lower,
        "strain_upper": shared.strain_upper,
        "atoms_per_layer": (2 * lower, 2 * upper),
    }
