"""Displacements, Green's tensor, shells and similarity."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import caviar_kit as ck
from caviar_kit.vibrations import neighbour_shells, rotate_axes
from tests.vibrations import structures as st


@pytest.fixture(scope="module")
def silicon():
    columns, cell = st.silicon_110(3, 4)
    return columns, st.covariance(columns, cell)


def test_analytic_covariance_is_recovered(silicon):
    columns, matrix = silicon
    states = 20000
    u = ck.displacements(columns + st.draw(matrix, states, np.random.default_rng(0)))
    tensor = ck.greens_tensor(u)
    assert tensor.shape == (len(columns), 2, len(columns), 2)
    error = tensor.reshape(matrix.shape) - matrix
    variance = (matrix**2 + np.outer(np.diag(matrix), np.diag(matrix))) / states  # of a sample covariance
    assert np.abs(error).max() < 6 * np.sqrt(variance.max())
    assert 0.9 < np.sqrt((error**2 / variance).mean()) < 1.1


def test_normalisation_is_one_over_n():
    tensor = ck.greens_tensor(ck.displacements([[[0.0, 0.0]], [[0.2, 0.4]]]))
    np.testing.assert_allclose(tensor[0, :, 0], [[0.01, 0.02], [0.02, 0.04]])


def test_slices_are_averaged():
    tracked = np.random.default_rng(0).normal(size=(5, 3, 4, 2))
    u = ck.displacements(tracked)
    expected = np.mean([ck.greens_tensor(u[:, k]) for k in range(3)], axis=0)
    np.testing.assert_allclose(ck.greens_tensor(u), expected)


@settings(max_examples=50, deadline=None)
@given(
    angle=some.floats(-math.pi, math.pi),
    mirror=some.booleans(),
    states=some.integers(2, 6),
    atoms=some.integers(1, 5),
    seed=some.integers(0, 2**32 - 1),
)
def test_rotation_and_mirror_covariance(angle, mirror, states, atoms, seed):
    tracked = np.random.default_rng(seed).normal(scale=0.3, size=(states, atoms, 2))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turn = turn @ np.diag([-1, 1]) if mirror else turn
    u, turned = ck.displacements(tracked), ck.displacements(tracked @ turn.T + [3.0, -4.0])
    np.testing.assert_allclose(turned, u @ turn.T, atol=1e-12)
    np.testing.assert_allclose(u.mean(axis=0), 0, atol=1e-14)
    tensor = ck.greens_tensor(u)
    expected = np.einsum("ac,icjd,bd->iajb", turn, tensor, turn)
    np.testing.assert_allclose(ck.greens_tensor(turned), expected, atol=1e-12)
    np.testing.assert_array_equal(tensor, tensor.transpose(2, 3, 0, 1))


def test_identical_scaled_and_reversed(silicon):
    columns, matrix = silicon
    u = st.draw(matrix, 20, np.random.default_rng(1))
    tensor = ck.greens_tensor(u)
    for factor in (1.0, 0.75):
        result = ck.compare_correlations(tensor, ck.greens_tensor(factor * u), columns)
        for shell in result.values():
            assert shell.csm == pytest.approx(1)
            figures = (shell.lsm, shell.lsm_global, shell.lsm_median)
            assert figures == pytest.approx((factor**2,) * 3)
    assert ck.compare_correlations(tensor, -tensor, columns)["nearest"].csm == pytest.approx(-1)
    assert ck.compare_correlations(tensor, 0 * tensor, columns)["nearest"].csm == 0


def test_independent_vibration_has_no_correlation(silicon):
    columns, matrix = silicon
    rng = np.random.default_rng(2)
    correlated = ck.greens_tensor(st.draw(matrix, 300, rng))
    einstein = ck.greens_tensor(ck.displacements(rng.normal(0, 0.07, (300, len(columns), 2))))
    result = ck.compare_correlations(correlated, einstein, columns)
    assert abs(result["nearest"].csm) < 0.2
    assert result["nearest"].lsm < 0.2
    assert result["self"].csm > 0.98


def test_coherent_reference_gives_nan_not_a_number(silicon):
    columns, matrix = silicon
    measured = ck.greens_tensor(st.draw(matrix, 20, np.random.default_rng(3)))
    result = ck.compare_correlations(np.zeros_like(measured), measured, columns)
    assert all(math.isnan(shell.csm) and math.isnan(shell.lsm_global) for shell in result.values())
    assert result["nearest"].vectors == 0
    assert result["nearest"].excluded == 2 * result["nearest"].pairs
    assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["shells"]["next"]["lsm"] is None


def test_floor_excludes_and_counts():
    positions = [[0.0, 0.0], [0.0, 2.0]]
    reference = np.zeros((2, 2, 2, 2))
    reference[0, :, 0] = reference[1, :, 1] = np.eye(2)
    reference[0, 0, 1, 0] = reference[1, 0, 0, 0] = 0.5
    reference[0, 1, 1, 1] = reference[1, 1, 0, 1] = 0.009
    result = ck.compare_correlations(reference, reference, positions)
    shell = result["nearest"]
    assert (shell.pairs, shell.vectors, shell.excluded) == (2, 2, 2)
    assert ck.compare_correlations(reference, reference, positions, floor=0)["nearest"].excluded == 0
    assert result["next"].pairs == 0
    assert math.isnan(result["next"].csm)


def test_result_reads_like_a_mapping_and_a_table(silicon):
    columns, matrix = silicon
    tensor = ck.greens_tensor(st.draw(matrix, 20, np.random.default_rng(1)))
    result = ck.compare_correlations(tensor, tensor, columns)
    assert list(result) == ["self", "nearest", "next", "all"]
    assert len(str(result).splitlines()) == 5
    assert "CSM" in str(result)
    assert result["all"].pairs == len(columns) * (len(columns) - 1)
    assert json.loads(json.dumps(result.as_dict()))["shells"]["self"]["lsm"] == pytest.approx(1)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_shells_of_silicon(noise):
    columns, cell = st.silicon_110(4, 5)
    positions = columns + np.random.default_rng(0).normal(0, noise, columns.shape)
    shells = neighbour_shells(positions)
    inner = st.interior(columns, cell, 2.6)
    assert (shells.mask("nearest").sum(axis=1)[inner] == 1).all()
    assert (shells.mask("next").sum(axis=1)[inner] == 2).all()
    assert 1.5 < shells.edges_angstrom[0] < 2.2
    assert 2.5 < shells.edges_angstrom[1] < 3.2


def test_shells_at_a_grain_boundary():
    positions = st.twin_boundary(6) + np.random.default_rng(0).normal(0, 0.02, (1, 2))
    first, second = neighbour_shells(positions).edges_angstrom
    assert 1.5 < first < 2.2
    assert 2.4 < second < 3.2


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_shells_of_boron_nitride(noise):
    atoms, cell = st.honeycomb(5, 8)
    shells = neighbour_shells(atoms + np.random.default_rng(0).normal(0, noise, atoms.shape))
    inner = st.interior(atoms, cell, 2.8)
    assert (shells.mask("nearest").sum(axis=1)[inner] == 3).all()
    assert (shells.mask("next").sum(axis=1)[inner] == 6).all()
    masks = [shells.mask(name) for name in ("self", "all")]
    assert (masks[0] ^ masks[1]).all()


@pytest.mark.parametrize("strain", [0.97, 1.03, 1.05])
def test_strain_does_not_split_the_bonds(strain):
    atoms, cell = st.honeycomb(5, 8)
    stretch = np.array([strain, 1 / strain])
    nearest = neighbour_shells(atoms * stretch).mask("nearest").sum(axis=1)
    assert (nearest[st.interior(atoms * stretch, cell * stretch, 2.8)] == 3).all()


def test_structureless_positions_warn():
    with pytest.warns(UserWarning, match="form no shells"):
        neighbour_shells(np.random.default_rng(0).uniform(0, 20, (100, 2)))


def test_edges_can_be_given():
    shells = neighbour_shells([[0, 0], [0, 1], [0, 3]], shell_edges=(1.5, 2.5))
    assert shells.mask("nearest").sum() == 2
    assert shells.mask("next").sum() == 2


U = np.zeros((3, 2, 2))
G = np.zeros((2, 2, 2, 2))
P = [[0.0, 0.0], [0.0, 2.0]]


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "at least 2 states", lambda: ck.displacements(U[:1])),
        (ValueError, "tracked must have shape", lambda: ck.displacements(U[0])),
        (ValueError, "tracked must have shape", lambda: ck.displacements(np.zeros((3, 2, 3)))),
        (ValueError, "tracked must be finite", lambda: ck.displacements(U + np.inf)),
        (TypeError, "tracked", lambda: ck.displacements(U + 1j)),
        (ValueError, "at least 2 states", lambda: ck.greens_tensor(U[:1])),
        (ValueError, r"NaN for 2 of 2 atoms: \[0, 1\]", lambda: ck.greens_tensor(U + np.nan)),
        (ValueError, "displacements\\(tracked\\)", lambda: ck.greens_tensor(U + 5)),
        (ValueError, "reference must have shape", lambda: ck.compare_correlations(G[:1], G, P)),
        (ValueError, "measured must have shape", lambda: ck.compare_correlations(G, G.reshape(4, 4), P)),
        (ValueError, "measured must be finite", lambda: ck.compare_correlations(G, G + np.nan, P)),
        (ValueError, "positions must have shape", lambda: ck.compare_correlations(G, G, np.zeros((2, 3)))),
        (ValueError, "coincide", lambda: ck.compare_correlations(G, G, np.zeros((2, 2)))),
        (ValueError, "floor", lambda: ck.compare_correlations(G, G, P, floor=2)),
        (ValueError, "shell_edges", lambda: ck.compare_correlations(G, G, P, shell_edges=(3, 2))),
        (ValueError, "name must be one of", lambda: neighbour_shells(P).mask("far")),
    ],
)
def test_refusals(error, match, call):
    with pytest.raises(error, match=match):
        call()


def test_pairwise_means_leave_out_lost_states(silicon):
    columns, matrix = silicon
    tracked = columns + st.draw(matrix, 30, np.random.default_rng(4))
    tracked[3, 5] = tracked[8, 5] = tracked[3, 7] = np.nan
    u = ck.displacements(tracked, missing="state")
    seen = ~np.isnan(tracked[:, 5, 0])
    np.testing.assert_allclose(u[seen, 5], tracked[seen, 5] - tracked[seen, 5].mean(axis=0))
    tensor = ck.greens_tensor(u, missing="pairwise")
    both = seen & ~np.isnan(tracked[:, 7, 0])
    assert both.sum() == 28
    np.testing.assert_allclose(tensor[5, :, 7], u[both, 5].T @ u[both, 7] / 28)
    untouched = np.delete(np.arange(len(columns)), [5, 7])
    expected = ck.greens_tensor(ck.displacements(tracked[:, untouched]))
    np.testing.assert_allclose(tensor[np.ix_(untouched, [0, 1], untouched, [0, 1])], expected)
    np.testing.assert_array_equal(tensor, tensor.transpose(2, 3, 0, 1))
    tracked[1:, 5] = np.nan  # once is no displacement
    lonely = ck.greens_tensor(ck.displacements(tracked, missing="state"), missing="pairwise")
    assert np.isnan(lonely[5]).all()


def test_rotate_axes_is_the_tensor_of_rotated_displacements(silicon):
    columns, matrix = silicon
    u = st.draw(matrix, 5, np.random.default_rng(5))
    axes = st.turn(33)
    turned = rotate_axes(ck.greens_tensor(u), axes)
    np.testing.assert_allclose(turned, ck.greens_tensor(u @ axes.T), atol=1e-15)
    for bad in (2 * axes, np.ones((2, 2))):
        with pytest.raises(ValueError, match="orthogonal"):
            rotate_axes(ck.greens_tensor(u), bad)
    with pytest.raises(ValueError, match="missing must be"):
        ck.greens_tensor(u, missing="all")
    with pytest.raises(ValueError, match="missing must be"):
        ck.displacements(u, missing="all")
