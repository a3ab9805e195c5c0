"""Each panel in a small notebook of its own: alive in a real page, and no wider than it."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from tests.browser.lab import Lab
from tests.browser.server import Server

RUN_SECONDS = 120
EXPLORER = """
import caviar_kit as ck
from tests.ensembles import ensemble
ck.widgets.CorrelationExplorer({"MD": ensemble(), "small": ensemble(rows=2, seed=1)})
"""
PLAYER = """
import caviar_kit as ck
from tests.ensembles import ensemble
ck.widgets.EnsemblePlayer(ensemble())
"""
DISPERSION = """
import numpy as np
import caviar_kit as ck
from tests.vibrations.crystals import draw, patch, square
crystal = square()
atoms, lattice = patch(crystal, 16)
u = draw(crystal, atoms, 8, np.random.default_rng(0))
options = dict(points=21, draws=20, reach=4.5, path="GXMG")
ck.widgets.DispersionExplorer(u, lattice, masses=crystal.masses, **options)
"""
TUNER = """
import caviar_kit as ck
example = ck.load_example("si-sigma9-md", "quick")
experiment = example.experiment
optics = dict(energy=experiment.energy_ev, semiangle_cutoff=experiment.semiangle_mrad)
ck.widgets.CalibrationTuner(example.datacube, defocus=experiment.defocus_angstrom, **optics)
"""


@pytest.fixture
def show(lab: Lab, server: Server):
    """Run a notebook of one cell, and return its output."""

    def show(name: str, source: str, text: str):
        v4 = nbformat.v4
        notebook = v4.new_notebook(
            cells=[v4.new_markdown_cell(f"# {name}"), v4.new_code_cell(source.strip())]
        )
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, server.folder / f"{name}.ipynb")
        lab.open_notebook(f"{name}.ipynb")
        lab.run_all()
        lab.wait_for_idle(RUN_SECONDS)
        panel = lab.panel(text)
        lab.screenshot(name, panel)
        assert lab.cut_off(panel) == []
        return panel

    return show


@pytest.mark.slow
def test_a_click_on_an_atom_makes_it_the_reference(show, lab: Lab) -> None:
    panel = show("explorer", EXPLORER, "reference atom")
    atom, drawn = lab.reading(panel, "reference atom"), lab.drawing(panel)
    lab.click_at(panel, 0.2, 0.75)
    lab.wait_for_another(panel, drawn)
    assert lab.reading(panel, "reference atom") != atom
    lab.screenshot("explorer_clicked", panel)


@pytest.mark.slow
def test_exports_an_animation_of_all_states(show, lab: Lab) -> None:
    panel = show("player", PLAYER, "Export GIF")
    drawn = lab.drawing(panel)
    lab.turn(panel, "state", "ArrowRight")
    lab.wait_for_another(panel, drawn)
    panel.get_by_label("file name").fill("clip")
    panel.get_by_label("file name").press("Tab")
    panel.get_by_role("button", name="Export GIF").click()
    lab.expect(panel.get_by_text(re.compile("^written:"))).to_be_visible()
    lab.screenshot("player_written", panel)
    with Image.open(Path(lab.folder, "clip.gif")) as movie:
        assert movie.n_frames == 6


@pytest.mark.slow
def test_another_temperature_moves_the_branches(show, lab: Lab) -> None:
    panel = show("dispersion", DISPERSION, "temperature")
    drawn = lab.drawing(panel)
    lab.turn(panel, "temperature (K)", "PageUp")
    lab.wait_for_another(panel, drawn)
    lab.screenshot("dispersion_warmer", panel)


@pytest.mark.slow
def test_the_tuner_measures_the_disc(show, lab: Lab) -> None:
    panel = show("tuner", TUNER, "Measure disc")
    angle = panel.get_by_label("semi-angle (mrad)")
    given = angle.input_value()
    panel.get_by_role("button", name="Measure disc").click()
    lab.expect(angle).not_to_have_value(given)
    measured = f"Semi-angle {float(angle.input_value()):.2f} mrad"
    lab.expect(panel.get_by_text(measured)).to_be_visible()
    lab.screenshot("tuner_measured", panel)
