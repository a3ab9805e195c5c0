"""Random displacement fields and the states they make."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.ndimage import gaussian_filter

from caviar_kit.multislice.ensemble import displacement_fields, thermal_states

SAMPLING = (0.2, 0.15)


def fields(count=6, shape=(40, 50), rms=0.07, correlation=0.8, seed=0):
    return displacement_fields(count, shape, SAMPLING, rms, correlation, np.random.default_rng(seed))


def blobs(dtype=np.float64) -> np.ndarray:
    """A one-state phase object (1, 2, y, x) with smooth atoms."""
    points = np.zeros((1, 2, 48, 60))
    points[..., 8:44:9, 8:56:12] = 1
    return (gaussian_filter(points, (0, 0, 1.5, 1.5)) * 7).astype(dtype)


@given(count=some.integers(2, 8), rms=some.floats(0, 0.3), correlation=some.floats(0, 2))
def test_fields_have_the_rms_asked_for_and_no_mean(count, rms, correlation):
    drawn = fields(count, rms=rms, correlation=correlation)
    assert drawn.shape == (count, 2, 40, 50)
    angstrom = drawn * np.array(SAMPLING)[:, None, None]
    assert np.sqrt((angstrom**2).mean()) == pytest.approx(rms, rel=1e-3, abs=1e-12)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=1e-12)


def test_fields_are_smooth_over_the_correlation_length():
    """White noise smoothed by σ has the autocorrelation exp(-r²/4σ²)."""
    drawn = fields(40, (120, 160))
    for axis, pixel in enumerate(SAMPLING):
        lag = round(0.8 / pixel)
        shifted = np.roll(drawn, lag, axis=2 + axis)
        expected = np.exp(-((lag * pixel) ** 2) / (4 * 0.8**2))
        assert (drawn * shifted).mean() / (drawn**2).mean() == pytest.approx(expected, abs=0.05)


def test_axes_and_states_are_independent():
    drawn = fields(30, (120, 160))
    flat = drawn.reshape(60, -1)
    off_diagonal = np.corrcoef(flat)[~np.eye(60, dtype=bool)]
    expected = np.sqrt(2 * np.pi * 0.8**2 / (24 * 24))  # √(∫ρ² dA / A), ρ the autocorrelation
    assert np.sqrt((off_diagonal**2).mean()) == pytest.approx(expected, rel=0.2)
    assert abs(off_diagonal.mean()) < 0.03


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_mean_of_the_states_is_the_object(dtype):
    mean = np.exp(1j * blobs()).astype(dtype) if np.dtype(dtype).kind == "c" else blobs(dtype)
    drawn = thermal_states(mean, 7, SAMPLING, rng=np.random.default_rng(0))
    assert drawn.shape == (7, *mean.shape[1:])
    assert drawn.dtype == dtype
    precision = np.finfo(dtype).eps
    np.testing.assert_allclose(drawn.mean(axis=0, dtype=complex), mean[0], atol=4 * precision)
    assert abs(drawn - mean).max() > 0.01


def test_states_vibrate_by_the_rms_asked_for():
    mean = blobs()
    drawn = thermal_states(
        mean, 40, SAMPLING, rms_angstrom=0.06, correlation_angstrom=0.8, rng=np.random.default_rng(0)
    )[:, 0]
    y, x = np.arange(-5, 6)[:, None], np.arange(-5, 6)[None]
    moved = []
    for row in range(8, 44, 9):
        for col in range(8, 56, 12):
            cut = drawn[:, row - 5 : row + 6, col - 5 : col + 6]
            weight = cut.sum(axis=(1, 2))
            moved.append(
                [
                    (cut * y).sum(axis=(1, 2)) / weight * SAMPLING[0],
                    (cut * x).sum(axis=(1, 2)) / weight * SAMPLING[1],
                ]
            )
    rms = np.std(moved, axis=(0, 2))
    np.testing.assert_allclose(rms, 0.06, rtol=0.25)


def test_slices_of_a_state_move_together():
    drawn = thermal_states(blobs(), 3, SAMPLING, rng=np.random.default_rng(0))
    np.testing.assert_allclose(drawn[:, 0], drawn[:, 1])


def test_slices_that_are_warped_apart_have_nothing_in_common():
    layers = np.repeat(blobs()[:, :1], 2, axis=1)
    drawn = thermal_states(layers, 40, SAMPLING, slices_together=False, rng=np.random.default_rng(0))
    change = (drawn - layers).reshape(40, 2, -1)
    first, second = change[:, 0].ravel(), change[:, 1].ravel()
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    assert first.std() == pytest.approx(second.std(), rel=0.1)
    np.testing.assert_allclose(drawn.mean(axis=0), layers[0], atol=1e-6)


def test_one_state_is_a_copy():
    mean = blobs()
    same = thermal_states(mean, 1, SAMPLING, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(same, mean)
    assert not np.shares_memory(same, mean)


def test_states_repeat_bit_for_bit_with_their_seed():
    first, again, other = (
        thermal_states(blobs(), 3, SAMPLING, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "count must be at least 2", lambda: fields(count=1)),
        (ValueError, "rms_angstrom", lambda: fields(rms=-0.1)),
        (ValueError, "rms_angstrom", lambda: fields(rms=np.nan)),
        (ValueError, "correlation_angstrom", lambda: fields(correlation=-1)),
        (
            TypeError,
            "num_states",
            lambda: thermal_states(blobs(), 2.0, SAMPLING, rng=np.random.default_rng()),
        ),
        (ValueError, "num_states", lambda: thermal_states(blobs(), 0, SAMPLING, rng=np.random.default_rng())),
        (
            ValueError,
            "mean_object must have shape",
            lambda: thermal_states(blobs()[0], 2, SAMPLING, rng=np.random.default_rng()),
        ),
        (
            ValueError,
            "mean_object must have shape",
            lambda: thermal_states(np.repeat(blobs(), 2, 0), 2, SAMPLING, rng=np.random.default_rng()),
        ),
        (
            ValueError,
            "sampling must have shape",
            lambda: thermal_states(blobs(), 2, 0.2, rng=np.random.default_rng()),
        ),
    ],
)
def test_bad_input_is_refused(error, match, call):
    with pytest.raises(error, match=match):
        call()
