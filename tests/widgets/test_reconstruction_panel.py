"""The panel: a script presses its buttons, and finds in them what a user would."""

from __future__ import annotations

import threading

import matplotlib.pyplot as plt
import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.multislice import FitSettings
from caviar_kit.simulation import GroundTruth
from tests.adapter.problems import planted

PATIENCE = 60  # seconds until a test gives up; nothing is timed
FIT = {"max_iter": 3, "one_state_iter": 2}


@pytest.fixture
def ptycho():
    return planted(2, num_object_states=2)[0]


@pytest.fixture
def panel(ptycho):
    panel = ck.widgets.ReconstructionPanel(ptycho)
    panel.set(**FIT)
    yield panel
    panel.stop()
    assert panel.wait(PATIENCE)


def text(panel):
    """All that the panel says."""
    return " ".join([panel._needed.value, panel._buttons._status.value, panel._buttons._message.value])


def enabled(panel):
    return {name for name, button in panel.buttons.items() if not button.disabled}


AT_REST = {"Run", "Estimate time", "Save session", "Load session"}


@pytest.fixture
def held(panel, monkeypatch):
    """A running panel whose worker waits after the first iteration until told to go on."""
    arrived, go = threading.Event(), threading.Event()
    step = panel._step

    def hold(snapshot):
        step(snapshot)
        arrived.set()
        assert go.wait(PATIENCE)

    monkeypatch.setattr(panel.job, "_on_step", hold)
    panel.buttons["Run"].click()
    assert arrived.wait(PATIENCE)
    yield panel, go
    go.set()


def test_has_the_buttons_and_a_control_for_each_setting(panel):
    assert set(panel.buttons) == AT_REST | {"Pause", "Resume", "Stop"}
    controls = {**panel.controls, "preset": panel.preset, "path": panel.path, "shown": panel.view.shown}
    for control in (*controls.values(), *panel.buttons.values()):
        assert control.description and control.tooltip
    shown = set(panel.controls) - {"num_object_states", "reset", "loss"}
    own = {"seed", "num_states", "constraints"}  # the object's own, renamed, given by weights
    assert set(FitSettings.__dataclass_fields__) - own <= shown


def test_run_is_the_same_fit_as_reconstruct(panel, ptycho):
    panel.set(refine=("probe",), num_object_states=3)
    panel.buttons["Run"].click()
    assert panel.wait(PATIENCE) and panel.job.state == "done"
    expected = planted(2, num_object_states=3)[0]
    expected.reconstruct(**FIT, refine="probe", progress_bar=False)
    np.testing.assert_array_equal(ptycho.object, expected.object)
    assert ptycho.error_iterations == expected.error_iterations
    assert f"Done:</b> states, iteration 5 of 5, loss {ptycho.error:.3g}" in text(panel)
    assert "iteration 5" in panel.view._picture.value and enabled(panel) == AT_REST
    assert panel._buttons.bar.value == 1


def test_penalties_and_other_settings_reach_the_fit(panel, ptycho, monkeypatch):
    given = {}
    iterate = type(ptycho).iterate

    def noted(self, *args, **kwargs):
        given.update(kwargs)
        return iterate(self, *args, **kwargs)

    monkeypatch.setattr(type(ptycho), "iterate", noted)
    panel.set(positivity=1e-2, low_pass=1.5, identical_slices=True, total_variation=1e-5, state_variance=1e-3)
    panel.set(held_out_fraction=0.2, object_type="phase", optimizer="adam", batch_size=7, loss="poisson")
    panel.run()
    assert panel.wait(PATIENCE) and panel.job.error is None
    kinds = [type(constraint).__name__ for constraint in given["constraints"]]
    assert kinds == ["LowPass", "IdenticalSlices", "Positivity", "TotalVariation", "StateVariance"]
    assert given["constraints"][0].shape == ptycho.object.shape[-2:]
    assert given["between_batches"] == panel.job.check  # pauses and stops within an iteration
    assert (given["optimizer"], given["batch_size"], given["loss"]) == ("adam", 7, "poisson")
    assert not np.isnan(ptycho.held_out_iterations).any() and "held out" in text(panel)
    assert any("held-out" in t.get_text() for t in panel.figure().axes[2].get_legend().get_texts())


def test_buttons_follow_the_job(held):
    panel, go = held
    assert enabled(panel) == {"Pause", "Stop"} and "Running:" in text(panel)
    assert panel.controls["max_iter"].disabled and panel.preset.disabled
    panel.buttons["Pause"].click()
    assert enabled(panel) == {"Resume", "Stop"} and "Paused:" in text(panel)
    panel.buttons["Resume"].click()
    assert enabled(panel) == {"Pause", "Stop"}
    panel.buttons["Pause"].click()
    panel.buttons["Stop"].click()
    assert enabled(panel) == set() and "Stopping:" in text(panel)
    go.set()
    assert panel.wait(PATIENCE) and enabled(panel) == AT_REST
    assert "Stopped:</b> one state, iteration 1 of 5" in text(panel)
    assert not panel.controls["max_iter"].disabled


def test_two_clicks_on_run_start_one_fit(held, ptycho):
    panel, go = held
    panel.buttons["Run"].click()
    panel.run()
    go.set()
    assert panel.wait(PATIENCE) and len(ptycho.error_iterations) == 5


def test_sessions_wait_for_the_end(held, tmp_path):
    panel, _ = held
    with pytest.raises(ValueError, match="stop the fit first, or let it end, to save a session"):
        panel.save_session(tmp_path / "a.json")
    with pytest.raises(ValueError, match="to load a session"):
        panel.load_session(tmp_path / "a.json")


def test_stop_before_the_first_iteration_says_so(panel, ptycho, monkeypatch):
    monkeypatch.setattr(panel._needs, "time", lambda settings, check: (panel.stop(), check()))
    panel.run()
    assert panel.wait(PATIENCE) and panel.job.state == "stopped"
    assert "before the first iteration" in text(panel) and not ptycho.error_iterations
    assert enabled(panel) == AT_REST


def test_what_was_not_preprocessed_is_said_in_a_sentence(panel, ptycho):
    ptycho._preprocessed = False
    panel = ck.widgets.ReconstructionPanel(ptycho)
    assert "run preprocess() first" in panel._needed.value
    panel.buttons["Run"].click()
    assert panel.wait(PATIENCE) and panel.job.state == "failed"
    assert "run preprocess() first" in panel._buttons._message.value and enabled(panel) == AT_REST
    ptycho._preprocessed = True
    panel.set(**FIT)
    panel.buttons["Run"].click()
    assert panel.wait(PATIENCE) and panel.job.state == "done"
    assert "preprocess" not in text(panel)


def test_unusable_settings_are_said_at_once_and_at_run(panel):
    panel.controls["thermal_rms_angstrom"].value = 5.0
    assert "thermal_rms_angstrom must be" in panel._needed.value and "Traceback" not in text(panel)
    panel.buttons["Run"].click()
    assert panel.wait(PATIENCE) and "thermal_rms_angstrom must be" in panel._buttons._message.value
    panel.controls["thermal_rms_angstrom"].value = 0.03
    assert "Memory" in panel._needed.value


def test_memory_and_time_before_the_fit(panel, ptycho):
    assert "Memory: about" in panel._needed.value and "press" in panel._needed.value
    before = panel._needed.value
    panel.controls["num_object_states"].value = 200
    assert panel._needed.value != before
    panel.controls["num_object_states"].value = 2
    panel.buttons["Estimate time"].click()
    assert "Time: about" in panel._needed.value
    found = panel.estimate()
    assert [stage.iterations for stage in found.stages] == [2, 3]
    panel.set(max_iter=4)
    assert "press" in panel._needed.value  # measured for other settings
    assert not ptycho.error_iterations


def test_presets_set_what_they_name_and_the_rest_to_usual(ptycho):
    mine = {"fast": {"max_iter": 7, "refine": ["probe"]}, "fit": FitSettings(num_states=5, history=3)}
    panel = ck.widgets.ReconstructionPanel(ptycho, presets=mine)
    panel.set(step_size=0.5)
    panel.preset.value = "fast"
    assert (panel.settings["max_iter"], panel.settings["refine"], panel.settings["step_size"]) == (
        7,
        ("probe",),
        0.01,
    )
    assert panel.settings["num_object_states"] == 2
    panel.preset.value = "fit"
    assert (panel.settings["num_object_states"], panel.settings["history"]) == (5, 3)
    assert panel.settings["refine"] == ()


def test_default_presets_are_the_recipes_of_the_examples(panel):
    from caviar_kit.recipes import RECIPES

    panel.preset.value = "twisted hBN, tutorial"
    fit = RECIPES["hbn-twisted"].presets["tutorial"].fit
    for name in ("max_iter", "stochastic_iter", "batch_size", "step_size", "warp_slices_together"):
        assert panel.settings[name] == getattr(fit, name)
    assert panel.settings["num_object_states"] == fit.num_states


@pytest.mark.parametrize(
    ("presets", "error", "match"),
    [
        (3, TypeError, "presets must map"),
        ({"a": {"max_iters": 3}}, ValueError, r"presets\['a'\]: unknown setting max_iters"),
        ({"a": {"max_iter": 3.5}}, TypeError, "max_iter must be an integer"),
        ({"a": 7}, TypeError, "must be FitSettings or map"),
    ],
)
def test_refuses_unusable_presets(ptycho, presets, error, match):
    with pytest.raises(error, match=match):
        ck.widgets.ReconstructionPanel(ptycho, presets=presets)


def test_refuses_other_objects(ptycho):
    with pytest.raises(TypeError, match="ptychography must be"):
        ck.widgets.ReconstructionPanel(None)
    with pytest.raises(TypeError, match="ground_truth must be"):
        ck.widgets.ReconstructionPanel(ptycho, ground_truth=np.zeros((3, 2)))


def test_a_session_comes_back_in_another_panel(panel, tmp_path):
    panel.set(history=7, refine=("probe",), num_object_states=3)
    panel.run()
    assert panel.wait(PATIENCE)
    panel.path.value = str(tmp_path / "mine.json")
    panel.buttons["Save session"].click()
    assert f"Saved {tmp_path / 'mine.json'}" in text(panel) and (tmp_path / "mine.reconstruction.h5").exists()
    other = ck.widgets.ReconstructionPanel(planted(2, num_object_states=2)[0])
    other.path.value = panel.path.value
    other.buttons["Load session"].click()
    assert "Loaded" in text(other) and other.settings == panel.settings
    np.testing.assert_array_equal(other.ptychography.object, panel.ptychography.object)
    assert "iteration 5" in other.view._picture.value
    other.set(reset=False, max_iter=2)
    other.run()
    assert other.wait(PATIENCE) and len(other.ptychography.error_iterations) == 7


def test_a_reconstruction_from_a_file_is_shown_before_it_has_data(ptycho, tmp_path):
    ptycho.reconstruct(**FIT, progress_bar=False).save(tmp_path / "fit.h5")
    panel = ck.widgets.ReconstructionPanel(ck.read(tmp_path / "fit.h5"))
    assert "iteration 5" in panel.view._picture.value
    assert "run preprocess() first" in panel._needed.value


def test_a_session_that_is_missing_is_said_in_a_sentence(panel, tmp_path):
    panel.path.value = str(tmp_path / "none.json")
    panel.buttons["Load session"].click()
    assert (
        "there is no file" in panel._buttons._message.value
        and 'role="alert"' in panel._buttons._message.value
    )


def test_shows_a_state_or_the_mean_and_the_true_columns(ptycho):
    truth = GroundTruth(np.array([[1.0, 2.0]]), np.zeros((2, 1, 2)), np.zeros((1, 2, 1, 2)))
    panel = ck.widgets.ReconstructionPanel(ptycho, ground_truth=truth)
    with pytest.raises(ValueError, match="run the fit first"):
        panel.figure()
    assert "image/png" not in panel._repr_mimebundle_()
    panel.set(**FIT)
    panel.run()
    assert panel.wait(PATIENCE)
    mean = panel.view._picture.value
    assert panel.view.shown.options == ("mean of the states", "state 0", "state 1")
    panel.view.shown.value = "state 1"
    assert panel.view._picture.value != mean
    before = plt.get_fignums()
    phase = panel.figure().axes[0]
    assert plt.get_fignums() == before
    rings = phase.collections[0].get_offsets()[0]  # x, y
    first = ptycho.scan_positions_angstrom[0] - panel.view._view.origin
    np.testing.assert_allclose(rings[::-1], first + [1.0, 2.0])
    assert panel._repr_mimebundle_()["image/png"].startswith(b"\x89PNG")


def test_wild_clicking_from_two_threads_leaves_the_buttons_right(panel, ptycho):
    rng, names = np.random.default_rng(0), ("Run", "Pause", "Resume", "Stop")
    orders = [rng.permutation(np.repeat(np.arange(4), 15)) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda order=order: [panel.buttons[names[n]].click() for n in order])
        for order in orders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    panel.stop()
    assert panel.wait(PATIENCE) and panel.job.error is None
    assert enabled(panel) == AT_REST
    panel.run()
    assert panel.wait(PATIENCE) and len(ptycho.error_iterations) == 5 and "Done:" in text(panel)
