"""The studies of lengths and of conditions: what they run, what they measure, that they draw from lines."""

from __future__ import annotations

import importlib
import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt

import caviar_kit as ck
from benchmarks.studies import (
    conditions,
    conditions_figure,
    depth,
    lengths,
    lengths_figure,
    silicon,
    trackers,
)
from benchmarks.studies.cases import Case, Options
from benchmarks.studies.lengths_budget import budget
from benchmarks.studies.reading import cell, found, setting_text
from benchmarks.studies.runner import lines_of, read_lines
from caviar_kit import simulation
from caviar_kit.examples import Example
from caviar_kit.multislice import FitSettings

SAMPLING = np.array([0.1, 0.1])
PLACES = np.array([[1.5, 1.5], [1.5, 3.0], [3.0, 1.5], [3.0, 3.0]])


def blobs(moves, background):
    """Phases (states, y, x) of four Gaussian columns that moved."""
    y, x = np.indices((46, 46))[..., None] * 0.1
    return np.array(
        [
            background + np.exp(-((y - c[:, 0]) ** 2 + (x - c[:, 1]) ** 2) / (2 * 0.2**2)).sum(axis=-1)
            for c in PLACES + np.asarray(moves)
        ]
    )


@pytest.fixture(scope="module")
def moves():
    return np.random.default_rng(0).normal(0, 0.07, (6, 4, 2))


def part(tracked, moves):
    """Share of the displacements that is found."""
    return float((tracked - PLACES).ravel() @ moves.ravel() / (moves.ravel() @ moves.ravel()))


@pytest.mark.parametrize("tracker", ["minimum subtracted", "gaussian"])
def test_trackers_of_the_kit_find_all_of_a_displacement(tracker, moves):
    assert part(trackers.track(tracker, blobs(moves, 0.5), PLACES, SAMPLING), moves) == pytest.approx(
        1, abs=0.03
    )


def test_a_raw_centre_of_mass_falls_short_by_background_and_passes(moves):
    def of(passes, background):
        return part(trackers.track(f"raw {passes}", blobs(moves, background), PLACES, SAMPLING), moves)

    assert of(1, 0.5) < of(2, 0.5) < of(5, 0.5) < 0.9 < of(10, 0.0)
    assert of(1, 0.5) < of(1, 0.0) < 0.9


def test_an_image_is_cut_to_its_band():
    y, x = np.indices((48, 48)) / 48
    wave = 2 + np.cos(2 * np.pi * (3 * y + 2 * x)) + np.cos(2 * np.pi * 20 * x)
    y, x = np.indices((16, 16)) / 16
    expected = 2 + np.cos(2 * np.pi * (3 * y + 2 * x))
    np.testing.assert_allclose(trackers.band_limited(wave, 16), expected, atol=1e-12)


def test_shells_are_one_for_the_truth_and_leave_lost_columns_out(moves):
    u = ck.displacements(moves)
    tracked = PLACES + moves
    tracked[0, 3] = np.nan
    got = silicon.shells(ck.greens_tensor(u), tracked, PLACES)
    assert got["columns"] == 3 and got["self"]["pairs"] == 3
    assert got["self"]["csm"][0] == got["nearest"]["lsm"][0] == 1
    json.dumps(got, allow_nan=False)


@pytest.mark.parametrize("study", [lengths, conditions])
@pytest.mark.parametrize("preset", ["quick", "tutorial", "paper"])
def test_every_case_is_there_once(study, preset):
    cases = study.cases(Options(preset))
    assert len({case.key for case in cases}) == len(cases)
    assert {case["preset"] for case in cases} == {preset}


@pytest.mark.filterwarnings("ignore::UserWarning")  # what may be regretted is what is studied
@pytest.mark.parametrize("preset", ["quick", "tutorial"])
def test_conditions_change_the_experiment_as_named(preset):
    plain = conditions._experiment(preset)
    field = (np.array(plain.scan_shape) - 1) * plain.scan_step_angstrom
    for case in conditions.cases(Options(preset)):
        changed = replace(plain, **conditions.experiment_changes(case))
        got = (np.array(changed.scan_shape) - 1) * changed.scan_step_angstrom
        np.testing.assert_allclose(got, field, rtol=1e-3)
        assert changed.object_sampling_angstrom == pytest.approx(plain.object_sampling_angstrom)
        assert all(getattr(changed, name) == case[name] for name in conditions.CHANGED)


@pytest.fixture(scope="module")
def small():
    """An embedded example, but with few snapshots and positions."""
    snapshots = simulation.silicon_sigma9_snapshots().subset(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        experiment = replace(simulation.Experiment.quick(), scan_shape=(5, 5), scan_step_angstrom=1.2)
        cube = simulation.scan(snapshots, experiment)
    return Example(
        name="si-sigma9-md",
        preset="quick",
        datacube=cube,
        snapshots=snapshots,
        experiment=experiment,
        ground_truth=simulation.ground_truth(snapshots, experiment),
        vacuum_probe=simulation.vacuum_probe_intensity(experiment),
        fit_settings=FitSettings(num_states=3),
    )


def test_a_fit_is_measured_on_the_way_with_every_tracker(small, monkeypatch):
    monkeypatch.setattr(lengths, "STOPS", (2, 4))
    monkeypatch.setattr(lengths, "TRACKED", (4,))
    monkeypatch.setattr(ck, "load_example", lambda name, preset: small)
    sizes = {"preset": "quick", "seed": 0, "kind": "pixels", "states": 3, "iterations": 4}
    got = lengths.run(Case("lengths", sizes | {"start": "warped", "state_gain": 2}))
    assert [point["iteration"] for point in got["trace"]] == [2, 4]
    assert [len(point["trackers"]) for point in got["trace"]] == [1, len(trackers.TRACKERS)]
    assert got["trace"][1]["loss"] < got["trace"][0]["loss"]
    white = lengths.run(Case("lengths", sizes | {"start": "white", "state_gain": 1}))
    assert white["one_state_iterations"] == 0 < got["one_state_iterations"]
    assert white["trace"][0]["loss"] > got["trace"][0]["loss"]


def test_the_true_potentials_give_the_true_motion(small, monkeypatch):
    snapshots, experiment = simulation.silicon_sigma9_snapshots(), simulation.Experiment.quick()
    truth = simulation.ground_truth(snapshots, experiment)
    whole = replace(small, snapshots=snapshots, experiment=experiment, ground_truth=truth)
    monkeypatch.setattr(ck, "load_example", lambda name, preset: whole)
    got = lengths.run(Case("lengths", {"preset": "quick", "seed": 0, "kind": "truth"}))
    ours, raw = (got["trackers"][name]["self"] for name in (lengths.OURS, "raw 2"))
    assert ours["csm"][0] > 0.999 and ours["lsm"][0] == pytest.approx(1, abs=0.03)
    assert raw["lsm"][0] < 0.7


def test_conditions_are_fitted_to_what_they_name(small, monkeypatch):
    seen = {}

    def simulated(preset, changes):
        seen.update(changes)
        return small

    monkeypatch.setattr(silicon, "conditioned", simulated)
    monkeypatch.setattr(silicon, "PIXELS_FIRST", 20)
    start = conditions.base(Options()) | {"states": 3, "iterations": 1}
    case = Case("conditions", start | {"dose": 1e7, "scan_step_angstrom": 1.0})
    got = conditions.run(case)
    assert seen == {"scan_step_angstrom": 1.0, "scan_shape": (7, 7)}
    assert got["loss_name"] == "poisson" and got["positions"] == 25
    json.dumps(got, allow_nan=False)
    atoms = conditions.run(Case("conditions", start | {"method": "atoms"}))
    assert atoms["loss_name"] == "amplitude" and atoms["shells"]["columns"] > 2


def test_other_conditions_are_simulated_into_the_cache_or_taken_from_the_examples(
    small, monkeypatch, tmp_path
):
    monkeypatch.setenv("CAVIAR_KIT_CACHE", str(tmp_path))
    whole, loaded, simulated = replace(small, experiment=simulation.Experiment.quick()), [], []
    monkeypatch.setattr(ck, "load_example", lambda name, preset: loaded.append(name) or whole)
    monkeypatch.setattr(
        simulation, "scan", lambda snapshots, experiment, path: simulated.append((experiment, path))
    )
    got = silicon.conditioned("quick", {"defocus_angstrom": 50.0})
    ((experiment, path),) = simulated
    assert experiment.defocus_angstrom == got.experiment.defocus_angstrom == 50
    assert path.parent == tmp_path and "quick" in path.name
    assert silicon.conditioned("quick", {}) is whole
    silicon.conditioned("quick", {"source_fwhm_angstrom": 0.47})
    assert len(simulated) == 1 and loaded[-1] == "si-sigma9-md-psc"


def made_up(study, result):
    """A line for every case of the quick preset."""
    return [
        {
            "study": study.__name__.rsplit(".", 1)[1],
            "case": dict(case.parameters),
            "result": result(case),
            "seconds": 1.0,
            "provenance": {"device": "cpu", "threads": 1},
        }
        for case in study.cases(Options())
    ]


def figures(level):
    three = {"csm": [0.9, 0.8, 1.0], "lsm": [level, level - 0.1, level + 0.1], "lsm_global": [level] * 3}
    return {"columns": 7} | {shell: three | {"pairs": 6} for shell in ("self", "nearest", "next")}


def lengths_lines():
    levels = dict(zip(trackers.TRACKERS, np.linspace(0.2, 0.8, len(trackers.TRACKERS)), strict=True))

    def every(iteration=0, start="white"):
        """Longer with iterations, and from the warped start."""
        more = iteration / 1000 + 0.05 * (start == "warped")
        return {name: figures(level + more) for name, level in levels.items()}

    def result(case):
        if case["kind"] == "truth":
            return {"trackers": every()}
        start = case["start"] if case["kind"] == "pixels" else "white"
        trace = [
            {"iteration": n, "seconds": 1.0, "loss": 1e-6, "trackers": every(n, start)}
            for n in lengths.STOPS
            if n <= case["iterations"]
        ]
        trace[0].pop("trackers")  # columns not found yet
        return {"trace": trace} | ({"loss": 1e-6} | figures(0.97) if case["kind"] == "atoms" else {})

    return made_up(lengths, result)


def conditions_lines():
    def result(case):
        shells = None if case["dose"] == 1e5 else figures(0.7)
        return {"positions": 121, "fit_seconds": 40.0, "loss": 1e-6, "shells": shells}

    return made_up(conditions, result)


@pytest.mark.parametrize(("study", "lines"), [(lengths, lengths_lines()), (conditions, conditions_lines())])
def test_figure_and_table_come_from_lines_alone(study, lines, tmp_path):
    study.draw(lines, tmp_path / "whole.png")
    assert plt.imread(tmp_path / "whole.png").shape[1] >= 1200
    text = study.table(lines)
    assert "0.900 / 0.70" in text if study is conditions else "0.900 / 0.97" in text
    assert study.table(lines[:1])


def test_missing_cases_leave_gaps():
    assert len(lengths_figure.figure(lengths_lines()[:1]).axes) == 6
    alone = conditions_lines()[:1]
    assert len(conditions_figure.figure(alone, conditions.start_of(alone)).axes) == 8


def test_the_budget_takes_one_cause_away_after_the_other():
    levels = [found(step.figures, "nearest", "lsm")[0] for step in budget(lengths_lines())]
    np.testing.assert_allclose(levels, [0.5, 0.8, 0.9, 0.95, 0.97], atol=1e-9)


def test_several_probe_modes_have_the_width_of_the_source():
    known = {"modes": 6, "source_fwhm_angstrom": 0.47}
    assert conditions.coherence(Case("conditions", known)) == {
        "num_probes": 6,
        "source_fwhm_angstrom": 0.47,
    }
    assert conditions.coherence(Case("conditions", known | {"modes": 1})) == {}


@pytest.mark.parametrize("name", ["lengths", "conditions", "dispersion", "depth"])
def test_the_page_has_the_tables_of_the_kept_lines(name):
    docs = Path(__file__).parents[2] / "docs"
    study = importlib.import_module(f"benchmarks.studies.{name}")
    lines = lines_of(study.cases(Options()), read_lines(docs / "studies" / f"{name}.jsonl"))
    page = (docs / "studies.md").read_text(encoding="utf-8")
    rows = [row for row in study.table(lines).splitlines() if row.startswith("|")]
    assert len(rows) > 5
    assert [row for row in rows if row not in page] == []


def test_depth_has_no_preset_of_the_papers_size():
    with pytest.raises(ValueError, match="no preset 'paper'"):
        depth.cases(Options(preset="paper"))


def test_figures_that_are_missing_stay_missing():
    assert np.isnan(found(None, "self", "csm")).all() and cell({}, "self") == "–"
    assert np.isnan(found({"self": {"csm": [None, None, None]}}, "self", "csm")).all()
    assert [setting_text(v) for v in (1e6, 150.0, 0.47, 0.0)] == ["1e6", "150", "0.47", "0"]
