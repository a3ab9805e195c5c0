"""The experiment's numbers: derived quantities, unit traps, advice."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from caviar_kit.simulation import Experiment

BASE = Experiment(
    energy_ev=200e3,
    semiangle_mrad=30,
    defocus_angstrom=150,
    scan_step_angstrom=0.6,
    scan_shape=(16, 16),
    centre_angstrom=(32.6, 18.0),
    window_angstrom=20,
    grid_points=144,
    detector_pixels=96,
)


def changed(**changes) -> Experiment:
    return replace(BASE, **changes)


@pytest.mark.parametrize("preset", [Experiment.tutorial, Experiment.quick, Experiment.paper])
def test_presets_need_no_advice(preset):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        experiment = preset()
    assert experiment.advice() == []
    assert experiment.detector_max_mrad > experiment.semiangle_mrad


def test_angles_follow_from_wavelength_and_window():
    experiment = changed(window_angstrom=25.0, grid_points=150, detector_pixels=100)
    assert experiment.wavelength_angstrom == pytest.approx(0.0250793, rel=1e-5)
    assert experiment.detector_pixel_mrad == pytest.approx(0.0250793 / 25 * 1e3, rel=1e-5)
    assert experiment.detector_max_mrad == pytest.approx(experiment.antialias_mrad)
    assert experiment.antialias_mrad == pytest.approx(0.0250793 / (3 * 25 / 150) * 1e3, rel=1e-5)
    assert experiment.object_sampling_angstrom == pytest.approx(0.25)


def test_scan_starts_half_its_extent_before_the_centre():
    experiment = changed(scan_shape=(3, 2), centre_angstrom=(10.0, 20.0), scan_step_angstrom=0.5)
    assert experiment.scan_origin_angstrom == pytest.approx((9.5, 19.75))
    np.testing.assert_allclose(
        experiment.scan_positions_angstrom, [[0, 0], [0, 0.5], [0.5, 0], [0.5, 0.5], [1, 0], [1, 0.5]]
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_angstrom": 18.5}, "tails wrap around"),
        ({"detector_pixels": 40}, "cuts the bright-field disc"),
        ({"defocus_angstrom": 0, "scan_step_angstrom": 0.8, "scan_shape": (4, 4)}, "overlap by 4%"),
    ],
)
def test_doubtful_settings_warn(changes, message):
    with pytest.warns(UserWarning, match=message):
        changed(**changes)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"energy_ev": 200}, ValueError, "given in keV"),
        ({"semiangle_mrad": 0.03}, ValueError, "given in radians"),
        ({"defocus_angstrom": 150e-10}, ValueError, "given in metres"),
        ({"defocus_angstrom": float("nan")}, ValueError, "defocus_angstrom must be"),
        ({"scan_step_angstrom": 6e-11}, ValueError, "given in metres"),
        ({"window_angstrom": 20e-10}, ValueError, "given in metres"),
        ({"window_angstrom": 17}, ValueError, "need 18.0 Å; enlarge the window"),
        ({"scan_shape": (30, 2)}, ValueError, "window_angstrom=20 is too small"),
        ({"scan_shape": 16}, TypeError, r"scan_shape must be a pair \(y, x\)"),
        ({"scan_shape": (16.0, 16)}, TypeError, "scan_shape must be an integer"),
        ({"scan_shape": (0, 16)}, ValueError, "scan_shape must be at least 1"),
        ({"centre_angstrom": (1, 2, 3)}, TypeError, "centre_angstrom must be a pair"),
        ({"centre_angstrom": (np.inf, 2)}, ValueError, "centre_angstrom must be finite"),
        ({"grid_points": 144.0}, TypeError, "grid_points must be an integer"),
        ({"detector_pixels": 145}, ValueError, "detector_pixels must be at least 4 and at most 144"),
        ({"source_fwhm_angstrom": -1}, ValueError, "source_fwhm_angstrom must be at least 0"),
        ({"source_fwhm_angstrom": 47e-12}, ValueError, "given in metres"),
        ({"source_fwhm_angstrom": 47}, ValueError, "given in picometres"),
        ({"source_fwhm_angstrom": None}, TypeError, "source_fwhm_angstrom must be a number"),
        ({"num_slices": 0}, ValueError, "num_slices must be at least 1"),
    ],
)
def test_bad_settings_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        changed(**changes)
