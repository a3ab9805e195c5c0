"""Force constants and phonons of a crystal: phonopy's finite displacements, forces from LAMMPS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.simulation.lammps_engine import Lammps
from caviar_kit.simulation.potentials import InteratomicPotential

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["atoms_from_phonopy", "phonopy_of", "phonopy_of_atoms"]

_FORCE_AT_REST = 1e-3  # eV/Å; larger ones mean that the crystal is not at its minimum


def phonopy_of(
    unit_cell: Atoms,
    potential: str | InteratomicPotential = "sw",
    supercell: ArrayLike = (4, 4, 4),
    *,
    distance_angstrom: float = 0.01,
    threads: int = 1,
) -> Any:
    """Phonons of a crystal with an interatomic potential.

    Each atom that symmetry does not give is moved back and forth in a repeated cell; the force constants
    are made symmetric and obey the acoustic sum rule (Parlinski, Li and Kawazoe, Phys. Rev. Lett. 78, 4063,
    1997, as phonopy has it).

    Parameters
    ----------
    unit_cell : ase.Atoms
        Relaxed with this potential (``Lammps.relax``), periodic. Wave vectors refer to its own cell.
        For a potential of layers, ``arrays["mol-id"]`` numbers them; those of repetitions along the third
        cell vector are numbered on.
    potential : str or InteratomicPotential
        See ``interatomic_potential``.
    supercell : three integers
        Repetitions along the cell vectors; forces should have died off within half of it.
    distance_angstrom : float
        Length of the displacements [Å], up to 0.1.
    threads : int
        Of LAMMPS.

    Returns
    -------
    phonopy.Phonopy
        With force constants: phonopy's bands, densities of states and thermal properties follow, and
        ``harmonic`` takes it as it is.

    Raises
    ------
    ImportError
        If phonopy or LAMMPS is not installed: ``pip install caviar_kit[md]``.
    TypeError, ValueError
        If an argument is out of range, or a force on an atom at rest is above 1e-3 eV/Å.
    """
    repeats = _repeats(supercell)
    distance = validation.number(
        "distance_angstrom", distance_angstrom, minimum=0, maximum=0.1, open_minimum=True, unit="Å"
    )
    phonons = _phonopy().Phonopy(phonopy_of_atoms(unit_cell), np.diag(repeats), primitive_matrix="P")
    phonons.generate_displacements(distance=distance, is_plusminus=True)
    crystal = atoms_from_phonopy(phonons.supercell)
    crystal.set_masses(unit_cell.get_masses()[_unit_atom(phonons)])
    if "mol-id" in unit_cell.arrays:
        crystal.arrays["mol-id"] = _layers(unit_cell, phonons, crystal)
    with Lammps(crystal, potential, threads=threads) as engine:
        at_rest = np.abs(engine.forces()).max()
        if at_rest > _FORCE_AT_REST:
            raise ValueError(
                f"unit_cell must be relaxed with potential {engine.potential.name!r}, got forces up to "
                f"{at_rest:.2g} eV/Å; see Lammps.relax"
            )
        phonons.forces = [engine.forces(cell.positions) for cell in phonons.supercells_with_displacements]
    phonons.produce_force_constants()
    phonons.symmetrize_force_constants(show_drift=False)
    return phonons


def phonopy_of_atoms(atoms: Atoms) -> Any:
    """ASE ``Atoms`` as phonopy's PhonopyAtoms: elements, masses, cell and positions.

    Raises
    ------
    ImportError
        If phonopy is not installed.
    TypeError, ValueError
        If it is not an Atoms object, periodic along all three axes.
    """
    from ase import Atoms as AseAtoms

    if not isinstance(atoms, AseAtoms):
        raise TypeError(f"atoms must be ase.Atoms, got {type(atoms).__name__}")
    if not atoms.pbc.all():
        raise ValueError(f"atoms must be periodic along all three axes, got pbc={atoms.pbc.tolist()}")
    return _phonopy().structure.atoms.PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell[:],
        scaled_positions=atoms.cell.scaled_positions(atoms.positions),
        masses=atoms.get_masses(),
    )


def atoms_from_phonopy(cell: Any) -> Atoms:
    """Phonopy's PhonopyAtoms, Primitive or Supercell as periodic ASE ``Atoms`` with the same masses.

    Raises
    ------
    TypeError
        If it is none of them.
    """
    from ase import Atoms

    if not isinstance(cell, _phonopy().structure.atoms.PhonopyAtoms):
        raise TypeError(f"cell must be one of phonopy's (PhonopyAtoms), got {type(cell).__name__}")
    return Atoms(cell.symbols, positions=cell.positions, cell=cell.cell, masses=cell.masses, pbc=True)


def _phonopy() -> Any:
    try:
        import phonopy
        import phonopy.structure.atoms
    except ImportError as error:
        raise ImportError("phonons need phonopy: pip install caviar_kit[md]") from error
    return phonopy


def _repeats(supercell: ArrayLike) -> np.ndarray:
    repeats = validation.as_array("supercell", supercell, shape=(3,))
    if repeats.dtype.kind not in "iu" or repeats.min() < 1:
        raise ValueError(f"supercell must be three integers from 1, got {repeats.tolist()}")
    return repeats


def _unit_atom(phonons: Any) -> np.ndarray:
    """Index in the unit cell of each atom of the supercell."""
    index = phonons.supercell.u2u_map
    return np.array([index[atom] for atom in phonons.supercell.s2u_map])


def _layers(unit_cell: Atoms, phonons: Any, crystal: Atoms) -> np.ndarray:
    """Layer numbers from 1, those of each repetition along the third cell vector apart."""
    atom = _unit_atom(phonons)
    offset = (crystal.positions - unit_cell.positions[atom]) @ np.linalg.inv(unit_cell.cell[:])
    repetition = np.rint(offset[:, 2]).astype(int) % int(phonons.supercell_matrix[2, 2])
    label = np.unique(unit_cell.arrays["mol-id"], return_inverse=True)[1]
    return label[atom] + repetition * (label.max() + 1) + 1
