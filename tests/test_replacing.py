"""Files that are written twice at once are whole, and have the usual permissions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import caviar_kit as ck
from caviar_kit._replacing import replacing
from caviar_kit.plotting import movie
from caviar_kit.widgets.exporting import write_figure


def interrupted(write, again):
    """``write``, after whose first call another thread, so to speak, runs all of ``again``."""
    pending = [again]

    def both(*arguments, **settings):
        write(*arguments, **settings)
        if pending:
            pending.pop()()

    return both


def test_each_writer_has_a_file_of_its_own(tmp_path):
    target = tmp_path / "a.txt"
    with replacing(target) as one:
        one.write_text("one")
        with replacing(target) as two:
            two.write_text("two")
        assert target.read_text() == "two"
    assert target.read_text() == "one" and list(tmp_path.iterdir()) == [target]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ArithmeticError), replacing(target) as partial:
        partial.write_text("half")
        raise ArithmeticError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_permissions_are_those_of_other_files(tmp_path):
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "a.txt") as partial:
        partial.touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_two_movies_under_one_name(tmp_path, monkeypatch):
    path, frames = tmp_path / "a.gif", [Figure(figsize=(1, 1), dpi=20)]
    again = interrupted(movie._write, lambda: ck.plot.save_movie(path, frames, provenance={"run": 2}))
    monkeypatch.setattr(movie, "_write", again)
    ck.plot.save_movie(path, frames, provenance={"run": 1})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.gif", "a.gif.json"]


def test_two_pictures_under_one_name(tmp_path, monkeypatch):
    path, figure = tmp_path / "a.png", Figure(figsize=(1, 1), dpi=20)
    again = interrupted(Path.write_bytes, lambda: write_figure(path, figure, title="2", provenance={}))
    monkeypatch.setattr(Path, "write_bytes", again)
    write_figure(path, figure, title="1", provenance={})
    assert list(tmp_path.iterdir()) == [path]
