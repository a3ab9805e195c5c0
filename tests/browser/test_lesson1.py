"""Lesson 1: the reconstruction obeys its buttons, the player writes a movie."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.browser.lab import Lab

if TYPE_CHECKING:
    from playwright.sync_api import Locator

RUN_SECONDS = 900
STEP_SECONDS = 120
ITERATION = re.compile(r"iteration (\d+) of")
BUTTONS = ("Run", "Pause", "Resume", "Stop")


@pytest.mark.slow
def test_run_pause_resume_stop_and_export(lab: Lab) -> None:
    lab.open_notebook("01_silicon_sigma9.ipynb")
    lab.run_all()
    lab.wait_for_idle(RUN_SECONDS)
    obeys_its_buttons(lab)
    plays_and_exports(lab)


def obeys_its_buttons(lab: Lab) -> None:
    panel = lab.panel("Save session")
    lab.screenshot("01_reconstruction_ready", panel)
    assert lab.cut_off(panel) == []
    button = {name: panel.get_by_role("button", name=name, exact=True) for name in BUTTONS}
    state = panel.get_by_role("status").filter(has=lab.page.locator("b"))

    panel.get_by_label("iterations", exact=True).fill("1000")  # not done before "Stop"
    panel.get_by_label("iterations", exact=True).press("Tab")
    button["Run"].click()
    lab.expect(button["Run"]).to_be_disabled()
    lab.expect(state).to_contain_text(ITERATION, timeout=1e3 * STEP_SECONDS)
    begun = lab.drawing(panel)  # phase, probe and loss so far
    lab.wait_for_another(panel, begun)
    lab.screenshot("01_reconstruction_running", panel)

    button["Pause"].click()
    lab.expect(state).to_contain_text("Paused")
    paused_at = iteration(state)
    lab.page.wait_for_timeout(1500)  # the last picture may still be on its way
    held = lab.drawing(panel)
    lab.page.wait_for_timeout(3000)
    assert lab.drawing(panel) == held
    lab.screenshot("01_reconstruction_paused", panel)

    button["Resume"].click()
    lab.expect(state).to_contain_text("Running")
    lab.wait_for_another(panel, held)
    lab.expect(state).not_to_contain_text(f"iteration {paused_at} of")
    assert iteration(state) > paused_at

    lab.expect(state).to_contain_text("states, iteration", timeout=1e3 * STEP_SECONDS)  # not "one state"
    button["Stop"].click()
    lab.expect(state).to_contain_text("Stopped")
    lab.expect(button["Run"]).to_be_enabled()
    lab.screenshot("01_reconstruction_stopped", panel)
    stopped = lab.drawing(panel)
    panel.get_by_label("phase of").select_option("state 1")
    lab.wait_for_another(panel, stopped)


def iteration(state: Locator) -> int:
    found = ITERATION.search(state.inner_text())
    assert found, state.inner_text()
    return int(found[1])


def plays_and_exports(lab: Lab) -> None:
    player = lab.panel("Export GIF")
    assert lab.cut_off(player) == []
    drawn, state = lab.drawing(player), lab.reading(player, "state")
    lab.turn(player, "state", "ArrowRight")
    lab.wait_for_another(player, drawn)
    assert lab.reading(player, "state") != state
    lab.screenshot("01_player", player)

    name = player.get_by_label("file name")
    name.fill("states")
    name.press("Tab")
    player.get_by_role("button", name="Export GIF").click()
    lab.expect(player.get_by_text(re.compile("^written:"))).to_be_visible()
    with Image.open(Path(lab.folder, "states.gif")) as movie:
        assert movie.n_frames == 1 + lab.slider_end(player, "state")
