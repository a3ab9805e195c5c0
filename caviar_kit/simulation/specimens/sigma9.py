"""The Σ9 tilt boundary of silicon: a relaxed specimen of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caviar_kit import validation
from caviar_kit.simulation.specimens.bicrystal import PERIODS, bicrystal
from caviar_kit.simulation.specimens.boundary import coordination
from caviar_kit.simulation.specimens.relaxation import checked_calculator, relax
from caviar_kit.simulation.specimens.stillinger_weber import StillingerWeber

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["silicon_sigma9"]

# Where the symmetry elements of the unit stand [Å]: the frame in which the shipped snapshots were simulated.
_ORIGIN = (3.834, -0.0745, 1.920)


def silicon_sigma9(
    length_angstrom: float = 34.6,
    width_angstrom: float = 32.6,
    thickness_angstrom: float = 7.7,
    *,
    boundary_along: str = "x",
    calculator: Any = None,
) -> Atoms:
    """Relaxed silicon cell with two symmetric Σ9 {221}/[1 -1 0] tilt boundaries, as ASE ``Atoms``.

    ::

           y [2 2 1]                 Default: 864 atoms, 34.68 × 65.32 × 7.685 Å, periodic;
        65 +-----------+             boundaries, rows of five- and seven-membered rings, at
           |  grain 1  |             y ≈ 0 and y ≈ 32.6 Å; the beam runs along z [1 -1 0].
        33 5757575757575             Every atom has four neighbours.
           |  grain 0  |             0.449 J/m² per boundary with Stillinger-Weber.
         0 5757575757575 x [1 1 -4]

    The directions are those of grain 0, which lies above y ≈ 0 and has tag 0; grain 1 (tag 1) is its
    mirror image in the boundary with a glide by half a period along it. Hence the mirror image of the
    specimen, y → -y or x → -x, is the specimen itself, shifted.

    The smallest repeating unit (11.5 Å of boundary, 3.84 Å thick) is relaxed, atoms and the three lengths
    of the cell, until nothing presses on it, then repeated.

    Parameters
    ----------
    length_angstrom : float
        Length along the boundary [Å], to the nearest multiple of 11.52.
    width_angstrom : float
        Distance between the two boundaries [Å], to the nearest multiple of 16.29.
    thickness_angstrom : float
        Thickness along the beam [Å], to the nearest multiple of 3.84, two atomic layers. ``atoms.cell`` tells
        the lengths that came out; relaxation changes them by up to 1 %.
    boundary_along : {"x", "y"}
        Axis of the cell along which the boundaries run. "y" turns the specimen by -90° about the beam:
        x is [2 2 1], y [-1 -1 4], boundaries at x ≈ 0 and x ≈ ``width_angstrom``.
    calculator : ase calculator, optional
        Potential that relaxes it, with energy, forces and stress; ``StillingerWeber`` if None.

    Returns
    -------
    ase.Atoms
        Tags 0 and 1 name the grains; ``.info["boundary_along"]``.

    Raises
    ------
    TypeError, ValueError
        If a length is not a number or less than half a multiple, ``boundary_along`` is neither, or
        ``calculator`` is not what it must be.
    RuntimeError
        If the relaxation does not end, or leaves an atom without its four neighbours.
    """
    length = _repeats("length_angstrom", length_angstrom, PERIODS[0])
    width = _repeats("width_angstrom", width_angstrom, PERIODS[1])
    thickness = _repeats("thickness_angstrom", thickness_angstrom, PERIODS[2])
    validation.choice("boundary_along", boundary_along, ("x", "y"))
    calculator = StillingerWeber() if calculator is None else checked_calculator(calculator)

    unit = relax(bicrystal(width), calculator)
    neighbours = coordination(unit)
    if (neighbours != 4).any():
        raise RuntimeError(
            f"{(neighbours != 4).sum()} of {len(unit)} atoms have not four neighbours after relaxation with "
            f"{type(calculator).__name__}"
        )
    atoms = unit.repeat((length, 1, thickness))
    atoms.positions += _ORIGIN
    if boundary_along == "y":
        atoms = _turned(atoms)
    atoms.wrap()
    atoms.info["boundary_along"] = boundary_along
    return atoms


def _repeats(name: str, value: float, period: float) -> int:
    """``value`` in whole periods, at least one."""
    hint = f"it comes in multiples of {period:.2f}; was it given in nanometres?"
    length = validation.number(name, value, minimum=period / 2, maximum=1e4, unit="Å", hint=hint)
    return max(1, round(length / period))


def _turned(atoms: Atoms) -> Atoms:
    """``atoms`` turned by -90° about z, in a cell that is rectangular again: x → y, y → -x."""
    lengths = atoms.cell.lengths()
    x, y, z = atoms.positions.T
    atoms.set_cell(lengths[[1, 0, 2]])
    atoms.positions = np.column_stack([y, -x, z])
    return atoms
