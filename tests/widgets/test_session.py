from __future__ import annotations

import json

import numpy as np
import pytest

from caviar_kit.widgets.session import read_session, write_session
from tests.adapter.problems import planted

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
    assert settings == SETTINGS and file == tmp_path / "b.h5"
    other = planted(2, num_object_states=2)[0].restore(file)
    np.testing.assert_array_equal(other.object, fitted.object)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.h5", "b.json"]
    (tmp_path / "b.h5").unlink()
    with pytest.raises(FileNotFoundError, match="names the reconstruction b.h5, which is not beside it"):
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
