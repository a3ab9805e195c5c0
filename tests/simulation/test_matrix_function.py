"""The square root of a large sparse covariance against diagonalisation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array, diags_array, kron

from caviar_kit.simulation import harmonic
from caviar_kit.simulation.dynamical_matrix import dynamical_matrix
from caviar_kit.simulation.matrix_function import lanczos_function
from caviar_kit.simulation.normal_modes import normal_modes
from tests.simulation.springs import block_of_springs, chain


def sparse(springs):
    return csr_array(springs.reshape(springs.shape[0] * 3, -1))


@pytest.mark.parametrize("statistics", ["quantum", "classical"])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-5, 1e-9])
def test_sparse_and_dense_snapshots_agree_to_the_tolerance(statistics, tolerance):
    """The bound on the error is one: no snapshot is off by more."""
    atoms, springs = block_of_springs()
    options = {"seed": 2, "snapshots": 11, "statistics": statistics, "temperature_k": 200.0}
    dense = harmonic(atoms, springs, **options).positions - atoms.positions
    lanczos = harmonic(atoms, sparse(springs), tolerance=tolerance, **options).positions - atoms.positions
    root = np.sqrt(atoms.get_masses())[:, None]
    error = np.linalg.norm((lanczos - dense) * root, axis=(1, 2)) / np.linalg.norm(dense * root, axis=(1, 2))
    assert error.max() < tolerance
    assert error.max() > 1e-14  # another algorithm


def test_a_soft_mode_far_below_the_rest_is_not_missed():
    """A weak link between two stiff halves: one mode with a hundredth of the next frequency."""
    atoms, springs = block_of_springs((2, 2, 8))
    half = np.flatnonzero(atoms.positions[:, 2] > 7)
    rest = np.setdiff1d(np.arange(len(atoms)), half)
    blocks = np.ix_(half, range(3), rest, range(3))
    link = 1e-6 * springs
    springs[blocks] = 0
    springs[np.ix_(rest, range(3), half, range(3))] = 0
    springs[blocks] = link[blocks]
    springs[np.ix_(rest, range(3), half, range(3))] = link[np.ix_(rest, range(3), half, range(3))]
    index = np.arange(len(atoms))
    springs[index, :, index] -= springs.sum(axis=2)
    options = {"seed": 0, "snapshots": 3, "statistics": "classical"}
    dense = harmonic(atoms, springs, **options).positions - atoms.positions
    lanczos = harmonic(atoms, sparse(springs), tolerance=1e-6, **options).positions - atoms.positions
    assert np.linalg.norm(lanczos - dense) < 2e-6 * np.linalg.norm(dense)


def test_held_bodies_rest_with_sparse_force_constants_too():
    atoms, springs = block_of_springs((3, 3, 5))
    layers = np.rint(atoms.positions[:, 2] / 2).astype(int)
    options = {"seed": 4, "snapshots": 3, "bodies": layers}
    dense = harmonic(atoms, springs, **options).positions - atoms.positions
    lanczos = harmonic(atoms, sparse(springs), tolerance=1e-7, **options).positions - atoms.positions
    np.testing.assert_allclose(lanczos, dense, atol=1e-7)
    moments = np.einsum("li,nia->nla", (layers == np.arange(5)[:, None]) * atoms.get_masses(), lanczos)
    np.testing.assert_allclose(moments, 0, atol=1e-12)


def test_long_chains_converge_although_the_basis_loses_its_orthogonality():
    """Thousands of unknowns and a condition number of 4e5, with the spectrum known: ⟨u²⟩ of one wave."""
    count = 1000
    line = diags_array([2.0, -1.0, -1.0], offsets=[0, 1, -1], shape=(count, count)).tolil()
    line[0, -1] = line[-1, 0] = -1.0
    atoms, _ = chain(count)
    springs = kron(line.tocsr(), csr_array(np.eye(3))).tocsr()
    wave = np.cos(2 * np.pi * 3 * np.arange(count) / count) * np.sqrt(2 / count)
    start = np.kron(wave, [0, 0, 1.0])[:, None] + np.random.default_rng(0).standard_normal((3 * count, 1))
    matrix = dynamical_matrix(atoms, springs)
    result = lanczos_function(matrix, lambda x: 1 / x, start, tolerance=1e-6)
    curvature = 4 * np.sin(np.pi * 3 / count) ** 2 / atoms.get_masses()[0]
    along = np.kron(wave, [0, 0, 1.0])
    assert along @ result[:, 0] == pytest.approx(along @ start[:, 0] / curvature, rel=1e-4)


def test_functions_of_a_matrix_do_not_see_rigid_motion():
    atoms, springs = block_of_springs((3, 2, 2))
    matrix = dynamical_matrix(atoms, sparse(springs))
    result = lanczos_function(
        matrix, lambda x: 1 / np.sqrt(x), matrix.rigid + 0.1 * np.eye(36)[:, :3], tolerance=1e-8
    )
    expected = normal_modes(matrix).function(lambda x: 1 / np.sqrt(x), 0.1 * np.eye(36)[:, :3])
    np.testing.assert_allclose(result, expected, atol=1e-6)
    np.testing.assert_allclose(matrix.rigid.T @ result, 0, atol=1e-12)


def test_what_does_not_converge_is_refused():
    atoms, springs = block_of_springs()
    matrix = dynamical_matrix(atoms, sparse(springs))
    with pytest.raises(ValueError, match="not converged after 25 steps"):
        lanczos_function(
            matrix, lambda x: 1 / x, np.ones((360, 1)) + np.eye(360)[:, :1], tolerance=1e-9, max_steps=25
        )


def test_snapshots_from_sparse_force_constants_repeat_bit_for_bit():
    atoms, springs = block_of_springs()
    first, again = (harmonic(atoms, sparse(springs), seed=9, snapshots=3).positions for _ in range(2))
    np.testing.assert_array_equal(first, again)
