"""Intervals of CSM and LSM: coverage, what a perfect measurement gives, samples as references."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import caviar_kit as ck
from caviar_kit.vibrations import similarity_intervals
from caviar_kit.vibrations.similarity_intervals import FIGURES
from tests.vibrations import structures as st

WHERE = st.patch("silicon", 6.0)
ATOMS = len(WHERE)
TRUE = st.symmetric_tensor(WHERE)


def root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix.reshape(2 * ATOMS, -1))
    return vectors * np.sqrt(np.clip(values, 0, None))


def spoiled() -> np.ndarray:
    """Another covariance, partly the true one: a measurement that is not perfect."""
    square = np.random.default_rng(1).standard_normal((2 * ATOMS, 2 * ATOMS))
    return 0.7 * TRUE.reshape(2 * ATOMS, -1) + 0.3 * 0.0065 * square @ square.T / (2 * ATOMS)


PERFECT, MEASURED = root(TRUE), root(spoiled())


def draw(seed: int, scale: np.ndarray = MEASURED, states: int = 12, slices: int = 1) -> np.ndarray:
    normal = np.random.default_rng(seed).standard_normal((states, slices, 2 * ATOMS))
    return ck.displacements((normal @ scale.T).reshape(states, slices, ATOMS, 2))


def inside(found: list, figure: np.ndarray) -> np.ndarray:
    """Share [%] of the intervals that hold ``figure``, (shells, figures)."""
    return 100 * np.mean([(one.low <= figure) & (figure <= one.high) for one in found], axis=0)


@pytest.mark.parametrize(("states", "scale"), [(12, MEASURED), (12, PERFECT), (20, MEASURED)])
def test_interval_holds_the_mean_over_many_measurements(states, scale):
    found = [
        similarity_intervals(TRUE, draw(seed, scale, states), WHERE, draws=0).value
        for seed in range(500, 700)
    ]
    mean = np.mean(found, axis=0)
    trials = [similarity_intervals(TRUE, draw(seed, scale, states), WHERE, draws=0) for seed in range(100)]
    held = inside(trials, mean)
    assert held.min() >= 88  # 95 less three standard errors of 100 trials
    assert 94 <= held.mean() <= 99.5


def test_interval_does_not_hold_the_figure_of_infinitely_many_states():
    """As documented: few states lower CSM, and far pairs cannot tell chance from a real deviation."""
    trials = [similarity_intervals(TRUE, draw(seed, PERFECT), WHERE, draws=0) for seed in range(30)]
    far = trials[0].shells.index("all")
    assert inside(trials, np.ones((4, 4)))[far, 0] == 0


def test_a_sample_as_reference_widens_the_interval_and_keeps_the_coverage():
    def pair(seed: int):
        sample = draw(10_000 + seed, PERFECT, 30)[:, 0]
        return similarity_intervals(sample, draw(seed), WHERE)

    trials = [pair(seed) for seed in range(100)]
    mean = np.mean([one.value for one in trials], axis=0)
    held = inside(trials, mean)
    assert held.min() >= 88
    assert held.mean() <= 99.5
    fixed = similarity_intervals(ck.greens_tensor(draw(10_000, PERFECT, 30)), draw(0), WHERE)
    np.testing.assert_allclose(fixed.value, trials[0].value, rtol=1e-12)
    assert (fixed.standard_error < trials[0].standard_error).all()
    assert np.isnan(trials[0].perfect_low).all()
    assert np.isfinite(fixed.perfect_low).all()


def test_range_holds_perfect_measurements_and_not_uncorrelated_ones():
    perfect, einstein = [], []
    for seed in range(30):
        one = similarity_intervals(TRUE, draw(seed, PERFECT), WHERE, draws=80, seed=seed)
        perfect.append((one.perfect_low <= one.value) & (one.value <= one.perfect_high))
        alone = draw(seed, 0.07 * np.eye(2 * ATOMS))
        other = similarity_intervals(TRUE, alone, WHERE, draws=40)
        einstein.append(other.of("nearest")[0] < other.perfect_low[1, 0])
    assert 88 <= 100 * np.mean(perfect) <= 99
    assert all(einstein)


@pytest.mark.parametrize("slices", [1, 3])
def test_values_and_jackknife_are_those_of_the_plain_functions(slices):
    u = draw(3, states=6, slices=slices)
    found = similarity_intervals(TRUE, u, WHERE, draws=0)

    def figures(states: np.ndarray) -> np.ndarray:
        tensor = ck.greens_tensor(ck.displacements(states)) * len(states) / (len(states) - 1) * 5 / 6
        table = ck.compare_correlations(TRUE, tensor, WHERE)
        return np.array([[getattr(shell, name) for name in FIGURES] for shell in table.values()])

    np.testing.assert_allclose(found.value, figures(u), rtol=1e-12)
    without = np.array([figures(np.delete(u, n, axis=0)) for n in range(6)])
    error = np.sqrt(5 * without.var(axis=0))
    np.testing.assert_allclose(found.standard_error, error, rtol=1e-9)
    if slices > 1:
        by_slice = similarity_intervals(TRUE, u, WHERE, draws=0, over="slices")
        parts = np.array([figures(np.delete(u, k, axis=1)) for k in range(slices)])
        np.testing.assert_allclose(by_slice.standard_error, np.sqrt((slices - 1) * parts.var(axis=0)))


def test_lost_positions_are_left_out_pair_by_pair():
    u = draw(5, states=20)[:, 0]
    u[3, 5] = u[7, 5] = u[7, 9] = np.nan
    found, whole = (similarity_intervals(TRUE, x, WHERE, draws=0) for x in (u, draw(5, states=20)))
    tensor = ck.greens_tensor(ck.displacements(u, missing="state"), missing="pairwise")
    table = ck.compare_correlations(TRUE, tensor, WHERE)
    assert found.of("nearest")[0] == pytest.approx(table["nearest"].csm)
    np.testing.assert_allclose(found.standard_error[:3], whole.standard_error[:3], rtol=0.3)
    assert not np.array_equal(found.standard_error, whole.standard_error)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    quarters=some.integers(0, 3),
    mirror=some.booleans(),
    shift=some.floats(-20, 20),
    seed=some.integers(0, 1000),
)
def test_intervals_do_not_notice_quarter_turns_mirrors_and_shifts(quarters, mirror, shift, seed):
    turn = st.turn(90 * quarters) @ np.diag([-1.0 if mirror else 1.0, 1.0])
    u, sample = draw(seed), draw(seed + 1, PERFECT, 8)[:, 0]
    for reference, other in (
        (TRUE, np.einsum("ba,ibjc,cd->iajd", turn, TRUE, turn)),
        (sample, sample @ turn),
    ):
        plain = similarity_intervals(reference, u, WHERE, draws=0)
        turned = similarity_intervals(other, u @ turn, WHERE @ turn + shift, draws=0)
        for name in ("value", "low", "high"):
            np.testing.assert_allclose(getattr(turned, name), getattr(plain, name), atol=1e-9)


def test_reads_like_a_table_and_keeps_to_json():
    found = similarity_intervals(TRUE, draw(0), WHERE, draws=20)
    again = similarity_intervals(TRUE, draw(0), WHERE, draws=20)
    np.testing.assert_array_equal(found.perfect_high, again.perfect_high)
    assert len(str(found).splitlines()) == 17
    value, low, high = found.of("nearest", "lsm")
    assert low < value < high
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain["nearest"]["lsm"]["value"] == value
    still = similarity_intervals(0 * TRUE, draw(0), WHERE)
    assert still.as_dict()["nearest"]["csm"]["low"] is None
    with pytest.raises(ValueError, match="shell must be"):
        found.of("far")


U = draw(0)[:, 0]
LOST = U.copy()
LOST[2:, 4] = np.nan


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "reference must have shape", lambda: similarity_intervals(TRUE[:3], U, WHERE)),
        (ValueError, "reference must hold the", lambda: similarity_intervals(U[:, :3], U, WHERE)),
        (ValueError, "u must hold the", lambda: similarity_intervals(TRUE, U[:, :3], WHERE)),
        (ValueError, "so these are positions", lambda: similarity_intervals(TRUE, U + WHERE, WHERE)),
        (ValueError, "u: atoms .0, 1", lambda: similarity_intervals(TRUE, U * np.nan, WHERE)),
        (ValueError, r"u: atoms \[4\] are NaN in too many", lambda: similarity_intervals(TRUE, LOST, WHERE)),
        (ValueError, "over must be one of", lambda: similarity_intervals(TRUE, U, WHERE, over="atoms")),
        (ValueError, "over must be 'states'", lambda: similarity_intervals(U, draw(0), WHERE, over="slices")),
        (ValueError, "at least 3 states", lambda: similarity_intervals(TRUE, U[:2], WHERE)),
        (ValueError, "at least 2 slices", lambda: similarity_intervals(TRUE, U, WHERE, over="slices")),
        (ValueError, "level", lambda: similarity_intervals(TRUE, U, WHERE, level=1)),
        (ValueError, "draws", lambda: similarity_intervals(TRUE, U, WHERE, draws=-1)),
        (ValueError, "floor", lambda: similarity_intervals(TRUE, U, WHERE, floor=2)),
    ],
)
def test_refusals(error, match, call):
    with pytest.raises(error, match=match):
        call()
