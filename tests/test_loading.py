"""Files of many kinds come back as the same calibrated data cube."""

import h5py
import hyperspy.api as hs
import numpy as np
import py4DSTEM
import pytest
import tifffile

import caviar_kit as ck

SHAPE = (3, 4, 8, 8)  # no two axes that could be exchanged unnoticed, but for the square detector


@pytest.fixture
def counts():
    return np.random.default_rng(0).poisson(5, SHAPE).astype(np.uint8)


def signal(data, scan=(0.5, "nm"), detector=(0.2, "1/nm")):
    made = hs.signals.Signal2D(data)
    described = zip(("y", "x", "ky", "kx"), (scan, scan, detector, detector), strict=True)
    for axis, (name, (scale, units)) in zip(made.axes_manager._axes, described, strict=True):
        axis.name, axis.scale, axis.units = name, scale, units  # NeXus needs the names
    return made


def scales(cube):
    calibration = cube.calibration
    return (
        (calibration.get_R_pixel_size(), calibration.get_R_pixel_units()),
        (calibration.get_Q_pixel_size(), calibration.get_Q_pixel_units()),
    )


def calibrated(cube, step=5.0, pixel=0.02, unit="A^-1"):
    (r, r_unit), (q, q_unit) = scales(cube)
    return r == pytest.approx(step) and q == pytest.approx(pixel) and (r_unit, q_unit) == ("A", unit)


@pytest.mark.parametrize("ending", ["hspy", "zspy", "nxs", "emd"])
def test_files_with_calibrated_axes(tmp_path, counts, ending):
    signal(counts).save(tmp_path / f"scan.{ending}")
    cube = ck.load_datacube(tmp_path / f"scan.{ending}")
    assert isinstance(cube, py4DSTEM.DataCube)
    np.testing.assert_array_equal(cube.data, counts)
    assert cube.data.dtype == counts.dtype and calibrated(cube)
    assert cube.calibration.get_QR_rotation_degrees() is None  # nobody has measured it


def test_blockfile(tmp_path, counts):
    made = signal(counts)
    made.save(tmp_path / "scan.blo", intensity_scaling=None, navigator=np.zeros(SHAPE[:2], np.uint8))
    cube = ck.load_datacube(tmp_path / "scan.blo", scan_step_angstrom=5, detector_pixel_inverse_angstrom=0.02)
    np.testing.assert_array_equal(cube.data, counts)
    assert calibrated(cube)


@pytest.mark.parametrize("ending", ["npy", "npz", "h5", "hdf5"])
def test_files_with_a_plain_array(tmp_path, counts, ending):
    path = tmp_path / f"scan.{ending}"
    if ending == "npy":
        np.save(path, counts)
    elif ending == "npz":
        np.savez_compressed(path, counts=counts, note=np.arange(3))
    else:
        with h5py.File(path, "w") as file:
            file["entry/counts"], file["gain"] = counts, np.ones(SHAPE[2:])
    plain = ck.load_datacube(path)
    np.testing.assert_array_equal(plain.data, counts)
    assert scales(plain)[0][1] == scales(plain)[1][1] == "pixels"
    assert calibrated(ck.load_datacube(path, scan_step_angstrom=5, detector_pixel_inverse_angstrom=0.02))


def test_datacube_of_py4dstem_keeps_its_calibration(tmp_path, counts):
    cube = py4DSTEM.DataCube(counts)
    cube.calibration.set_R_pixel_size(5.0)
    cube.calibration.set_R_pixel_units("A")
    cube.calibration.set_Q_pixel_size(0.4)
    cube.calibration.set_Q_pixel_units("mrad")
    cube.calibration.set_QR_rotation_degrees(17.0)
    py4DSTEM.save(str(tmp_path / "scan.h5"), cube)
    read = ck.load_datacube(tmp_path / "scan.h5")
    np.testing.assert_array_equal(read.data, counts)
    assert calibrated(read, pixel=0.4, unit="mrad") and read.calibration.get_QR_rotation_degrees() == 17
    assert calibrated(ck.load_datacube(tmp_path / "scan.h5", scan_step_angstrom=6), 6, 0.4, "mrad")


def test_empad_frames_lose_their_two_rows_of_metadata(tmp_path):
    frames = np.random.default_rng(1).random((9, 130, 128)).astype(np.float32)
    frames.tofile(tmp_path / "scan_x3_y3.raw")
    data = ck.load_datacube(tmp_path / "scan_x3_y3.raw").data
    np.testing.assert_array_equal(np.asarray(data).reshape(9, 128, 128), frames[:, :128])


def test_stack_of_tiff_frames_needs_the_shape_of_the_scan(tmp_path, counts):
    tifffile.imwrite(tmp_path / "scan.tif", counts.reshape(-1, *SHAPE[2:]))
    with pytest.raises(ValueError, match=r"stack of 12 frames: give scan_shape=\(Ry, Rx\)$"):
        ck.load_datacube(tmp_path / "scan.tif")
    np.testing.assert_array_equal(ck.load_datacube(tmp_path / "scan.tif", scan_shape=(3, 4)).data, counts)
    with pytest.raises(ValueError, match=r"scan_shape=\(4, 4\) needs 16 frames"):
        ck.load_datacube(tmp_path / "scan.tif", scan_shape=(4, 4))


def test_stack_in_an_mrc_file(tmp_path, counts):
    header = np.zeros(256, "<i4")  # the MRC2014 header: sizes, mode 6 (uint16), map and machine stamp
    header[:4], header[7:10] = (8, 8, 12, 6), (8, 8, 12)
    header[10:13] = np.array([8, 8, 12], "<f4").view("<i4")
    header[16:19] = 1, 2, 3
    header[52:54] = np.frombuffer(b"MAP \x44\x44\x00\x00", "<i4")
    (tmp_path / "scan.mrc").write_bytes(header.tobytes() + counts.astype("<u2").tobytes())
    np.testing.assert_array_equal(ck.load_datacube(tmp_path / "scan.mrc", scan_shape=(3, 4)).data, counts)


def test_detector_first_exchanges_arrays_and_calibrations(tmp_path, counts):
    turned = np.ascontiguousarray(counts.transpose(2, 3, 0, 1))
    signal(turned, scan=(0.2, "1/nm"), detector=(0.5, "nm")).save(tmp_path / "scan.hspy")
    cube = ck.load_datacube(tmp_path / "scan.hspy", detector_first=True)
    np.testing.assert_array_equal(cube.data, counts)
    assert calibrated(cube)
    stack = np.ascontiguousarray(turned.reshape(8, 8, 12))
    np.save(tmp_path / "stack.npy", stack)
    again = ck.load_datacube(tmp_path / "stack.npy", scan_shape=(3, 4), detector_first=True)
    np.testing.assert_array_equal(again.data, counts)


@pytest.mark.parametrize(
    ("scan", "detector", "expected"),
    [
        ((50, "pm"), (0.02, "1/Å"), (0.5, 0.02, "A^-1")),
        ((0.1, "µm"), (0.3, "mrad"), (1000, 0.3, "mrad")),
        ((2, "Å"), (3e-4, "rad"), (2, 0.3, "mrad")),
        ((2, "A"), (0.2, "nm^-1"), (2, 0.02, "A^-1")),
    ],
)
def test_units_are_brought_to_angstrom(tmp_path, counts, scan, detector, expected):
    signal(counts, scan, detector).save(tmp_path / "scan.hspy")
    assert calibrated(ck.load_datacube(tmp_path / "scan.hspy"), *expected)


@pytest.mark.parametrize(("scan", "detector"), [((2, "s"), (1, "px")), ((2, "nm"), (1, "nm"))])
def test_foreign_units_are_not_guessed_at(tmp_path, counts, scan, detector):
    signal(counts, scan, detector).save(tmp_path / "scan.hspy")
    assert scales(ck.load_datacube(tmp_path / "scan.hspy"))[1][1] == "pixels"


def test_oblong_pixels_are_refused_unless_a_size_is_given(tmp_path, counts):
    made = signal(counts)
    made.axes_manager._axes[1].scale = 0.6
    made.save(tmp_path / "scan.hspy")
    with pytest.raises(ValueError, match="scan step is 0.5 nm along y, 0.6 nm along x: give scan_step"):
        ck.load_datacube(tmp_path / "scan.hspy")
    assert calibrated(ck.load_datacube(tmp_path / "scan.hspy", scan_step_angstrom=5))


def test_one_of_several_arrays_is_chosen_by_name(tmp_path, counts):
    np.savez(tmp_path / "two.npz", a=counts, b=counts + 1)
    with pytest.raises(ValueError, match="2 arrays of 3 or 4 axes: choose key from a, b"):
        ck.load_datacube(tmp_path / "two.npz")
    np.testing.assert_array_equal(ck.load_datacube(tmp_path / "two.npz", key="b").data, counts + 1)
    with pytest.raises(ValueError, match="no array 'c'; it has a, b"):
        ck.load_datacube(tmp_path / "two.npz", key="c")


def test_files_that_cannot_be_used_are_refused_and_left_alone(tmp_path, counts):
    with pytest.raises(FileNotFoundError, match="nothing.npy"):
        ck.load_datacube(tmp_path / "nothing.npy")
    bad = {
        "a.npy": b"\x93NUMPY",
        "b.npz": b"PK\3\4",
        "c.hspy": b"\x89HDF\r\n\x1a\n123",
        "d.dm4": b"1234",
        "e.xyz": b"",
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            ck.load_datacube(tmp_path / name)
        assert (tmp_path / name).read_bytes() == content
    np.save(tmp_path / "image.npy", counts[0, 0])
    with pytest.raises(ValueError, match=r"shape \(8, 8\): 4D-STEM needs 4 axes"):
        ck.load_datacube(tmp_path / "image.npy")
    np.save(tmp_path / "waves.npy", counts * 1j)
    with pytest.raises(ValueError, match="complex128, not real"):
        ck.load_datacube(tmp_path / "waves.npy")


def test_no_pickle_is_ever_opened(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([[[{}]]], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="objects.npy"):
        ck.load_datacube(tmp_path / "objects.npy")
