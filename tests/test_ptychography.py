"""The py4DSTEM class: what it prepares, what it hands over, what it refuses."""

import warnings

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit._py4dstem import datacube
from caviar_kit.simulation import Experiment, coherent, scan, silicon_sigma9_snapshots, vacuum_probe_intensity

ENERGY, SEMIANGLE, DEFOCUS = 200e3, 30.0, 60.0


def experiment():
    return Experiment(
        energy_ev=ENERGY,
        semiangle_mrad=SEMIANGLE,
        defocus_angstrom=DEFOCUS,
        scan_step_angstrom=0.8,
        scan_shape=(5, 4),
        centre_angstrom=(32.59, 18.03),
        window_angstrom=9.0,
        grid_points=64,
        detector_pixels=32,
        num_slices=2,
    )


@pytest.fixture(scope="module")
def data():
    setup = experiment()
    return scan(coherent(silicon_sigma9_snapshots()), setup), vacuum_probe_intensity(setup)


def build(data, *, scale=1.0, **changes):
    cube, vacuum = data
    fresh = datacube(
        scale * cube.data,
        scan_step_angstrom=0.8,
        detector_pixel_inverse_angstrom=1 / 9.0,
    )
    arguments = {
        "datacube": fresh,
        "energy": ENERGY,
        "semiangle_cutoff": SEMIANGLE,
        "defocus": DEFOCUS,
        "num_slices": 2,
        "slice_thicknesses": 3.84,
        "num_object_states": 3,
        "vacuum_probe_intensity": scale * vacuum,
        **changes,
    }
    return ck.MixedObjectMultislicePtychography(**arguments)


def prepare(data, **changes):
    return build(data, **changes).preprocess(force_com_rotation=0, force_com_transpose=False)


def test_reconstruction_lowers_the_loss_and_shapes_are_as_documented(data):
    ptycho = prepare(data).reconstruct(max_iter=6, one_state_iter=10, progress_bar=False)
    assert ptycho.error_iterations[-1] < 0.02 * ptycho.error_iterations[0]
    assert len(ptycho.error_iterations) == 16
    assert ptycho.object.dtype == np.complex64
    assert ptycho.object.shape[:2] == (3, 2)
    assert ptycho.probe.shape == (1, 48, 48)
    assert ptycho.sampling == pytest.approx((9 / 48, 9 / 48), rel=1e-6)
    assert ptycho.error == ptycho.error_iterations[-1]


def test_the_scan_lies_in_the_object_with_the_right_steps(data):
    ptycho = prepare(data)
    positions = ptycho.scan_positions_angstrom.reshape(5, 4, 2)
    np.testing.assert_allclose(np.diff(positions[..., 0], axis=0), 0.8, atol=1e-4)
    np.testing.assert_allclose(np.diff(positions[..., 1], axis=1), 0.8, atol=1e-4)
    np.testing.assert_allclose(np.diff(positions[..., 1], axis=0), 0, atol=1e-4)
    size = np.array(ptycho._object.shape[-2:]) * ptycho.sampling
    assert (positions > 0).all()
    assert (positions < size).all()


def test_rotation_and_flip_come_from_the_calibration_and_can_be_forced(data):
    calibrated = build(data).preprocess()
    np.testing.assert_array_equal(calibrated.scan_positions_angstrom, prepare(data).scan_positions_angstrom)
    turned = build(data)
    turned._datacube.calibration.set_QR_rotation_degrees(90.0)
    steps = np.diff(turned.preprocess().scan_positions_angstrom[:2], axis=0)[0]
    np.testing.assert_allclose(np.abs(steps), (0.8, 0), atol=1e-3)  # the fast axis runs along y now
    forced = turned.preprocess(force_com_rotation=0).scan_positions_angstrom
    np.testing.assert_allclose(np.diff(forced[:2], axis=0)[0], (0, 0.8), atol=1e-3)


def test_preprocess_can_be_run_again_with_another_frame(data):
    ptycho = prepare(data)
    ptycho.preprocess(padded_diffraction_intensities_shape=(32, 32))
    fresh = build(data).preprocess(padded_diffraction_intensities_shape=(32, 32))
    np.testing.assert_array_equal(ptycho.scan_positions_angstrom, fresh.scan_positions_angstrom)
    losses = [
        p.reconstruct(1, one_state_iter=2, progress_bar=False).error_iterations for p in (ptycho, fresh)
    ]
    assert losses[0] == losses[1]


def test_columns_appear_where_the_truth_says(data):
    from caviar_kit.simulation import ground_truth

    ptycho = prepare(data, num_object_states=1).reconstruct(max_iter=40, progress_bar=False)
    truth = ground_truth(coherent(silicon_sigma9_snapshots()), experiment())
    expected = truth.positions + ptycho.scan_positions_angstrom[0]
    tracked = ck.track_atoms(ptycho.object, expected, ptycho.sampling)[0]
    assert np.abs(tracked - expected).max() < 0.06


def test_same_seed_same_bits_and_another_seed_differs(data):
    run = lambda seed: prepare(data, seed=seed).reconstruct(max_iter=3, one_state_iter=3, progress_bar=False)  # noqa: E731
    first, again, other = run(1).object, run(1).object, run(2).object
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_counts_and_fractions_of_the_beam_give_the_same_fit(data):
    fractions = prepare(data).reconstruct(max_iter=2, one_state_iter=4, progress_bar=False)
    counts = prepare(data, scale=4e5).reconstruct(max_iter=2, one_state_iter=4, progress_bar=False)
    np.testing.assert_allclose(counts.error_iterations, fractions.error_iterations, rtol=1e-3)
    np.testing.assert_allclose(counts.object, fractions.object, atol=1e-2)


def test_iterate_can_be_left_at_any_time_and_leaves_a_valid_state(data):
    ptycho = prepare(data)
    for snapshot in ptycho.iterate(max_iter=50, one_state_iter=4):
        if snapshot.iteration == 6:
            break
    del snapshot
    assert len(ptycho.error_iterations) == 6
    assert ptycho.object.shape[0] == 3
    before = ptycho.error_iterations[-1]
    ptycho.reconstruct(max_iter=2, reset=False, progress_bar=False)
    assert len(ptycho.error_iterations) == 8
    assert ptycho.error_iterations[-1] < before


def test_a_reconstruction_starts_afresh_unless_told_otherwise(data):
    ptycho = prepare(data)
    once = ptycho.reconstruct(max_iter=2, one_state_iter=2, progress_bar=False).object.copy()
    twice = ptycho.reconstruct(max_iter=2, one_state_iter=2, progress_bar=False).object
    np.testing.assert_array_equal(once, twice)


@pytest.mark.parametrize("settings", [{"object_type": "complex"}, {"optimizer": "adam"}, {"loss": "poisson"}])
def test_options_fit_too(data, settings):
    ptycho = prepare(data).reconstruct(max_iter=4, one_state_iter=8, progress_bar=False, **settings)
    assert ptycho.error_iterations[-1] < 0.2 * ptycho.error_iterations[0]


def test_phase_objects_have_unit_modulus_and_complex_ones_need_not(data):
    moduli = {}
    for kind in ("phase", "complex"):
        ptycho = prepare(data, object_type=kind).reconstruct(max_iter=2, one_state_iter=4, progress_bar=False)
        moduli[kind] = abs(ptycho.object)
    np.testing.assert_allclose(moduli["phase"], 1, atol=1e-6)
    assert moduli["complex"].std() > 1e-3


def test_the_data_cube_is_left_as_it_was(data):
    ptycho = build(data)
    cube, before = ptycho._datacube, ptycho._datacube.data.copy()
    ptycho.preprocess(force_com_rotation=0, force_com_transpose=False)
    assert ptycho._datacube is cube
    np.testing.assert_array_equal(cube.data, before)


def test_probe_from_an_ideal_aperture_equals_the_one_from_the_vacuum_pattern(data):
    with_vacuum, without = prepare(data), prepare(data, vacuum_probe_intensity=None)
    overlap = abs(np.vdot(with_vacuum._unit_probe, without._unit_probe)) ** 2
    assert overlap > 0.995


def test_probe_matches_abtem_with_the_same_defocus(data):
    import abtem

    wave = abtem.Probe(energy=ENERGY, semiangle_cutoff=SEMIANGLE, defocus=DEFOCUS, extent=9.0, gpts=48).build(
        lazy=False
    )
    ours = prepare(data)._unit_probe[0]
    theirs = wave.array.T / np.sqrt((abs(wave.array) ** 2).sum())
    centre = np.unravel_index(np.argmax(abs(ours)), ours.shape)
    assert abs(np.vdot(ours, theirs)) ** 2 > 0.995, centre


def test_a_masked_hot_pixel_does_not_matter(data):
    mask = np.ones((32, 32), bool)
    mask[5, 7] = False
    spoiled = datacube(data[0].data.copy(), scan_step_angstrom=0.8, detector_pixel_inverse_angstrom=1 / 9.0)
    spoiled.data[..., 5, 7] = 0.3
    losses = []
    for cube in (None, spoiled):
        ptycho = build(data) if cube is None else build(data, datacube=cube)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a masked pixel is not suspicious
            ptycho.preprocess(force_com_rotation=0, force_com_transpose=False, dp_mask=mask)
        losses.append(ptycho.reconstruct(max_iter=2, one_state_iter=5, progress_bar=False).error_iterations)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_shifted_patterns_are_centred_again(data):
    shifted = datacube(
        np.roll(data[0].data, (2, -1), axis=(2, 3)),
        scan_step_angstrom=0.8,
        detector_pixel_inverse_angstrom=1 / 9.0,
    )
    vacuum = np.roll(data[1], (2, -1), axis=(0, 1))
    reference = prepare(data).reconstruct(max_iter=0, one_state_iter=8, progress_bar=False)
    moved = prepare(data, datacube=shifted, vacuum_probe_intensity=vacuum)
    moved.reconstruct(max_iter=0, one_state_iter=8, progress_bar=False)
    assert moved.error_iterations[-1] < 2 * reference.error_iterations[-1]


def test_memory_estimate_grows_with_states_and_too_much_is_refused(data):
    few, many = prepare(data, num_object_states=2), prepare(data, num_object_states=200000)
    assert many.estimate_memory()["total"] > 100 * few.estimate_memory()["total"]
    with pytest.raises(ValueError, match="num_object_states=200000 needs about"):
        many.iterate()


@pytest.mark.parametrize(("place", "cure"), [("host", "or crop the scan$"), ("device", "device='cpu'")])
def test_a_fit_that_does_not_fit_in_what_is_free_is_refused(data, monkeypatch, place, cure):
    from caviar_kit import available_memory
    from caviar_kit._adapter import fitting

    ptycho = prepare(data)
    estimate = {"host": 2**30, "device": 2**30, "total": 2**31}
    monkeypatch.setattr(fitting, "estimate_memory", lambda *args, **kwargs: estimate)
    fake = type("cupy", (), {"__name__": "cupy"})
    monkeypatch.setattr(fitting, "resolve_device", lambda device: fake if place == "device" else np)
    free = {"host": 2**31, "device": 2**31, place: 2**29}
    monkeypatch.setattr(
        available_memory, "available_memory", lambda xp: free["host" if xp is np else "device"]
    )
    with pytest.raises(ValueError, match=rf"needs about 1.0 GiB, .* has 0.5 free: .*{cure}"):
        ptycho.iterate()


def test_visualize_draws_and_returns_self(data):
    import matplotlib.pyplot as plt

    ptycho = prepare(data).reconstruct(max_iter=1, one_state_iter=1, progress_bar=False)
    assert ptycho.visualize() is ptycho
    assert len(plt.get_fignums()) >= 1
    plt.close("all")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"energy": 200}, ValueError, "keV"),
        ({"energy": "200e3"}, TypeError, "energy"),
        ({"semiangle_cutoff": 0.03}, ValueError, "radians"),
        ({"semiangle_cutoff": None, "vacuum_probe_intensity": None}, ValueError, "semiangle_cutoff"),
        ({"defocus": 150e-10}, ValueError, "did you mean angstrom"),
        ({"defocus": float("nan")}, ValueError, "defocus"),
        ({"num_slices": 0}, ValueError, "num_slices"),
        ({"num_slices": 2.0}, TypeError, "num_slices"),
        ({"slice_thicknesses": [1, 2, 3]}, ValueError, "num_slices - 1 = 1"),
        ({"slice_thicknesses": 1.9e-10}, ValueError, "metres"),
        ({"num_object_states": 0}, ValueError, "num_object_states"),
        ({"num_probes": 0}, ValueError, "num_probes must be at least 1"),
        ({"source_fwhm_angstrom": 0.5}, ValueError, "num_probes must be at least 2"),
        ({"source_fwhm_angstrom": -1, "num_probes": 3}, ValueError, "source_fwhm_angstrom must be"),
        ({"seed": -1}, ValueError, "seed"),
        ({"object_type": "potential"}, ValueError, "object_type must be one of 'complex', 'phase'"),
        ({"device": "cuda"}, ValueError, "device must be one of"),
        ({"vacuum_probe_intensity": np.full((32, 32), np.nan)}, ValueError, "vacuum_probe_intensity"),
        ({"flavour": 1}, ValueError, "flavour"),
    ],
)
def test_constructor_refuses(data, changes, error, message):
    with pytest.raises(error, match=message):
        build(data, **changes)


def test_preprocess_refuses_what_does_not_fit_together(data):
    with pytest.raises(ValueError, match="needs a datacube"):
        build(data, datacube=None).preprocess()
    with pytest.raises(ValueError, match="vacuum_probe_intensity must have the patterns' shape"):
        build(data, vacuum_probe_intensity=np.ones((16, 16))).preprocess()
    with pytest.raises(ValueError, match="dp_mask must have shape"):
        build(data).preprocess(dp_mask=np.ones((3, 3), bool))
    with pytest.raises(ValueError, match="dp_mask must be True somewhere"):
        build(data).preprocess(dp_mask=np.zeros((32, 32), bool))
    with pytest.raises(ValueError, match="region_of_interest_shape is not supported"):
        build(data).preprocess(region_of_interest_shape=(16, 16))
    with pytest.raises(ValueError, match="at least"):
        build(data).preprocess(padded_diffraction_intensities_shape=(16, 16))


def test_probes_that_do_not_overlap_or_do_not_fit_their_window_are_refused(data):
    far = datacube(data[0].data.copy(), scan_step_angstrom=80.0, detector_pixel_inverse_angstrom=1 / 9.0)
    with pytest.raises(ValueError, match="do not overlap"):
        build(data, datacube=far).preprocess(force_com_rotation=0, force_com_transpose=False)
    with pytest.raises(ValueError, match="does not fit its window"):
        build(data, defocus=600.0).preprocess(force_com_rotation=0, force_com_transpose=False)


def test_steps_out_of_order_and_unknown_settings_are_refused(data):
    with pytest.raises(ValueError, match=r"run preprocess\(\) first"):
        build(data).reconstruct()
    with pytest.raises(ValueError, match=r"run reconstruct\(\) first"):
        prepare(data).visualize()
    with pytest.raises(TypeError, match="unknown setting learning_rate"):
        prepare(data).reconstruct(learning_rate=1)
    with pytest.raises(ValueError, match="loss must be one of"):
        prepare(data).reconstruct(loss="l1")
    with pytest.raises(ValueError, match="max_iter"):
        prepare(data).reconstruct(max_iter=-1)


def test_a_guess_of_the_object_is_where_the_fit_starts(data):
    known = prepare(data, num_object_states=1).reconstruct(max_iter=20, progress_bar=False)
    one_state = prepare(data, initial_object_guess=known.object[0])
    one_state.reconstruct(max_iter=1, one_state_iter=2, progress_bar=False)
    assert one_state.error_iterations[0] < 2 * known.error
    states = prepare(data, initial_object_guess=np.repeat(known.object, 3, axis=0))
    states.reconstruct(max_iter=2, one_state_iter=0, progress_bar=False)
    assert states.error_iterations[0] < 2 * known.error
    with pytest.raises(ValueError, match="do not fit the field"):
        prepare(data, initial_object_guess=known.object[0][:, :9]).reconstruct(progress_bar=False)
    with pytest.raises(ValueError, match="initial_object_guess must have shape"):
        build(data, initial_object_guess=np.ones((4, 4)))
