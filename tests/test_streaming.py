"""Data cubes that stay on disk."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from caviar_kit._py4dstem import datacube
from caviar_kit.simulation import coherent, scan, silicon_sigma9_snapshots, vacuum_probe_intensity
from tests.processes import run_python
from tests.test_ptychography import build, experiment

FIT = {"max_iter": 2, "one_state_iter": 3, "progress_bar": False}
QUIET = {"force_com_rotation": 0, "force_com_transpose": False}


@pytest.fixture(scope="module")
def data():
    setup = experiment()
    return scan(coherent(silicon_sigma9_snapshots()), setup), vacuum_probe_intensity(setup)


def on_disk(kind, array, folder):
    if kind == "hdf5":
        return h5py.File(folder / "data.h5", "w").create_dataset("data", data=array)
    if kind == "memmap":
        np.save(folder / "data.npy", array)
        return np.load(folder / "data.npy", mmap_mode="r")
    return array


def in_a_file(array):
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


@pytest.mark.parametrize("kind", ["hdf5", "memmap", "told"])
@pytest.mark.parametrize("vacuum", [True, False])
def test_a_streamed_fit_has_the_same_bits(data, tmp_path, kind, vacuum):
    known = {} if vacuum else {"vacuum_probe_intensity": None}
    expected = build(data, **known).preprocess(**QUIET).reconstruct(**FIT)
    cube = datacube(
        on_disk(kind, data[0].data, tmp_path), scan_step_angstrom=0.8, detector_pixel_inverse_angstrom=1 / 9.0
    )
    streamed = build(data, datacube=cube, **known)
    streamed.preprocess(**QUIET, streaming=True if kind == "told" else None)
    assert in_a_file(streamed._amplitudes)
    assert streamed.estimate_memory()["patterns"] == 0
    streamed.reconstruct(**FIT)
    assert streamed.error_iterations == expected.error_iterations
    np.testing.assert_array_equal(streamed.object, expected.object)


def test_what_cannot_be_streamed_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match="there is no such folder"):
        build(data).preprocess(**QUIET, streaming=tmp_path / "none")
    mask = np.ones((5, 4), bool)
    mask[0, 0] = False
    with pytest.raises(ValueError, match="streaming cannot leave out positions"):
        build(data, positions_mask=mask).preprocess(**QUIET, streaming=True)
    assert list(tmp_path.iterdir()) == []


LIMITED = """
import sys, resource, h5py, numpy as np
import caviar_kit as ck
from caviar_kit._py4dstem import datacube
path, streaming, folder = sys.argv[1:]
def make(data):
    cube = datacube(data, scan_step_angstrom=0.4, detector_pixel_inverse_angstrom=1 / 9.0)
    return ck.MixedObjectMultislicePtychography(
        datacube=cube, energy=200e3, semiangle_cutoff=30.0, defocus=60.0, num_slices=1, slice_thicknesses=2.0,
        num_object_states=1, device="cpu")
options = dict(force_com_rotation=0, force_com_transpose=False, padded_diffraction_intensities_shape=(64, 64),
               force_com_shifts=(32, 32))
with h5py.File(path) as file:
    data = file["data"]
    make(data[:3, :3]).preprocess(**options).reconstruct(1, progress_bar=False)  # imports, compiles, plans
    used = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmData")) * 1024
    limit = used + 100_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        ptycho = make(data).preprocess(**options, streaming=folder if streaming == "yes" else False)
        print(len(ptycho.reconstruct(1, progress_bar=False).error_iterations))
    except (MemoryError, ValueError) as error:
        print(type(error).__name__)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("streaming", "expected"), [("yes", "1"), ("no", "MemoryError")])
def test_300_mb_of_patterns_are_fitted_with_100_mb_of_memory(tmp_path, streaming, expected):
    """The limit is on private memory; pages of the temporary file can be dropped at any time."""
    pytest.importorskip("resource")
    y, x = np.indices((64, 64)) - 32
    disc = (np.hypot(y, x) < 10).astype(np.float32)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        rows = file.create_dataset("data", (24, 763, 64, 64), np.float32, chunks=(1, 64, 64, 64))
        for row in range(24):
            rows[row] = disc * (1 + 0.01 * row)
        assert rows.size * 4 > 299e6
    assert run_python(LIMITED, tmp_path / "data.h5", streaming, tmp_path).strip() == expected
