"""Binning: where the beam is afterwards, electrons kept, and a window that shrinks."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit._py4dstem import datacube
from caviar_kit.detector import find_origin
from caviar_kit.simulation import (
    Experiment,
    applied_effects,
    apply_binning,
    apply_dose,
    beam_pixel,
    scan,
    silicon_sigma9_snapshots,
    vacuum_probe_intensity,
)

WIDE = Experiment(
    energy_ev=200e3,
    semiangle_mrad=30,
    defocus_angstrom=20,
    scan_step_angstrom=0.8,
    scan_shape=(3, 3),
    centre_angstrom=(32.6, 18.0),
    window_angstrom=20,
    grid_points=144,
    detector_pixels=72,
)


def spot(height, width):
    """A round Gaussian spot about pixel (height // 2, width // 2), smooth enough for bins of 5; sum 1."""
    y, x = np.arange(height) - height // 2, np.arange(width) - width // 2
    pattern = np.exp(-(y[:, None] ** 2 + x**2) / (2 * 4.0**2))
    return pattern / pattern.sum()


def cube_of(pattern, scan_shape=(2, 2)):
    patterns = np.broadcast_to(pattern, (*scan_shape, *pattern.shape)).astype(np.float32)
    return datacube(patterns, scan_step_angstrom=0.5, detector_pixel_inverse_angstrom=0.05)


def centre_of_mass(pattern):
    y, x = np.indices(pattern.shape)
    return (y * pattern).sum() / pattern.sum(), (x * pattern).sum() / pattern.sum()


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("shape", [(64, 64), (63, 62), (60, 65)])
def test_the_beam_stays_on_the_middle_pixel(shape, factor):
    binned = apply_binning(cube_of(spot(*shape)), factor)
    height, width = binned.data.shape[2:]
    assert centre_of_mass(binned.data[0, 0]) == pytest.approx((height // 2, width // 2), abs=1e-4)
    assert beam_pixel(binned) == (height // 2, width // 2)
    assert binned.calibration.get_origin() == (height // 2, width // 2)
    assert binned.calibration.get_Q_pixel_size() == pytest.approx(0.05 * factor)
    for whole, kept in zip(shape, (height, width), strict=True):
        assert whole - 2 * factor < kept * factor <= whole
    assert binned.data[0, 0].sum() == pytest.approx(1, abs=1e-5)  # nothing at the border here


@pytest.mark.parametrize(("factor", "shape"), [(2, (64, 64)), (2, (63, 62)), (3, (63, 66)), (4, (64, 60))])
def test_blocks_of_a_camera_move_the_beam_by_a_known_part_of_a_pixel(factor, shape):
    binned = apply_binning(cube_of(spot(*shape)), factor, centred=False)
    pattern = binned.data[0, 0]
    assert beam_pixel(binned) == pytest.approx(centre_of_mass(pattern), abs=1e-4)
    assert binned.calibration.get_origin() == beam_pixel(binned)
    y, x = shape[0] // factor, shape[1] // factor
    summed = spot(*shape)[: y * factor, : x * factor].reshape(y, factor, x, factor).sum(axis=(1, 3))
    np.testing.assert_allclose(pattern, summed, rtol=1e-5)


def test_blocks_of_two_put_the_beam_a_quarter_of_a_pixel_off():
    assert beam_pixel(apply_binning(cube_of(spot(64, 64)), 2, centred=False)) == (15.75, 15.75)
    assert beam_pixel(cube_of(spot(64, 63))) == (32, 31)


def test_centred_bins_of_an_even_factor_share_their_border():
    row = np.arange(13.0)
    binned = apply_binning(np.broadcast_to(row, (13, 13)).copy(), 2)
    assert binned.shape == (5, 5)
    np.testing.assert_allclose(binned[0, 2], 2 * (0.5 * row[5] + row[6] + 0.5 * row[7]))
    np.testing.assert_allclose(np.diff(binned[0]), 2 * 2 * 2)  # rows, columns, two pixels farther on


def test_binning_counts_keeps_them_whole():
    counted = apply_dose(cube_of(spot(64, 64)), electrons_per_pattern=1e4, seed=0)
    with pytest.raises(ValueError, match="half an electron is none: use centred=False"):
        apply_binning(counted, 2)
    for binned in (apply_binning(counted, 2, centred=False), apply_binning(counted, 3)):
        np.testing.assert_array_equal(binned.data, np.rint(binned.data))
    assert apply_binning(counted, 2, centred=False).data.sum() == counted.data.sum()
    assert [done["effect"] for done in applied_effects(binned)] == ["dose", "binning"]


def test_vacuum_patterns_are_binned_alike():
    pattern = spot(64, 64).astype(np.float32)
    for centred in (True, False):
        binned = apply_binning(cube_of(pattern), 2, centred=centred).data[1, 1]
        np.testing.assert_array_equal(apply_binning(pattern, 2, centred=centred), binned)


@pytest.fixture(scope="module")
def silicon():
    return scan(silicon_sigma9_snapshots().subset(1), WIDE), vacuum_probe_intensity(WIDE)


def prepared(cube, vacuum, **options):
    return ck.MixedObjectMultislicePtychography(
        datacube=cube,
        energy=WIDE.energy_ev,
        semiangle_cutoff=WIDE.semiangle_mrad,
        defocus=WIDE.defocus_angstrom,
        num_slices=1,
        slice_thicknesses=[],
        num_object_states=1,
        vacuum_probe_intensity=vacuum,
        device="cpu",
    ).preprocess(**options)


def mean_deflection(ptycho):
    """Centre of mass (y, x) [pixel] of the mean prepared pattern, zero frequency first."""
    mean = (ptycho._amplitudes.astype(float) ** 2).mean(axis=0)
    y, x = (np.fft.fftfreq(n, 1 / n) for n in mean.shape)
    return np.array([mean.sum(axis=1) @ y, mean.sum(axis=0) @ x]) / mean.sum()


def test_a_reconstruction_keeps_the_beam_where_it_is(silicon):
    """No interpolation and half the window with centred bins; the same object pixel."""
    cube, vacuum = silicon
    whole = prepared(cube, vacuum)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        binned = apply_binning(cube, 2, experiment=WIDE)
        half = prepared(binned, apply_binning(vacuum, 2))
    assert find_origin(apply_binning(vacuum, 2)) == pytest.approx(beam_pixel(binned), abs=0.05)
    window = half.sampling[0] * half._unit_probe.shape[-1]
    assert window == pytest.approx(WIDE.window_angstrom / 2, rel=1e-5)
    assert half._beam == pytest.approx(whole._beam, rel=1e-5)
    steps, wanted = (np.diff(fit.scan_positions_angstrom, axis=0) for fit in (half, whole))
    np.testing.assert_allclose(steps, wanted, atol=1e-3)


def test_the_origin_of_blocks_is_what_preprocess_needs_to_know(silicon):
    """Told of it, the beam lies where it does with centred bins; on the next pixel it is a quarter off."""
    cube, vacuum = silicon
    blocks, dim = apply_binning(cube, 2, centred=False), apply_binning(vacuum, 2, centred=False)
    assert find_origin(dim) == pytest.approx(beam_pixel(blocks), abs=0.05)
    wanted = mean_deflection(prepared(apply_binning(cube, 2), apply_binning(vacuum, 2)))
    told = mean_deflection(prepared(blocks, dim, force_com_shifts=beam_pixel(blocks)))
    untold = mean_deflection(prepared(blocks, dim, force_com_shifts=np.rint(beam_pixel(blocks))))
    np.testing.assert_allclose(told, wanted, atol=0.03)
    np.testing.assert_allclose(untold - wanted, -0.25, atol=0.03)


def test_a_probe_that_no_longer_fits_is_warned_of():
    cube = cube_of(spot(72, 72))
    with pytest.warns(
        UserWarning, match=r"factor=2 leaves a real-space window of 10.0 Å, but the probe is 13"
    ):
        apply_binning(cube, 2, experiment=replace(WIDE, defocus_angstrom=210))
    with pytest.warns(UserWarning, match="factor=2 leaves a real-space window of 10.0 Å"):
        apply_binning(cube.data[0, 0], 2, experiment=replace(WIDE, defocus_angstrom=-210))


@pytest.mark.parametrize(
    ("factor", "change", "error", "message"),
    [
        (0, {}, ValueError, "factor must be at least 1"),
        (2.0, {}, TypeError, "factor must be an integer"),
        (20, {}, ValueError, "factor must leave 4 bins or more of 64 detector pixels, got factor=20"),
        (20, {"centred": False}, ValueError, "factor must leave 4 bins or more"),
        (2, {"centred": "yes"}, TypeError, "centred must be True or False"),
        (2, {"experiment": 3}, TypeError, "experiment must be an Experiment, got int"),
    ],
)
def test_bad_arguments_are_refused(factor, change, error, message):
    with pytest.raises(error, match=message):
        apply_binning(cube_of(spot(64, 64)), factor, **change)


def test_a_beam_between_pixels_cannot_be_binned_again():
    once = apply_binning(cube_of(spot(64, 64)), 2, centred=False)
    with pytest.raises(ValueError, match=r"the beam lies at \(15.75, 15.75\), not on pixel \(16, 16\)"):
        apply_binning(once, 2)
    twice = apply_binning(apply_binning(cube_of(spot(64, 64)), 2), 2)
    assert beam_pixel(twice) == (twice.data.shape[2] // 2, twice.data.shape[3] // 2)
