"""Lesson 3: choose another atom, and the arrows change."""

from __future__ import annotations

import pytest

from tests.browser.lab import Lab

RUN_SECONDS = 400


@pytest.fixture
def opened(lab: Lab) -> Lab:
    lab.open_notebook("03_correlations.ipynb")
    lab.run_all()
    lab.wait_for_idle(RUN_SECONDS)
    return lab


@pytest.mark.slow
def test_another_atom_changes_the_arrows(opened: Lab) -> None:
    panel = opened.panel("CorrelationExplorer")
    picture = panel.locator("img").first
    before = picture.get_attribute("src")
    opened.screenshot("03_explorer", panel)
    handle = panel.get_by_role("slider").first
    handle.focus()
    opened.page.keyboard.press("ArrowRight")
    opened.expect(picture).not_to_have_attribute("src", before)
    opened.screenshot("03_explorer_next_atom", panel)
