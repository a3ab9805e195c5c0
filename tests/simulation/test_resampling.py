"""Drift applied to simulated data: against the simulation of the drifted scan, and its own limits."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit._py4dstem import datacube
from caviar_kit.simulation import (
    Experiment,
    applied_effects,
    apply_dose,
    apply_drift,
    apply_positions,
    apply_source_size,
    distorted_positions,
    drifted_positions,
    scan,
    silicon_sigma9_snapshots,
    true_positions,
    vacuum_probe_intensity,
)
from caviar_kit.simulation.resampling import interpolation_weights

FINE = Experiment(
    energy_ev=200e3,
    semiangle_mrad=30,
    defocus_angstrom=40,
    scan_step_angstrom=0.16,  # λ/4α is 0.209 Å
    scan_shape=(14, 13),
    centre_angstrom=(32.6, 18.0),
    window_angstrom=11,
    grid_points=80,
    detector_pixels=42,
)
DRIFT = {"drift_angstrom": (0.5, -0.3), "random_walk_angstrom": 0.1, "jitter_angstrom": 0.05, "seed": 7}


@pytest.fixture(scope="module")
def silicon():
    return silicon_sigma9_snapshots().subset(1)


@pytest.fixture(scope="module")
def nominal(silicon):
    return scan(silicon, FINE)


def losses(a, b):
    """Σ (√a - √b)² of every pattern."""
    return ((np.sqrt(a.clip(0)) - np.sqrt(b)) ** 2).sum(axis=(-2, -1))


def smooth_cube(shape=(12, 13), step=0.1, frequency=0.3, metric=False):
    """Intensity 2 + cos(2π f·r) and 2 + sin, f in 1/Å along y and x."""
    y, x = np.indices(shape) * step
    phase = 2 * np.pi * frequency * np.stack([y + x, y - x], axis=-1)
    patterns = np.stack([2 + np.cos(phase), 2 + np.sin(phase)], axis=-2).astype(np.float32)
    cube = datacube(patterns, scan_step_angstrom=step, detector_pixel_inverse_angstrom=0.1)
    if metric:
        cube.calibration.set_R_pixel_size(step / 10)
        cube.calibration.set_R_pixel_units("nm")
    return cube


def drifted():
    return apply_drift(smooth_cube(), drift_angstrom=(0, 0.1), experiment=FINE)


# Interpolation -----------------------------------------------------------------------------


def test_weights_give_back_samples_and_sum_to_one():
    places = np.array([0.0, 3.0, 7.0, 11.0])
    first, weights = interpolation_weights(places, 12, 0.4)
    assert (first >= 0).all() and (first + weights.shape[1] <= 12).all()
    for place, start, row in zip(places, first, weights, strict=True):
        np.testing.assert_allclose(row, np.arange(start, start + len(row)) == place, atol=1e-6)
    _, between = interpolation_weights(np.linspace(0, 11, 40), 12, 0.4)
    np.testing.assert_allclose(between.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize(("band", "tolerance"), [(0.25, 2e-5), (0.4, 1e-3)])
def test_frequencies_within_the_band_are_interpolated(band, tolerance):
    """Up to 0.6 of the band, where little of the spectrum is left; away from and at the border."""
    places = np.linspace(0, 29, 301)
    first, weights = interpolation_weights(places, 30, band)
    for frequency in (0.0, 0.3 * band, 0.6 * band):
        samples = np.cos(2 * np.pi * frequency * np.arange(30) + 0.4)
        found = [row @ samples[i : i + len(row)] for i, row in zip(first, weights, strict=True)]
        error = abs(np.array(found) - np.cos(2 * np.pi * frequency * places + 0.4))
        assert error.max() < 10 * tolerance
        assert error[50:-50].max() < tolerance


# Physics -----------------------------------------------------------------------------------


def test_applied_drift_is_the_scan_with_drifted_positions(silicon, nominal):
    """Interpolated patterns against those simulated where the probe was."""
    drifted = apply_drift(nominal, **DRIFT, experiment=FINE)
    places = true_positions(drifted)
    rows, columns = drifted.data.shape[:2]
    assert (rows, columns) < FINE.scan_shape and rows * columns > 80
    first = applied_effects(drifted)[-1]["left_out"]
    indices = np.indices((rows, columns)).reshape(2, -1).T + first
    whole = drifted_positions(FINE, **DRIFT).reshape(*FINE.scan_shape, 2)
    np.testing.assert_allclose(places + first * 0.16, whole[tuple(indices.T)], atol=1e-9)
    kept = replace(FINE, scan_shape=(1, 40))
    some = np.linspace(0, len(places) - 1, 40).astype(int)
    to_kept = np.array(FINE.scan_origin_angstrom) - kept.scan_origin_angstrom
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a long row
        wanted = scan(silicon, kept, positions_angstrom=places[some] + first * 0.16 + to_kept).data[0]
    loss = losses(drifted.data.reshape(-1, 42, 42)[some], wanted)
    still = nominal.data[tuple(indices[some].T)]
    assert losses(still, wanted).mean() > 1e-3
    assert loss.mean() < 1e-8
    assert loss.max() < 1e-6  # at the border; what correlated vibrations change is more
    brightness = drifted.data.reshape(-1, 42, 42)[some].sum(axis=(1, 2))
    np.testing.assert_allclose(brightness, wanted.sum(axis=(1, 2)), atol=1e-5)


@pytest.mark.slow
def test_refined_positions_are_the_true_ones(nominal):
    """A fit that is told the nominal scan only; a linear part is nearly a change of the object."""
    drifted = apply_drift(nominal, **DRIFT, experiment=FINE)
    ptycho = ck.MixedObjectMultislicePtychography(
        datacube=drifted,
        energy=FINE.energy_ev,
        semiangle_cutoff=FINE.semiangle_mrad,
        defocus=FINE.defocus_angstrom,
        vacuum_probe_intensity=vacuum_probe_intensity(FINE),
        num_slices=1,
        slice_thicknesses=[],
        num_object_states=1,
        device="cpu",
    ).preprocess()
    true = true_positions(drifted)
    linear = np.column_stack([true, np.ones(len(true))])

    def error():
        """Root-mean-square per axis [Å], and without its linear part."""
        difference = ptycho.scan_positions_angstrom - true
        rest = difference - linear @ np.linalg.lstsq(linear, difference, rcond=None)[0]
        return (difference - difference.mean(axis=0)).std(), rest.std()

    before = error()
    ptycho.reconstruct(60, refine="positions", progress_bar=False)
    assert error()[0] < 0.2 * before[0]
    assert error()[1] < 0.2 * before[1]


def test_positions_can_be_undone_by_none(nominal):
    same = apply_drift(nominal, experiment=FINE)
    assert same.data.shape == nominal.data.shape
    assert losses(same.data, nominal.data).max() < 1e-9
    np.testing.assert_allclose(true_positions(same), FINE.scan_positions_angstrom, atol=1e-12)
    np.testing.assert_allclose(true_positions(nominal), FINE.scan_positions_angstrom, atol=1e-12)


def test_a_source_before_the_drift_is_that_of_each_position(silicon, nominal):
    """Blurred and moved by whole steps is moved and blurred."""
    fwhm = 0.4
    blurred = apply_source_size(nominal, fwhm, experiment=FINE)
    moved = apply_positions(blurred, true_positions(blurred) + [0.16, 0.32], experiment=FINE)
    np.testing.assert_allclose(moved.data, blurred.data[1:, 2:], atol=1e-8)
    assert [done["effect"] for done in applied_effects(moved)] == ["source size", "positions"]


# Data cubes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drift", "kept"),
    [
        ((0, 0), (slice(0, 12), slice(0, 13))),
        ((0.6, 0), (slice(0, 8), slice(0, 13))),
        ((-0.001, 0), (slice(1, 12), slice(0, 13))),
        ((0, 0.25), (slice(0, 12), slice(0, 10))),
        ((0, -1.0), (slice(0, 12), slice(10, 13))),
    ],
)
def test_borders_that_drift_out_of_the_scan_are_left_out(drift, kept):
    cube = smooth_cube()
    result = apply_drift(cube, drift_angstrom=drift, experiment=FINE)
    assert result.data.shape[:2] == np.empty((12, 13))[kept].shape
    first = np.array([kept[0].start, kept[1].start])
    np.testing.assert_array_equal(applied_effects(result)[-1]["left_out"], first)
    places = true_positions(result) + first * 0.1
    assert (places >= -1e-6).all() and (places <= np.array([11, 12]) * 0.1 + 1e-6).all()


def test_known_intensities_are_found_between_the_positions():
    cube = smooth_cube()
    before = cube.data.copy()
    result = apply_drift(cube, **{**DRIFT, "seed": 1}, experiment=FINE)
    y, x = (true_positions(result) + 0.1 * applied_effects(result)[-1]["left_out"]).T
    wanted = 2 + np.cos(2 * np.pi * 0.3 * (y + x))
    np.testing.assert_allclose(result.data.reshape(-1, 2, 2)[:, 0, 0], wanted, atol=2e-4)
    np.testing.assert_array_equal(cube.data, before)
    assert result.calibration.get_R_pixel_size() == 0.1
    metric = apply_drift(smooth_cube(metric=True), **{**DRIFT, "seed": 1}, experiment=FINE)
    np.testing.assert_array_equal(metric.data, result.data)


def test_distorted_positions_reach_data_too():
    experiment = replace(FINE, scan_step_angstrom=0.1, scan_shape=(12, 13))
    cube = smooth_cube()
    result = apply_positions(
        cube, distorted_positions(experiment, rotation_degrees=8, scale=1.03), experiment=FINE
    )
    assert min(result.data.shape[:2]) >= 8
    y, x = (true_positions(result) + 0.1 * applied_effects(result)[-1]["left_out"]).T
    np.testing.assert_allclose(
        result.data.reshape(-1, 2, 2)[:, 1, 1], 2 + np.sin(2 * np.pi * 0.3 * (y - x)), atol=2e-4
    )


def test_a_coarse_step_is_warned_of():
    with pytest.warns(UserWarning, match=r"0.3 Å is too coarse .* at most λ/4α = 0.21 Å"):
        apply_drift(smooth_cube(step=0.3), drift_angstrom=(0.3, 0), experiment=FINE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        apply_drift(smooth_cube(), drift_angstrom=(0.3, 0), experiment=FINE)


def test_a_single_row_can_drift_along_itself():
    row = apply_drift(smooth_cube((1, 30)), drift_angstrom=(0, 0.2), experiment=FINE)
    assert row.data.shape[:2] == (1, 28)
    with pytest.raises(ValueError, match="must lie within the scanned area"):
        apply_positions(smooth_cube((1, 30)), np.full((30, 2), 0.1), experiment=FINE)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: apply_drift(np.ones((3, 3, 4, 4)), experiment=FINE),
            TypeError,
            "must be a py4DSTEM.DataCube, got ndarray",
        ),
        (lambda: apply_drift(smooth_cube(), experiment="fine"), TypeError, "must be an Experiment, got str"),
        (lambda: apply_drift(smooth_cube(), jitter_angstrom=1, experiment=FINE), ValueError, "need a seed"),
        (
            lambda: apply_drift(smooth_cube(), drift_angstrom=(30, 0), experiment=FINE),
            ValueError,
            "within the scanned area",
        ),
        (
            lambda: apply_positions(smooth_cube(), np.ones((3, 2)), experiment=FINE),
            ValueError,
            r"must have shape \(156, 2\)",
        ),
        (
            lambda: apply_drift(drifted(), experiment=FINE),
            ValueError,
            "positions cannot be applied after positions",
        ),
        (
            lambda: apply_source_size(drifted(), 0.0),
            ValueError,
            "source size cannot be applied after positions",
        ),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_noise_is_not_interpolated():
    cube = smooth_cube()
    cube.data = cube.data / cube.data.sum(axis=(2, 3), keepdims=True)
    counted = apply_dose(cube, electrons_per_pattern=1e3, seed=0)
    with pytest.raises(ValueError, match="positions cannot be applied after dose"):
        apply_drift(counted, drift_angstrom=(0.2, 0), experiment=FINE)
    assert math.isclose(cube.data[0, 0].sum(), 1, rel_tol=1e-6)
