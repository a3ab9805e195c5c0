"""Wrong calibrations and bad pixels: what changes, what stays, and that a reconstruction meets it."""

import numpy as np
import pytest

from caviar_kit._py4dstem import datacube
from caviar_kit.simulation import (
    applied_effects,
    apply_bad_pixels,
    apply_binning,
    apply_calibration_error,
    apply_dose,
    apply_source_size,
    bad_pixels,
    beam_pixel,
)
from tests.adapter.problems import SAME_FRAME, WINDOW, geometry


def cube_of(shape=(6, 5, 16, 18), dtype=np.float32):
    patterns = np.random.default_rng(0).random(shape) + 0.5
    patterns /= patterns.sum(axis=(2, 3), keepdims=True)
    patterns = np.rint(1e4 * patterns) if np.dtype(dtype).kind == "u" else patterns
    return datacube(patterns.astype(dtype), scan_step_angstrom=0.5, detector_pixel_inverse_angstrom=0.1)


# Calibration -------------------------------------------------------------------------------


def test_only_the_stated_calibration_changes():
    cube = cube_of(dtype=np.uint16)
    cube.calibration.set_QR_rotation_degrees(10.0)
    result = apply_calibration_error(cube, scan_step=1.02, detector_pixel=0.98, rotation_degrees=-3)
    np.testing.assert_array_equal(result.data, cube.data)
    assert result.data.dtype == np.uint16 and not np.shares_memory(result.data, cube.data)
    assert result.calibration.get_R_pixel_size() == pytest.approx(0.51)
    assert result.calibration.get_Q_pixel_size() == pytest.approx(0.098)
    assert result.calibration.get_QR_rotation_degrees() == pytest.approx(7)
    assert (cube.calibration.get_R_pixel_size(), cube.calibration.get_Q_pixel_size()) == (0.5, 0.1)
    assert applied_effects(result) == [
        {"effect": "calibration error", "scan_step": 1.02, "detector_pixel": 0.98, "rotation_degrees": -3.0}
    ]


def test_a_reconstruction_believes_the_wrong_calibration():
    right = geometry()
    wrong = geometry()
    wrong._datacube = apply_calibration_error(
        right._datacube, scan_step=1.05, detector_pixel=0.9, rotation_degrees=90
    )
    wrong.preprocess(**SAME_FRAME)
    assert wrong.sampling == pytest.approx(np.array(right.sampling) / 0.9, rel=1e-5)
    steps, true = (p.scan_positions_angstrom - p.scan_positions_angstrom[0] for p in (wrong, right))
    np.testing.assert_allclose(steps, 1.05 * true[:, ::-1] * (1, -1), atol=1e-3)
    assert right._datacube.data.shape[-1] == WINDOW


def test_a_wrong_step_is_not_used_by_later_effects():
    wrong = apply_calibration_error(cube_of(), scan_step=1.1)
    for effect, late in (
        ("source size", lambda: apply_source_size(wrong, 0.0)),
        ("dose", lambda: apply_dose(wrong, electrons_per_square_angstrom=1e4, seed=0)),
    ):
        with pytest.raises(ValueError, match=f"{effect} cannot be applied after calibration error"):
            late()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scan_step": 0.0}, ValueError, "scan_step must be at least 0.5 .* such as 1.02"),
        ({"scan_step": "2%"}, TypeError, "scan_step must be a number"),
        ({"detector_pixel": 30.0}, ValueError, "detector_pixel must be at least 0.5 and at most 2"),
        ({"rotation_degrees": 200}, ValueError, "rotation_degrees must be at least -180"),
    ],
)
def test_bad_errors_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        apply_calibration_error(cube_of(), **change)


def test_an_unknown_rotation_cannot_be_wrong():
    cube = cube_of()
    for name in ("QR_rotation_degrees", "QR_rotation"):
        cube.calibration._params.pop(name)
    assert apply_calibration_error(cube, scan_step=1.1).calibration.get_QR_rotation_degrees() is None
    with pytest.raises(ValueError, match="rotation_degrees needs a calibrated rotation"):
        apply_calibration_error(cube, rotation_degrees=1)
    with pytest.raises(TypeError, match="must be a py4DSTEM.DataCube, got NoneType"):
        apply_calibration_error(None)


# Bad pixels --------------------------------------------------------------------------------


def test_bad_pixels_are_the_same_in_every_pattern_and_the_rest_stays():
    cube = cube_of()
    before = cube.data.copy()
    result = apply_bad_pixels(cube, hot=3, dead=5, seed=1)
    mask = bad_pixels(result)
    assert mask.sum() == 8 and not bad_pixels(cube).any()
    np.testing.assert_array_equal(cube.data, before)
    np.testing.assert_array_equal(result.data[..., ~mask], before[..., ~mask])
    spoilt = result.data[..., mask]
    assert ((spoilt == 0).sum(axis=-1) == 5).all()
    assert ((spoilt == np.float32(20 * before.max())).sum(axis=-1) == 3).all()
    again, other = (bad_pixels(apply_bad_pixels(cube, hot=3, dead=5, seed=s)) for s in (1, 2))
    assert (again == mask).all() and (other != mask).any()


def test_the_reconstruction_warns_of_bad_pixels_unless_it_is_told():
    cube = geometry()._datacube
    spoilt = apply_bad_pixels(cube, hot=2, seed=3)
    ptycho = geometry()
    ptycho._datacube = spoilt
    with pytest.warns(UserWarning, match="2 detector pixels look hot or dead"):
        ptycho.preprocess(**SAME_FRAME)
    ptycho.preprocess(**SAME_FRAME, dp_mask=~bad_pixels(spoilt))
    weights = np.fft.fftshift(ptycho._detector_weights)
    np.testing.assert_array_equal(weights == 0, bad_pixels(spoilt))


def test_counts_stay_counts_and_must_hold_a_hot_pixel():
    cube = cube_of(dtype=np.uint16)
    assert apply_bad_pixels(cube, hot=1, hot_value=60000, seed=0).data.max() == 60000
    with pytest.raises(ValueError, match="hot_value must fit into uint16, at most 65535"):
        apply_bad_pixels(cube, hot=1, hot_value=70000, seed=0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"hot": -1}, ValueError, "hot must be at least 0"),
        ({"dead": 1.0}, TypeError, "dead must be an integer"),
        ({"hot": 100, "dead": 100}, ValueError, r"hot \+ dead must be at most half"),
        ({"hot": 1, "hot_value": -3}, ValueError, "hot_value must be at least 0"),
        ({"seed": None}, TypeError, "seed must be an integer"),
    ],
)
def test_bad_numbers_of_bad_pixels_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        apply_bad_pixels(cube_of(), **{"seed": 0, **change})


def test_all_that_was_done_survives_a_file(tmp_path):
    from caviar_kit._py4dstem import import_py4dstem

    cube = apply_binning(cube_of((6, 5, 32, 32)), 2, centred=False)
    cube = apply_dose(cube, electrons_per_pattern=1e5, seed=1)
    cube = apply_calibration_error(apply_bad_pixels(cube, hot=2, seed=1), detector_pixel=1.01)
    py4dstem = import_py4dstem()
    py4dstem.save(str(tmp_path / "cube.h5"), cube, mode="o")
    read = py4dstem.read(str(tmp_path / "cube.h5"))
    names = [done["effect"] for done in applied_effects(read)]
    assert names == ["binning", "dose", "bad pixels", "calibration error"]
    assert beam_pixel(read) == beam_pixel(cube) == (7.75, 7.75)
    np.testing.assert_array_equal(bad_pixels(read), bad_pixels(cube))
    assert read.calibration.get_Q_pixel_size() == pytest.approx(0.202)
