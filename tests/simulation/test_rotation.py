"""A scan turned against the detector: two ways to simulate it, and the kit and py4DSTEM that recover it."""

import warnings

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit._py4dstem import datacube
from caviar_kit.simulation import (
    Experiment,
    Snapshots,
    applied_effects,
    apply_dose,
    apply_rotation,
    distorted_positions,
    ground_truth,
    scan,
    vacuum_probe_intensity,
)
from caviar_kit.vibrations import projected_phase

ATOMS = np.array([[18.6, 18.4], [18.9, 21.3], [21.2, 18.9]])  # y, x [Å]: no two alike
OPTICS = {
    "energy_ev": 200e3,
    "semiangle_mrad": 25,
    "centre_angstrom": (19.8, 20.0),
    "window_angstrom": 14,
    "grid_points": 84,
    "detector_pixels": 56,
    "num_slices": 1,
}
COARSE = Experiment(defocus_angstrom=80, scan_step_angstrom=0.6, scan_shape=(9, 11), **OPTICS)
FINE = Experiment(defocus_angstrom=0, scan_step_angstrom=0.35, scan_shape=(12, 12), **OPTICS)


def silver(atoms):
    positions = np.column_stack([np.asarray(atoms)[:, ::-1], np.ones(3)])[None]
    return Snapshots(positions, [47] * 3, np.diag([40.0, 40.0, 2.0]), positions[0], 0.0)


def turned_atoms(degrees):
    """ATOMS turned about the scan's centre as a scan step is: what rotates scan and specimen together."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    y, x = (ATOMS - OPTICS["centre_angstrom"]).T
    return OPTICS["centre_angstrom"] + np.stack([y * c + x * s, x * c - y * s], axis=1)


def ptychography(cube, experiment):
    return ck.MixedObjectMultislicePtychography(
        datacube=cube,
        energy=experiment.energy_ev,
        semiangle_cutoff=experiment.semiangle_mrad,
        defocus=experiment.defocus_angstrom,
        vacuum_probe_intensity=vacuum_probe_intensity(experiment),
        num_slices=1,
        slice_thicknesses=[],
        num_object_states=1,
        device="cpu",
    )


@pytest.fixture(scope="module")
def straight():
    return scan(silver(ATOMS), FINE)


# Signs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [90.0, 20.0, -35.0])
def test_turned_patterns_are_those_of_a_turned_scan_over_a_turned_specimen(straight, degrees):
    """The same experiment seen in the axes of another detector; a quarter turn is exact."""
    positions = distorted_positions(FINE, rotation_degrees=degrees)
    wanted = scan(silver(turned_atoms(degrees)), FINE, positions_angstrom=positions).data
    turned = apply_rotation(straight, degrees)
    unturned = abs(wanted - straight.data).sum(axis=(2, 3)).mean()
    left = abs(turned.data - wanted).sum(axis=(2, 3)).mean()
    wrong = abs(apply_rotation(straight, -degrees).data - wanted).sum(axis=(2, 3)).mean()
    inside = np.hypot(*(np.indices((56, 56)) - 28)) * FINE.detector_pixel_mrad < 20
    within = abs(turned.data - wanted)[..., inside].sum(axis=-1).mean()
    assert within < 2e-3 < 0.1 * min(unturned, wrong)
    assert left < (1e-5 if degrees == 90 else 0.06)  # the disc's rim, one pixel wide, is not smooth
    assert turned.calibration.get_QR_rotation_degrees() == pytest.approx(degrees)


@pytest.mark.parametrize("way", ["positions", "patterns"])
def test_py4dstem_finds_the_rotation_from_the_centre_of_mass(straight, way):
    if way == "positions":
        cube = scan(
            silver(turned_atoms(20)), FINE, positions_angstrom=distorted_positions(FINE, rotation_degrees=20)
        )
    else:
        cube = apply_rotation(straight, 20)
    for unknown in ("QR_rotation_degrees", "QR_rotation", "QR_flip"):
        cube.calibration._params.pop(unknown, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as that pixels look dead
        ptycho = ptychography(cube, FINE).preprocess()
    assert not ptycho._rotation_best_transpose
    found = np.rad2deg(ptycho._rotation_best_rad)
    assert (found - 20 + 90) % 180 - 90 == pytest.approx(0, abs=4)  # 180° is the sign of the phase


def test_a_turned_scan_is_reconstructed_in_the_frame_of_the_specimen():
    """``distorted_positions`` keeps the detector's axes those of the specimen: truth is where it was."""
    degrees = 25.0
    positions = distorted_positions(COARSE, rotation_degrees=degrees)
    cube = scan(silver(ATOMS), COARSE, positions_angstrom=positions)
    cube.calibration.set_QR_rotation_degrees(degrees)
    ptycho = ptychography(cube, COARSE).preprocess()
    ptycho.reconstruct(max_iter=40, progress_bar=False)
    steps = ptycho.scan_positions_angstrom - ptycho.scan_positions_angstrom[0]
    np.testing.assert_allclose(steps, positions - positions[0], atol=1e-3)
    image = projected_phase(ptycho.object).mean(axis=0)
    found = ck.find_atoms(image, ptycho.sampling, min_distance=1.5, smoothing=0.3)
    truth = ground_truth(silver(ATOMS), COARSE).positions
    for atom in truth - positions[0] + ptycho.scan_positions_angstrom[0]:
        assert np.linalg.norm(found - atom, axis=1).min() < 0.05  # Å


@pytest.mark.parametrize("flip", [False, True])
def test_rotations_add_up_and_a_flip_reverses_the_detectors(flip):
    """R(θ) follows scan rotation and flip: the calibrated positions are the old ones turned by θ."""
    patterns = np.random.default_rng(0).random((4, 3, 16, 16)).astype(np.float32)
    cube = datacube(patterns, scan_step_angstrom=0.5, detector_pixel_inverse_angstrom=0.1)
    cube.calibration.set_QR_rotation_degrees(10.0)
    cube.calibration.set_QR_flip(flip)
    places = []
    for turned in (cube, apply_rotation(cube, 40.0)):
        ptycho = ck.MixedObjectMultislicePtychography(
            datacube=turned,
            energy=200e3,
            semiangle_cutoff=12,
            num_slices=1,
            slice_thicknesses=[],
            num_object_states=1,
            device="cpu",
        ).preprocess(force_com_shifts=(8, 8))
        places.append(ptycho.scan_positions_angstrom - ptycho.scan_positions_angstrom[0])
    c, s = np.cos(np.deg2rad(40)), np.sin(np.deg2rad(40))
    y, x = places[0].T
    np.testing.assert_allclose(places[1], np.stack([y * c + x * s, x * c - y * s], axis=1), atol=1e-3)


# Data cubes --------------------------------------------------------------------------------


def test_a_full_turn_changes_nothing_and_the_input_is_left_alone(straight):
    before = straight.data.copy()
    same = apply_rotation(straight, 360.0)
    np.testing.assert_array_equal(straight.data, before)
    np.testing.assert_allclose(same.data, before, atol=1e-7)
    assert same.calibration.get_R_pixel_size() == FINE.scan_step_angstrom
    assert straight.calibration.get_QR_rotation_degrees() == 0
    assert applied_effects(same) == [{"effect": "rotation", "degrees": 360.0}]
    assert apply_rotation(straight, 20).data.min() >= 0


def test_electrons_near_the_beam_are_kept(straight):
    total = apply_rotation(straight, 33).data.sum(axis=(2, 3))
    np.testing.assert_allclose(total, straight.data.sum(axis=(2, 3)), atol=0.02)


@pytest.mark.parametrize(
    ("degrees", "error", "message"),
    [("20", TypeError, "degrees must be a number"), (1000, ValueError, "degrees must be at least -360")],
)
def test_bad_angles_are_refused(straight, degrees, error, message):
    with pytest.raises(error, match=message):
        apply_rotation(straight, degrees)


def test_noise_and_arrays_are_not_rotated(straight):
    with pytest.raises(TypeError, match="datacube must be a py4DSTEM.DataCube, got ndarray"):
        apply_rotation(straight.data, 20)
    with pytest.raises(ValueError, match="rotation cannot be applied after dose"):
        apply_rotation(apply_dose(straight, electrons_per_pattern=1e4, seed=0), 20)
