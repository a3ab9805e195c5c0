"""A source of finite size: against explicit averages, mixed probe modes and its own limits."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from caviar_kit._py4dstem import datacube
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.loss import AmplitudeLoss
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.operators import FourierShift
from caviar_kit.simulation import (
    Experiment,
    Snapshots,
    apply_source_size,
    scan,
    silicon_sigma9_snapshots,
    vacuum_probe_intensity,
)
from caviar_kit.simulation.source_size import SourcePoints, gaussian_weights, largest_step

FWHM = 0.47
SIGMA = FWHM / (2 * math.sqrt(2 * math.log(2)))
TINY = Experiment(
    energy_ev=200e3,
    semiangle_mrad=30,
    defocus_angstrom=40,
    scan_step_angstrom=0.6,
    scan_shape=(2, 3),
    centre_angstrom=(32.6, 18.0),
    window_angstrom=10,
    grid_points=72,
    detector_pixels=40,
    source_fwhm_angstrom=FWHM,
)


@pytest.fixture(scope="module")
def silicon() -> Snapshots:
    return silicon_sigma9_snapshots().subset(1)


@pytest.fixture(scope="module")
def blurred(silicon) -> np.ndarray:
    return scan(silicon, TINY).data


def amplitude_loss(a: np.ndarray, b: np.ndarray) -> float:
    """Largest Σ (√a - √b)² of a pattern."""
    return float(((np.sqrt(a.clip(0)) - np.sqrt(b.clip(0))) ** 2).sum(axis=(-2, -1)).max())


def random_cube(shape=(9, 11), step=0.2):
    patterns = np.random.default_rng(1).random((*shape, 5, 4), np.float32)
    return datacube(patterns, scan_step_angstrom=step, detector_pixel_inverse_angstrom=0.1)


# Weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0.05, 0.1, 0.2])
def test_weights_are_a_normalised_gaussian_of_the_full_width_at_half_maximum(step):
    weights = gaussian_weights(FWHM, step)
    offsets = (np.arange(len(weights)) - len(weights) // 2) * step
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(weights, weights[::-1])
    assert offsets.max() >= 3 * SIGMA
    assert math.sqrt(weights @ offsets**2) == pytest.approx(SIGMA, rel=0.015)  # cut off at 3 sigma
    half = np.interp(FWHM / 2, offsets, weights) / weights.max()
    assert half == pytest.approx(0.5, abs=0.03)
    np.testing.assert_array_equal(gaussian_weights(0.0, step), [1.0])


@pytest.mark.parametrize("preset", [Experiment.quick, Experiment.tutorial, Experiment.paper])
def test_points_hold_the_scan_positions_and_sample_the_intensity(preset):
    experiment = replace(preset(), source_fwhm_angstrom=FWHM)
    points = SourcePoints.of(experiment)
    np.testing.assert_allclose(points.weights.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(
        points.weights @ points.positions_angstrom, experiment.scan_positions_angstrom, atol=1e-12
    )
    nearest = np.linalg.norm(points.positions_angstrom[1] - points.positions_angstrom[0])
    band_limit = 2 * experiment.semiangle_mrad * 1e-3 / experiment.wavelength_angstrom
    assert nearest <= 1 / (2 * band_limit) * 1.0001
    assert len(points.positions_angstrom) < 15 * math.prod(experiment.scan_shape)


def test_a_point_source_needs_no_other_positions():
    points = SourcePoints.of(replace(TINY, source_fwhm_angstrom=0))
    np.testing.assert_array_equal(points.positions_angstrom, TINY.scan_positions_angstrom)
    np.testing.assert_array_equal(points.weights.toarray(), np.eye(6))


# Physics -----------------------------------------------------------------------------------


def test_source_is_an_average_over_shifted_probes(silicon):
    """Against an explicit mean over 89 runs on another grid, out to 3.3 rms widths.

    A probe moved by +s over the specimen meets what one at rest meets in a specimen moved by -s; by whole
    pixels of the wave, so that the sampled potential is the same.
    """
    coherent = replace(TINY, source_fwhm_angstrom=0, scan_shape=(1, 2))
    pixels = [(y, x) for y in range(-5, 6) for x in range(-5, 6) if math.hypot(y, x) < 5.16]
    shifts = np.array(pixels) * TINY.window_angstrom / TINY.grid_points
    weights = np.exp(-0.5 * (shifts**2).sum(axis=1) / SIGMA**2)
    first = scan(silicon, coherent).data
    mean = np.zeros(first.shape)
    for (y, x), weight in zip(shifts, weights / weights.sum(), strict=True):
        moved = replace(silicon, positions=silicon.positions - [x, y, 0])
        mean += weight * scan(moved, coherent, workers=1).data
    blurred = scan(silicon, replace(TINY, scan_shape=(1, 2))).data
    assert amplitude_loss(first, mean) > 1e-4
    assert amplitude_loss(blurred, mean) < 1e-8


def test_brightness_is_kept():
    cube = random_cube()
    cube.data /= cube.data.sum(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(apply_source_size(cube, FWHM).data.sum(axis=(2, 3)), 1, atol=1e-6)


def test_a_vacuum_pattern_does_not_know_the_source():
    hydrogen = np.array([[[24.9, 24.9, 1.0]]])
    specimen = Snapshots(hydrogen, [1], np.diag([40.0, 40.0, 2.0]), hydrogen[0], 0.0)
    experiment = replace(TINY, centre_angstrom=(20, 20), scan_shape=(1, 1))
    vacuum = vacuum_probe_intensity(experiment)
    np.testing.assert_array_equal(vacuum, vacuum_probe_intensity(replace(experiment, source_fwhm_angstrom=0)))
    np.testing.assert_allclose(scan(specimen, experiment).data[0, 0], vacuum, atol=2e-6)


def test_source_in_the_scan_equals_weights_over_neighbouring_patterns(silicon, blurred):
    kernel = gaussian_weights(FWHM, 0.2)
    border = len(kernel) // 2
    fine = replace(
        TINY,
        scan_step_angstrom=0.2,
        scan_shape=(3 + 1 + 2 * border, 6 + 1 + 2 * border),
        source_fwhm_angstrom=0,
    )
    cube = apply_source_size(scan(silicon, fine), FWHM, experiment=fine)
    assert cube.data.shape[:2] == (4, 7)
    np.testing.assert_allclose(cube.data[::3, ::3], blurred, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("fwhm", [0.15, 0.4])
def test_a_narrow_source_takes_few_points(silicon, fwhm):
    narrow = replace(TINY, scan_shape=(1, 2), source_fwhm_angstrom=fwhm)
    points = SourcePoints.of(narrow)
    assert len(points.positions_angstrom) == 25 * 2
    np.testing.assert_allclose(
        points.weights @ points.positions_angstrom, narrow.scan_positions_angstrom, atol=1e-12
    )
    step = 0.6 / math.ceil(0.6 / (0.4 * fwhm))
    reach = len(gaussian_weights(fwhm, step)) // 2
    fine = replace(
        TINY, scan_step_angstrom=step, scan_shape=(1 + 2 * reach, 1 + 2 * reach), source_fwhm_angstrom=0
    )
    fine = replace(fine, centre_angstrom=narrow.scan_origin_angstrom)
    other = replace(narrow, scan_shape=(1, 1), centre_angstrom=narrow.scan_origin_angstrom)
    wanted = apply_source_size(scan(silicon, fine), fwhm, experiment=fine).data
    assert amplitude_loss(scan(silicon, other).data, wanted) < 1e-7
    coherent = scan(silicon, replace(other, source_fwhm_angstrom=0)).data
    assert amplitude_loss(coherent, wanted) > 1e-6


def test_source_equals_mixed_probe_modes():
    """Shifted probes with their weights as intensities, in one mixed-mode model, and blurred data."""
    rng = np.random.default_rng(5)
    step, pixel, window = 0.2, 0.25, (24, 24)
    kernel = gaussian_weights(FWHM, step)
    border = len(kernel) // 2
    offsets = (np.arange(len(kernel)) - border) * step / pixel
    rows, columns = np.indices((1 + 2 * border, 2 + 2 * border))
    positions = 16 + np.stack([rows.ravel(), columns.ravel()], axis=1) * step / pixel
    transmission = np.exp(1j * gaussian_filter(6 * rng.random((2, 2, 40, 40)), (0, 0, 1.5, 1.5)))
    y, x = (np.indices(window) - 12) * pixel
    probe = np.exp(-(2.5 - 0.5j) * (y**2 + x**2))[None] / 3  # does not reach the window's edge

    def patterns(places: np.ndarray, modes: np.ndarray) -> np.ndarray:
        model = MultisliceModel(window, (pixel, pixel), 0.025, (2.0,), places, (40, 40))
        empty = np.zeros((len(places), *window))
        return Evaluator(model, empty, AmplitudeLoss(), threads=1).intensities(transmission, modes)

    modes = [
        math.sqrt(wy * wx) * FourierShift(window, (dy, dx)).forward(probe[0])
        for dy, wy in zip(offsets, kernel, strict=True)
        for dx, wx in zip(offsets, kernel, strict=True)
    ]
    fine = patterns(positions, probe).reshape(*rows.shape, *window)
    cube = datacube(fine, scan_step_angstrom=step, detector_pixel_inverse_angstrom=1 / 6)
    single = apply_source_size(cube, FWHM).data[0]
    centre = positions.reshape(*rows.shape, 2)[border, border : border + 2]
    mixed = patterns(centre, np.stack(modes))
    assert np.abs(fine[border, border] - mixed[0]).max() > 5e-3 * mixed.max()
    np.testing.assert_allclose(single, mixed, rtol=0, atol=1e-6 * mixed.max())


# Data cubes --------------------------------------------------------------------------------


def test_no_width_gives_the_same_data():
    cube = random_cube()
    same = apply_source_size(cube, 0)
    np.testing.assert_array_equal(same.data, cube.data)
    assert same is not cube and not np.shares_memory(same.data, cube.data)


def test_blurring_crops_to_full_neighbourhoods_and_keeps_the_calibration():
    cube = random_cube()
    before = cube.data.copy()
    result = apply_source_size(cube, FWHM)
    np.testing.assert_array_equal(cube.data, before)
    assert result.data.shape == (3, 5, 5, 4)
    weights = gaussian_weights(FWHM, 0.2)
    wanted = np.einsum("a,b,abij->ij", weights, weights, before[2:9, 3:10].astype(float))
    np.testing.assert_allclose(result.data[2, 3], wanted, rtol=1e-6)
    for name in ("R_pixel_size", "R_pixel_units", "Q_pixel_size", "Q_pixel_units", "QR_flip"):
        assert getattr(result.calibration, f"get_{name}")() == getattr(cube.calibration, f"get_{name}")()


def test_step_in_nanometres_is_the_same_step():
    cube, metric = random_cube(), random_cube()
    metric.calibration.set_R_pixel_size(0.02)
    metric.calibration.set_R_pixel_units("nm")
    np.testing.assert_array_equal(apply_source_size(metric, FWHM).data, apply_source_size(cube, FWHM).data)


def test_coarse_steps_warn_with_the_width_they_make():
    with pytest.warns(UserWarning, match=r"rms width of 0.14 Å instead of 0.2 Å"):
        apply_source_size(random_cube(step=0.5), FWHM)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        apply_source_size(random_cube(), FWHM, experiment=TINY)
    # A wide source is smooth enough for 0.4 Å, the intensity behind a 30 mrad aperture is not.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        apply_source_size(random_cube(step=0.4), 1.0)
    with pytest.warns(UserWarning, match=r"too coarse for this source, it should be at most 0.21 Å"):
        apply_source_size(random_cube(step=0.4), 1.0, experiment=TINY)
    assert largest_step(1.0, TINY) == pytest.approx(TINY.wavelength_angstrom / 0.12)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((None, FWHM), TypeError, "datacube must be a py4DSTEM.DataCube, got NoneType"),
        ((np.ones((9, 9, 4, 4)), FWHM), TypeError, "datacube must be a py4DSTEM.DataCube, got ndarray"),
        ((random_cube(), "0.47"), TypeError, "source_fwhm_angstrom must be a number"),
        ((random_cube(), -0.1), ValueError, "source_fwhm_angstrom must be at least 0"),
        ((random_cube(), np.nan), ValueError, "source_fwhm_angstrom must be"),
        ((random_cube(), 47e-12), ValueError, "given in metres"),
        ((random_cube((6, 11)), FWHM), ValueError, r"has \(6, 11\) scan positions.*needs 7 or more"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        apply_source_size(*arguments)


@pytest.mark.parametrize(("fwhm", "step", "name"), [(0.5, 0.0, "step_angstrom"), (-1.0, 0.1, "source_fwhm")])
def test_weights_without_width_or_step_are_refused(fwhm, step, name):
    with pytest.raises(ValueError, match=name):
        gaussian_weights(fwhm, step)


def test_uncalibrated_cubes_and_foreign_experiments_are_refused():
    cube = random_cube()
    with pytest.raises(TypeError, match="experiment must be an Experiment, got str"):
        apply_source_size(cube, FWHM, experiment="tutorial")
    cube.calibration.set_R_pixel_units("pixels")
    with pytest.raises(ValueError, match="calibrated in real space in A or nm, got units 'pixels'"):
        apply_source_size(cube, FWHM)
