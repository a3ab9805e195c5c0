"""Phonons of stacked boron nitride, whose layers must keep their numbers in a repeated cell."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from caviar_kit.simulation import Lammps, phonopy_of
from caviar_kit.simulation.commensurate import spread_force_constants

pytest.importorskip("phonopy")
pytest.importorskip("lammps")

pytestmark = pytest.mark.slow

LENGTH, SPACING, POTENTIAL = 2.5024, 3.227, "bn-extep+ilp"


def stacked(layers):
    """AA' boron nitride, one cell in the plane: no atom feels a force, by symmetry."""
    heights = np.arange(layers) * SPACING
    positions = np.concatenate([[[0, 0, z], [0, LENGTH / np.sqrt(3), z]] for z in heights])
    cell = [[LENGTH, 0, 0], [-LENGTH / 2, LENGTH * np.sqrt(3) / 2, 0], [0, 0, layers * SPACING]]
    atoms = Atoms("BNNB" * (layers // 2), positions, cell=cell, pbc=True)
    atoms.arrays["mol-id"] = np.repeat(np.arange(layers) + 1, 2)
    return atoms


@pytest.fixture(scope="module")
def phonons():
    return phonopy_of(stacked(2), POTENTIAL, (3, 3, 3))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_layers_slide_and_breathe_against_each_other_as_their_forces_say(phonons, axis):
    """Layers moved as a whole: force constants of a wide cell give LAMMPS's forces in a narrow one.

    Second neighbours, which the layers' numbers must tell apart, give up to 0.8 % of them.
    """
    atoms, step = stacked(6), 0.001
    by = np.array([1.0, 0.0, 0.0, -1.0, 0.5, -0.5])[atoms.arrays["mol-id"] - 1]
    moved = step * by[:, None] * np.eye(3)[axis]
    with Lammps(atoms, POTENTIAL) as engine:
        forces = engine.forces(atoms.positions + moved) - engine.forces(atoms.positions - moved)
    expected = -2 * (spread_force_constants(phonons, atoms) @ moved.ravel()).reshape(-1, 3)
    np.testing.assert_allclose(forces, expected, atol=5e-4 * np.abs(expected).max())


def test_slide_of_neighbouring_layers_has_the_frequency_of_raman_spectroscopy(phonons):
    """52.5 cm⁻¹ = 1.574 THz (Stenger et al., arXiv:1705.01298, 2017), which ILP meets."""
    found = phonons.run_qpoints([(0, 0, 0)]).frequencies[0]
    np.testing.assert_allclose(found[:3], 0, atol=0.01)
    np.testing.assert_allclose(found[3:5], 1.574, rtol=0.03)
