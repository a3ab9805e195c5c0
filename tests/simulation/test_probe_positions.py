"""Maps of probe positions: drift, random walk, jitter, rotation, scale and shear."""

import math

import numpy as np
import pytest

from caviar_kit.simulation import Experiment, distorted_positions, drifted_positions

SCAN = Experiment(
    energy_ev=200e3,
    semiangle_mrad=30,
    defocus_angstrom=40,
    scan_step_angstrom=0.5,
    scan_shape=(7, 9),
    centre_angstrom=(20, 20),
    window_angstrom=16,
    grid_points=120,
    detector_pixels=64,
)
NOMINAL = SCAN.scan_positions_angstrom


def test_steady_drift_grows_with_the_time_of_the_pattern():
    moved = drifted_positions(SCAN, drift_angstrom=(3.1, -1.55)) - NOMINAL
    np.testing.assert_allclose(moved[:, 0], np.arange(63) * 0.05, atol=1e-12)
    np.testing.assert_allclose(moved[:, 1], -np.arange(63) * 0.025, atol=1e-12)
    np.testing.assert_array_equal(drifted_positions(SCAN), NOMINAL)


def test_random_walk_ends_at_its_rms_and_grows_with_the_root_of_time():
    walks = np.stack(
        [drifted_positions(SCAN, random_walk_angstrom=0.4, seed=s) - NOMINAL for s in range(1000)]
    )
    np.testing.assert_array_equal(walks[:, 0], 0)
    rms = np.sqrt((walks**2).mean(axis=0))  # 1000 draws: relative error 1/sqrt(2000) = 2.2 %
    np.testing.assert_allclose(rms[-1], 0.4, rtol=0.09)
    np.testing.assert_allclose(rms[31], 0.4 / math.sqrt(2), rtol=0.09)
    assert abs((walks[:, -1, 0] * walks[:, -1, 1]).mean()) < 0.09 * 0.16 * math.sqrt(2)
    assert (walks[:, 20] * walks[:, 40]).mean() == pytest.approx(0.16 * 20 / 62, rel=0.15)


def test_jitter_has_its_rms_and_no_memory():
    shifts = np.stack([drifted_positions(SCAN, jitter_angstrom=0.1, seed=s) - NOMINAL for s in range(200)])
    assert shifts.std() == pytest.approx(0.1, rel=0.02)
    assert abs((shifts[:, 1:] * shifts[:, :-1]).mean()) < 4.5 * 0.01 / math.sqrt(200 * 62 * 2)


def test_same_seed_same_bits():
    errors = {"random_walk_angstrom": 0.3, "jitter_angstrom": 0.1}
    first, again, other = (drifted_positions(SCAN, **errors, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert abs(first - other).max() > 0.05


def test_rotation_has_the_sense_of_the_convention_and_keeps_the_centre():
    turned = distorted_positions(SCAN, rotation_degrees=30)
    c, s = math.cos(math.pi / 6), math.sin(math.pi / 6)
    y, x = (NOMINAL - NOMINAL[0]).T
    np.testing.assert_allclose(
        turned - turned[0], np.stack([y * c + x * s, x * c - y * s], axis=1), atol=1e-12
    )
    np.testing.assert_allclose(turned.mean(axis=0), NOMINAL.mean(axis=0), atol=1e-12)


def test_scale_then_shear_then_rotation():
    """A step along y is (s_y, shear · s_y) before the rotation, one along x (0, s_x)."""
    plain = distorted_positions(SCAN, scale=(1.1, 0.9), shear=0.2).reshape(7, 9, 2)
    np.testing.assert_allclose(np.diff(plain, axis=0) / 0.5, np.broadcast_to([1.1, 0.22], (6, 9, 2)))
    np.testing.assert_allclose(np.diff(plain, axis=1) / 0.5, np.broadcast_to([0, 0.9], (7, 8, 2)), atol=1e-12)
    both = distorted_positions(SCAN, scale=(1.1, 0.9), shear=0.2, rotation_degrees=90).reshape(7, 9, 2)
    np.testing.assert_allclose(np.diff(both, axis=0) / 0.5, np.broadcast_to([0.22, -1.1], (6, 9, 2)))
    np.testing.assert_allclose(distorted_positions(SCAN, scale=2), distorted_positions(SCAN, scale=(2, 2)))


def test_distortion_and_drift_can_follow_each_other():
    oblique = distorted_positions(SCAN, shear=0.1)
    moved = drifted_positions(SCAN, drift_angstrom=(1, 2), positions_angstrom=oblique)
    np.testing.assert_allclose(moved - oblique, drifted_positions(SCAN, drift_angstrom=(1, 2)) - NOMINAL)
    again = distorted_positions(SCAN, shear=-0.1, positions_angstrom=oblique)
    np.testing.assert_allclose(again, NOMINAL, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"drift_angstrom": 3.0}, ValueError, r"drift_angstrom must have shape \(2\), got \(\)"),
        ({"drift_angstrom": ("1", "2")}, TypeError, "drift_angstrom must hold real numbers"),
        ({"drift_angstrom": (np.nan, 0)}, ValueError, "drift_angstrom must be finite"),
        ({"drift_angstrom": (1e-10, 0)}, ValueError, "drift_angstrom .* given in metres"),
        ({"drift_angstrom": (1e5, 0)}, ValueError, "drift_angstrom must be at least"),
        ({"random_walk_angstrom": -1, "seed": 0}, ValueError, "random_walk_angstrom must be at least 0"),
        ({"jitter_angstrom": 0.1}, ValueError, "need a seed"),
        ({"jitter_angstrom": 0.1, "seed": 0.5}, TypeError, "seed must be an integer"),
        ({"positions_angstrom": NOMINAL[1:]}, ValueError, r"positions_angstrom must have shape \(63, 2\)"),
    ],
)
def test_bad_drifts_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        drifted_positions(SCAN, **change)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"rotation_degrees": "20"}, TypeError, "rotation_degrees must be a number"),
        ({"rotation_degrees": 400}, ValueError, "rotation_degrees must be at least -360"),
        ({"scale": 0.0}, ValueError, "scale must be at least 0.1"),
        ({"scale": (1, 1, 1)}, ValueError, r"scale must have shape \(2\)"),
        ({"shear": 2.0}, ValueError, "shear must be at least -1"),
    ],
)
def test_bad_distortions_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        distorted_positions(SCAN, **change)


@pytest.mark.parametrize("function", [distorted_positions, drifted_positions])
def test_positions_need_an_experiment(function):
    with pytest.raises(TypeError, match="experiment must be an Experiment, got NoneType"):
        function(None)
