"""The crystal with phonopy's force constants, held to phonopy and to the package's harmonic motion."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.simulation import atoms_from_phonopy, harmonic_covariance
from tests.vibrations.crystals import made


@pytest.fixture(scope="module")
def layer():
    return made("hbn-phonopy")


def test_frequencies_of_phonopy_are_those_of_our_matrices(layer):
    q = np.random.default_rng(0).uniform(-3, 3, (40, 2))
    values = np.linalg.eigvalsh(layer.dynamical_matrices(q))
    np.testing.assert_allclose(np.sqrt(values) / (2 * np.pi), layer.frequencies(q), rtol=1e-6)


def test_matrices_repeat_from_zone_to_zone(layer):
    q = np.random.default_rng(1).uniform(-1, 1, (10, 2))
    reciprocal = 2 * np.pi * np.linalg.inv(layer.vectors).T
    here, there = layer.dynamical_matrices(q), layer.dynamical_matrices(q + reciprocal[0] - 2 * reciprocal[1])
    np.testing.assert_allclose(there, here, atol=1e-9 * np.abs(here).max())


@pytest.mark.parametrize("statistics", ["classical", "quantum"])
def test_snapshots_have_the_covariance_of_the_harmonic_crystal(layer, statistics):
    size, states = (5, 4), 20_000
    u = layer.snapshots(states, 300, statistics, np.random.default_rng(0), size).reshape(states, -1)
    supercell = atoms_from_phonopy(layer.phonons.primitive).repeat((*size, 1))
    exact = harmonic_covariance(supercell, layer.phonons, 300, statistics)
    exact = exact[:, 1::-1][..., 1::-1].reshape(u.shape[1], -1)
    error = np.sqrt((exact**2 + np.outer(np.diag(exact), np.diag(exact))) / states)
    assert (np.abs(u.T @ u / states - exact) < 5 * error).all()
