"""Intervals cover the truth as often as they say; estimates are unbiased."""

from __future__ import annotations

import math

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.vibrations import (
    average_equivalent_pairs,
    fit_lattice,
    pair_intervals,
    shell_intervals,
    tensor_intervals,
)
from tests.vibrations import structures as st

WHERE = st.patch("honeycomb", 6.5)
LATTICE = fit_lattice(WHERE)
TENSOR = st.symmetric_tensor(WHERE)
TRUTH = average_equivalent_pairs(TENSOR, LATTICE)
STATES, TRIALS = 12, 100


def root(tensor: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(tensor.reshape(2 * len(tensor), -1))
    return vectors * np.sqrt(np.clip(values, 0, None))


ROOT = root(TENSOR)


def draw(seed: int, states: int = STATES, slices: int = 1, scale: np.ndarray = ROOT) -> np.ndarray:
    normal = np.random.default_rng(seed).standard_normal((states, slices, len(scale)))
    return ck.displacements((normal @ scale.T).reshape(states, slices, -1, 2))


def near(reach: float) -> np.ndarray:
    """Elements of the pair tensors up to ``reach`` [Å], first atom on site 0."""
    mask = (np.linalg.norm(TRUTH.vectors, axis=-1) < reach) & (TRUTH.counts > 0)
    mask[:, 1] = False
    return mask


def coverage(intervals: list, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    held = [(one.low[mask] <= truth[mask]) & (truth[mask] <= one.high[mask]) for one in intervals]
    return 100 * np.mean(held, axis=0)


@pytest.mark.parametrize("method", ["jackknife", "bootstrap"])
def test_interval_over_states_covers_the_truth(method):
    found = [
        pair_intervals(draw(seed), LATTICE, method=method, radius=3.0, resamples=400, seed=seed)
        for seed in range(TRIALS)
    ]
    mask = near(2.0)  # both self terms of site 0 and its bonds
    held = coverage(found, TRUTH.tensors, mask)
    assert 90 <= held.mean() <= 99
    assert held.min() >= 86  # of many elements the worst


@pytest.mark.parametrize("method", ["jackknife", "bootstrap"])
def test_interval_of_shells_covers_the_truth(method):
    truth = ck.vibrations.shell_intervals(draw(0), WHERE).value * 0
    exact = {name: [] for name in ("self", "nearest", "next")}
    shells = ck.vibrations.neighbour_shells(WHERE)
    for name in exact:
        i, j = np.nonzero(shells.mask(name))
        apart = WHERE[j] - WHERE[i]
        length = np.linalg.norm(apart, axis=1)
        along = np.where(length[:, None] > 0, apart / np.maximum(length, 1e-9)[:, None], [0, 1])
        frame = np.stack([np.stack([along[:, 1], -along[:, 0]], 1), along], 1)
        exact[name] = np.einsum("pab,pbc,pdc->pad", frame, TENSOR[i, :, j, :], frame).mean(axis=0)
    truth[:3] = list(exact.values())
    found = [
        shell_intervals(draw(seed), WHERE, method=method, resamples=300, seed=seed) for seed in range(TRIALS)
    ]
    mask = np.zeros((4, 2, 2), bool)
    mask[:3] = np.eye(2, dtype=bool)
    held = coverage(found, truth, mask)
    assert 90 <= held.mean() <= 99
    assert (held >= 88).all()


@pytest.mark.parametrize("method", ["jackknife", "bootstrap"])
def test_interval_over_independent_cells_and_slices_covers_the_truth(method):
    # with independent atoms cells are independent, as over="cells" assumes
    scale = 0.07 * np.eye(2 * len(WHERE))
    sets = {"cells": draw, "slices": draw}
    for over in sets:
        slices = 10 if over == "slices" else 1
        found = [
            pair_intervals(
                draw(seed, 24 if slices == 1 else 12, slices, scale),
                LATTICE,
                over=over,
                method=method,
                radius=0.1,
                resamples=200,
            )
            for seed in range(40)
        ]
        truth = np.broadcast_to(0.07**2 * np.eye(2), TRUTH.tensors.shape)
        held = coverage(found, truth, near(0.1))
        assert 88 <= held.mean() <= 100


def test_several_kinds_of_units_are_conservative():
    found = [
        pair_intervals(
            draw(seed),
            LATTICE,
            over=("states", "cells"),
            method="bootstrap",
            radius=2.0,
            resamples=100,
            seed=seed,
        )
        for seed in range(40)
    ]
    assert coverage(found, TRUTH.tensors, near(2.0)).mean() >= 90


def test_value_is_the_unbiased_mean_of_the_pair_averages():
    u = draw(3, slices=3)
    pairs = average_equivalent_pairs(ck.greens_tensor(u), LATTICE)
    for method in ("jackknife", "bootstrap"):
        for over in ("states", "slices", "cells"):
            found = pair_intervals(u, LATTICE, over=over, method=method, resamples=100)
            np.testing.assert_array_equal(found.cells, pairs.cells)
            np.testing.assert_allclose(found.value, pairs.tensors * STATES / (STATES - 1), atol=1e-15)
            seen = pairs.counts > 1
            assert (found.low[seen] <= found.value[seen] + 1e-12).all()


@pytest.mark.parametrize("group", [None, "site", "lattice"])
def test_jackknife_is_the_exact_one(group):
    u = draw(5)
    found = pair_intervals(u, LATTICE, point_group=group)

    def estimate(states: np.ndarray) -> np.ndarray:
        tensor = ck.greens_tensor(ck.displacements(states))
        pairs = average_equivalent_pairs(tensor, LATTICE, point_group=group)
        np.testing.assert_array_equal(pairs.cells, found.cells)
        return pairs.tensors * len(states) / (len(states) - 1)

    np.testing.assert_allclose(found.value, estimate(u), atol=1e-15)

    without = np.array([estimate(np.delete(u, n, axis=0)) for n in range(STATES)])
    error = np.sqrt((STATES - 1) * ((without - without.mean(axis=0)) ** 2).mean(axis=0))
    np.testing.assert_allclose(found.standard_error, error, rtol=1e-9, atol=1e-15)


def test_single_pairs_are_the_tensor_and_cover_the_truth_almost():
    u = draw(6, slices=2)
    found = tensor_intervals(u)
    np.testing.assert_allclose(found.value, ck.greens_tensor(u) * STATES / (STATES - 1), atol=1e-15)
    assert np.array_equal(found.low, found.low.transpose(2, 3, 0, 1))
    held = []
    for seed in range(40):
        one = tensor_intervals(draw(seed, 20))
        held.append((one.low <= TENSOR) & (TENSOR <= one.high))
    assert 0.88 < np.mean(held) < 0.97


def test_missing_positions_are_left_out():
    u = draw(1, 60)
    u[7, 0, 4] = u[9, 0, 11] = np.nan
    found = pair_intervals(u, LATTICE, radius=2.0)
    whole = pair_intervals(draw(1, 60), LATTICE, radius=2.0)
    mask = near(1.6)
    assert np.isfinite(found.low[mask]).all()
    np.testing.assert_allclose(found.value[mask], whole.value[mask], atol=0.1 * TENSOR.max())
    assert not (found.value[mask] == whole.value[mask]).all()


def test_same_seed_same_bits():
    u = draw(2)
    one, two, other = (
        pair_intervals(u, LATTICE, method="bootstrap", resamples=100, radius=2.0, seed=seed)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.low, two.low)
    assert np.nanmax(np.abs(one.low - other.low)) > 0


def test_shells_do_not_notice_rotation():
    u = draw(4)
    matrix = st.turn(31) @ np.diag([-1.0, 1.0])
    plain, turned = shell_intervals(u, WHERE), shell_intervals(u @ matrix, WHERE @ matrix)
    for field in ("value", "low", "high", "standard_error"):
        a, b = getattr(plain, field), getattr(turned, field)
        diagonal = (slice(1, 4), [0, 1], [0, 1])
        np.testing.assert_allclose(a[diagonal], b[diagonal], atol=1e-12)
    assert math.isclose(np.trace(plain.value[0]), np.trace(turned.value[0]))


U = draw(0)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "over must be one of", lambda: pair_intervals(U, LATTICE, over="atoms")),
        (ValueError, "over must be one of", lambda: shell_intervals(U, WHERE, over="cells")),
        (ValueError, "over must be one of", lambda: tensor_intervals(U, over="cells")),
        (ValueError, "one kind of unit", lambda: pair_intervals(U, LATTICE, over=("states", "cells"))),
        (ValueError, "once each", lambda: pair_intervals(U, LATTICE, over=("states", "states"))),
        (ValueError, "at least 3 units", lambda: pair_intervals(U[:2], LATTICE)),
        (ValueError, "at least 2 units", lambda: pair_intervals(U, LATTICE, over="slices")),
        (ValueError, "u must hold", lambda: pair_intervals(U[:, :, :5], LATTICE)),
        (ValueError, "positions must hold", lambda: shell_intervals(U, WHERE[:5])),
        (ValueError, "point_group", lambda: pair_intervals(U, LATTICE, point_group="all")),
        (TypeError, "lattice", lambda: pair_intervals(U, WHERE)),
        (ValueError, "method", lambda: pair_intervals(U, LATTICE, method="normal")),
        (ValueError, "level", lambda: pair_intervals(U, LATTICE, level=1.0)),
        (ValueError, "resamples", lambda: pair_intervals(U, LATTICE, method="bootstrap", resamples=10)),
        (ValueError, "u must be finite", lambda: pair_intervals(U + np.inf, LATTICE)),
    ],
)
def test_refusals(error, match, call):
    with pytest.raises(error, match=match):
        call()
