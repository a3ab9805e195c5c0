"""The description of an experiment: what it derives and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from tests.multislice.problems import model


def test_windows_begin_half_a_window_before_the_nearest_pixel():
    geometry = model()
    centres = geometry.sampler.corners + np.array(geometry.window) // 2
    assert abs(centres - geometry.positions).max() <= 0.5


def test_slices_are_one_more_than_gaps():
    assert model().num_slices == 4
    assert model(thicknesses=()).num_slices == 1


def test_without_band_limit_nothing_is_masked():
    assert model().detector_limit() is None
    assert model().object_limit() is None
    np.testing.assert_allclose(np.abs(model().transfers()), 1)


def test_band_limit_is_a_fraction_of_the_lower_nyquist_frequency():
    geometry = model(window=(30, 40), object_shape=(60, 60), positions=[[20, 20]], band_limit=0.5)
    kept = geometry.detector_limit()
    assert kept[0, 0] == 1
    cutoff = 0.5 * 0.5 / 0.21  # 1/Å: the larger pixel, 0.21 Å along y, has the lower Nyquist frequency
    ky = np.fft.fftfreq(30, 0.21)
    np.testing.assert_array_equal(kept[:, 0] == 1, abs(ky) < cutoff)
    for transfer in geometry.transfers():
        np.testing.assert_array_equal(abs(transfer) > 0.5, kept == 1)
    assert geometry.object_limit().shape == (60, 60)


def test_model_is_a_copy_of_what_it_was_given():
    positions = np.array([[8.0, 9.0]])
    geometry = model(positions=positions)
    positions[:] = 0
    np.testing.assert_array_equal(geometry.positions, [[8, 9]])


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"window": (12.0, 15)}, TypeError, "window must be an integer"),
        ({"window": (1, 15)}, ValueError, "window must be at least 2"),
        ({"window": 12}, TypeError, "window must be a pair"),
        ({"window": (19, 15)}, ValueError, "do not fit the field"),
        ({"object_shape": (18, 22, 3)}, TypeError, "object_shape must be a pair"),
        ({"object_shape": (16, 22)}, ValueError, r"windows of \(12, 15\) pixels .* do not fit the field"),
        ({"sampling": 0.2}, TypeError, "sampling must be a pair"),
        ({"sampling": (0.2, 0)}, ValueError, r"sampling must be above 0 and finite \[Å\]"),
        ({"sampling": (0.2, np.nan)}, ValueError, "sampling"),
        ({"wavelength": 0}, ValueError, "wavelength must be above 0"),
        ({"wavelength": "200 kV"}, TypeError, "wavelength must be a number"),
        ({"thicknesses": 3.0}, TypeError, "thicknesses must be a sequence"),
        ({"thicknesses": (3.0, -1)}, ValueError, "thicknesses must be above 0"),
        ({"thicknesses": (np.inf,)}, ValueError, "thicknesses"),
        ({"positions": [[6, 7, 8]]}, ValueError, r"positions must have shape \(any, 2\)"),
        ({"positions": np.zeros((0, 2))}, ValueError, "positions is empty"),
        ({"positions": [[6, np.nan]]}, ValueError, "positions must be finite"),
        ({"positions": [[5, 7]]}, ValueError, "do not fit the field"),
        ({"tilt_mrad": 3.0}, TypeError, "tilt_mrad must be a pair"),
        ({"tilt_mrad": (0, np.nan)}, ValueError, "tilt_mrad"),
        ({"tilt_mrad": (0, 2000)}, ValueError, r"tilt_mrad must be at least -500 .* \[mrad\]"),
        ({"band_limit": 0}, ValueError, "band_limit must be above 0"),
        ({"band_limit": 1.5}, ValueError, "band_limit must be above 0 and at most 1"),
    ],
)
def test_impossible_experiments_are_refused(changes, error, match):
    with pytest.raises(error, match=match):
        model(**changes)
