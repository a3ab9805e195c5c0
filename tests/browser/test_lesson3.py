"""Lesson 3: choose another atom, by key and by click, and the arrows change."""

from __future__ import annotations

import pytest

from tests.browser.lab import Lab

RUN_SECONDS = 600


@pytest.mark.slow
def test_another_atom_changes_the_arrows(lab: Lab) -> None:
    lab.open_notebook("03_correlations.ipynb")
    lab.run_all()
    lab.wait_for_idle(RUN_SECONDS)
    panel = lab.panel("reference atom")
    assert lab.cut_off(panel) == []
    lab.screenshot("03_explorer", panel)
    atom, drawn = lab.reading(panel, "reference atom"), lab.drawing(panel)

    lab.turn(panel, "reference atom", "ArrowRight")
    lab.wait_for_another(panel, drawn)
    assert int(lab.reading(panel, "reference atom")) == int(atom) + 1

    drawn = lab.drawing(panel)
    lab.click_at(panel, 0.2, 0.25)  # atoms are listed from above: another lies above and left of a late one
    lab.wait_for_another(panel, drawn)
    assert lab.reading(panel, "reference atom") not in (atom, str(int(atom) + 1))
    lab.screenshot("03_explorer_clicked", panel)
