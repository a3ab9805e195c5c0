"""Each recommended number by its formula, and the survey that feeds them."""

import math

import numpy as np
import pytest

from caviar_kit._py4dstem import datacube
from caviar_kit.calibration import (
    ideal_probe,
    probe_diameter,
    recommend,
    recommend_loss,
    recommend_slices,
    recommend_step,
    recommend_window,
    survey,
    thickest_slice,
)
from caviar_kit.multislice.operators import FresnelPropagator
from caviar_kit.physics import electron_wavelength
from caviar_kit.simulation import Experiment

RNG = np.random.default_rng(5)
WAVELENGTH = electron_wavelength(200e3)


def counted(shape=(4, 5, 32, 32), radius=9.0, dtype=np.uint16, mean=20):
    """Poisson counts of a disc at (15, 17) that moves a little, (Ry, Rx, Qy, Qx)."""
    y, x = np.indices(shape[2:])
    moved = RNG.normal(0, 0.3, (2, *shape[:2], 1, 1))
    disc = np.hypot(y - 15 - moved[0], x - 17 - moved[1]) < radius
    return RNG.poisson(mean * disc + 1.0).astype(dtype)


def cube(data=None, step=0.5, pixel=0.05):
    data = counted() if data is None else data
    return datacube(data, scan_step_angstrom=step, detector_pixel_inverse_angstrom=pixel)


# Slices ------------------------------------------------------------------------------------


def test_within_the_thickest_slice_a_wave_at_the_edge_errs_by_a_quarter_of_pi():
    """An atom half a slice away from where its slice acts, by the kit's own propagator."""
    angle, points, sampling = 40.0, 128, 0.1
    half = thickest_slice(200e3, angle) / 2
    spectrum = np.zeros((points, points), complex)
    index = round(1e-3 * angle / WAVELENGTH * points * sampling)
    spectrum[0, 0] = spectrum[0, index] = 1.0
    propagated = np.fft.fft2(
        FresnelPropagator((points, points), (sampling, sampling), WAVELENGTH, half).forward(
            np.fft.ifft2(spectrum)
        )
    )
    exact = (index / (points * sampling) / (1e-3 * angle / WAVELENGTH)) ** 2  # the nearest frequency's share
    assert np.angle(propagated[0, index] / propagated[0, 0]) == pytest.approx(-math.pi / 4 * exact, rel=1e-6)


def test_slices_follow_the_formula():
    most = WAVELENGTH / (2 * 0.06**2)
    assert thickest_slice(200e3, 60) == pytest.approx(most)
    advice = recommend_slices(50, 200e3, 30)
    count = math.ceil(50 / most)
    assert advice.values == {"num_slices": count, "slice_thicknesses": 50 / count}
    assert f"{count} slices" in advice.reason and f"{most:.3g} Å" in advice.reason
    narrow = recommend_slices(50, 200e3, 30, detector_mrad=40)
    assert narrow.values["num_slices"] == math.ceil(50 / (WAVELENGTH / (2 * 0.04**2)))


def test_a_thin_specimen_is_one_slice_and_an_exact_multiple_not_one_more():
    assert recommend_slices(3, 200e3, 20).values == {"num_slices": 1, "slice_thicknesses": 3}
    assert recommend_slices(3 * thickest_slice(200e3, 40), 200e3, 20).values["num_slices"] == 3


# Step, window ------------------------------------------------------------------------------


def test_the_probe_is_as_wide_as_the_simulations_experiment_says():
    experiment = Experiment.quick()
    wanted = 2 * (experiment.probe_radius_angstrom + experiment.resolution_angstrom)
    assert probe_diameter(200e3, 30, 150) == pytest.approx(wanted)
    assert probe_diameter(200e3, 30, 150, 400) == pytest.approx(wanted + 2 * 0.03 * 100)
    assert probe_diameter(200e3, 30, -150) == pytest.approx(wanted)


@pytest.mark.parametrize("defocus", [-200.0, 0.0, 200.0])
def test_most_of_an_ideal_probe_is_within_its_diameter(defocus):
    probe = ideal_probe((256, 256), 0.1, 200e3, 30, defocus)
    y, x = 0.1 * (np.indices(probe.shape) - 128)
    inside = probe[np.hypot(y, x) < probe_diameter(200e3, 30, defocus) / 2].sum()
    assert probe.sum() == pytest.approx(1) and inside > 0.75
    centre = [(axis * probe).sum() for axis in (y, x)]
    np.testing.assert_allclose(centre, 0, atol=0.02)


def test_overlap_and_step():
    enough, few = recommend_step(0.5, 2.0), recommend_step(1.0, 2.0)
    assert enough.good and enough.values["overlap"] == pytest.approx(0.75)
    assert not few.good and few.values == {"scan_step": pytest.approx(0.8), "overlap": 0.5}
    assert recommend_step(0.8, 2.0).good  # 60 % exactly
    assert recommend_step(9.0, 2.0).values["overlap"] == 0 and "0.8 Å" in few.reason


def test_window_and_object():
    advice = recommend_window((64, 64), (96, 96), 1 / 18, 9.84, 0.62, (14, 14))
    assert advice.good and advice.values["window"] == pytest.approx(18)
    assert advice.values["padded_diffraction_intensities_shape"] == (96, 96)
    pixels = math.ceil(13 * 0.62 / (18 / 96)) + 96
    assert advice.values["object_shape"] == (pixels, pixels)
    assert not recommend_window((64, 64), (96, 96), 1 / 18, 15, 0.62, (14, 14)).good


# Likelihood --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_counts_want_the_poisson_likelihood(dtype):
    advice = recommend_loss(counted(dtype=dtype))
    assert advice.values == {"loss": "poisson"}
    assert "whole numbers" in advice.reason


def test_fractions_and_noise_below_zero_want_amplitudes():
    assert recommend_loss(counted() / 3.7).values == {"loss": "amplitude"}
    assert recommend_loss(counted().astype(float) - 1).values == {"loss": "amplitude"}


# Survey ------------------------------------------------------------------------------------


def test_a_survey_measures_the_cube_and_feeds_the_recommendations():
    measured = survey(cube())
    np.testing.assert_allclose(measured.centre, (15, 17), atol=0.3)
    assert measured.radius == pytest.approx(9, abs=0.3)
    assert measured.scan_shape == (4, 5) and measured.detector == (32, 32)
    assert measured.mrad_per_pixel(200e3) == pytest.approx(1e3 * 0.05 * WAVELENGTH)
    advice = recommend(measured, energy=200e3, semiangle_cutoff=11.3, defocus=100, thickness=80)
    assert set(advice) == {"slices", "window", "step", "likelihood"}
    assert measured.loss.values == {"loss": "poisson"}
    edge = 14.5 * measured.mrad_per_pixel(200e3)  # 31 - 17 pixels and a half
    assert advice["slices"].values == recommend_slices(80, 200e3, 11.3, edge).values
    assert advice["step"].values["overlap"] == pytest.approx(1 - 0.5 / probe_diameter(200e3, 11.3, 100))
    assert advice["window"].values["padded_diffraction_intensities_shape"] == (48, 48)
    assert all(one.reason for one in advice.values())


def test_shadows_are_followed_only_where_a_step_is_a_small_part_of_the_probe():
    measured = survey(cube())  # a step of 0.5 Å
    alpha = 1e-3 * measured.radius * measured.mrad_per_pixel(200e3)
    for defocus, witness in ((0.9 / alpha, "phase"), (1.1 / alpha, "shadow"), (-1.1 / alpha, "shadow")):
        assert measured.rotation(200e3, defocus).witness == witness


def test_bad_cubes_are_refused():
    with pytest.raises(TypeError, match="datacube must be a py4DSTEM.DataCube"):
        survey(counted())
    with pytest.raises(ValueError, match="at least 3 × 3 scan positions"):
        survey(cube(counted((2, 5, 32, 32))))
    uncalibrated = cube()
    uncalibrated.calibration.set_Q_pixel_units("pixels")
    with pytest.raises(ValueError, match="calibrated in A\\^-1 along Q, got 'pixels'"):
        survey(uncalibrated)
    with pytest.raises(ValueError, match="are empty"):
        survey(cube(np.zeros((4, 4, 8, 8))))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: thickest_slice(200e3, 0), ValueError, "max_angle_mrad"),
        (lambda: thickest_slice(200, 20), ValueError, "keV"),
        (lambda: recommend_slices(5e-9, 200e3, 20), ValueError, "thickness .*metres"),
        (lambda: recommend_slices(50, 200e3, 0.02), ValueError, "semiangle_cutoff .*radians"),
        (lambda: recommend_step(0, 2), ValueError, "scan_step must be above 0"),
        (lambda: probe_diameter(200e3, 20, "far"), TypeError, "defocus must be a number"),
        (lambda: ideal_probe((8, 8), 0.0, 200e3, 20), ValueError, "sampling must be above 0"),
        (lambda: recommend_loss(np.zeros((3, 3))), ValueError, "4 axes"),
    ],
)
def test_bad_numbers_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
