"""Files that are missing, damaged, foreign or newer are told apart and left as they are."""

import os
import signal

import h5py
import numpy as np
import py4DSTEM
import pytest

import caviar_kit as ck
from caviar_kit import _storage
from caviar_kit.simulation.storage import save_snapshots
from tests.ensembles import ensemble
from tests.stored import snapshots, states

NODE = "object_ensemble_root/object_ensemble"


@pytest.fixture
def saved(tmp_path):
    states().save(tmp_path / "states.h5")
    return tmp_path / "states.h5"


def refused(path, message, datapath=None, error=ValueError):
    before = path.read_bytes()
    with pytest.raises(error, match=message) as caught:
        ck.read(path, datapath)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    return str(caught.value)


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.3, 0.6, 0.9, 0.999])
def test_truncated_files(saved, fraction):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(fraction * len(whole))])
    refused(saved, "truncated or damaged" if fraction > 0.01 else "not an HDF5 file|truncated")


def test_a_changed_number_is_noticed(saved):
    with h5py.File(saved, "r+") as file:
        file[f"{NODE}/object/data"][0, 0, 0, 0] += 1e-6
    refused(saved, "object is damaged: its checksum")


def test_missing_parts(saved):
    with h5py.File(saved, "r+") as file:
        del file[f"{NODE}/object"]
    refused(saved, "lacks the array 'object'")
    states().save(saved)
    with h5py.File(saved, "r+") as file:
        del file[f"{NODE}/metadatabundle/caviar_kit/sampling"]
    refused(saved, "lacks 'sampling'")
    with h5py.File(saved, "r+") as file:
        del file[f"{NODE}/metadatabundle/caviar_kit"]
    refused(saved, "no readable record of caviar_kit")


def test_wrong_key_names_those_that_exist(saved):
    assert f"'{NODE}/object'" in refused(saved, "has no 'nowhere'", datapath="nowhere")
    with pytest.raises(TypeError, match="datapath"):
        ck.read(saved, datapath=3)


def test_unknown_class_names_the_parts_that_can_be_opened(saved):
    with h5py.File(saved, "r+") as file:
        file[NODE].attrs["python_class"] = "SomebodyElses"
    assert f"'{NODE}/object'" in refused(saved, "SomebodyElses")
    np.testing.assert_array_equal(ck.read(saved, f"{NODE}/object").data, states().object)


def test_newer_files_are_not_guessed_at(saved):
    with h5py.File(saved, "r+") as file:
        file[f"{NODE}/metadatabundle/caviar_kit/format"][...] = _storage.FORMAT + 1
    refused(saved, f"has format {_storage.FORMAT + 1}, written by caviar_kit .*update caviar_kit")
    with h5py.File(saved, "r+") as file:
        file.attrs["version_major"] = 2
    refused(saved, "EMD format 2.0")


def test_other_kinds_of_file(tmp_path):
    (tmp_path / "text.h5").write_text("not a file of ours" * 9)
    refused(tmp_path / "text.h5", "not an HDF5 file")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.ones(3)
    refused(tmp_path / "other.h5", "cannot be read")
    np.savez(tmp_path / "other.npz", data=np.ones(3))
    refused(tmp_path / "other.npz", "damaged or of another kind")
    (tmp_path / "half.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:100])
    refused(tmp_path / "half.npz", "damaged or of another kind")
    with pytest.raises(ValueError, match="is a folder"):
        ck.read(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.h5"):
        ck.read(tmp_path / "none.h5")
    with pytest.raises(TypeError, match="path must be"):
        ck.read(3)


def test_pickles_are_not_opened(tmp_path):
    np.savez(tmp_path / "pickled.npz", name=np.array([{}], dtype=object))
    refused(tmp_path / "pickled.npz", "damaged or of another kind")


def test_files_of_py4dstem_and_the_kits_npz_files_are_read_too(tmp_path):
    cube = py4DSTEM.DataCube(data=np.ones((2, 2, 4, 4), np.float32), name="cube")
    cube.calibration.set_R_pixel_size(0.3)
    py4DSTEM.save(tmp_path / "cube.h5", cube)
    assert ck.read(tmp_path / "cube.h5").calibration.get_R_pixel_size() == 0.3
    ensemble().save(tmp_path / "result.npz")
    assert isinstance(ck.read(str(tmp_path / "result.npz")), ck.EnsembleResult)
    save_snapshots(tmp_path / "snapshots.npz", snapshots())
    np.testing.assert_allclose(
        ck.read(tmp_path / "snapshots.npz").positions, snapshots().positions, atol=6e-5
    )


def test_several_trees_have_to_be_chosen_from(tmp_path):
    for name in ("first", "second"):
        py4DSTEM.save(tmp_path / "two.h5", py4DSTEM.Array(np.ones(3), name=name), mode="a")
    assert "'first_root', 'second_root'" in refused(tmp_path / "two.h5", "holds several trees")
    assert ck.read(tmp_path / "two.h5", "first_root").name == "first"


def test_save_refuses_names_that_could_not_be_read(tmp_path):
    for name in ("states.npz", "states"):
        with pytest.raises(ValueError, match=r"path must end in \.h5"):
            states().save(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no folder"):
        states().save(tmp_path / "nowhere" / "states.h5")
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        states().save(tmp_path / "folder.h5")
    assert [item.name for item in tmp_path.iterdir()] == ["folder.h5"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(saved, monkeypatch):
    before = saved.read_bytes()

    def full(self, group):
        group.create_group("half")
        raise OSError("no space left on device")

    monkeypatch.setattr(py4DSTEM.Array, "to_h5", full)
    item = states()
    with pytest.raises(OSError, match="no space left"):
        item.save(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["states.h5"]
    monkeypatch.undo()
    item.save(saved)
    assert isinstance(ck.read(saved), ck.ObjectEnsemble)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_killed_while_it_writes_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def killed(self, group):
        group.create_dataset("half", data=np.ones(10000))
        group.file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(py4DSTEM.Array, "to_h5", killed)
    if (child := os.fork()) == 0:
        states(2).save(saved)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert saved.read_bytes() == before
    assert len(ck.read(saved).object) == 3
