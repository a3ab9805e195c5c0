"""Theory curves of phonopy at the points of a measured dispersion."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import constants

from caviar_kit.vibrations import brillouin_path, phonopy_dispersion
from tests.vibrations.crystals import THZ2, honeycomb

EV_PER_UNIT = constants.atomic_mass * 1e4 / constants.e  # u Å²/ps² in eV
OUT_OF_PLANE = 900 * THZ2  # u/ps²: each atom on a spring of its own along z


def phonopy_of(crystal, vectors):
    """The crystal of springs as a Phonopy object of a 9 × 9 supercell with in-plane rows ``vectors`` [Å]."""
    phonopy = pytest.importorskip("phonopy")
    atoms = pytest.importorskip("phonopy.structure.atoms")
    cell = np.diag([0.0, 0.0, 20.0])
    cell[:2, :2] = vectors
    places = np.column_stack([crystal.basis, np.zeros(2)])
    unit = atoms.PhonopyAtoms(symbols=["B", "N"], cell=cell, positions=places, masses=crystal.masses)
    phonon = phonopy.Phonopy(unit, np.diag([9, 9, 1]), primitive_matrix=np.eye(3))
    phonon.force_constants = force_constants(crystal, phonon.supercell)
    return phonon


def force_constants(crystal, supercell):
    """Springs between all pairs of the supercell, nearest images, eV/Å²."""
    apart = supercell.scaled_positions[:, None] - supercell.scaled_positions
    apart = (apart - np.round(apart)) @ supercell.cell
    length = np.linalg.norm(apart, axis=-1)
    count = len(length)
    matrix = np.zeros((count, count, 3, 3))
    for shell, along, across in crystal.springs:
        i, j = np.nonzero(np.abs(length - shell) < 0.02)
        unit = apart[i, j, :2] / length[i, j, None]
        outer = unit[:, :, None] * unit[:, None]
        matrix[i, j, :2, :2] -= across * np.eye(2) + (along - across) * outer
    diagonal = np.arange(count)
    matrix[diagonal, diagonal] = -matrix.sum(axis=1)
    matrix[diagonal, diagonal, 2, 2] = OUT_OF_PLANE
    return matrix * EV_PER_UNIT


def on_path(crystal):
    way = brillouin_path(crystal.vectors, points=31)
    return SimpleNamespace(q=way.q, fractions=way.fractions)


@pytest.mark.parametrize("wide", [False, True])
def test_in_plane_branches_agree_with_the_sum_over_bonds(wide):
    """Also if phonopy's cell has an angle of 60° and ours one of 120°."""
    crystal = honeycomb()
    rows = (
        np.stack([crystal.vectors[0], crystal.vectors[1] + crystal.vectors[0]]) if wide else crystal.vectors
    )
    here = on_path(crystal)
    found = phonopy_dispersion(phonopy_of(crystal, rows), here)
    expected = crystal.frequencies(here.q)
    assert found.shape == expected.shape == (31, 4)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=0.01)


def test_fractions_as_they_are():
    crystal = honeycomb()
    q = np.array([[0.3, 0.5], [1.0, 0.2]])
    here = SimpleNamespace(q=q, fractions=q @ crystal.vectors.T / (2 * np.pi))
    found = phonopy_dispersion(phonopy_of(crystal, crystal.vectors), here, path=None)
    np.testing.assert_allclose(found, crystal.frequencies(q), rtol=2e-4)


def test_refusals():
    crystal = honeycomb()
    phonon = phonopy_of(crystal, crystal.vectors)
    with pytest.raises(TypeError, match="phonopy.Phonopy"):
        phonopy_dispersion(crystal, on_path(crystal))
    with pytest.raises(ValueError, match="special points among"):
        phonopy_dispersion(phonon, on_path(crystal), "GZG")
    phonon.force_constants = None
    with pytest.raises(ValueError, match="no force constants"):
        phonopy_dispersion(phonon, on_path(crystal))
