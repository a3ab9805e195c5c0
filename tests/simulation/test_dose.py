"""Counting noise: Poisson statistics, two units of dose, seeds, and what a reconstruction makes of counts."""

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit._py4dstem import datacube
from caviar_kit.simulation import (
    Experiment,
    applied_effects,
    apply_dose,
    scan,
    silicon_sigma9_snapshots,
    vacuum_probe_intensity,
)

DOSE = 2e4
TINY = Experiment(
    energy_ev=200e3,
    semiangle_mrad=30,
    defocus_angstrom=60,
    scan_step_angstrom=0.8,
    scan_shape=(4, 4),
    centre_angstrom=(32.6, 18.0),
    window_angstrom=12,
    grid_points=88,
    detector_pixels=40,
)


def same_pattern(scan_shape=(40, 50), step=0.5):
    """The same pattern, 0.8 of the beam, everywhere."""
    pattern = np.random.default_rng(4).random((6, 5))
    patterns = np.broadcast_to(0.8 * pattern / pattern.sum(), (*scan_shape, 6, 5)).astype(np.float32)
    return datacube(patterns, scan_step_angstrom=step, detector_pixel_inverse_angstrom=0.1)


def test_counts_have_the_mean_and_variance_of_poisson():
    cube = same_pattern()
    expected = DOSE * cube.data[0, 0].astype(float)
    counts = apply_dose(cube, electrons_per_pattern=DOSE, seed=1).data.reshape(-1, 6, 5).astype(float)
    n = len(counts)
    np.testing.assert_array_equal(counts, np.rint(counts))
    assert (abs(counts.mean(axis=0) - expected) < 4.5 * np.sqrt(expected / n)).all()
    assert (abs(counts.var(axis=0, ddof=1) / expected - 1) < 4.5 * np.sqrt(2 / n)).all()
    total = counts.sum(axis=(1, 2))  # the electrons that miss the detector are lost
    assert abs(total.mean() - 0.8 * DOSE) < 4.5 * np.sqrt(0.8 * DOSE / n)
    centred = counts - expected
    covariance = np.einsum("nab,ncd->abcd", centred, centred) / n
    correlation = covariance / np.sqrt(np.einsum("abab->ab", covariance)[..., None, None] * expected)
    np.einsum("abab->ab", correlation)[...] = 0
    assert abs(correlation).max() < 5 / np.sqrt(n)  # neither between pixels ...
    neighbours = (centred[1:] * centred[:-1]).mean(axis=0) / expected
    assert abs(neighbours).max() < 5 / np.sqrt(n)  # ... nor between patterns


def test_few_electrons_leave_most_pixels_empty():
    counts = apply_dose(same_pattern(), electrons_per_pattern=1.0, seed=1).data
    mean = same_pattern().data[0, 0].astype(float)
    empty = (counts == 0).mean(axis=(0, 1))
    np.testing.assert_allclose(empty, np.exp(-mean), atol=4.5 * np.sqrt(0.25 / 2000))


def test_dose_per_area_is_that_per_pattern_over_a_step_squared():
    cube = same_pattern((2, 3), step=0.5)
    by_area = apply_dose(cube, electrons_per_square_angstrom=4 * DOSE, seed=1)
    by_pattern = apply_dose(cube, electrons_per_pattern=DOSE, seed=1)
    np.testing.assert_array_equal(by_area.data, by_pattern.data)
    for result in (by_area, by_pattern):
        [done] = applied_effects(result)
        assert done["electrons_per_pattern"] == pytest.approx(DOSE)
        assert done["electrons_per_square_angstrom"] == pytest.approx(4 * DOSE)
        assert done["seed"] == 1
    cube.calibration.set_R_pixel_size(0.05)
    cube.calibration.set_R_pixel_units("nm")
    np.testing.assert_array_equal(
        apply_dose(cube, electrons_per_square_angstrom=4 * DOSE, seed=1).data, by_area.data
    )
    cube.calibration.set_R_pixel_units("pixels")
    unknown = apply_dose(cube, electrons_per_pattern=DOSE, seed=1)
    assert "electrons_per_square_angstrom" not in applied_effects(unknown)[0]


def test_same_seed_same_bits_and_another_seed_another_noise():
    cube = same_pattern((3, 4))
    before = cube.data.copy()
    first, again, other = (apply_dose(cube, electrons_per_pattern=DOSE, seed=s).data for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9
    assert (first[0, 0] != first[0, 1]).mean() > 0.9
    np.testing.assert_array_equal(cube.data, before)
    assert not applied_effects(cube)


def test_a_pattern_gets_the_same_noise_whatever_is_read_with_it():
    whole = apply_dose(same_pattern((3, 4)), electrons_per_pattern=DOSE, seed=5).data
    rows = apply_dose(same_pattern((1, 4)), electrons_per_pattern=DOSE, seed=5).data
    single = apply_dose(same_pattern((1, 1)).data[0, 0], electrons_per_pattern=DOSE, seed=5)
    np.testing.assert_array_equal(rows[0], whole[0])
    np.testing.assert_array_equal(single, whole[0, 0])


@pytest.mark.parametrize("dtype", ["float32", "uint16", "uint32"])
def test_counts_are_the_same_numbers_in_every_dtype(dtype):
    cube = same_pattern((3, 4))
    counts = apply_dose(cube, electrons_per_pattern=DOSE, seed=5, dtype=dtype).data
    assert counts.dtype == dtype
    np.testing.assert_array_equal(counts, apply_dose(cube, electrons_per_pattern=DOSE, seed=5).data)


@pytest.fixture(scope="module")
def simulated():
    return scan(silicon_sigma9_snapshots().subset(1), TINY), vacuum_probe_intensity(TINY)


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_a_reconstruction_finds_the_beam_and_reaches_the_noise(simulated, dtype):
    """Loss per electron of the true intensities: its expectation is half a unit per pixel that counts."""
    cube, vacuum = simulated
    dose = 1e6
    counted = apply_dose(cube, electrons_per_pattern=dose, seed=2, dtype=dtype)
    exposed = apply_dose(vacuum, electrons_per_pattern=100 * dose, seed=3) / 100
    ptycho = {}
    for name, data, beam in (("clean", cube, vacuum), ("counted", counted, exposed)):
        ptycho[name] = ck.MixedObjectMultislicePtychography(
            datacube=data,
            energy=TINY.energy_ev,
            semiangle_cutoff=TINY.semiangle_mrad,
            defocus=TINY.defocus_angstrom,
            num_slices=1,
            slice_thicknesses=[],
            num_object_states=1,
            vacuum_probe_intensity=beam,
            device="cpu",
        ).preprocess(force_com_rotation=0, force_com_transpose=False)
    clean, noisy = ptycho["clean"], ptycho["counted"]
    assert clean._beam == pytest.approx(1, rel=1e-5)
    assert noisy._beam == pytest.approx(dose, rel=5 / np.sqrt(100 * dose))
    overlap = abs(np.vdot(clean._unit_probe, noisy._unit_probe))
    assert overlap == pytest.approx(1, abs=1e-4)
    # amplitude differences of counts have the variance 1/4, here in units of the beam
    difference = noisy._amplitudes / np.sqrt(noisy._beam) - clean._amplitudes
    bright = clean._amplitudes**2 * dose > 30
    assert (difference[bright] ** 2).mean() == pytest.approx(0.25 / dose, rel=0.05)
    noisy.reconstruct(3, progress_bar=False)
    assert np.isfinite(noisy.error_iterations).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({}, ValueError, "give either electrons_per_pattern or electrons_per_square_angstrom"),
        ({"electrons_per_pattern": 1, "electrons_per_square_angstrom": 1}, ValueError, "give either"),
        ({"electrons_per_pattern": 0}, ValueError, "electrons_per_pattern must be above 0"),
        ({"electrons_per_pattern": "1e6"}, TypeError, "electrons_per_pattern must be a number"),
        ({"electrons_per_square_angstrom": -1}, ValueError, "electrons_per_square_angstrom must be above 0"),
        ({"electrons_per_pattern": 1e8, "dtype": "uint16"}, ValueError, "'uint16' cannot hold"),
        ({"electrons_per_pattern": 1e6, "dtype": "int8"}, ValueError, "dtype must be one of 'float32'"),
        ({"electrons_per_pattern": 1e6, "seed": -1}, ValueError, "seed must be at least 0"),
        ({"electrons_per_pattern": 1e6, "seed": 1.0}, TypeError, "seed must be an integer"),
    ],
)
def test_bad_arguments_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        apply_dose(same_pattern((2, 2)), **{"seed": 0, **change})


@pytest.mark.parametrize(
    ("factor", "message"),
    [(2.0, "pattern 0 sums to 1.6: divide"), (-1.0, "sums to -0.8"), (0.0, "sums to 0: divide")],
)
def test_patterns_that_are_no_fractions_of_the_beam_are_refused(factor, message):
    cube = same_pattern((2, 2))
    cube.data *= factor
    with pytest.raises(ValueError, match=message):
        apply_dose(cube, electrons_per_pattern=10, seed=0)


def test_negative_intensities_and_areas_of_single_patterns_are_refused():
    cube = same_pattern((2, 2))
    cube.data[1, 0, 2, 2] = -1e-3
    with pytest.raises(ValueError, match="must not be negative, pattern 2 reaches -0.001"):
        apply_dose(cube, electrons_per_pattern=10, seed=0)
    with pytest.raises(ValueError, match="needs a scan: for one pattern"):
        apply_dose(cube.data[0, 0], electrons_per_square_angstrom=10, seed=0)
    with pytest.raises(TypeError, match="must be a py4DSTEM.DataCube"):
        apply_dose(None, electrons_per_pattern=10, seed=0)
