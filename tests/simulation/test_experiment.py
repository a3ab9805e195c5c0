"""The experiment's numbers: derived quantities, unit traps, advice."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

from caviar_kit.simulation import Experiment, Snapshots, scan
from caviar_kit.simulation.advice import specimen_advice

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
    experiment = changed(semiangle_mrad=25, window_angstrom=25.0, grid_points=150, detector_pixels=100)
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
        ({"grid_points": 120, "detector_pixels": 80}, r"band ends at 50.2 mrad, below 2α = 60.0 mrad"),
        (
            {"defocus_angstrom": 0, "scan_shape": (1, 1), "source_fwhm_angstrom": 0.9},
            "source is 0.90 Å wide, more than the probe",
        ),
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
        ({"grid_points": 70, "detector_pixels": 70}, ValueError, "band ends at 29.3 mrad.*take 144 or more"),
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


def slab(thickness: float, side: float = 40.0) -> Snapshots:
    positions = np.array([[[1.0, 1.0, 1.0]]])
    return Snapshots(positions, [14], np.diag([side, side, thickness]), positions[0], 0.0)


def test_a_specimen_around_the_crossover_needs_no_advice():
    """The crossover, 150 Å down, lies inside: no surface sees a wider probe than the entrance."""
    assert specimen_advice(slab(150), changed(num_slices=30)) == []
    assert specimen_advice(slab(299), changed(num_slices=60)) == []


@pytest.mark.parametrize(
    ("specimen", "changes", "message"),
    [
        (slab(150), {"defocus_angstrom": -100, "num_slices": 30}, "radius of 7.50 Å.*leaves -2.00 Å"),
        (slab(350), {"num_slices": 80}, "at the exit surface, 350 Å down.* radius of 6.00 Å"),
        (slab(150), {"num_slices": 20}, "slices are 7.5 Å thick, .*27.9 Å: raise num_slices"),
        (slab(7, side=8.0), {}, "field of 9.0 × 9.0 Å is larger than the specimen's cell of 8.0 × 8.0 Å"),
    ],
)
def test_thick_and_small_specimens_are_advised_upon(specimen, changes, message):
    (line,) = specimen_advice(specimen, changed(**changes))
    assert re.search(message, line)


def test_scan_passes_the_advice_on():
    one = changed(scan_shape=(1, 1), num_slices=1, window_angstrom=13, grid_points=100, detector_pixels=40)
    with pytest.warns(UserWarning, match="raise num_slices"):
        scan(slab(8), replace(one, centre_angstrom=(1.0, 1.0)))
