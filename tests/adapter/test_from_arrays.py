"""Plain arrays become a calibrated instance; what does not fit together is refused."""

from __future__ import annotations

import numpy as np
import pytest

import caviar_kit as ck
from tests.adapter.problems import OPTICS, PIXEL, SAME_FRAME, SCAN, STEP, WINDOW, build

PATTERNS = np.random.default_rng(0).random((*SCAN, WINDOW, WINDOW), dtype=np.float32)
RASTER = STEP * np.stack(np.meshgrid(*map(np.arange, SCAN), indexing="ij"), -1).reshape(-1, 2)
SLICES = {"num_slices": 3, "slice_thicknesses": 8.0, **OPTICS}


def test_a_raster_is_calibrated_and_ready_for_preprocess():
    ptycho = build(PATTERNS)
    assert isinstance(ptycho, ck.MixedObjectMultislicePtychography)
    calibration = ptycho._datacube.calibration
    assert (calibration.get_R_pixel_size(), calibration.get_R_pixel_units()) == (STEP, "A")
    assert calibration.get_Q_pixel_size() == pytest.approx(1 / (WINDOW * PIXEL))
    assert calibration.get_Q_pixel_units() == "A^-1"
    ptycho.preprocess(**SAME_FRAME)
    assert ptycho.sampling == pytest.approx((PIXEL, PIXEL), rel=1e-5)
    positions = ptycho.scan_positions_angstrom
    np.testing.assert_allclose(positions - positions[0], RASTER, atol=1e-4)
    np.testing.assert_array_equal(
        np.fft.fftshift(ptycho._amplitudes[7], axes=(0, 1)), np.sqrt(PATTERNS.reshape(-1, WINDOW, WINDOW)[7])
    )


@pytest.mark.parametrize("shape", [SCAN, (30,)])
def test_listed_positions_place_each_pattern(shape):
    listed = RASTER + 0.1 * np.random.default_rng(1).standard_normal(RASTER.shape)
    patterns = PATTERNS.reshape(*shape, WINDOW, WINDOW)
    positions = listed.reshape(*shape, 2)
    ptycho = build(patterns, positions_angstrom=positions + 37.0).preprocess(**SAME_FRAME)
    found = ptycho.scan_positions_angstrom
    np.testing.assert_allclose(found - found[0], listed - listed[0], atol=1e-4)
    turned = build(patterns, positions_angstrom=positions)
    found = turned.preprocess(force_com_rotation=90, **SAME_FRAME).scan_positions_angstrom
    expected = (listed - listed[0])[:, ::-1] * (1, -1)
    np.testing.assert_allclose(found - found[0], expected, atol=1e-3)


def test_a_list_of_patterns_can_be_masked_and_reconstructed():
    mask = np.ones((30, 1), bool)
    mask[4] = False
    ptycho = build(
        PATTERNS.reshape(30, WINDOW, WINDOW), positions_angstrom=RASTER, positions_mask=mask
    ).preprocess(**SAME_FRAME)
    ptycho.reconstruct(1, one_state_iter=2, progress_bar=False)
    assert ptycho.object.shape[:2] == (3, 3)
    assert len(ptycho.scan_positions_angstrom) == 29


def test_the_real_space_pixel_says_the_same_as_the_detector_pixel():
    by_pixel = build(PATTERNS, sampling_angstrom=PIXEL, detector_pixel_inverse_angstrom=None)
    assert by_pixel._datacube.calibration.get_Q_pixel_size() == pytest.approx(1 / (WINDOW * PIXEL))


@pytest.mark.parametrize(
    ("patterns", "changes", "error", "message"),
    [
        (PATTERNS[0, 0], {}, ValueError, "patterns must be real"),
        (PATTERNS[:0], {}, ValueError, "patterns must be real"),
        (PATTERNS + 1j, {}, ValueError, "patterns must be real"),
        (PATTERNS, {"scan_step_angstrom": None}, ValueError, "either scan_step_angstrom or positions"),
        (
            PATTERNS,
            {"scan_step_angstrom": STEP, "positions_angstrom": RASTER},
            ValueError,
            "either scan_step",
        ),
        (PATTERNS[0], {}, ValueError, "need positions_angstrom, not a scan step"),
        (PATTERNS, {"scan_step_angstrom": 8.1e-11}, ValueError, "scan_step_angstrom .* in metres"),
        (PATTERNS, {"positions_angstrom": RASTER[1:]}, ValueError, r"must have shape \(30, 2\)"),
        (PATTERNS, {"positions_angstrom": RASTER + np.inf}, ValueError, "positions_angstrom must be finite"),
        (PATTERNS, {"positions_angstrom": RASTER * 1e-10}, ValueError, "neighbouring positions_angstrom"),
        (PATTERNS, {"positions_angstrom": 0 * RASTER}, ValueError, "neighbouring positions_angstrom"),
        (PATTERNS[:1, :1], {"positions_angstrom": RASTER[:1]}, ValueError, "at least two positions"),
        (PATTERNS, {"detector_pixel_inverse_angstrom": None}, ValueError, "either detector_pixel"),
        (PATTERNS, {"sampling_angstrom": PIXEL}, ValueError, "either detector_pixel"),
        (PATTERNS, {"detector_pixel_inverse_angstrom": 0.0}, ValueError, "detector_pixel_inverse_angstrom"),
        (
            PATTERNS[..., :20],
            {"sampling_angstrom": PIXEL, "detector_pixel_inverse_angstrom": None},
            ValueError,
            "needs square patterns",
        ),
        (PATTERNS, {"datacube": None}, ValueError, "makes datacube itself"),
        (PATTERNS, {"flavour": 1}, ValueError, "flavour"),
    ],
)
def test_bad_input_is_refused(patterns, changes, error, message):
    with pytest.raises(error, match=message):
        build(patterns, **changes)


def test_initial_positions_have_another_name_here():
    with pytest.raises(ValueError, match="give positions_angstrom"):
        ck.MixedObjectMultislicePtychography.from_arrays(PATTERNS, initial_scan_positions=RASTER, **SLICES)


def test_patterns_that_no_fit_can_use_are_refused_by_preprocess():
    spoilt = PATTERNS.copy()
    spoilt[1, 2, 3, 4] = np.nan
    with pytest.raises(ValueError, match="finite"):
        build(spoilt).preprocess(**SAME_FRAME)


def test_it_can_be_saved_shown_without_data_and_resumed(tmp_path):
    listed = RASTER + 0.05
    patterns = PATTERNS.reshape(30, WINDOW, WINDOW)
    ptycho = build(patterns, positions_angstrom=listed).preprocess(**SAME_FRAME)
    ptycho.reconstruct(1, one_state_iter=1, progress_bar=False).save(tmp_path / "fit.h5")
    read = ck.read(tmp_path / "fit.h5")
    np.testing.assert_allclose(read.object_cropped, ptycho.object_cropped)
    np.testing.assert_allclose(read.object_fft, ptycho.object_fft)
    read.attach_datacube(ptycho._datacube).preprocess(**SAME_FRAME)
    np.testing.assert_array_equal(read.scan_positions_angstrom, ptycho.scan_positions_angstrom)
    read.reconstruct(1, reset=False, progress_bar=False)
    assert len(read.error_iterations) == 3
