"""Rotated, transposed, masked and listed scans describe the same experiment, and give the same object."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from py4DSTEM.process.phase.utils import ComplexProbe
from scipy.ndimage import map_coordinates

from tests.adapter.problems import PIXEL, SAME_FRAME, SCAN, STEP, WINDOW, build, geometry, patterns_of
from tests.adapter.problems import planted_object as specimen

COUNT = SCAN[0] * SCAN[1]
RASTER = STEP * np.stack(np.meshgrid(*map(np.arange, SCAN), indexing="ij"), -1).reshape(-1, 2)


def measured(scan_shape=SCAN, preprocess=None, **changes):
    """Patterns (*scan_shape, y, x) of one specimen as a scan placed by these settings sees it."""
    ptycho = geometry(scan_shape, preprocess, num_object_states=1, **changes)
    return patterns_of(ptycho, specimen(ptycho, 1)).reshape(*scan_shape, WINDOW, WINDOW)


def scanned_phase(patterns, preprocess=None, iterations=25, **changes):
    """Projected phase up to 1.2 Å from the scan's centre, after a fit, and the fit."""
    ptycho = build(patterns, num_object_states=1, **changes)
    ptycho.preprocess(**{**SAME_FRAME, **(preprocess or {})}).reconstruct(iterations, progress_bar=False)
    centre = ptycho._model.positions.mean(axis=0)
    phase = np.angle(ptycho.object[0]).sum(axis=0)
    around = np.mgrid[-4:5, -4:5] + centre[:, None, None]
    return map_coordinates(phase, around, order=3), ptycho


def agreement(first, second):
    """Root-mean-square difference in units of the contrast, without the free constant."""
    difference = first - first.mean() - second + second.mean()
    return difference.std() / first.std()


@pytest.fixture(scope="module")
def reference():
    return scanned_phase(measured())


@pytest.mark.parametrize(("shape", "turn"), [
    (SCAN[::-1], {"force_com_rotation": 90.0}),
    (SCAN[::-1], {"force_com_transpose": True}),
    (SCAN, {"force_com_rotation": -90.0, "force_com_transpose": True}),
])  # fmt: skip
def test_a_turned_scan_gives_the_same_object(reference, shape, turn):
    """The scan visits the same places in another order."""
    phase, ptycho = scanned_phase(measured(shape, turn), turn)
    ours = ptycho.scan_positions_angstrom - ptycho.scan_positions_angstrom.mean(axis=0)
    theirs = reference[1].scan_positions_angstrom - reference[1].scan_positions_angstrom.mean(axis=0)
    order = [int(np.linalg.norm(theirs - r, axis=1).argmin()) for r in ours]
    assert sorted(order) == list(range(COUNT))
    assert order != sorted(order)
    np.testing.assert_allclose(ours, theirs[order], atol=1e-3)
    assert agreement(reference[0], phase) < 0.03


def test_a_scan_turned_by_an_odd_angle_gives_the_same_object_and_ignoring_it_does_not(reference):
    turn = {"force_com_rotation": 20.0}
    patterns = measured(preprocess=turn)
    assert agreement(reference[0], scanned_phase(patterns, turn)[0]) < 0.05
    assert agreement(reference[0], scanned_phase(patterns)[0]) > 0.5


@pytest.mark.parametrize(("degrees", "flip"), [(20.0, False), (-35.0, True)])
def test_the_centre_of_mass_finds_a_planted_rotation_and_flip(degrees, flip):
    """From the data alone, as the parent does it, in focus and with fine steps."""
    turn = {"force_com_rotation": degrees, "force_com_transpose": flip}
    fine = {"defocus": 0.0, "scan_step_angstrom": 0.2, "num_slices": 1}
    ptycho = build(measured((20, 20), turn, **fine), num_object_states=1, **fine)
    for unknown in ("QR_rotation_degrees", "QR_rotation"):  # QR_flip is False in every new DataCube
        ptycho._datacube.calibration._params.pop(unknown, None)
    ptycho.preprocess(**SAME_FRAME)
    # 180° is the sign of the phase, which minimising the curl cannot tell
    found, swapped = ptycho.scan_rotation
    assert swapped is flip
    assert (found - degrees + 90) % 180 - 90 == pytest.approx(0, abs=4)


def test_a_hot_pixel_that_is_masked_does_not_move_the_origin():
    patterns = measured()
    patterns[..., 2, 3] = 50 * patterns.max()
    mask = np.ones((WINDOW, WINDOW), bool)
    mask[2, 3] = False
    ptycho = build(patterns, num_object_states=1)
    ptycho.preprocess(padded_diffraction_intensities_shape=(WINDOW, WINDOW), dp_mask=mask)
    clean = build(measured(), num_object_states=1)
    clean.preprocess(padded_diffraction_intensities_shape=(WINDOW, WINDOW))
    first, second = (np.fft.fftshift(p._amplitudes.mean(axis=0)) for p in (ptycho, clean))
    assert np.abs(first - second)[6:18, 6:18].max() < 1e-3 * second.max()


def test_a_transposed_scan_keeps_its_steps_in_a_rectangular_frame():
    """The parent divides by the other axis' pixel size."""
    turn = {"force_com_transpose": True, "padded_diffraction_intensities_shape": (WINDOW, 32)}
    ptycho = geometry(preprocess=turn)
    assert ptycho.sampling == pytest.approx((PIXEL, PIXEL * WINDOW / 32), rel=1e-5)
    positions = ptycho.scan_positions_angstrom.reshape(*SCAN, 2)
    np.testing.assert_allclose(np.diff(positions, axis=0), np.broadcast_to((0, STEP), (5, 5, 2)), atol=1e-4)
    np.testing.assert_allclose(np.diff(positions, axis=1), np.broadcast_to((STEP, 0), (6, 4, 2)), atol=1e-4)
    with pytest.raises(ValueError, match="square pixels"):
        ptycho.show_slices()


@pytest.mark.parametrize("flip", [False, True])
def test_rotation_then_flip_follow_their_formula(flip):
    turn = {"force_com_rotation": 30.0, "force_com_transpose": flip}
    found = geometry(preprocess=turn).scan_positions_angstrom
    y, x = RASTER.T
    cosine, sine = np.cos(np.pi / 6), np.sin(np.pi / 6)
    expected = np.stack([y * cosine + x * sine, x * cosine - y * sine], axis=1)
    expected = expected[:, ::-1] if flip else expected
    np.testing.assert_allclose(found - found[0], expected, atol=1e-3)


def test_listed_positions_are_the_raster_from_any_origin(reference):
    patterns = measured()
    phase, ptycho = scanned_phase(patterns, initial_scan_positions=RASTER + (500.0, -2000.0))
    np.testing.assert_allclose(
        ptycho.scan_positions_angstrom, reference[1].scan_positions_angstrom, atol=1e-4
    )
    assert agreement(reference[0], phase) < 1e-3
    # the same places in another order
    order = np.random.default_rng(0).permutation(COUNT)
    shuffled = patterns.reshape(COUNT, WINDOW, WINDOW)[order]
    phase, _ = scanned_phase(shuffled, positions_angstrom=RASTER[order])
    assert agreement(reference[0], phase) < 0.01


def test_distorted_positions_matter_and_are_honoured(reference):
    distorted = RASTER + 0.15 * np.random.default_rng(3).standard_normal(RASTER.shape)
    patterns = measured(initial_scan_positions=distorted)
    told = scanned_phase(patterns, initial_scan_positions=distorted)[1].error
    untold = scanned_phase(patterns)[1].error
    assert told < 0.1 * untold


def test_masked_positions_do_not_count_whatever_their_patterns_hold():
    patterns = measured()
    mask = np.ones(SCAN, bool)
    mask[0, 0] = mask[2, 3] = mask[5] = False
    errors = []
    for spoil in (None, 0.0, np.nan, 1e6):
        data = patterns.copy()
        if spoil is not None:
            data[~mask] = spoil
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, ptycho = scanned_phase(data, positions_mask=mask)
        assert len(ptycho.scan_positions_angstrom) == mask.sum()
        errors.append(ptycho.error_iterations)
    for other in errors[1:]:
        np.testing.assert_allclose(other, errors[0], rtol=1e-5)
    kept = RASTER[mask.ravel()]
    for positions in (RASTER, kept):
        both = scanned_phase(patterns, positions_mask=mask, initial_scan_positions=positions)[1]
        np.testing.assert_allclose(both.error_iterations, errors[0], rtol=1e-3)


@pytest.mark.parametrize("padding", [(20, 16), ((13, 18), (22, 15))])
def test_padding_moves_the_frame_and_nothing_else(reference, padding):
    phase, ptycho = scanned_phase(measured(object_padding_px=padding), object_padding_px=padding)
    assert ptycho.object.shape != reference[1].object.shape
    assert agreement(reference[0], phase) < 0.05  # the scan lies at other sub-pixel places


def test_a_vacuum_pattern_makes_the_same_probe_as_the_aperture_it_shows():
    """Ten iterations: later on a fit amplifies last bits, which differ from one set of plans to another."""
    ptycho = geometry(num_object_states=1)
    vacuum = np.fft.fftshift(abs(np.fft.fft2(ptycho._probe[0])) ** 2)
    patterns = measured()
    from_aperture, _ = scanned_phase(patterns, iterations=10)
    instead = {"vacuum_probe_intensity": vacuum, "semiangle_cutoff": None}
    phase, with_vacuum = scanned_phase(patterns, iterations=10, **instead)
    overlap = abs(np.vdot(with_vacuum._unit_probe, ptycho._unit_probe))
    assert overlap == pytest.approx(1, abs=1e-5)
    assert agreement(from_aperture, phase) < 5e-4


def test_the_beam_current_sets_one_scale_for_engine_and_parent():
    """A known beam is not the mean of the patterns when electrons leave the detector."""
    ptycho = geometry(num_object_states=1)
    vacuum = np.fft.fftshift(abs(np.fft.fft2(ptycho._probe[0])) ** 2)
    vacuum /= vacuum.sum()
    patterns = 0.9 * measured()
    ptycho = build(patterns, num_object_states=1, vacuum_probe_intensity=vacuum).preprocess(**SAME_FRAME)
    assert ptycho._beam == pytest.approx(1, rel=1e-5)
    ptycho.reconstruct(1, method="gd", progress_bar=False)
    first = ptycho._evaluator("amplitude").loss(np.ones_like(ptycho.object), ptycho._unit_probe)
    assert ptycho.error == pytest.approx(first, rel=2e-3)
    np.testing.assert_allclose((abs(ptycho.probe) ** 2).sum() * WINDOW**2, 1, rtol=1e-5)


def test_other_options_of_the_parent_reach_it():
    by_pixels = geometry(semiangle_cutoff=None, semiangle_cutoff_pixels=7.0)
    mrad = 7.0 * by_pixels.angular_sampling[0]
    same = geometry(semiangle_cutoff=mrad)
    np.testing.assert_allclose(by_pixels._unit_probe, same._unit_probe, atol=1e-6)
    soft = geometry(rolloff=4.0)
    expected = ComplexProbe(
        **{"gpts": (WINDOW, WINDOW), "sampling": soft.sampling, "energy": 200e3, "semiangle_cutoff": 25.0},
        parameters=soft._polar_parameters,
        rolloff=4.0,
    ).build()
    overlap = abs(np.vdot(np.fft.fftshift(expected._array), soft._unit_probe))
    assert overlap == pytest.approx(1, abs=1e-5)
    assert abs(np.vdot(geometry()._unit_probe, soft._unit_probe)) < 0.999
    deeper = geometry(middle_focus=True)  # 3 slices of 8 Å: half of 24 Å
    np.testing.assert_allclose(deeper._unit_probe, geometry(defocus=52.0)._unit_probe, atol=1e-6)
    scaled = geometry(preprocess={"force_scan_sampling": 2 * STEP, "force_reciprocal_sampling": 0.2})
    steps = np.diff(scaled.scan_positions_angstrom[:2], axis=0)
    np.testing.assert_allclose(steps, [[0, 2 * STEP]], atol=1e-4)
    assert scaled.sampling == pytest.approx((5 / WINDOW,) * 2, rel=1e-5)


def test_a_probe_guess_is_scaled_to_the_beam_and_must_fit_the_frame():
    known = geometry()
    guess = np.fft.ifftshift(known._unit_probe, axes=(-2, -1))
    ptycho = geometry(initial_probe_guess=7 * guess, semiangle_cutoff=None)
    np.testing.assert_allclose(ptycho._probe, known._probe, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="initial_probe_guess must have shape"):
        geometry(initial_probe_guess=guess[:, 1:], semiangle_cutoff=None)


def test_the_parents_figures_can_be_asked_for():
    import matplotlib.pyplot as plt

    geometry((6, 5), {"plot_probe_overlaps": True, "plot_center_of_mass": "all", "figsize": (4, 2)})
    assert len(plt.get_fignums()) == 2
    plt.close("all")


@pytest.mark.parametrize(
    ("changes", "options", "error", "message"),
    [
        ({}, {"force_com_rotatoin": 3}, TypeError, "unknown argument force_com_rotatoin"),
        ({}, {"padded_diffraction_intensities_shape": 32}, TypeError, r"must be a pair \(y, x\)"),
        ({}, {"padded_diffraction_intensities_shape": (32, 32.5)}, TypeError, "shape must be an integer"),
        ({}, {"padded_diffraction_intensities_shape": (8, 32)}, ValueError, "must be at least"),
        ({}, {"force_com_rotation": np.nan}, ValueError, "force_com_rotation must be finite"),
        ({}, {"force_com_rotation": "3"}, TypeError, "force_com_rotation must be a number"),
        ({}, {"force_com_transpose": "yes"}, TypeError, "force_com_transpose must be True or False"),
        ({}, {"streaming": 3}, TypeError, "streaming must be a text or a Path, got 3"),
        ({}, {"device": "gpu"}, ValueError, "give device to the constructor"),
        ({}, {"in_place_datacube_modification": True}, ValueError, "never changed"),
        ({}, {"store_initial_arrays": False}, ValueError, "every fit starts from them"),
        ({"positions_mask": np.ones((2, 2), bool)}, {}, ValueError, "positions_mask must have shape"),
        ({"positions_mask": np.zeros(SCAN, bool)}, {}, ValueError, "positions_mask must be True somewhere"),
        ({"initial_scan_positions": RASTER[1:]}, {}, ValueError, r"one row per pattern \(30\), got 29"),
        (
            {"initial_scan_positions": RASTER * np.nan},
            {},
            ValueError,
            "initial_scan_positions must be finite",
        ),
        ({"initial_scan_positions": RASTER.T}, {}, ValueError, "initial_scan_positions must have shape"),
        ({"object_padding_px": 12}, {}, TypeError, "object_padding_px must be a pair"),
        ({"object_padding_px": (12.5, 12)}, {}, TypeError, "object_padding_px must be an integer"),
        ({"object_padding_px": (-1, 12)}, {}, ValueError, "object_padding_px must be at least 0"),
        ({"object_padding_px": ((1, 2, 3), 12)}, {}, TypeError, "pairs of numbers"),
        ({"object_padding_px": (3, 3)}, {}, ValueError, r"at least half the frame, \(12, 12\) pixels"),
        ({"object_fov_ang": (3.0, 3.0)}, {}, ValueError, "object_fov_ang"),
        ({"rolloff": -1.0}, {}, ValueError, "rolloff must be at least 0"),
        ({}, {"force_com_shifts": (np.zeros(SCAN),) * 2}, ValueError, "force_com_shifts must have shape"),
        ({"storage": "gpu"}, {}, ValueError, "storage must be 'cpu'"),
    ],
)
def test_bad_options_are_refused(changes, options, error, message):
    with pytest.raises(error, match=message):
        geometry(preprocess=options, **changes)


def test_a_new_preparation_forgets_the_results_of_the_old():
    ptycho = geometry().reconstruct(1, one_state_iter=1, store_iterations=True, progress_bar=False)
    assert ptycho.object.shape[0] == 3
    ptycho.preprocess(**SAME_FRAME)
    assert not [name for name in ("object", "probe", "error", "object_iterations") if hasattr(ptycho, name)]
    with pytest.raises(ValueError, match=r"run reconstruct\(\) first"):
        ptycho.visualize()
