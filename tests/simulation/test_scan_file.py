"""Simulations written to disk: the same data, flat in memory, safe against a kill at any moment."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit._py4dstem import import_py4dstem
from caviar_kit.simulation import (
    Snapshots,
    coherent,
    open_scan,
    scan,
    silicon_sigma9_snapshots,
    vacuum_probe_intensity,
)
from tests.processes import ROOT, run_python
from tests.simulation.tiny import TINY
from tests.test_ptychography import build
from tests.test_ptychography import experiment as small_experiment
from tests.test_streaming import FIT, QUIET, in_a_file

MODULE = sys.modules["caviar_kit.simulation.scan"]


@pytest.fixture(scope="module")
def silicon() -> Snapshots:
    return silicon_sigma9_snapshots().subset(2)


@pytest.fixture(autouse=True)
def two_positions_a_block(monkeypatch):
    monkeypatch.setattr(MODULE, "_BLOCK_BYTES", 2 * 8 * 40**2)


@pytest.fixture(scope="module")
def data(silicon) -> np.ndarray:
    return scan(silicon, TINY).data


class Stop(Exception):
    pass


def stop_at(limit):
    def progress(done, total):
        assert total == 6  # two snapshots in each of three blocks
        if done == limit:
            raise Stop

    return progress


def test_a_file_holds_the_bits_of_the_data_in_memory(silicon, data, tmp_path):
    cube = scan(silicon, TINY, path=tmp_path / "scan.h5", workers=2)
    assert isinstance(cube.data, np.memmap)
    assert not cube.data.flags.writeable
    np.testing.assert_array_equal(cube.data, data)
    assert cube.calibration.get_R_pixel_size() == 0.7
    assert cube.calibration.get_Q_pixel_size() == pytest.approx(0.1)
    assert [file.name for file in tmp_path.iterdir()] == ["scan.h5"]


@pytest.mark.parametrize("reader", [ck.read, lambda path: import_py4dstem().read(path), open_scan])
def test_the_kit_and_py4dstem_read_it(silicon, data, tmp_path, reader):
    scan(silicon, TINY, path=tmp_path / "scan.h5")
    cube = reader(tmp_path / "scan.h5")
    assert type(cube).__name__ == "DataCube"
    np.testing.assert_array_equal(cube.data, data)
    whole = scan(silicon, TINY)
    for name in ("R_pixel_size", "R_pixel_units", "Q_pixel_size", "Q_pixel_units", "QR_flip"):
        assert getattr(cube.calibration, f"get_{name}")() == getattr(whole.calibration, f"get_{name}")()
    for n in range(4):
        np.testing.assert_allclose(cube.get_dim(n), whole.get_dim(n))


@pytest.mark.parametrize("fwhm", [0.2, 0.47])
def test_source_and_positions_may_be_streamed_too(silicon, tmp_path, fwhm):
    wide = replace(TINY, source_fwhm_angstrom=fwhm)
    one, off = silicon.subset(1), TINY.scan_positions_angstrom + 0.1
    for options in ({}, {"positions_angstrom": off}):
        path = tmp_path / f"{len(options)}.h5"
        got = scan(one, wide, path=path, **options).data
        np.testing.assert_allclose(got, scan(one, wide, **options).data, rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_an_interrupted_simulation_goes_on(silicon, data, tmp_path, limit):
    path = tmp_path / "scan.h5"
    with pytest.raises(Stop):
        scan(silicon, TINY, stop_at(limit), path=path)
    assert not path.exists()
    with pytest.raises(FileNotFoundError, match="it is unfinished: call scan again"):
        open_scan(path)
    seen = []
    cube = scan(silicon, TINY, lambda done, total: seen.append(done), path=path)
    assert seen == list(range(1 + (limit - 1) // 2 * 2, 7))  # whole blocks only
    np.testing.assert_array_equal(cube.data, data)
    scan(silicon, TINY, lambda done, total: pytest.fail("it is finished"), path=path)


KILLED = """
import os, signal, sys
from tests.simulation.test_scan_file import MODULE, TINY, scan, silicon_sigma9_snapshots
def progress(done, total):
    print(done, flush=True)
    if done == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
MODULE._BLOCK_BYTES = 2 * 8 * 40**2
scan(silicon_sigma9_snapshots().subset(2), TINY, progress, path=sys.argv[1])
"""


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_same_bits(silicon, data, tmp_path):
    path, seen = tmp_path / "scan.h5", []
    for kill_at in (3, 5, 7):
        command = [sys.executable, "-c", KILLED, str(path), str(kill_at)]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120
        )
        seen.append(done.stdout.split())
    assert seen == [["1", "2", "3"], ["3", "4", "5"], ["5", "6"]]
    np.testing.assert_array_equal(open_scan(path).data, data)


def test_a_block_that_was_not_written_whole_is_made_again(silicon, data, tmp_path):
    """What a power cut may leave: a mark without its data."""
    path, part = tmp_path / "scan.h5", tmp_path / "scan.h5.part"
    with pytest.raises(Stop):
        scan(silicon, TINY, stop_at(5), path=path)
    with h5py.File(part, "r+") as file:
        file["datacube_root/datacube/data"][0, 0, 20, 20] += 1e-3
    seen = []
    cube = scan(silicon, TINY, lambda done, total: seen.append(done), path=path)
    assert seen == [3, 4, 5, 6]
    np.testing.assert_array_equal(cube.data, data)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"defocus_angstrom": 41}, "defocus_angstrom: 40.0 in the file, 41.0 now"),
        ({"snapshots": 1}, "snapshots: "),
        ({"moved": True}, "positions_angstrom: None in the file"),
        ({"abtem": "9.9"}, "abtem: .* 9.9 now"),
    ],
)
def test_a_file_of_another_simulation_is_refused(silicon, tmp_path, finished, changes, words, monkeypatch):
    path = tmp_path / "scan.h5"
    if finished:
        scan(silicon, TINY, path=path)
    else:
        with pytest.raises(Stop):
            scan(silicon, TINY, stop_at(2), path=path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    snapshots, experiment, options = silicon, TINY, {}
    if "snapshots" in changes:
        snapshots = silicon.subset(1)
    elif "moved" in changes:
        options["positions_angstrom"] = TINY.scan_positions_angstrom + 0.01
    elif "abtem" in changes:
        monkeypatch.setattr("caviar_kit.simulation.cache.version", lambda name: changes["abtem"])
    else:
        experiment = replace(TINY, **changes)
    with pytest.raises(ValueError, match=f"holds another simulation .*{words}"):
        scan(snapshots, experiment, path=path, **options)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_reconstruction_streams_from_the_file(tmp_path):
    setup, snapshots = small_experiment(), coherent(silicon_sigma9_snapshots())
    vacuum = vacuum_probe_intensity(setup)
    memory = scan(snapshots, setup)
    expected = build((memory, vacuum)).preprocess(**QUIET).reconstruct(**FIT)
    cube = scan(snapshots, setup, path=tmp_path / "scan.h5")
    streamed = build((memory, vacuum), datacube=cube).preprocess(**QUIET)
    assert in_a_file(streamed._amplitudes)
    streamed.reconstruct(**FIT)
    np.testing.assert_array_equal(streamed.object, expected.object)


def test_foreign_and_truncated_files_are_refused(silicon, tmp_path):
    path = tmp_path / "scan.h5"
    path.write_bytes(b"something dear")
    for use in (lambda: scan(silicon, TINY, path=path), lambda: open_scan(path)):
        with pytest.raises(ValueError, match="is not a file of scan, or is damaged"):
            use()
    assert path.read_bytes() == b"something dear"
    path.unlink()
    scan(silicon, TINY, path=path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(ValueError, match="damaged"):
        open_scan(path)


def test_places_that_cannot_take_a_file_are_refused(silicon, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="path must end in one of .h5"):
        scan(silicon, TINY, path=tmp_path / "scan.npy")
    with pytest.raises(ValueError, match="path must lie in a folder"):
        scan(silicon, TINY, path=tmp_path / "none" / "scan.h5")
    with pytest.raises(TypeError, match="path must be a text or a Path"):
        scan(silicon, TINY, path=3)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        open_scan(tmp_path / "scan.h5")
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("caviar_kit.simulation.scan_file.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match="the disk has 0.0 GB"):
        scan(silicon, TINY, path=tmp_path / "scan.h5")
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_write_the_same_file(silicon, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "scan.h5"
    with pytest.raises(Stop):
        scan(silicon, TINY, stop_at(1), path=path)
    with (tmp_path / "scan.h5.part").open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RuntimeError, match="another process writes to"):
            scan(silicon, TINY, path=path)


def test_the_file_says_what_was_simulated(silicon, tmp_path):
    scan(silicon, TINY, path=tmp_path / "scan.h5")
    with h5py.File(tmp_path / "scan.h5") as file:
        record = json.loads(file.attrs["caviar_kit_simulation"])
    assert record["experiment"]["defocus_angstrom"] == 40
    assert math.prod(record["experiment"]["scan_shape"]) == 6


LIMITED = """
import sys, resource
from dataclasses import replace
from tests.simulation.test_scan_file import MODULE, TINY, scan, silicon_sigma9_snapshots
MODULE._BLOCK_BYTES = 10_000_000
silicon = silicon_sigma9_snapshots().subset(1)
field = replace(TINY, grid_points=120, detector_pixels=120, scan_step_angstrom=0.1, num_slices=1)
scan(silicon, field, workers=1, path=sys.argv[1] + "/first.h5")  # imports, plans
used = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmData")) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + 150_000_000,) * 2)
field = replace(field, scan_shape=(45, 45))
try:
    path = sys.argv[1] + "/scan.h5" if sys.argv[2] == "file" else None
    print(scan(silicon, field, workers=1, path=path).data.nbytes // 1_000_000)
except MemoryError:
    print("MemoryError")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("where", "expected"), [("file", "116"), ("memory", "MemoryError")])
def test_116_mb_of_patterns_are_simulated_within_150_mb(tmp_path, where, expected):
    """In memory the sum alone takes twice the patterns. The limit is on private memory."""
    pytest.importorskip("resource")
    assert run_python(LIMITED, tmp_path, where).strip() == expected
