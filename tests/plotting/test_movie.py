"""Movies: every frame there, equal colours stay equal, and the file says where it comes from."""

import json
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import caviar_kit as ck
from caviar_kit.plotting.movie import why_no_mp4

# Stands in for ffmpeg: keeps its arguments and the raw frames, writes the file it was asked for.
FAKE_FFMPEG = """#!{python}
import json, sys
frames = sys.stdin.buffer.read()
open({record!r}, "w").write(json.dumps([sys.argv, len(frames)]))
open(sys.argv[-1], "wb").write(frames[:16])
"""
BROKEN_FFMPEG = """#!{python}
import sys
sys.stdin.buffer.read()
sys.exit("Unknown encoder 'h264'")
"""


def frame(value: float, size=(2.0, 1.5), number: int = 0) -> Figure:
    """Left half always 0.5, right half ``value``; colours from 0 to 1."""
    figure = Figure(figsize=size, dpi=50)
    ax = figure.add_axes((0, 0, 1, 0.8))
    ax.imshow([[0.5, value]], vmin=0, vmax=1, cmap="viridis", aspect="auto")
    ax.axis("off")
    figure.text(0.5, 0.9, str(number), ha="center")
    return figure


def frames(count=5):
    return [frame(value, number=n) for n, value in enumerate(np.linspace(0, 1, count))]


def decoded(path):
    with Image.open(path) as movie:
        pictures = []
        for number in range(movie.n_frames):
            movie.seek(number)
            pictures.append(np.asarray(movie.convert("RGB")).astype(int))
        return np.array(pictures)


def install(tmp_path, monkeypatch, script):
    program = tmp_path / "ffmpeg"
    program.write_text(script.format(python=sys.executable, record=str(tmp_path / "record.json")))
    program.chmod(0o755)
    monkeypatch.setitem(mpl.rcParams, "animation.ffmpeg_path", str(program))


def test_each_figure_becomes_one_frame_of_its_own_look(tmp_path):
    pictures = decoded(ck.plot.save_movie(tmp_path / "a.gif", iter(frames(7))))
    assert pictures.shape == (7, 74, 100, 3)  # 75 pixels high: even, as video needs it
    viridis = mpl.colormaps["viridis"]
    for picture, value in zip(pictures, np.linspace(0, 1, 7), strict=True):
        expected = 255 * np.array(viridis(value)[:3])
        np.testing.assert_allclose(picture[50, 75], expected, atol=4)
        assert (picture[2, 2] == 255).all()


def test_equal_values_have_equal_colours_in_all_frames(tmp_path):
    pictures = decoded(ck.plot.save_movie(tmp_path / "a.gif", frames()))
    assert len(np.unique(pictures[:, 30:60, 20:40].reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(pictures[:, 50, 75], axis=0)) == len(pictures)


def test_the_gif_says_where_it_comes_from(tmp_path):
    known = {"seed": 7, "sampling": np.array([0.2, 0.25]), "unit": "Å"}
    path = ck.plot.save_movie(tmp_path / "a.GIF", frames(), frames_per_second=4, provenance=known)
    with Image.open(path) as movie:
        comment = json.loads(movie.info["comment"].decode())
        assert movie.info["duration"] == 250 and movie.info["loop"] == 0
    assert comment == {"seed": 7, "sampling": [0.2, 0.25], "unit": "Å"}
    assert json.loads((tmp_path / "a.GIF.json").read_text(encoding="utf-8")) == comment
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.GIF", "a.GIF.json"]


def test_mp4_goes_through_ffmpeg_with_the_same_record(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, FAKE_FFMPEG)
    assert why_no_mp4() == ""
    path = ck.plot.save_movie(tmp_path / "a.mp4", frames(3), frames_per_second=4, provenance={"seed": 7})
    arguments, size = json.loads((tmp_path / "record.json").read_text())
    assert size == 3 * 100 * 74 * 4
    given = [arguments[n + 1] for n, word in enumerate(arguments) if word == "-metadata"]
    comment = next(text for text in given if text.startswith("comment="))
    assert json.loads(comment.removeprefix("comment=")) == {"seed": 7}
    assert float(arguments[arguments.index("-framerate") + 1]) == 4
    assert path.exists() and path.with_name("a.mp4.json").exists()


def test_without_ffmpeg_mp4_is_refused_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(mpl.rcParams, "animation.ffmpeg_path", "no-such-program")
    assert "ffmpeg" in why_no_mp4()
    with pytest.raises(RuntimeError, match="ffmpeg, which is not installed"):
        ck.plot.save_movie(tmp_path / "a.mp4", frames())
    assert not list(tmp_path.iterdir())


def test_a_failing_ffmpeg_says_why_and_leaves_nothing(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, BROKEN_FFMPEG)
    with pytest.raises(RuntimeError, match="Unknown encoder 'h264'"):
        ck.plot.save_movie(tmp_path / "a.mp4", frames())
    assert [p.name for p in tmp_path.iterdir()] == ["ffmpeg"]


def test_a_frame_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(b"old")

    def breaking():
        yield frame(0.2)
        raise ArithmeticError("no second frame")

    with pytest.raises(ArithmeticError):
        ck.plot.save_movie(path, breaking())
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["a.avi", "a", "a.gif.json"])
def test_refuses_other_suffixes(tmp_path, name):
    with pytest.raises(ValueError, match=r"path must end in .gif or .mp4"):
        ck.plot.save_movie(tmp_path / name, frames())


def test_refuses_bad_input(tmp_path):
    path = tmp_path / "a.gif"
    with pytest.raises(ValueError, match="frames is empty"):
        ck.plot.save_movie(path, [])
    with pytest.raises(TypeError, match="frames must be matplotlib Figures, got ndarray"):
        ck.plot.save_movie(path, [np.zeros((4, 4))])
    with pytest.raises(ValueError, match="same size"):
        ck.plot.save_movie(path, [frame(0), frame(0, size=(3, 2))])
    with pytest.raises(ValueError, match="frames_per_second"):
        ck.plot.save_movie(path, frames(), frames_per_second=0)
    with pytest.raises(TypeError, match="path"):
        ck.plot.save_movie(3, frames())
    with pytest.raises(FileNotFoundError, match="no folder"):
        ck.plot.save_movie(tmp_path / "none" / "a.gif", frames())
    assert not list(tmp_path.iterdir())
