"""The player shows what its controls say, with one contrast, and its movies are whole."""

import base64
import json
import re
from io import BytesIO
from threading import Event

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import caviar_kit as ck
from caviar_kit.widgets import ensemble_player
from tests.adapter.problems import planted
from tests.ensembles import ensemble
from tests.stored import states


@pytest.fixture(scope="module")
def fitted():
    ptycho, _ = planted(num_probes=2)
    return ptycho.reconstruct(max_iter=2, one_state_iter=2, refine="probe", progress_bar=False)


@pytest.fixture
def player():
    return ck.widgets.EnsemblePlayer(states(num_states=4, num_slices=3))


def shown(player, axes=0):
    """The picture of the present figure."""
    return player.figure().axes[axes].images[0]


def title(player):
    return player.figure().texts[0].get_text()


def picture(player):
    return player._picture.value


def status(player):
    return re.sub("<.*?>", "", player._status.value)


def test_each_state_and_slice_is_the_array_it_says(player):
    phases = player._view.phases
    for state, chosen in ((0, 0), (3, 1), (2, 2)):
        player.state.value, player.slice.value = state, chosen
        np.testing.assert_array_equal(shown(player).get_array(), phases[state, chosen])
        assert f"state {state}, slice {chosen}" in title(player)
    player.slice.value = "all (projected)"
    np.testing.assert_allclose(shown(player).get_array(), phases[2].sum(axis=0), atol=1e-6)
    assert "state 2, all slices (projected)" in title(player)


def test_difference_is_from_the_mean_state_in_diverging_colours(player):
    player.show.value, player.state.value, player.slice.value = "difference", 1, 2
    phases = player._view.phases[:, 2]
    away = phases[1] - phases.mean(axis=0)
    np.testing.assert_allclose(shown(player).get_array(), away - away.mean(), atol=1e-6)
    low, high = shown(player).get_clim()
    assert low == -high and "mean of the states" in title(player)


def test_probe_modes_have_amplitude_phase_and_share(fitted):
    player = ck.widgets.EnsemblePlayer(fitted)
    player.show.value, player.mode.value = "probe", 1
    amplitude, phase = (ax.images[0] for ax in player.figure().axes[::2])
    mode = fitted.probe[1] / abs(fitted.probe).max()
    np.testing.assert_allclose(amplitude.get_array(), abs(mode), rtol=1e-5)
    np.testing.assert_allclose(phase.get_array(), np.angle(mode), atol=1e-5)
    assert f"mode 1, {100 * fitted.probe_occupations[1]:.3g} % of the beam" in title(player)
    assert player.state.disabled and not player.mode.disabled


def test_contrast_is_held_until_it_is_released(player):
    held = set()
    for state, chosen in ((0, 0), (1, 2), (3, 1)):
        player.state.value, player.slice.value = state, chosen
        held.add(shown(player).get_clim())
    assert len(held) == 1
    player.held.value = False
    own = shown(player).get_clim()
    player.state.value = 0
    assert own not in held and shown(player).get_clim() != own and "own contrast" in title(player)


def test_pictures_have_units_scale_and_words(player):
    ax, bar = player.figure().axes
    assert bar.get_ylabel() == "phase (rad)" and any("Å" in text.get_text() for text in ax.texts)
    assert '<img alt="state 0, all slices (projected)"' in picture(player)
    before = picture(player)
    player.state.value = 1
    assert picture(player) != before


def test_frames_have_the_same_layout_whatever_they_show(player):
    places = []
    for state, held in ((0, True), (3, True), (1, False)):
        player.state.value, player.held.value = state, held
        figure = player.figure()
        figure.draw_without_rendering()
        places.append([ax.get_position().bounds for ax in figure.axes])
    np.testing.assert_allclose(places[1:], [places[0]] * 2)


@pytest.mark.parametrize("shape", [(10, 90), (90, 10)])
def test_words_fit_beside_narrow_fields(shape):
    phases = np.random.default_rng(0).random((2, 2, *shape))
    player = ck.widgets.EnsemblePlayer(ck.ObjectEnsemble(np.exp(1j * phases), (0.2, 0.2), [2.0]))
    player.show.value, player.held.value = "difference", False
    figure = player.figure()
    figure.draw_without_rendering()
    for text in (figure.texts[0], figure.axes[1].yaxis.label):
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1


def test_columns_of_a_result_are_drawn_where_they_were_found():
    result = ensemble()
    player = ck.widgets.EnsemblePlayer(result)
    player.columns.value, player.magnify.value, player.state.value = True, 20, 3
    arrows = player.figure().axes[0].collections[0]
    np.testing.assert_allclose(arrows.get_offsets(), result.positions[:, ::-1])
    drawn = np.transpose([arrows.U, arrows.V]) / arrows.scale
    np.testing.assert_allclose(drawn, 20 * result.displacements[3][:, ::-1], atol=1e-9)
    assert "columns × 20" in title(player)


def test_controls_without_use_are_hidden(player, fitted):
    assert player.mode.layout.display == player.columns.layout.display == "none"
    assert [value for _, value in player.show.options] == ["phase", "difference"]
    plain = ck.widgets.EnsemblePlayer(ensemble())
    assert plain.slice.layout.display == "none" and plain.columns.layout.display is None
    assert ck.widgets.EnsemblePlayer(fitted).mode.layout.display is None


def test_controls_have_words_and_wait_until_they_rest(player):
    controls = (player.state, player.slice, player.mode, player.magnify, player.frames_per_second)
    for control in (*controls, player.show, player.held, player.columns, player.file, player.play):
        assert control.description
    assert not any(control.continuous_update for control in controls)


def test_play_runs_through_the_states_at_the_chosen_speed(player):
    player.play.click()
    assert player._animation.playing and player.play.description == "Pause"
    player._animation.value = 3  # what the browser's clock does
    assert player.state.value == 3 and "state 3" in picture(player)
    player.play.click()
    assert not player._animation.playing and player.play.description == "Play"
    player.state.value = 1
    assert player._animation.value == 1 and player._animation.max == 3
    player.frames_per_second.value = 10
    assert player._animation.interval == 100


def test_play_runs_through_the_modes_of_a_probe(fitted):
    player = ck.widgets.EnsemblePlayer(fitted)
    player.state.value = 2
    player.show.value = "probe"
    assert player._animation.max == 1 and (player.state.value, player.mode.value) == (2, 0)
    player._animation.value = 1
    assert (player.state.value, player.mode.value) == (2, 1)
    player.show.value = "phase"
    assert player._animation.value == 2 and (player.state.value, player.mode.value) == (2, 1)


def test_a_single_state_has_nothing_to_play():
    assert ck.widgets.EnsemblePlayer(states(1, 1)).play.disabled


def test_the_movie_has_all_states_and_its_origin(player, tmp_path):
    player.slice.value = 1
    path = player.export(tmp_path / "states.gif")
    with Image.open(path) as movie:
        assert movie.n_frames == 4
        record = json.loads(movie.info["comment"].decode())
    assert record == json.loads((tmp_path / "states.gif.json").read_text(encoding="utf-8"))
    assert record["seed"] == 7 and record["loss"] == 1e-4 and record["name"] == "object_ensemble"
    assert record["parameters"]["detector"] == "synthetic"
    assert record["written_by"]["caviar_kit"] == ck.__version__ and record["written"].endswith("+00:00")
    assert record["shown"]["slice_index"] == 1 and record["frame_count"] == 4
    assert record["contrast_limits"] == list(shown(player).get_clim())
    assert record["units"] == {"sampling": "Å", "contrast_limits": "rad"}
    assert str(path.resolve()) in status(player)


def test_frames_of_the_movie_are_the_pictures_of_the_panel(player, tmp_path):
    with Image.open(player.export(tmp_path / "a.gif")) as movie:
        for state in (0, 3):
            movie.seek(state)
            player.state.value = state
            data = base64.b64decode(re.search('base64,(.*?)"', picture(player))[1])
            panel = np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(int)
            drawn = np.asarray(movie.convert("RGB")).astype(int)
            assert np.percentile(abs(panel - drawn), 99.5) < 12


def test_a_released_contrast_is_written_for_each_frame(player, tmp_path):
    player.held.value = False
    player.export(tmp_path / "a.gif")
    limits = json.loads((tmp_path / "a.gif.json").read_text(encoding="utf-8"))["contrast_limits"]
    assert len({tuple(pair) for pair in limits}) == 4


def test_the_button_writes_aside_what_was_shown_when_it_was_pressed(player, tmp_path, monkeypatch):
    go_on, real = Event(), ensemble_player.save_movie

    def slow(*arguments, **settings):
        assert go_on.wait(30)
        return real(*arguments, **settings)

    monkeypatch.setattr(ensemble_player, "save_movie", slow)
    player.file.value = str(tmp_path / "run.2")
    player.slice.value = 2
    player.export_gif.click()
    assert "writing" in status(player) and player.export_gif.disabled and not player.wait(0)
    player.slice.value = 0
    go_on.set()
    assert player.wait(60) and not player.export_gif.disabled
    assert "written" in status(player) and (tmp_path / "run.2.gif").exists()
    assert json.loads((tmp_path / "run.2.gif.json").read_text(encoding="utf-8"))["shown"]["slice_index"] == 2


def test_a_name_may_have_its_suffix_already(player, tmp_path):
    player.file.value = str(tmp_path / "a.mp4")
    player.export_gif.click()
    assert player.wait(60) and (tmp_path / "a.gif").exists()


def test_errors_are_sentences_in_the_panel(player, tmp_path):
    player.file.value = str(tmp_path / "none" / "a")
    player.export_gif.click()
    assert player.wait(60) and "was not written: there is no folder" in status(player)
    assert not player.export_gif.disabled
    player.file.value = "  "
    player.export_gif.click()
    assert status(player) == "Give the movie a file name."


@pytest.mark.parametrize("name", [".gif", "/", "~nobody-at-all/x", "sub/", "sub/.gif", "..", ".", "~"])
def test_names_of_no_file_are_refused_in_the_panel(player, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    player.file.value = name
    player.export_gif.click()
    assert player.wait(60) and f"{name} cannot be the movie" in status(player)
    assert not player.export_gif.disabled and not list(tmp_path.glob("*.gif")) + list(tmp_path.glob("*/*"))


def test_a_movie_that_fails_resets_the_buttons(player, tmp_path, monkeypatch):
    def fail(*arguments, **settings):
        raise ArithmeticError("the palette <is> empty")

    monkeypatch.setattr(ensemble_player, "save_movie", fail)
    player.file.value = str(tmp_path / "a")
    player.export_gif.click()
    assert player.wait(60) and "was not written: the palette &lt;is&gt; empty" in status(player)
    assert not player.export_gif.disabled


def test_without_ffmpeg_the_button_says_why(player, monkeypatch):
    monkeypatch.setitem(plt.rcParams, "animation.ffmpeg_path", "no-such-program")
    player = ck.widgets.EnsemblePlayer(states())
    assert player.export_mp4.disabled and "ffmpeg" in player.export_mp4.tooltip and "ffmpeg" in status(player)


def test_the_movie_of_a_probe_runs_through_its_modes(fitted, tmp_path):
    player = ck.widgets.EnsemblePlayer(fitted)
    player.show.value = "probe"
    with Image.open(player.export(tmp_path / "probe.gif")) as movie:
        record = json.loads(movie.info["comment"].decode())
        assert movie.n_frames == record["frame_count"] == 2
    assert record["shown"]["frames"] == "modes" and record["contrast_limits"] == [0, pytest.approx(1)]
    assert record["seed"] == 0 and record["loss"] == fitted.error_iterations[-1]


def test_refuses_bad_input(player, tmp_path):
    with pytest.raises(TypeError, match="source must be"):
        ck.widgets.EnsemblePlayer(np.zeros((2, 1, 4, 4)))
    with pytest.raises(ValueError, match=r"path must end in .gif or .mp4"):
        player.export(tmp_path / "a.avi")
    assert not list(tmp_path.iterdir())


def test_static_pages_get_a_picture_and_pyplot_stays_empty(player):
    before = plt.get_fignums()
    bundle = player._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG") and "application/vnd.jupyter.widget-view+json" in bundle
    assert plt.get_fignums() == before
