from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from caviar_kit.widgets.session import read_session, write_session
from tests.adapter.problems import planted

BESIDE = "scan.reconstruction.h5"

SETTINGS = {"max_iter": 3, "refine": ["probe"], "loss": "poisson", "step_size": 0.01, "reset": True}


@pytest.fixture(scope="module")
def ptycho():
    return planted(2, num_object_states=2)[0]


@pytest.fixture(scope="module")
def fitted():
    return planted(2, num_object_states=2)[0].reconstruct(max_iter=1, one_state_iter=1, progress_bar=False)


def test_settings_alone(ptycho, tmp_path):
    assert write_session(tmp_path / "a", SETTINGS, ptycho) == tmp_path / "a.json"
    assert read_session(tmp_path / "a.json") == (SETTINGS, None)
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_with_a_reconstruction_beside_it(fitted, tmp_path):
    write_session(tmp_path / "b.json", SETTINGS, fitted)
    settings, file = read_session(str(tmp_path / "b"))
    assert settings == SETTINGS and file == tmp_path / "b.reconstruction.h5"
    other = planted(2, num_object_states=2)[0].restore(file)
    np.testing.assert_array_equal(other.object, fitted.object)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.json", "b.reconstruction.h5"]
    file.unlink()
    with pytest.raises(FileNotFoundError, match="names the reconstruction b.reconstr.*, which is not"):
        read_session(tmp_path / "b.json")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": "other"}, "no session of caviar_kit"),
        ({"version": 2}, "session of version 2"),
        ({"settings": []}, "is damaged"),
        ({"reconstruction": "../../secret.h5"}, "does not name a file beside it"),
        ({"reconstruction": 3}, "is damaged"),
    ],
)
def test_refuses_other_files(ptycho, tmp_path, change, match):
    file = write_session(tmp_path / "a.json", SETTINGS, ptycho)
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ValueError, match=match):
        read_session(file)


def test_refuses_bad_paths(ptycho, tmp_path):
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(ValueError, match="is no session"):
        read_session(tmp_path / "c.json")
    with pytest.raises(ValueError, match="must end in .json"):
        write_session(tmp_path / "c.h5", SETTINGS, ptycho)
    with pytest.raises(FileNotFoundError, match="no folder"):
        write_session(tmp_path / "none" / "c.json", SETTINGS, ptycho)
    with pytest.raises(FileNotFoundError, match="no file"):
        read_session(tmp_path / "d.json")
    with pytest.raises(ValueError, match="empty text"):
        read_session("")
    with pytest.raises(TypeError, match="path must be"):
        read_session(3)


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_measured_data_of_the_same_name_stay(fitted, tmp_path):
    (tmp_path / "scan.h5").write_bytes(b"measured")
    write_session(tmp_path / "scan.json", SETTINGS, fitted)
    assert (tmp_path / "scan.h5").read_bytes() == b"measured"
    write_session(tmp_path / "scan.json", {"max_iter": 4}, fitted)
    assert read_session(tmp_path / "scan.json") == ({"max_iter": 4}, tmp_path / BESIDE)


def test_an_earlier_session_whose_reconstruction_has_another_name_is_read(fitted, tmp_path):
    file = write_session(tmp_path / "scan.json", SETTINGS, fitted)
    (tmp_path / BESIDE).rename(tmp_path / "scan.h5")
    file.write_text(file.read_text().replace(BESIDE, "scan.h5"))
    assert read_session(file) == (SETTINGS, tmp_path / "scan.h5")


def other_hdf5(file, fitted):
    with h5py.File(file, "w") as content:
        content["measured/data"] = np.zeros(3)
        content["counts"] = 3


@pytest.mark.parametrize(
    "write",
    [
        other_hdf5,
        lambda file, fitted: file.write_bytes(b"measured"),
        lambda file, fitted: file.mkdir(),
        lambda file, fitted: fitted.save(file, include_data=True),
    ],
    ids=["HDF5", "bytes", "folder", "with its data"],
)
def test_refuses_to_replace_what_no_session_wrote(fitted, tmp_path, write):
    write(tmp_path / BESIDE, fitted)
    with pytest.raises(ValueError, match=f"{BESIDE} exists and is not a reconstruction that a session"):
        write_session(tmp_path / "scan", SETTINGS, fitted)
    assert [file.name for file in tmp_path.iterdir()] == [BESIDE]


@pytest.mark.parametrize("text", ["{}", "[1]", "no json"])
def test_refuses_to_replace_another_json_file(ptycho, tmp_path, text):
    (tmp_path / "scan.json").write_text(text)
    with pytest.raises(ValueError, match="scan.json exists and is no session of caviar_kit"):
        write_session(tmp_path / "scan", SETTINGS, ptycho)
    assert contents(tmp_path) == {"scan.json": text.encode()}


@pytest.mark.parametrize("at", ["scan.json", BESIDE])
@pytest.mark.parametrize("before", [True, False])
def test_a_failure_leaves_the_earlier_pair(fitted, tmp_path, monkeypatch, at, before):
    if before:
        write_session(tmp_path / "scan", SETTINGS, fitted)
    earlier, replace = contents(tmp_path), Path.replace

    def fail(self, target):
        if Path(target).name == at and "part" in self.name:
            raise OSError("disk full")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    other = planted(2, num_object_states=2)[0]
    other.reconstruct(max_iter=2, one_state_iter=0, progress_bar=False)
    with pytest.raises(OSError, match="disk full"):
        write_session(tmp_path / "scan", {"max_iter": 4}, other)
    assert contents(tmp_path) == earlier


def test_settings_that_are_no_json_leave_nothing_behind(fitted, tmp_path):
    with pytest.raises(TypeError):
        write_session(tmp_path / "scan", {"max_iter": object()}, fitted)
    assert contents(tmp_path) == {}
