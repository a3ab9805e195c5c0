"""Bring atoms and the lengths of their cell to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caviar_kit import validation

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["checked_calculator", "relax"]


def relax(atoms: Atoms, calculator: Any, *, force_ev_per_angstrom: float = 2e-4, steps: int = 2000) -> Atoms:
    """Copy of ``atoms`` with least energy over all positions and the three lengths of its cell.

    The cell's angles stay. ASE's limited-memory BFGS on positions and strain together.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic.
    calculator : ase calculator
        Must offer energy, forces and stress.
    force_ev_per_angstrom : float
        Largest force left on an atom [eV/Å]; the virial of the cell, divided by the number of atoms
        [eV], obeys it too.
    steps : int
        Steps allowed.

    Raises
    ------
    RuntimeError
        If that force is not reached within ``steps``.
    """
    from ase.filters import UnitCellFilter
    from ase.optimize import LBFGS

    tolerance = validation.number(
        "force_ev_per_angstrom", force_ev_per_angstrom, minimum=0, open_minimum=True, unit="eV/Å"
    )
    relaxed = atoms.copy()
    relaxed.calc = checked_calculator(calculator)
    strained = UnitCellFilter(relaxed, mask=[1, 1, 1, 0, 0, 0])
    steps = validation.integer("steps", steps)
    with LBFGS(strained, logfile=None) as search:
        if not search.run(fmax=tolerance, steps=steps):
            raise RuntimeError(
                f"atoms did not come to rest: more than {tolerance:g} eV/Å is left after {steps} steps; "
                "does the calculator describe this structure?"
            )
    relaxed.calc = None
    return relaxed


def checked_calculator(calculator: Any) -> Any:
    """Return ``calculator`` if it is an ASE calculator with energy, forces and stress.

    Raises
    ------
    TypeError
        If it is no ASE calculator, or a class where an instance is needed.
    ValueError
        If it lacks one of the three.
    """
    offered = getattr(calculator, "implemented_properties", None)
    if offered is None or isinstance(calculator, type):
        raise TypeError(f"calculator must be an ASE calculator or None, got {calculator!r}")
    missing = [name for name in ("energy", "forces", "stress") if name not in offered]
    if missing:
        raise ValueError(
            f"calculator must offer energy, forces and stress, {type(calculator).__name__} lacks "
            f"{' and '.join(missing)}"
        )
    return calculator
