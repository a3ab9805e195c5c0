"""What a file says of its axes, arrays and names is kept, or its loss is told."""

import h5py
import hyperspy.api as hs
import numpy as np
import py4DSTEM
import pytest
import rsciio.hspy

import caviar_kit as ck

SHAPE = (3, 4, 8, 8)
TURNED = (2, 3, 0, 1)


@pytest.fixture
def counts():
    return np.random.default_rng(0).poisson(5, SHAPE).astype(np.uint8)


def saved_cube(path, data, scan, detector):
    """An EMD file of py4DSTEM; its setter would refuse a length for the detector, older files have them."""
    cube = py4DSTEM.DataCube(data)
    for name, (size, unit) in (("R", scan), ("Q", detector)):
        cube.calibration[f"{name}_pixel_size"], cube.calibration[f"{name}_pixel_units"] = size, unit
    cube.calibration.set_QR_rotation_degrees(17.0)
    py4DSTEM.save(str(path), cube)
    return path


def saved_signal(path, data, scales=(0.5, 0.5, 0.2, 0.2), units=("nm", "nm", "1/nm", "1/nm")):
    made = hs.signals.Signal2D(data)
    for axis, scale, unit in zip(made.axes_manager._axes, scales, units, strict=True):
        axis.scale, axis.units = scale, unit
    made.save(path)
    return path


def scales(cube):
    known = cube.calibration
    return (
        known.get_R_pixel_size(),
        known.get_R_pixel_units(),
        known.get_Q_pixel_size(),
        known.get_Q_pixel_units(),
    )


@pytest.mark.parametrize("shape", [(3, 4), [3, 4], np.array([3, 4])])
def test_a_cube_that_has_the_scan_shape_already_keeps_its_calibration(tmp_path, counts, shape):
    path = saved_cube(tmp_path / "scan.h5", counts, (5.0, "A"), (0.4, "mrad"))
    cube = ck.load_datacube(path, scan_shape=shape)
    np.testing.assert_array_equal(cube.data, counts)
    assert scales(cube) == (5.0, "A", 0.4, "mrad")
    assert cube.calibration.get_QR_rotation_degrees() == 17
    assert scales(ck.load_datacube(path, scan_shape=shape, scan_step_angstrom=6))[:2] == (6, "A")


@pytest.mark.parametrize("shape", [12, (3,), (3, 4, 8), (3.5, 4), "ab"])
def test_what_is_no_scan_shape_is_refused_by_name(tmp_path, counts, shape):
    np.save(tmp_path / "scan.npy", counts)
    with pytest.raises((TypeError, ValueError), match="scan_shape"):
        ck.load_datacube(tmp_path / "scan.npy", scan_shape=shape)


def test_a_cube_of_another_scan_shape_is_refused(tmp_path, counts):
    path = saved_cube(tmp_path / "scan.h5", counts, (5.0, "A"), (0.4, "mrad"))
    with pytest.raises(ValueError, match=r"scan_shape=\(4, 3\) does not fit the file's shape"):
        ck.load_datacube(path, scan_shape=(4, 3))


@pytest.mark.parametrize("shape", [None, (3, 4)])
@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ((0.2, "nm^-1"), (0.5, "nm"), (5.0, "A", 0.02, "A^-1")),  # pixels of the axes: exchanged with them
        ((0.4, "mrad"), (5.0, "A"), (5.0, "A", 0.4, "mrad")),
        ((5.0, "A"), (0.02, "A^-1"), (5.0, "A", 0.02, "A^-1")),  # only a scan step is a length
        ((5.0, "A"), (1, "pixels"), (5.0, "A", 1, "pixels")),
        ((1, "pixels"), (5.0, "A"), (5.0, "A", 1, "pixels")),
    ],
)
def test_pixels_of_a_cube_follow_its_exchanged_axes(tmp_path, counts, first, last, expected, shape):
    path = saved_cube(tmp_path / "scan.h5", np.ascontiguousarray(counts.transpose(TURNED)), first, last)
    cube = ck.load_datacube(path, detector_first=True, scan_shape=shape)
    np.testing.assert_array_equal(cube.data, counts)
    found = scales(cube)
    assert found[::2] == pytest.approx(expected[::2]) and found[1::2] == expected[1::2]
    assert cube.calibration.get_QR_rotation_degrees() is None  # measured with the axes exchanged


def test_a_given_pixel_goes_before_that_of_an_exchanged_cube(tmp_path, counts):
    turned = np.ascontiguousarray(counts.transpose(TURNED))
    path = saved_cube(tmp_path / "scan.h5", turned, (0.4, "mrad"), (5.0, "A"))
    cube = ck.load_datacube(path, detector_first=True, detector_pixel_inverse_angstrom=0.02)
    assert scales(cube) == (5.0, "A", 0.02, "A^-1")


@pytest.mark.parametrize("ending", ["npy", "hspy", "raw", "mrc"])
def test_a_key_is_refused_where_there_are_no_names(tmp_path, counts, ending):
    path = tmp_path / f"scan_x3_y3.{ending}"
    if ending == "npy":
        np.save(path, counts)
    elif ending == "hspy":
        saved_signal(path, counts)
    else:
        path.write_bytes(bytes(9 * 130 * 128 * 4))
    with pytest.raises(ValueError, match=r"key='nonsense': .* has no names to choose from"):
        ck.load_datacube(path, key="nonsense")


@pytest.mark.parametrize(
    ("signs", "named"),
    [
        ((-1, 1, 1, 1), ["scan y (-0.5 nm)"]),
        ((1, 1, 1, -1), ["detector x (-0.2 1/nm)"]),
        ((1, -1, -1, 1), ["scan x (-0.5 nm)", "detector y (-0.2 1/nm)"]),
    ],
)
def test_mirrored_axes_are_told(tmp_path, counts, signs, named):
    path = saved_signal(tmp_path / "scan.hspy", counts, np.multiply(signs, (0.5, 0.5, 0.2, 0.2)).tolist())
    with pytest.warns(UserWarning, match="axes that run backwards") as told:
        cube = ck.load_datacube(path)
    assert f"backwards: {', '.join(named)}. " in str(told[0].message)
    assert told[0].filename == __file__  # points at the caller
    np.testing.assert_array_equal(cube.data, counts)
    assert scales(cube)[::2] == pytest.approx((5, 0.02))


def test_mirrored_axes_are_named_after_the_exchange(tmp_path, counts):
    path = tmp_path / "scan.hspy"
    turned = np.ascontiguousarray(counts.transpose(TURNED))
    saved_signal(path, turned, (0.2, 0.2, -0.5, 0.5), ("1/nm", "1/nm", "nm", "nm"))
    with pytest.warns(UserWarning, match=r"backwards: scan y \(-0.5 nm\)\. "):
        ck.load_datacube(path, detector_first=True)


@pytest.mark.filterwarnings(
    "error::UserWarning", "error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning"
)
def test_axes_in_order_give_no_warning(tmp_path, counts):
    assert scales(ck.load_datacube(saved_signal(tmp_path / "scan.hspy", counts)))[::2] == pytest.approx(
        (5, 0.02)
    )


def several(monkeypatch, *arrays):
    """HyperSpy's reader, as if the file had these arrays."""
    axes = [{"scale": 0.5, "units": "nm"}] * 2 + [{"scale": 0.2, "units": "1/nm"}] * 2
    signals = [
        {"data": data, "axes": axes[: data.ndim], "metadata": {"General": {"title": title}} if title else {}}
        for title, data in arrays
    ]
    monkeypatch.setattr(rsciio.hspy, "file_reader", lambda name: signals)


def test_several_scans_in_a_file_are_refused_by_name(tmp_path, counts, monkeypatch):
    path = saved_signal(tmp_path / "scan.hspy", counts)
    several(monkeypatch, ("before", counts), (None, counts[:2]), ("image", counts[0, 0]))
    expected = r"2 arrays of 4 axes: 1\. 'before' \(3, 4, 8, 8\), 2\. \(no title\) \(2, 4, 8, 8\); save"
    with pytest.raises(ValueError, match=expected):
        ck.load_datacube(path)
    several(monkeypatch, ("a", counts[0]), ("b", counts[1]))
    with pytest.raises(ValueError, match="2 arrays of 3 axes: 1. 'a'"):
        ck.load_datacube(path, scan_shape=(2, 2))


def test_one_scan_beside_other_arrays_or_itself_is_taken(tmp_path, counts, monkeypatch):
    path = saved_signal(tmp_path / "scan.hspy", counts)
    larger = np.zeros((50, 50, 50), np.uint8)
    several(
        monkeypatch, ("spectra", larger), ("image", counts[0, 0]), ("scan", counts), ("link", counts.copy())
    )
    cube = ck.load_datacube(path)
    np.testing.assert_array_equal(cube.data, counts)
    assert scales(cube)[::2] == pytest.approx((5, 0.02))


@pytest.mark.parametrize("times", [1, 2])
def test_dead_pixels_do_not_make_an_array_differ_from_itself(tmp_path, counts, monkeypatch, times):
    dead = counts.astype(np.float32)
    dead[..., 2, 3] = np.nan
    path = saved_signal(tmp_path / "scan.hspy", counts)
    several(monkeypatch, *[("scan", dead.copy()) for _ in range(times)])
    np.testing.assert_array_equal(ck.load_datacube(path).data, dead)


def test_two_experiments_of_a_real_file(tmp_path, counts):
    path = saved_signal(tmp_path / "scan.hspy", counts)
    other = saved_signal(tmp_path / "other.hspy", counts + 1)
    with h5py.File(path, "a") as file, h5py.File(other) as more:
        name = next(iter(more["Experiments"]))
        more.copy(f"Experiments/{name}", file["Experiments"], name="second")
    with pytest.raises(ValueError, match="2 arrays of 4 axes"):
        ck.load_datacube(path)
