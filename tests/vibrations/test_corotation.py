"""Displacements, tensors and lattices turned, mirrored and shifted: results turn with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.spatial.distance import cdist

import caviar_kit as ck
from caviar_kit.vibrations import (
    dynamical_matrix,
    fourier_displacements,
    lattice_operations,
    neighbour_shells,
)
from tests.vibrations import structures as st
from tests.vibrations.scenes import Motion, motions, quarter_motions

few = settings(max_examples=8, deadline=None, derandomize=True)

WHERE = st.patch("silicon", 7.0)
TRUE = st.symmetric_tensor(WHERE)


def drawn(seed: int, states: int = 8) -> np.ndarray:
    values, vectors = np.linalg.eigh(TRUE.reshape(2 * len(WHERE), -1))
    root = vectors * np.sqrt(np.clip(values, 0, None))
    normal = np.random.default_rng(seed).standard_normal((states, 2 * len(WHERE)))
    return ck.displacements((normal @ root.T).reshape(states, -1, 2))


@few
@given(motion=motions(5), seed=some.integers(0, 99))
def test_rotated_axes_undo_a_rotation(motion: Motion, seed: int):
    tensor = ck.greens_tensor(drawn(seed))
    np.testing.assert_allclose(ck.rotate_axes(motion.tensor(tensor), motion.matrix), tensor, atol=1e-12)
    local = ck.fit_lattice(WHERE).axes
    turned = ck.rotate_axes(motion.tensor(tensor), local @ motion.matrix)
    np.testing.assert_allclose(turned, ck.rotate_axes(tensor, local), atol=1e-12)


@few
@given(motion=motions(30))
def test_shells_are_the_same(motion: Motion):
    plain, turned = neighbour_shells(WHERE), neighbour_shells(motion.points(WHERE))
    np.testing.assert_allclose(turned.edges_angstrom, plain.edges_angstrom, rtol=1e-6)
    for name in ("nearest", "next"):
        np.testing.assert_array_equal(turned.mask(name), plain.mask(name))


@few
@given(motion=motions(30), quarter=quarter_motions(30), seed=some.integers(0, 99))
def test_similarity_is_the_same(motion: Motion, quarter: Motion, seed: int):
    """The vectors are rows of a block: quarter turns keep their cosines, any turn their sum of squares."""
    measured = ck.greens_tensor(drawn(seed))

    def compare(by: Motion) -> dict[str, ck.vibrations.ShellSimilarity]:
        return ck.compare_correlations(by.tensor(TRUE), by.tensor(measured), by.points(WHERE))

    plain, any_angle, turned = (
        ck.compare_correlations(TRUE, measured, WHERE),
        compare(motion),
        compare(quarter),
    )
    for name, shell in plain.items():
        assert any_angle[name].lsm_global == pytest.approx(shell.lsm_global)
        assert any_angle[name].pairs == shell.pairs
        for figure in ("csm", "lsm", "lsm_global", "lsm_median"):
            assert getattr(turned[name], figure) == pytest.approx(getattr(shell, figure))
    assert any_angle["nearest"].csm == pytest.approx(plain["nearest"].csm, abs=0.1)


@few
@given(motion=motions(30), method=some.sampled_from(["jackknife", "bootstrap"]), seed=some.integers(0, 99))
def test_intervals_turn(motion: Motion, method: str, seed: int):
    u, turned = drawn(seed), motion.vectors(drawn(seed))
    one = ck.shell_intervals(u, WHERE, method=method, resamples=100)
    two = ck.shell_intervals(turned, motion.points(WHERE), method=method, resamples=100)
    diagonal = (slice(1, 4), [0, 1], [0, 1])  # in the pair's own axes; a mirror changes the sign of the mixed
    for name in ("value", "low", "high"):
        np.testing.assert_allclose(getattr(two, name)[diagonal], getattr(one, name)[diagonal], atol=1e-12)
    single, other = ck.tensor_intervals(u), ck.tensor_intervals(turned)
    np.testing.assert_allclose(other.value, motion.tensor(single.value), atol=1e-12)
    assert ((other.low <= other.value) & (other.value <= other.high)).all()


@few
@given(quarter=quarter_motions(30), seed=some.integers(0, 99))
def test_intervals_of_elements_turn_with_the_axes(quarter: Motion, seed: int):
    u, turned = drawn(seed), quarter.vectors(drawn(seed))
    one, two = ck.tensor_intervals(u), ck.tensor_intervals(turned)
    swap = np.abs(quarter.matrix).round()
    error = np.einsum("ba,ibjc,cd->iajd", swap, one.standard_error, swap)
    np.testing.assert_allclose(two.standard_error, error, atol=1e-12)


@few
@given(motion=motions(30), group=some.sampled_from([None, "site", "lattice"]), seed=some.integers(0, 99))
def test_pair_intervals_turn(motion: Motion, group: str | None, seed: int):
    u = drawn(seed)
    plain = ck.fit_lattice(WHERE)
    lattice = ck.fit_lattice(motion.points(WHERE))
    one = ck.pair_intervals(u, plain, radius=3.0, point_group=group)
    two = ck.pair_intervals(motion.vectors(u), lattice, radius=3.0, point_group=group)

    def traces(found: ck.vibrations.PairIntervals, of: ck.Lattice) -> np.ndarray:
        """Per pair: its distance and what no rotation changes, sorted."""
        apart = (found.cells @ of.vectors)[:, None, None] + of.basis[None] - of.basis[:, None]
        length = np.linalg.norm(apart, axis=-1)
        invariant = np.trace(found.value, axis1=-2, axis2=-1), (found.value**2).sum(axis=(-2, -1))
        rows = np.stack([length, *invariant], axis=-1).reshape(-1, 3)
        rows = rows[~np.isnan(rows).any(axis=1)]
        return rows[np.lexsort(rows.T.round(9))]

    np.testing.assert_allclose(traces(two, lattice), traces(one, plain), atol=1e-8)


@few
@given(motion=motions(30))
def test_point_operations_are_the_turned_ones(motion: Motion):
    for group in ("site", "lattice"):
        plain = lattice_operations(ck.fit_lattice(WHERE), group)
        turned = lattice_operations(ck.fit_lattice(motion.points(WHERE)), group)
        expected = [motion.matrix.T @ operation.matrix @ motion.matrix for operation in plain]
        found = [operation.matrix for operation in turned]
        flat = cdist(np.reshape(found, (-1, 4)), np.reshape(expected, (-1, 4)))
        assert len(found) == len(expected)
        assert flat.min(axis=0).max() < 1e-6


@few
@given(motion=motions(30), seed=some.integers(0, 99))
def test_matched_atoms_are_the_same(motion: Motion, seed: int):
    rng = np.random.default_rng(seed)
    found = rng.permutation(WHERE)[3:] + rng.normal(0, 0.05, (len(WHERE) - 3, 2))
    plain = ck.match_atoms(found, WHERE)
    turned = ck.match_atoms(motion.points(found), motion.points(WHERE))
    for one, two in zip(plain, turned, strict=True):
        np.testing.assert_array_equal(two, one)


@few
@given(
    motion=motions(30), quarter=quarter_motions(30), common=some.floats(0.05, 0.3), seed=some.integers(0, 99)
)
def test_offset_is_that_of_the_turned_axes(motion: Motion, quarter: Motion, common: float, seed: int):
    tensor = ck.greens_tensor(drawn(seed))
    for positions in (True, False):
        plain = ck.correlation_offset(tensor, WHERE if positions else None)
        turned = ck.correlation_offset(quarter.tensor(tensor), quarter.points(WHERE) if positions else None)
        np.testing.assert_allclose(turned, np.abs(quarter.matrix).round().T @ plain, atol=1e-12)
    # an isotropic offset is one in all axes
    offset = common**2 * np.eye(2)[None, :, None, :]
    places = motion.points(WHERE)
    with_it, without = (ck.correlation_offset(motion.tensor(t), places) for t in (tensor + offset, tensor))
    np.testing.assert_allclose(with_it - without, common**2, atol=1e-12)
    cleaned = ck.subtract_offset(quarter.tensor(tensor + offset), quarter.points(WHERE))
    np.testing.assert_allclose(
        cleaned, quarter.tensor(ck.subtract_offset(tensor + offset, WHERE)), atol=1e-12
    )


@few
@given(motion=motions(30), seed=some.integers(0, 99))
def test_fourier_displacements_and_dynamical_matrix_turn(motion: Motion, seed: int):
    u, lattice = drawn(seed, 40), ck.fit_lattice(WHERE)
    turned = ck.Lattice(
        origin=motion.points(lattice.origin),
        vectors=motion.vectors(lattice.vectors),
        basis=motion.vectors(lattice.basis),
        cells=lattice.cells,
        sites=lattice.sites,
        residual=lattice.residual,
    )
    q = np.array([[0.0, 0.0], [0.3, 0.2], [-0.5, 0.9]])
    plain = fourier_displacements(u, lattice, q)
    other = fourier_displacements(motion.vectors(u), turned, motion.vectors(q))
    both = np.kron(np.eye(2), motion.matrix)  # of two sites
    np.testing.assert_allclose(other, plain @ both, atol=1e-9)
    greens = np.einsum("nsqk,nsql->qkl", plain, plain.conj()) / len(u)
    there = np.einsum("nsqk,nsql->qkl", other, other.conj()) / len(u)
    matrices = [dynamical_matrix(g, 28.1, 300.0) for g in (greens, there)]
    np.testing.assert_allclose(
        matrices[1], both.T @ matrices[0] @ both, rtol=1e-6, atol=1e-6 * np.abs(matrices[0]).max()
    )
