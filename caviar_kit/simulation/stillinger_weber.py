"""Silicon's potential of Stillinger and Weber, as an ASE calculator that needs nothing but NumPy."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from ase.stress import full_3x3_to_voigt_6_stress

__all__ = ["StillingerWeber"]

# In the paper's notation; the unit of energy is half the cohesive energy.
_EPSILON, _SIGMA = 2.1683, 2.0951  # eV, Å
_A, _B, _P = 7.049556277, 0.6022245584, 4
_REACH, _LAMBDA, _GAMMA = 1.8, 21.0, 1.2
_CUTOFF = _REACH * _SIGMA  # 3.77 Å, just short of the second neighbours at 3.84 Å


class StillingerWeber(Calculator):
    """Energy, forces and stress of silicon by the Stillinger–Weber potential.

    E = Σ_{i<j} f₂(r_ij) + Σ_i Σ_{j<k} f₃(r_ij, r_ik, θ_jik) with, in units of ε and σ,

    - f₂ = A (B r⁻⁴ - 1) exp[1/(r - a)],
    - f₃ = λ (cos θ + 1/3)² exp[γ/(r_ij - a) + γ/(r_ik - a)],

    both zero from r = a = 3.77 Å on. ε = 2.1683 eV (the value of LAMMPS's Si.sw) puts the cohesive energy of
    the diamond structure at 2ε = 4.3366 eV per atom, σ = 2.0951 Å its lattice parameter at 5.431 Å.

    Source: F. H. Stillinger, T. A. Weber, Phys. Rev. B 31, 5262 (1985), doi:10.1103/PhysRevB.31.5262.

    Energies in eV, forces in eV/Å (atoms, 3), stress in eV/Å³ as ASE's (xx, yy, zz, yz, xz, xy), positive
    under tension; stress needs a cell with a volume.

    Raises
    ------
    ValueError
        On calculation, if an atom is not silicon or two atoms stand in the same place.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "energies", "forces", "stress"]

    def calculate(
        self,
        atoms: Any = None,
        properties: Any = ("energy",),
        system_changes: Any = tuple(all_changes),
    ) -> None:
        """ASE's entry: put everything in ``results``, whichever properties are asked for."""
        super().calculate(atoms, properties, system_changes)
        if set(self.atoms.numbers.tolist()) - {14}:
            raise ValueError(
                f"atoms must be silicon only for Stillinger-Weber, got {self.atoms.get_chemical_formula()}"
            )
        centre, other, bonds = neighbor_list("ijD", self.atoms, _CUTOFF)
        energies, gradient = _energies(centre, bonds, len(self.atoms))
        forces = np.zeros((len(self.atoms), 3))
        for axis in range(3):
            forces[:, axis] = _collect(centre, gradient[:, axis], len(forces))
            forces[:, axis] -= _collect(other, gradient[:, axis], len(forces))
        self.results = {"energy": float(energies.sum()), "energies": energies, "forces": forces}
        if self.atoms.cell.rank == 3:
            virial = bonds.T @ gradient / self.atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(virial)


def _energies(centre: np.ndarray, bonds: np.ndarray, atoms: int) -> tuple[np.ndarray, np.ndarray]:
    """Energy per atom [eV] and its derivative by each bond vector (bonds, 3) [eV/Å].

    ``bonds`` (bonds, 3) [Å] lead from the atoms ``centre`` (sorted) to their neighbours; each pair of atoms
    stands twice, in either direction.
    """
    length = np.linalg.norm(bonds, axis=1)
    if length.size and length.min() == 0:
        raise ValueError("two atoms stand in the same place")
    r = length / _SIGMA
    unit = bonds / length[:, None]
    pair, slope = _two_body(r)
    energies = _collect(centre, 0.5 * pair, atoms)
    gradient = (0.5 * slope / _SIGMA)[:, None] * unit

    first, second = _angles(centre, atoms)
    cosine = (unit[first] * unit[second]).sum(axis=1)
    screen, screen_slope = _screening(r)
    bend = cosine + 1 / 3
    strength = _EPSILON * _LAMBDA * bend * screen[first] * screen[second]
    energies += _collect(centre[first], strength * bend, atoms)
    for this, that in ((first, second), (second, first)):
        radial = strength * bend * screen_slope[this] / _SIGMA
        turning = 2 * strength / length[this]
        each = (radial - turning * cosine)[:, None] * unit[this] + turning[:, None] * unit[that]
        for axis in range(3):
            gradient[:, axis] += _collect(this, each[:, axis], len(bonds))
    return energies, gradient


def _two_body(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f₂ [eV] and its derivative by the reduced distance ``r``."""
    tail, slope = _cut(r, 1.0)
    power = _B * r**-_P
    return _EPSILON * _A * (power - 1) * tail, _EPSILON * _A * tail * ((power - 1) * slope - _P * power / r)


def _screening(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """exp[γ/(r - a)] and its logarithmic derivative by ``r``."""
    return _cut(r, _GAMMA)


def _cut(r: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """exp[strength/(r - a)] and its logarithmic derivative by ``r``; both vanish at r = a."""
    gap = np.minimum(r - _REACH, -1e-3)  # exp(-1000) is 0: no division by zero at the cutoff
    return np.exp(strength / gap), -strength / gap**2


def _angles(centre: np.ndarray, atoms: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of bonds of the same atom, each once, as two arrays of bond numbers."""
    bond = np.arange(len(centre))
    after = np.cumsum(np.bincount(centre, minlength=atoms))[centre] - bond - 1
    first = np.repeat(bond, after)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(after) - after, after)
    return first, second


def _collect(index: np.ndarray, values: np.ndarray, length: int) -> np.ndarray:
    """Sum of ``values`` for each ``index``."""
    return np.bincount(index, values, length)
