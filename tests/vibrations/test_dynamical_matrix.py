"""Equations 5 and 6 as printed: exact for a periodic crystal, biased with few states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caviar_kit.vibrations import Lattice, dynamical_matrix, fourier_displacements
from tests.vibrations.crystals import KELVIN, draw, honeycomb, patch

CRYSTAL = honeycomb()


def periodic(size):
    """Lattice of a whole supercell."""
    cells = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), -1).reshape(-1, 2)
    count = len(cells) * 2
    place = {"cells": np.repeat(cells, 2, axis=0), "sites": np.tile([0, 1], len(cells))}
    return Lattice(
        origin=np.zeros(2), vectors=CRYSTAL.vectors, basis=CRYSTAL.basis, residual=np.zeros(count), **place
    )


@pytest.mark.parametrize("statistics", ["classical", "quantum"])
def test_a_periodic_crystal_returns_its_dynamical_matrix(statistics):
    size, states = (4, 6), 4000
    u = CRYSTAL.snapshots(states, 300, statistics, np.random.default_rng(0), size).reshape(states, -1, 2)
    fractions = np.array([[0.25, 0], [0.5, 1 / 3], [0.25, 5 / 6]])
    q = 2 * np.pi * fractions @ np.linalg.inv(CRYSTAL.vectors).T
    waves = fourier_displacements(u, periodic(size), q)
    assert waves.shape == (states, 1, 3, 4)
    greens = np.einsum("nsqi,nsqj->qij", waves, waves.conj()) / states
    found = dynamical_matrix(greens, CRYSTAL.masses, 300, statistics)
    true = CRYSTAL.dynamical_matrices(q)
    assert np.abs(true.imag).max() > 0.1 * np.abs(true).max()  # so the sign of the exponent shows
    assert np.abs(found - true).max() < 0.06 * np.abs(true).max()


def test_one_mean_mass_is_the_papers_equation():
    greens = np.array([[[2.0, 0.5j], [-0.5j, 1.0]]]) * 1e-3
    expected = KELVIN * 300 / 12.2 * np.linalg.inv(greens)
    np.testing.assert_allclose(dynamical_matrix(greens, 12.2, 300, "classical"), expected)


def test_ten_states_spread_four_equal_frequencies():
    """The few-state bias of eq. 6: sorted means of sample covariances of four equal modes."""
    rng = np.random.default_rng(0)

    def sorted_means(states):
        shape = (4000, states, 4)
        z = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)
        z = z - z.mean(axis=1, keepdims=True)  # displacements from the mean over states, eq. 1
        greens = np.einsum("tni,tnj->tij", z, z.conj()) / states  # eq. 2
        matrix = dynamical_matrix(greens * KELVIN * 300, 1.0, 300, "classical")  # true ω = 1 rad/ps
        return np.sqrt(np.linalg.eigvalsh(matrix)).mean(axis=0)

    np.testing.assert_allclose(sorted_means(10), [0.77, 1.00, 1.35, 2.08], atol=0.02)
    assert sorted_means(10).mean() == pytest.approx(1.30, abs=0.02)
    assert sorted_means(30).mean() == pytest.approx(1.08, abs=0.02)


def test_cells_with_a_missing_atom_are_left_out():
    atoms, lattice = patch(CRYSTAL, 12)
    u = draw(CRYSTAL, atoms, 3, np.random.default_rng(1))
    q = np.array([[0.3, 0.5]])
    holes = u.copy()
    holes[1, 5] = np.nan
    without = np.flatnonzero((lattice.cells != lattice.cells[5]).any(axis=1))
    fewer = replace(
        lattice,
        cells=lattice.cells[without],
        sites=lattice.sites[without],
        residual=lattice.residual[without],
    )
    expected = fourier_displacements(u[:, without], fewer, q)
    np.testing.assert_allclose(fourier_displacements(holes, lattice, q), expected)
    outside = replace(lattice, sites=np.where(np.arange(24) == 5, -1, lattice.sites))
    np.testing.assert_allclose(fourier_displacements(u, outside, q), expected)


def test_fewer_samples_than_modes_are_infinite_not_nan():
    z = np.ones((1, 4), complex)
    matrix = dynamical_matrix(np.einsum("qi,qj->qij", z, z.conj()), 1.0, 300)
    assert np.isinf(matrix).all()


G = np.eye(2)[None]


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "greens must have shape", lambda: dynamical_matrix(np.eye(2), 1.0, 300)),
        (ValueError, "greens must have shape", lambda: dynamical_matrix(np.eye(3)[None], 1.0, 300)),
        (ValueError, "greens must not be negative", lambda: dynamical_matrix(-G, 1.0, 300)),
        (ValueError, "masses must be above 0", lambda: dynamical_matrix(G, 0.0, 300)),
        (ValueError, "one for each of 1 sites", lambda: dynamical_matrix(G, [1.0, 2.0], 300)),
    ],
)
def test_refusals(error, match, call):
    with pytest.raises(error, match=match):
        call()
