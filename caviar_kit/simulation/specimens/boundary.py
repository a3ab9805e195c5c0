"""Is it a good boundary? Neighbours of each atom, and what the boundary costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import constants

from caviar_kit import validation
from caviar_kit.simulation.specimens.relaxation import checked_calculator
from caviar_kit.simulation.specimens.stillinger_weber import StillingerWeber

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["boundary_energy", "coordination"]

_EV_PER_SQUARE_ANGSTROM = constants.e / constants.angstrom**2  # J/m²
_SILICON_BOND = 2.85  # Å: between bonds (2.35) and second neighbours (3.84)


def coordination(atoms: Atoms, cutoff_angstrom: float = _SILICON_BOND) -> np.ndarray:
    """Number of neighbours of each atom closer than ``cutoff_angstrom`` [Å]: int array (atoms,).

    Raises
    ------
    TypeError, ValueError
        If ``cutoff_angstrom`` is not a positive number.
    """
    from ase.neighborlist import neighbor_list

    cutoff = validation.number("cutoff_angstrom", cutoff_angstrom, minimum=0, open_minimum=True, unit="Å")
    return np.bincount(neighbor_list("i", atoms, cutoff), minlength=len(atoms))


def boundary_energy(
    atoms: Atoms, calculator: Any = None, *, boundaries: int = 2, boundary_along: str | None = None
) -> float:
    """Energy of a silicon grain boundary per area [J/m²].

    (E - n·E_bulk) / (boundaries · area): E of the n ``atoms`` as they stand, not relaxed here, E_bulk per
    atom of diamond silicon at the lattice parameter that the calculator likes best.

    Parameters
    ----------
    atoms : ase.Atoms
        Silicon in a periodic, rectangular cell, with boundaries across the cell; z is one of their axes.
    calculator : ase calculator, optional
        With energy, forces and stress; ``StillingerWeber`` if None.
    boundaries : int
        How many of them the cell holds; a periodic bicrystal has two.
    boundary_along : {"x", "y"}, optional
        Axis of the cell along which they run; by default what ``atoms.info`` says, as of
        ``silicon_sigma9``, else "x".

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these, ``atoms`` is not silicon, not periodic or its cell not rectangular.
    """
    calculator = StillingerWeber() if calculator is None else checked_calculator(calculator)
    boundaries = validation.integer("boundaries", boundaries)
    boundary_along = atoms.info.get("boundary_along", "x") if boundary_along is None else boundary_along
    axis = "xy".index(validation.choice("boundary_along", boundary_along, ("x", "y")))
    if not len(atoms) or set(atoms.numbers.tolist()) != {14}:
        raise ValueError(f"atoms must be silicon, got {atoms.get_chemical_formula() or 'none'}")
    if not atoms.pbc.all() or atoms.cell.rank < 3 or np.abs(atoms.cell.angles() - 90).max() > 1e-3:
        raise ValueError(f"atoms must be periodic in a rectangular cell, got {atoms.cell}, pbc={atoms.pbc}")
    specimen = atoms.copy()
    specimen.calc = calculator
    excess = specimen.get_potential_energy() - len(specimen) * _bulk_energy(calculator)
    lengths = specimen.cell.lengths()
    return float(excess / (boundaries * lengths[axis] * lengths[2]) * _EV_PER_SQUARE_ANGSTROM)


def _bulk_energy(calculator: Any) -> float:
    """Energy of diamond silicon [eV/atom], least over the lattice parameter."""
    from ase.build import bulk
    from scipy.optimize import minimize_scalar

    def energy(parameter: float) -> float:
        crystal = bulk("Si", "diamond", a=parameter, cubic=True)
        crystal.calc = calculator
        return float(crystal.get_potential_energy() / len(crystal))

    return float(minimize_scalar(energy, bounds=(5.2, 5.7), method="bounded", options={"xatol": 1e-5}).fun)
