"""Relaxation of atoms and cell in LAMMPS: conjugate gradients, then damped dynamics for the last digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from caviar_kit import validation
from caviar_kit.simulation.lammps_box import Box

if TYPE_CHECKING:
    from ase import Atoms

    from caviar_kit.simulation.lammps_engine import Lammps

__all__ = ["relax"]

_ROUNDS = 20
_STRAIN = 1e-7  # change of the cell in one round at which it has settled


def relax(engine: Lammps, cell: str | None, force_tolerance: float) -> Atoms:
    """See ``Lammps.relax``."""
    tolerance = validation.number(
        "force_tolerance", force_tolerance, minimum=0.0, open_minimum=True, unit="eV/Å"
    )
    pressure = _pressure(engine.box, cell)
    for _ in range(_ROUNDS):
        before = engine.box.matrix
        if pressure:  # LAMMPS refers the strain to the cell at the start: begin anew until nothing changes
            engine.command(f"fix cell all box/relax {pressure} vmax 0.001 fixedpoint 0 0 0")
            _minimise(engine, "cg", tolerance)
            engine.command("unfix cell")
            engine.update_box()
        else:
            _minimise(engine, "cg", tolerance)
        strain = np.abs(engine.box.matrix - before).max() / before.max()
        if (left := _largest_force(engine)) > tolerance:
            _minimise(engine, "fire", tolerance)
            left = _largest_force(engine)
        if left <= tolerance and strain <= _STRAIN:
            return engine.atoms
    raise RuntimeError(
        f"relaxation did not settle: the largest force is {left:.2g} eV/Å, force_tolerance={tolerance:g}; "
        "give a larger tolerance or a better start"
    )


def _minimise(engine: Lammps, style: str, tolerance: float) -> None:
    engine.command(
        f"min_style {style}", "min_modify norm max", f"minimize 0 {0.5 * tolerance!r} 10000 100000"
    )


def _largest_force(engine: Lammps) -> float:
    return float(np.linalg.norm(engine.forces(), axis=1).max())


def _pressure(box: Box, cell: str | None) -> str:
    """Arguments of LAMMPS's ``fix box/relax``; empty if the cell stays as it is."""
    if cell is None:
        return ""
    allowed = ("iso", "x", "y", "z", "xy", "xz", "yz", "xyz")
    axes = validation.choice("cell", cell, allowed)
    if axes == "iso":
        return "iso 0.0"
    if not box.keeps_axes:
        raise ValueError(
            f"cell={cell!r} needs the first cell vector along x, the second in the xy plane and all to turn "
            "right-handed; turn the structure, or use cell='iso'"
        )
    (_, _, _), (xy, _, _), (xz, yz, _) = box.matrix
    if xz or yz or (xy and ("x" in axes) != ("y" in axes)):
        raise ValueError(
            f"cell={cell!r} would change the angles of this tilted cell; use "
            + ("'iso'" if xz or yz else "'z', 'xy', 'xyz' or 'iso'")
        )
    return " ".join(f"{axis} 0.0" for axis in axes) + (" couple xy" if xy and "x" in axes else "")
