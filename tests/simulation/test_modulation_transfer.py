"""Detector blur: against convolutions in real space, and its conservation laws."""

import numpy as np
import pytest
from scipy import ndimage

from caviar_kit._py4dstem import datacube
from caviar_kit.simulation import applied_effects, apply_binning, apply_dose, apply_mtf


def patterns_cube(shape=(2, 3, 24, 21)):
    patterns = np.random.default_rng(3).random(shape).astype(np.float32)
    patterns /= patterns.sum(axis=(2, 3), keepdims=True)
    return datacube(patterns, scan_step_angstrom=0.5, detector_pixel_inverse_angstrom=0.1)


def wave(shape, cycles_y, cycles_x):
    """1 + a cosine with whole half periods along each axis: the detector's edge does not change it."""
    y, x = ((np.arange(n) + 0.5) / n for n in shape)
    return 1 + 0.8 * np.cos(np.pi * cycles_y * y)[:, None] * np.cos(np.pi * cycles_x * x)


def test_gaussian_mtf_is_a_gaussian_convolution():
    cube = patterns_cube()
    result = apply_mtf(cube, gaussian_rms_pixels=1.5)
    wanted = ndimage.gaussian_filter(cube.data[1, 2].astype(float), 1.5, mode="reflect", truncate=8)
    np.testing.assert_allclose(result.data[1, 2], wanted, rtol=1e-4)  # a sampled Gaussian aliases by 1e-5


@pytest.mark.parametrize(("half_y", "half_x"), [(3, 0), (0, 7), (9, 14)])
def test_contrast_of_a_wave_falls_by_the_mtf_at_its_frequency(half_y, half_x):
    shape = (24, 21)
    f_y, f_x = half_y / 48, half_x / 42  # cycles per pixel
    pattern = wave(shape, half_y, half_x)
    contrast = pattern - 1

    def transferred(**mtf):
        result = apply_mtf(pattern, **mtf).astype(float) - 1
        return (result * contrast).sum() / (contrast**2).sum()

    gaussian = np.exp(-2 * np.pi**2 * 0.8**2 * (f_y**2 + f_x**2))
    assert transferred(gaussian_rms_pixels=0.8) == pytest.approx(gaussian, abs=1e-6)
    pixel = np.sinc(f_y) * np.sinc(f_x)
    assert transferred(pixel_width=1) == pytest.approx(pixel, abs=1e-6)
    curve = np.interp(np.hypot(f_y, f_x), [0, 0.25, 0.5], [1, 0.7, 0.2])
    assert transferred(curve=[1, 0.7, 0.2]) == pytest.approx(curve, abs=1e-6)
    together = transferred(gaussian_rms_pixels=0.8, pixel_width=1, curve=[1, 0.7, 0.2])
    assert together == pytest.approx(gaussian * pixel * curve, abs=1e-6)


def test_a_pixel_that_integrates_at_nyquist_transfers_two_over_pi():
    pattern = wave((64, 64), 63, 0)  # 63/64 of Nyquist
    result = apply_mtf(pattern, pixel_width=1)
    assert np.ptp(result) / np.ptp(pattern) == pytest.approx(np.sinc(63 / 128), abs=1e-5)
    assert np.sinc(0.5) == pytest.approx(2 / np.pi)


def test_frequencies_beyond_nyquist_keep_the_last_value_of_the_curve():
    pattern = wave((40, 40), 36, 36)
    result = apply_mtf(pattern, curve=np.linspace(1, 0.3, 5)).astype(float) - 1
    np.testing.assert_allclose(result, 0.3 * (pattern - 1), atol=1e-6)


def test_every_electron_stays_and_none_comes_round_the_edge():
    pattern = np.zeros((30, 31))
    pattern[1, 2] = 1.0
    result = apply_mtf(pattern, gaussian_rms_pixels=2)
    assert result.sum() == pytest.approx(1, abs=1e-6)
    assert result[:12, :12].sum() == pytest.approx(1, abs=1e-5)
    cube = patterns_cube()
    for mtf in ({"gaussian_rms_pixels": 0.4}, {"pixel_width": 1}, {"curve": [1, 0.4, 0.1]}):
        blurred = apply_mtf(cube, **mtf).data
        np.testing.assert_allclose(blurred.sum(axis=(2, 3)), 1, atol=1e-6)
        assert blurred.min() >= 0


def test_ringing_at_a_sharp_rim_is_not_negative_and_costs_no_electrons():
    y, x = np.indices((32, 32)) - 16
    disc = (np.hypot(y, x) < 9).astype(float)
    result = apply_mtf(disc, pixel_width=1)
    assert result.min() == 0 and result.sum() == pytest.approx(disc.sum(), rel=1e-6)


def test_a_cube_keeps_its_calibration_and_the_input_is_left_alone():
    cube = patterns_cube()
    before = cube.data.copy()
    result = apply_mtf(cube, gaussian_rms_pixels=0, pixel_width=0)
    np.testing.assert_array_equal(cube.data, before)
    np.testing.assert_allclose(result.data, before, rtol=1e-5)
    assert result.data.dtype == np.float32
    assert result.calibration.get_Q_pixel_size() == 0.1
    assert applied_effects(result) == [
        {"effect": "modulation transfer", "gaussian_rms_pixels": 0.0, "pixel_width": 0.0}
    ]
    np.testing.assert_array_equal(
        apply_mtf(cube.data[0, 1], gaussian_rms_pixels=1), apply_mtf(cube, gaussian_rms_pixels=1).data[0, 1]
    )


def test_blur_binning_and_counting_follow_each_other():
    """Mean over many patterns: the noise is that of the blurred and binned intensity, uncorrelated."""
    cube = patterns_cube((1, 1, 24, 24))
    cube.data = np.repeat(cube.data, 1500, axis=1)
    ideal = apply_binning(apply_mtf(cube, gaussian_rms_pixels=1), 3)
    counted = apply_dose(ideal, electrons_per_pattern=5e3, seed=1)
    mean = 5e3 * ideal.data[0, 0].astype(float)
    counts = counted.data[0].astype(float)
    assert (abs(counts.mean(axis=0) - mean) < 4.5 * np.sqrt(mean / 1500)).all()
    assert (abs(counts.var(axis=0) / mean - 1) < 4.5 * np.sqrt(2 / 1500)).all()
    names = [done["effect"] for done in applied_effects(counted)]
    assert names == ["modulation transfer", "binning", "dose"]
    with pytest.raises(ValueError, match="modulation transfer cannot be applied after dose"):
        apply_mtf(counted, gaussian_rms_pixels=1)


@pytest.mark.parametrize(
    ("mtf", "error", "message"),
    [
        ({}, ValueError, "needs gaussian_rms_pixels, pixel_width or curve"),
        ({"gaussian_rms_pixels": -1}, ValueError, "gaussian_rms_pixels must be at least 0"),
        ({"gaussian_rms_pixels": "1"}, TypeError, "gaussian_rms_pixels must be a number"),
        ({"pixel_width": np.inf}, ValueError, "pixel_width must be"),
        ({"curve": [1.0]}, ValueError, "curve must have two values or more"),
        ({"curve": [0.5, 0.2]}, ValueError, "from frequency 0, where it is 1"),
        ({"curve": [1.0, 1.7]}, ValueError, "curve must lie between -1 and 1"),
        ({"curve": [[1.0, 0.5]]}, ValueError, r"curve must have shape \(any\)"),
        ({"curve": [1.0, np.nan]}, ValueError, "curve must be finite"),
    ],
)
def test_bad_arguments_are_refused(mtf, error, message):
    with pytest.raises(error, match=message):
        apply_mtf(patterns_cube(), **mtf)


def test_what_is_no_pattern_is_refused():
    with pytest.raises(TypeError, match="patterns must be a py4DSTEM.DataCube"):
        apply_mtf("pattern", gaussian_rms_pixels=1)
