"""Kernel subshells: messages of one panel in several threads lose nothing and break nothing."""

from __future__ import annotations

import sys
import warnings
from threading import Barrier, Thread

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.widgets import ensemble_player
from tests.ensembles import ensemble
from tests.stored import states
from tests.widgets.test_calibration_tuner import make as tuner
from tests.widgets.test_correlation_choices import followed
from tests.widgets.test_dispersion_explorer import panel as dispersion


def at_once(*changes) -> list[str]:
    """Run the lists of actions in threads of their own; what was raised."""
    start, raised, before = Barrier(len(changes)), [], sys.getswitchinterval()

    def run(actions) -> None:
        start.wait(30)
        for act in actions:
            try:
                act()
            except Exception as error:  # in a thread nobody else would tell
                raised.append(repr(error))

    threads = [Thread(target=run, args=(actions,), daemon=True) for actions in changes]
    sys.setswitchinterval(1e-5)  # threads take turns often
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    finally:
        sys.setswitchinterval(before)
    assert not any(thread.is_alive() for thread in threads)
    return raised


def settings(control, *values):
    return [lambda value=value: setattr(control, "value", value) for value in values]


@pytest.fixture(autouse=True)
def warnings_are_told_as_before():
    hooks = warnings._showwarnmsg_impl, warnings.showwarning
    yield
    assert (warnings._showwarnmsg_impl, warnings.showwarning) == hooks


@pytest.mark.parametrize("clickable", [True, False])
def test_correlation_explorer(clickable, monkeypatch):
    if not clickable:
        monkeypatch.setitem(sys.modules, "ipympl.backend_nbagg", None)
    explorer = ck.widgets.CorrelationExplorer({"MD": ensemble(), "small": ensemble(rows=2, seed=1)})
    assert (explorer.picture.canvas is not None) == clickable
    threads = [
        settings(explorer.reference, 0, 1, 3, 6),
        settings(explorer.radius, 2.1, 2.9, 4.1, 5.0),
    ]
    if clickable:
        threads.append([explorer.picture.canvas.draw] * 4)  # what the browser asks for
    assert not at_once(*threads) and not explorer.message.value
    alone = ck.widgets.CorrelationExplorer({"MD": ensemble(), "small": ensemble(rows=2, seed=1)})
    alone.reference.value, alone.radius.value = 6, 5.0
    assert explorer.page.value == alone.page.value and explorer.table() == alone.table()


def test_data_sets_change_while_atoms_do():
    explorer = ck.widgets.CorrelationExplorer({"MD": ensemble(), "small": ensemble(rows=2, seed=1)})
    data = settings(explorer.dataset, "small", "MD", "small", "MD", "small")
    assert not at_once(data, settings(explorer.reference, 11, 0, 11, 1, 11))
    assert not explorer.message.value and explorer.reference.value <= 7


@pytest.fixture
def two_sizes():
    """An explorer of 16 atoms in five slices; "small" has the first 8 in two."""
    small = ck.AtomicDisplacements(followed(5)[:, :2, :8])
    return ck.widgets.CorrelationExplorer({"large": ck.AtomicDisplacements(followed(5)), "small": small})


def alone(explorer):
    """The explorer of the same small data set that nobody disturbed."""
    other = ck.widgets.CorrelationExplorer(explorer.result)
    other.reference.value, other.radius.value = explorer.reference.value, explorer.radius.value
    return other


SETTINGS = [("reference", 15), ("radius", 8.0), ("slices", (3, 4)), ("slices", (1, 3))]


@pytest.mark.parametrize("name, value", SETTINGS)
def test_a_setting_checked_before_the_data_set_changed_comes_within_its_ends(
    name, value, two_sizes, monkeypatch
):
    control = getattr(two_sizes, name)
    checked, pending = control._trait_validators["value"], ["small"]

    def overtaken(widget, proposal):
        value = checked(widget, proposal)
        if pending:  # another thread, between the check and the change
            two_sizes.dataset.value = pending.pop()
        return value

    monkeypatch.setitem(control._trait_validators, "value", overtaken)
    control.value = value
    assert control.min <= np.min(control.value) <= np.max(control.value) == control.max
    assert not two_sizes.message.value
    other = alone(two_sizes)
    other.slices.value = two_sizes.slices.value
    assert two_sizes.table() == other.table()


@pytest.mark.parametrize("name, value", [one for one in SETTINGS if one[0] != "radius"])
def test_a_setting_out_of_the_ends_is_not_read_before_it_is_back(name, value, two_sizes):
    two_sizes.dataset.value = "small"
    control = getattr(two_sizes, name)
    control._trait_values["value"] = value  # taken, not told yet
    two_sizes.figure()
    told = two_sizes.provenance()
    assert two_sizes.neighbours() and told["reference atom"] <= 7 and max(told["slices"]) <= 1


def test_dispersion_explorer():
    explorer = dispersion()
    raised = at_once(
        settings(explorer.temperature, 200, 250, 350, 400),
        settings(explorer.uncorrected, True, False, True, False),
        settings(explorer.statistics, "classical", "quantum", "classical", "quantum"),
    )
    assert not raised and not explorer.message.value
    assert explorer.page.value == dispersion(temperature_k=400).page.value


def test_calibration_tuner():
    panel, other = (tuner(semiangle_cutoff=11.3) for _ in range(2))
    raised = at_once(
        settings(panel.outer, 8, 7),
        settings(panel.defocus, 20, 40),
        [panel.measure_disc.click],
        [panel._canvas.widget.draw] * 2,
    )
    assert not raised
    for name in ("outer", "inner", "defocus", "semiangle", "centre_y", "centre_x"):
        getattr(other, name).value = getattr(panel, name).value
    assert (panel._beside.value, panel._below.value) == (other._beside.value, other._below.value)
    assert panel._advice.value == other._advice.value and len(panel._canvas._ax.patches) == len(
        other._canvas._ax.patches
    )


def test_ensemble_player(monkeypatch):
    monkeypatch.setattr(ensemble_player, "_PICTURES_KEPT", 1)  # each drawing drops another one's picture
    player = ck.widgets.EnsemblePlayer(states(num_states=4, num_slices=3))
    raised = at_once(
        settings(player.state, 1, 2, 3, 0, 2),
        settings(player.slice, 0, 1, 2, 0, 1),
        settings(player.held, False, True, False, True, False),
    )
    assert not raised and (player.state.value, player.slice.value) == (2, 1)
    assert 'alt="state 2, slice 1, own contrast"' in player._picture.value and player._animation.value == 2


def test_a_change_while_the_tuner_sets_several_controls_is_drawn(monkeypatch):
    panel, other, threads = tuner(), tuner(), []
    set_rotation = panel._set_rotation

    def interrupted(*known) -> None:
        threads.append(Thread(target=lambda: setattr(panel.outer, "value", 5.0), daemon=True))
        threads[0].start()
        threads[0].join(0.5)  # it may have to wait until these controls are set
        set_rotation(*known)

    monkeypatch.setattr(panel, "_set_rotation", interrupted)
    panel.least_curl.click()
    threads[0].join(60)
    other.outer.value = 5.0
    assert panel._beside.value == other._beside.value


def test_the_player_keeps_each_picture_under_its_own_name(monkeypatch):
    player, pending = ck.widgets.EnsemblePlayer(states(num_states=4, num_slices=3)), [3]
    look, threads = type(player).look.fget, []

    def interrupted(self):
        now = look(self)
        if pending:
            state = pending.pop()
            threads.append(Thread(target=lambda: setattr(player.state, "value", state), daemon=True))
            threads[0].start()
            threads[0].join(0.5)
        return now

    monkeypatch.setattr(type(player), "look", property(interrupted))
    player.state.value = 1
    threads[0].join(60)
    again = ck.widgets.EnsemblePlayer(states(num_states=4, num_slices=3))
    assert player.state.value == 3 and len(player._pictures) == 3
    for one, data in player._pictures.items():
        again.state.value = one.state
        assert again._pictures[one] == data


def test_the_players_clock_takes_no_change_back():
    player, threads = ck.widgets.EnsemblePlayer(states(num_states=4, num_slices=3)), []

    def interrupt(change) -> None:
        if not threads:
            threads.append(Thread(target=lambda: setattr(player.state, "value", 3), daemon=True))
            threads[0].start()
            threads[0].join(0.5)

    player._animation.unobserve(player._step, names="value")
    player._animation.observe(interrupt, names="value")
    player._animation.observe(player._step, names="value")  # after the other thread, as can happen
    player.state.value = 1
    threads[0].join(60)
    assert player.state.value == 3 and "state 3" in player._picture.value


def test_two_panels_hear_only_their_own_warnings():
    from caviar_kit.widgets.one_thread import heard

    kept = {}

    def listen(name: str) -> None:
        with heard() as texts:
            for number in range(200):
                warnings.warn(f"{name} {number}", UserWarning, stacklevel=1)
        kept.setdefault(name, []).append(texts)

    assert not at_once([lambda: listen("a")] * 3, [lambda: listen("b")] * 3)
    for name in "ab":
        assert kept[name] == [[f"{name} {number}" for number in range(200)]] * 3
