"""The panel when something goes wrong, or is done at an awkward moment."""

from __future__ import annotations

import threading

import pytest

import caviar_kit as ck
from tests.adapter.problems import planted

PATIENCE = 60  # seconds until a test gives up; nothing is timed
FIT = {"max_iter": 2, "one_state_iter": 1}


@pytest.fixture
def panel():
    mine = {"fast": {"max_iter": 7}, "slow": {"max_iter": 70}}
    panel = ck.widgets.ReconstructionPanel(planted(2, num_object_states=2)[0], presets=mine)
    panel.set(**FIT)
    yield panel
    panel.stop()
    assert panel.wait(PATIENCE)


def status(panel):
    return panel._buttons._status.value


def message(panel):
    return panel._buttons._message.value


def test_a_last_picture_that_fails_is_said_and_leaves_the_fit_done(panel, monkeypatch):
    def fail(*args):
        raise MemoryError("no room for a picture")

    monkeypatch.setattr(panel, "_show_result", fail)
    panel.run()
    assert panel.wait(PATIENCE) and panel.job.state == "done" and panel.job.error is None
    assert "Done:</b> states, iteration 3 of 3" in status(panel)
    assert "the picture cannot be drawn: no room for a picture" in message(panel)
    assert not panel.buttons["Run"].disabled


def test_a_picture_that_fails_on_the_way_is_said_as_what_it_is(panel, monkeypatch):
    def fail(*args):
        raise ValueError("no colours left")

    monkeypatch.setattr(panel.view, "show", fail)
    panel.run()
    assert panel.wait(PATIENCE) and panel.job.state == "failed"
    assert "Failed." in status(panel) and "⚠ no colours left" in message(panel)


def test_the_end_of_one_run_is_told_though_another_has_begun(panel, monkeypatch):
    """Run was pressed between the end of a failed fit and the panel's hearing of it."""
    end, told = panel._end, []

    def begin_another(state):
        if not told:
            monkeypatch.undo()
            panel.run()
        end(state)
        told.append((state, message(panel), status(panel)))

    def fail(*args):
        raise ValueError("the first")

    panel.job._on_end = begin_another
    show = panel._step
    monkeypatch.setattr(panel.job, "_on_step", lambda snapshot: (show(snapshot), fail()))
    panel.run()
    while len(told) < 2:
        assert panel.wait(PATIENCE)
    (first, said, where), (second, *_) = told
    assert (first, second) == ("failed", "done")
    assert "the first" in said and "iteration 1 of 3" in where
    assert "Done:</b> states, iteration 3 of 3" in status(panel) and "the first" not in message(panel)


def test_a_run_stopped_at_once_does_not_claim_the_iterations_of_the_one_before(panel, monkeypatch):
    panel.run()
    assert panel.wait(PATIENCE) and "iteration 3 of 3" in status(panel)
    monkeypatch.setattr(panel._needs, "time", lambda settings, check: (panel.stop(), check()))
    panel.run()
    assert panel.wait(PATIENCE) and "before the first iteration" in status(panel)


def test_waiting_for_a_paused_fit_without_an_end_is_refused(panel, monkeypatch):
    arrived = threading.Event()
    monkeypatch.setattr(panel.job, "_on_step", lambda snapshot: (panel.pause(), arrived.set()))
    panel.run()
    assert arrived.wait(PATIENCE)
    refused = []

    def wait():
        with pytest.raises(RuntimeError, match="paused"):
            panel.wait()
        refused.append(True)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(10)
    assert refused and panel.wait(0) is False


def test_a_session_that_could_not_be_loaded_is_not_written(panel, tmp_path):
    panel.controls["positivity"].value = -1.0
    with pytest.raises(ValueError, match="positivity must be"):
        panel.save_session(tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("action", ["save", "load", "estimate"])
def test_no_fit_starts_while_a_session_or_an_estimate_is_under_way(panel, tmp_path, monkeypatch, action):
    """Another thread presses Run meanwhile: it starts afterwards."""
    module, file = "caviar_kit.widgets.reconstruction_panel", tmp_path / "a.json"
    panel.save_session(file)
    clicked, active = [], []

    def during(*args):
        clicked.append(threading.Thread(target=panel.run, daemon=True))
        clicked[0].start()
        clicked[0].join(0.3)
        active.append(panel.job.active)
        return {"save": file, "load": (panel.settings, None), "estimate": None}[action]

    if action == "estimate":
        measure = panel._needs.time
        monkeypatch.setattr(
            panel._needs, "time", lambda *args: during() if len(args) == 1 else measure(*args)
        )
        panel.estimate()
    else:
        monkeypatch.setattr(f"{module}.{'write' if action == 'save' else 'read'}_session", during)
        getattr(panel, f"{action}_session")(file)
    clicked[0].join(PATIENCE)
    assert active == [False] and panel.wait(PATIENCE) and panel.job.state == "done"


def test_an_edited_preset_can_be_chosen_again(panel):
    panel.preset.value = "fast"
    assert (panel.preset.value, panel.settings["max_iter"]) == ("fast", 7)
    panel.controls["max_iter"].value = 8
    assert panel.preset.value == "(choose)" and panel.settings["max_iter"] == 8
    panel.preset.value = "fast"
    assert panel.settings["max_iter"] == 7
    panel.set(history=3)
    assert panel.preset.value == "(choose)"
    panel.preset.value = "fast"
    panel.preset.value = "slow"
    assert (panel.preset.value, panel.settings["max_iter"]) == ("slow", 70)


def test_numbers_beyond_the_box_are_refused(panel):
    with pytest.raises(ValueError, match="max_iter must be at least 0 and at most 1000000, got 2000000"):
        panel.set(max_iter=2_000_000)
    assert panel.settings["max_iter"] == FIT["max_iter"]
