"""What the effects share: calibration, labels, order, data on disk."""

import h5py
import numpy as np
import pytest
from emdfile import Metadata

from caviar_kit._py4dstem import datacube, import_py4dstem
from caviar_kit.simulation import (
    Experiment,
    applied_effects,
    apply_bad_pixels,
    apply_binning,
    apply_calibration_error,
    apply_dose,
    apply_drift,
    apply_mtf,
    apply_rotation,
    apply_source_size,
)
from caviar_kit.simulation.effects import calibrated_like, each_pattern, record, scan_step_angstrom


def cube_of(shape=(10, 11, 8, 7), step=0.04):
    patterns = np.random.default_rng(1).random(shape, np.float32)
    patterns /= patterns.sum(axis=(2, 3), keepdims=True)
    cube = datacube(patterns, scan_step_angstrom=step, detector_pixel_inverse_angstrom=0.1, name="silicon")
    cube.calibration.set_QR_rotation_degrees(12.0)
    cube.calibration.set_QR_flip(True)
    cube.calibration.set_origin((np.full(shape[:2], 4.0), np.full(shape[:2], 3.0)))
    cube.calibrate()
    cube.metadata = Metadata("microscope", {"operator": "nobody"})
    return cube


def test_a_new_cube_keeps_name_calibration_and_metadata():
    cube = cube_of()
    result = each_pattern(cube, lambda pattern, index: pattern + index)
    assert result.name == "silicon" and result.metadata["microscope"]["operator"] == "nobody"
    for key in cube.calibration.keys:
        if not key.startswith("_"):
            np.testing.assert_array_equal(result.calibration[key], cube.calibration[key])
    for old, new in zip(cube.dims, result.dims, strict=True):
        np.testing.assert_allclose(new, old)
    result.calibration.set_R_pixel_size(7.0)
    result.metadata["microscope"]["operator"] = "somebody"
    assert cube.calibration.get_R_pixel_size() == 0.04
    assert cube.metadata["microscope"]["operator"] == "nobody"


def test_origins_per_position_go_when_the_scan_is_cropped():
    cube = cube_of()
    cropped = calibrated_like(cube, cube.data[1:])
    assert cropped.calibration.get_qx0() is None
    assert cropped.calibration.get_QR_flip() is True


def test_single_patterns_are_changed_as_those_of_a_cube():
    cube = cube_of()
    single = each_pattern(cube.data[0, 0], lambda pattern, index: 2 * pattern)
    np.testing.assert_array_equal(single, 2 * cube.data[0, 0])
    assert single.dtype == np.float32


def test_effects_are_listed_in_order_also_in_a_file(tmp_path):
    cube = cube_of()
    assert applied_effects(cube) == []
    for number in range(11):  # more than one digit
        record(cube, "something", number=number, array=np.arange(3.0))
    blurred = apply_dose(apply_source_size(cube_of(), 0.1), electrons_per_pattern=100, seed=2)
    assert [effect["effect"] for effect in applied_effects(blurred)] == ["source size", "dose"]
    py4dstem = import_py4dstem()
    py4dstem.save(str(tmp_path / "cube.h5"), cube, mode="o")
    read = applied_effects(py4dstem.read(str(tmp_path / "cube.h5")))
    assert [effect["number"] for effect in read] == list(range(11))
    np.testing.assert_array_equal(read[3]["array"], np.arange(3.0))


def test_a_whole_experiment_is_one_chain_and_leaves_each_step_as_it_was():
    experiment = Experiment(
        energy_ev=200e3,
        semiangle_mrad=30,
        defocus_angstrom=0,
        scan_step_angstrom=0.15,
        scan_shape=(20, 20),
        centre_angstrom=(20, 20),
        window_angstrom=12,
        grid_points=90,
        detector_pixels=32,
    )
    y, x = np.indices((20, 20)) * 0.15
    scanned = 1 + 0.1 * np.cos(2 * np.pi * (y + x) / 1.5)[..., None, None] * np.sin(np.arange(32.0))
    patterns = (np.exp(-(np.hypot(*np.indices((32, 32)) - 16) ** 2) / 60) * scanned).astype(np.float32)
    patterns /= patterns.sum(axis=(2, 3), keepdims=True)
    steps = [datacube(patterns, scan_step_angstrom=0.15, detector_pixel_inverse_angstrom=1 / 12)]
    for effect in (
        lambda cube: apply_source_size(cube, 0.4, experiment=experiment),
        lambda cube: apply_drift(cube, experiment=experiment, drift_angstrom=(0.3, -0.2)),
        lambda cube: apply_rotation(cube, 15),
        lambda cube: apply_mtf(cube, pixel_width=1),
        lambda cube: apply_binning(cube, 2),
        lambda cube: apply_dose(cube, electrons_per_square_angstrom=1e6, seed=1),
        lambda cube: apply_bad_pixels(cube, hot=1, dead=1, seed=2),
        lambda cube: apply_calibration_error(cube, scan_step=1.02),
    ):
        before = steps[-1].data.copy(), len(applied_effects(steps[-1]))
        steps.append(effect(steps[-1]))
        np.testing.assert_array_equal(steps[-2].data, before[0])
        assert len(applied_effects(steps[-2])) == before[1]
    assert [done["effect"] for done in applied_effects(steps[-1])] == [
        "source size", "positions", "rotation", "modulation transfer", "binning", "dose", "bad pixels",
        "calibration error",
    ]  # fmt: skip
    counted, end = steps[6], steps[-1]
    assert counted.data.sum(axis=(2, 3)).mean() == pytest.approx(1e6 * 0.15**2, rel=0.01)
    assert end.calibration.get_R_pixel_size() == pytest.approx(0.153)
    assert end.calibration.get_Q_pixel_size() == pytest.approx(1 / 6)
    assert end.calibration.get_QR_rotation_degrees() == 15


def test_an_effect_that_comes_too_late_is_refused():
    counted = apply_dose(cube_of(), electrons_per_pattern=1e4, seed=0)
    with pytest.raises(ValueError, match="source size cannot be applied after dose"):
        apply_source_size(counted, 0.1)
    with pytest.raises(ValueError, match="dose cannot be applied after dose"):
        apply_dose(counted, electrons_per_pattern=1e4, seed=0)


@pytest.mark.parametrize("kind", ["memmap", "h5py"])
def test_data_on_disk_give_the_same_bits_in_a_temporary_file(tmp_path, kind):
    cube = cube_of()
    wanted = apply_source_size(cube, 0.1)
    wanted = apply_dose(wanted, electrons_per_pattern=1e4, seed=3).data
    with h5py.File(tmp_path / "data.h5", "w") as file:
        if kind == "h5py":
            cube.data = file.create_dataset("data", data=cube.data)
        else:
            np.save(tmp_path / "data.npy", cube.data)
            cube.data = np.load(tmp_path / "data.npy", mmap_mode="r")
        blurred = apply_source_size(cube, 0.1)
        counted = apply_dose(blurred, electrons_per_pattern=1e4, seed=3)
    assert isinstance(blurred.data, np.memmap) and isinstance(counted.data, np.memmap)
    np.testing.assert_array_equal(counted.data, wanted)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".h5", ".npy"}


def test_what_is_no_calibrated_cube_is_refused():
    with pytest.raises(TypeError, match="datacube must be a py4DSTEM.DataCube, got ndarray"):
        applied_effects(np.ones((3, 3)))
    with pytest.raises(TypeError, match=r"patterns must be a py4DSTEM.DataCube or a \(Qy, Qx\) array"):
        each_pattern([[1.0]], lambda pattern, index: pattern)
    with pytest.raises(ValueError, match=r"patterns must have shape \(any, any\)"):
        each_pattern(np.ones((2, 3, 3)), lambda pattern, index: pattern)
    cube = cube_of()
    cube.data[2, 3, 4, 5] = np.nan
    with pytest.raises(ValueError, match="datacube.data must be finite, got 1 NaN"):
        each_pattern(cube, lambda pattern, index: pattern)
    cube.calibration.set_R_pixel_units("nm")
    assert scan_step_angstrom(cube) == pytest.approx(0.4)
    cube.calibration.set_R_pixel_units("m")
    with pytest.raises(ValueError, match="calibrated in real space in A or nm, got units 'm'"):
        scan_step_angstrom(cube)
