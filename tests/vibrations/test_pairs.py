"""Averages over equivalent pairs: exact on symmetric tensors, unbiased on noisy ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import caviar_kit as ck
from caviar_kit.vibrations import average_equivalent_pairs, fit_lattice, lattice_operations
from tests.vibrations import structures as st


def noisy(where: np.ndarray, seed: int = 0, states: int = 12) -> np.ndarray:
    matrix = st.symmetric_tensor(where).reshape(2 * len(where), -1)
    values, vectors = np.linalg.eigh(matrix)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    u = np.random.default_rng(seed).standard_normal((states, len(matrix))) @ root.T
    return ck.greens_tensor(ck.displacements(u.reshape(states, -1, 2)))


@pytest.mark.parametrize("point_group", [None, "site", "lattice"])
@pytest.mark.parametrize("kind", ["honeycomb", "silicon"])
def test_an_average_of_equal_pairs_is_that_pair(kind, point_group):
    where = st.patch(kind, 8.0, angle=20)
    tensor = st.symmetric_tensor(where)
    pairs = average_equivalent_pairs(tensor, fit_lattice(where), point_group=point_group)
    seen = pairs.counts > 0
    apart = pairs.vectors[seen]
    i, j = np.triu_indices(len(where))
    for a, b in zip(i[::7], j[::7], strict=True):
        same = np.linalg.norm(apart - (where[b] - where[a]), axis=1) < 1e-6
        np.testing.assert_allclose(
            pairs.tensors[seen][same], np.broadcast_to(tensor[a, :, b], (same.sum(), 2, 2)), atol=1e-12
        )
    assert np.nanmax(pairs.standard_errors) < 1e-8
    assert np.isnan(pairs.tensors[~seen]).all()


def test_counts_and_means_agree_with_a_loop():
    where = st.patch("honeycomb", 6.0)
    lattice, tensor = fit_lattice(where), noisy(where)
    pairs = average_equivalent_pairs(tensor, lattice)
    assert pairs.counts.sum() == len(where) ** 2
    for k in range(0, len(pairs.cells), 5):
        for one in (0, 1):
            found = [
                tensor[i, :, j]
                for i in np.flatnonzero(lattice.sites == one)
                for j in np.flatnonzero(lattice.sites == 1)
                if (lattice.cells[j] - lattice.cells[i] == pairs.cells[k]).all()
            ]
            assert pairs.counts[k, one, 1] == len(found)
            if found:
                np.testing.assert_allclose(pairs.tensors[k, one, 1], np.mean(found, axis=0))
            if len(found) > 1:
                error = np.std(found, axis=0, ddof=1) / math.sqrt(len(found))
                np.testing.assert_allclose(pairs.standard_errors[k, one, 1], error, rtol=1e-6)


@pytest.mark.parametrize("point_group", [None, "site", "lattice"])
def test_reversed_pair_is_the_transpose(point_group):
    where = st.patch("silicon", 8.0)
    pairs = average_equivalent_pairs(noisy(where), fit_lattice(where), point_group=point_group)
    np.testing.assert_array_equal(pairs.cells, -pairs.cells[::-1])
    back = pairs.tensors[::-1].transpose(0, 2, 1, 4, 3)
    np.testing.assert_allclose(pairs.tensors, back, atol=1e-15)


def test_point_groups_of_known_lattices():
    honeycomb, silicon = fit_lattice(st.patch("honeycomb")), fit_lattice(st.patch("silicon"))
    square = fit_lattice(np.stack(np.meshgrid(*[np.arange(6.0)] * 2), -1).reshape(-1, 2) * 2)
    for lattice, site, full in ((honeycomb, 6, 12), (silicon, 2, 4), (square, 8, 8)):
        assert len(lattice_operations(lattice, "site")) == site
        operations = lattice_operations(lattice, "lattice")
        assert len(operations) == full
        np.testing.assert_allclose(operations[0].matrix, np.eye(2), atol=1e-9)
        for operation in operations:
            start = np.array([[0, 0], [3, -2], [1, 4]])
            for site in range(len(lattice.basis)):
                image = lattice.ideal(
                    start @ operation.cells + operation.hops[site], np.full(3, operation.sites[site])
                )
                moved = lattice.ideal(start, np.full(3, site)) - lattice.origin
                shift = image - moved @ operation.matrix.T
                np.testing.assert_allclose(shift, np.broadcast_to(shift[0], (3, 2)), atol=1e-6)
    assert len(lattice_operations(honeycomb, [st.turn(120)])) == 3  # generates the threefold axis


def test_symmetry_halves_the_noise_and_keeps_the_mean():
    where = st.patch("honeycomb", 7.0)
    lattice, truth = fit_lattice(where), st.symmetric_tensor(where)
    error = {}
    for group in (None, "lattice"):
        squares = []
        for seed in range(8):
            pairs = average_equivalent_pairs(noisy(where, seed) * 12 / 11, lattice, point_group=group)
            exact = average_equivalent_pairs(truth, lattice, point_group=group)
            near = (np.linalg.norm(pairs.vectors, axis=-1) < 3) & (pairs.counts > 0)
            squares.append(((pairs.tensors - exact.tensors)[near] ** 2).mean())
        error[group] = math.sqrt(np.mean(squares))
    assert error["lattice"] < 0.8 * error[None]
    exact = average_equivalent_pairs(truth, lattice, point_group="lattice")
    self_pairs = (exact.cells == 0).all(axis=1)
    np.testing.assert_allclose(exact.tensors[self_pairs][0, 0, 0], 0.005 * np.eye(2), atol=1e-12)


def test_missing_pairs_and_atoms_outside_are_left_out():
    where = st.patch("honeycomb", 8.0)
    stray = np.concatenate([where, [[0.3, 0.3]]])
    lattice = fit_lattice(stray)
    tensor = noisy(where)
    larger = np.full((len(stray), 2, len(stray), 2), np.nan)
    larger[:-1, :, :-1] = tensor
    larger[3, :, 5] = larger[5, :, 3] = np.nan
    pairs = average_equivalent_pairs(larger, lattice)
    assert lattice.sites[-1] == -1
    assert pairs.counts.sum() == len(where) ** 2 - 2


@settings(max_examples=15, deadline=None)
@given(angle=some.floats(0, 360), mirror=some.booleans(), group=some.sampled_from([None, "site", "lattice"]))
def test_averages_co_rotate(angle, mirror, group):
    where = st.patch("silicon", 7.0)
    tensor = noisy(where)
    matrix = (np.diag([-1.0, 1.0]) if mirror else np.eye(2)) @ st.turn(angle)
    turned = np.einsum("ba,ibjc,cd->iajd", matrix, tensor, matrix)
    plain = average_equivalent_pairs(tensor, fit_lattice(where), point_group=group)
    other = average_equivalent_pairs(turned, fit_lattice(where @ matrix + 5), point_group=group)
    assert (
        np.sort(plain.counts[plain.counts > 0]).tolist() == np.sort(other.counts[other.counts > 0]).tolist()
    )
    vectors = plain.vectors @ matrix
    blocks = np.einsum("ba,...bc,cd->...ad", matrix, plain.tensors, matrix)
    for one, two in ((0, 0), (0, 1)):
        for k in np.flatnonzero(plain.counts[:, one, two])[::9]:
            near = np.linalg.norm(other.vectors - vectors[k, one, two], axis=-1) < 1e-6
            candidates = other.tensors[near]
            miss = np.abs(candidates - blocks[k, one, two]).max(axis=(1, 2))
            assert np.nanmin(miss) < 1e-12


def test_full_tensor_for_the_arrows():
    where = st.patch("honeycomb", 8.0, angle=25)
    tensor, lattice = st.symmetric_tensor(where), fit_lattice(where)
    pairs = average_equivalent_pairs(tensor, lattice)
    full = pairs.full_tensor(radius=3.0)
    assert full.G.shape == (13, 2, 13, 2)
    np.testing.assert_allclose(full.positions[full.reference], 0, atol=1e-12)
    np.testing.assert_allclose(full.G, st.symmetric_tensor(full.positions), atol=1e-12)
    local = pairs.full_tensor(radius=3.0, local=True)
    nearest = local.positions[np.argsort(np.linalg.norm(local.positions, axis=1))[1:4]]
    assert np.abs(nearest - [0, 2.504 / math.sqrt(3)]).max(axis=1).min() < 1e-6  # one lies on local x
    np.testing.assert_allclose(local.G, st.symmetric_tensor(local.positions), atol=1e-12)
    assert ck.plot.correlation_arrows(*full) is not None


def test_pairs_between_two_distances_are_a_shell():
    where = st.patch("honeycomb", 8.0, angle=25)
    tensor, lattice = noisy(where), fit_lattice(where)
    pairs = average_equivalent_pairs(tensor, lattice)
    for low, high, neighbours in ((0.0, 0.1, 1), (0.1, 1.9, 3), (1.9, 2.7, 6)):
        apart = np.linalg.norm(where[:, None] - where, axis=-1)
        one, other = np.nonzero((apart >= low) & (apart < high))
        shell = pairs.between(low, high)
        assert shell.shape == (2 * neighbours, 2, 2)  # of each of the two sites
        counts = pairs.counts[
            (pairs.counts > 0)
            & (abs(np.linalg.norm(pairs.vectors, axis=-1) - (low + high) / 2) <= (high - low) / 2)
        ]
        assert counts.sum() == len(one)
        expected = tensor[one, :, other].sum(axis=0)
        np.testing.assert_allclose(np.einsum("n,nab->ab", counts, shell), expected, atol=1e-12)


WHERE = st.patch("honeycomb", 6.0)
LATTICE = fit_lattice(WHERE)
TENSOR = st.symmetric_tensor(WHERE)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (TypeError, "lattice must be a Lattice", lambda: average_equivalent_pairs(TENSOR, WHERE)),
        (ValueError, "G must have shape", lambda: average_equivalent_pairs(TENSOR[:2, :, :2], LATTICE)),
        (ValueError, "G must be finite", lambda: average_equivalent_pairs(TENSOR + np.inf, LATTICE)),
        (TypeError, "G must hold real", lambda: average_equivalent_pairs(TENSOR + 1j, LATTICE)),
        (ValueError, "point_group", lambda: average_equivalent_pairs(TENSOR, LATTICE, point_group="all")),
        (ValueError, "does not map", lambda: lattice_operations(LATTICE, [st.turn(90)])),
        (ValueError, "more than 12", lambda: lattice_operations(LATTICE, [st.turn(7)])),
        (ValueError, "rotation or mirror", lambda: lattice_operations(LATTICE, [np.eye(2) * 2])),
        (ValueError, "tolerance", lambda: lattice_operations(LATTICE, tolerance=0)),
        (
            ValueError,
            "farthest must be at least 2",
            lambda: average_equivalent_pairs(TENSOR, LATTICE).between(2, 1),
        ),
        (ValueError, "site must be", lambda: average_equivalent_pairs(TENSOR, LATTICE).full_tensor(2)),
    ],
)
def test_refusals(error, match, call):
    with pytest.raises(error, match=match):
        call()


def test_from_images_to_pair_averages():
    columns, cell = st.silicon_110(4, 5)
    u = st.draw(st.covariance(columns, cell), 12, np.random.default_rng(3))
    images, size = st.phase_images(columns + u, cell, 0.2)
    found = ck.find_atoms(images.mean(axis=0), size)
    tracked = ck.track_atoms(images, found, size)
    lattice = fit_lattice(tracked.mean(axis=0))
    assert lattice.inside.all()
    pairs = average_equivalent_pairs(ck.greens_tensor(ck.displacements(tracked)), lattice)
    nearest = np.linalg.norm(found[:, None] - columns, axis=2).argmin(axis=1)
    truth = average_equivalent_pairs(ck.greens_tensor(ck.displacements(u[:, nearest])), lattice)
    near = (np.linalg.norm(pairs.vectors, axis=-1) < 3) & (pairs.counts > 0)
    np.testing.assert_allclose(pairs.tensors[near], truth.tensors[near], atol=0.03 * np.nanmax(truth.tensors))
