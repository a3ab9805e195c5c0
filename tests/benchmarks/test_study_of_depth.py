"""The study of depth: what it measures on known objects; its figure comes from the lines alone."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import erf

from benchmarks.hbn_depth import directions, wave_vectors
from benchmarks.studies import depth
from benchmarks.studies.cases import Case, Options
from benchmarks.twisted_hbn import TWIST_DEG, at_rest
from caviar_kit.physics import electron_wavelength
from caviar_kit.recipes import HBN_PRESETS

SAMPLING = 0.3
FWHM = 6.0
EXPERIMENT = HBN_PRESETS["quick"].experiment()


@pytest.fixture(scope="module")
def snapshots():
    return at_rest(3)


def blurred(snapshots, slices, fwhm=FWHM):
    """A reconstruction in which the lattices change over as slowly as said."""
    planes = np.arange(slices) * snapshots.thickness_angstrom / slices
    upper = (1 + erf((planes - depth.true_step(snapshots)) / (np.sqrt(2) * fwhm / 2.3548))) / 2
    places = np.stack(np.meshgrid(*[np.arange(60) * SAMPLING] * 2, indexing="ij"), -1)
    images = [
        np.cos(2 * np.pi * places @ wave_vectors(angle).T).sum(axis=-1) for angle in directions(snapshots)
    ]
    phase = 0.01 * ((1 - upper)[:, None, None] * images[0] + upper[:, None, None] * images[1])
    noise = np.random.default_rng(0).normal(0, 1e-4, phase.shape)
    scanned = np.array([[4.5, 4.5], [4.5, 13.5], [13.5, 4.5], [13.5, 13.5]])
    return SimpleNamespace(
        object=np.exp(1j * (phase + noise))[None],
        sampling=(SAMPLING, SAMPLING),
        scan_positions_angstrom=scanned,
    )


@pytest.fixture(scope="module")
def found(snapshots):
    """Of 4, 6 and 12 slices."""
    return {n: depth.measured(blurred(snapshots, n), snapshots, EXPERIMENT) for n in (4, 6, 12)}


@pytest.mark.parametrize("slices", [6, 12])
def test_the_width_of_a_known_step_is_found(found, slices):
    figures = found[slices]
    assert figures["fwhm_angstrom"] == pytest.approx(FWHM, abs=0.3)
    assert figures["step_angstrom"] == pytest.approx(figures["true_step_angstrom"], abs=0.2)
    assert figures["twist_deg"] == pytest.approx(TWIST_DEG, abs=0.1)
    assert len(figures["lower_share"]) == slices


def test_too_few_slices_have_no_width(found):
    assert found[4]["fwhm_angstrom"] is None and found[4]["step_angstrom"] is None
    json.dumps(found, allow_nan=False)


def test_the_step_is_between_the_planes_of_the_middle_layers(snapshots):
    heights = np.unique(snapshots.relaxed[:, 2].round(2))
    entrances = np.floor(heights / (snapshots.thickness_angstrom / 6)) * snapshots.thickness_angstrom / 6
    assert depth.true_step(snapshots) == pytest.approx(entrances[2:4].mean())


def test_depth_of_focus_is_that_of_the_intensity_on_the_axis():
    wave = electron_wavelength(EXPERIMENT.energy_ev)
    alpha = EXPERIMENT.semiangle_mrad * 1e-3

    def intensity(z):
        def part(trig):
            return quad(lambda angle: trig(np.pi * angle**2 * z / wave) * angle, 0, alpha)[0]

        return (part(np.cos) ** 2 + part(np.sin) ** 2) * 4 / alpha**4

    half = brentq(lambda z: intensity(z) - 0.5, 1.0, 60.0)
    assert depth.depth_of_focus(EXPERIMENT) == pytest.approx(2 * half, rel=1e-3)


def test_cases_differ_and_slices_come_first():
    cases = depth.cases(Options(seed=3))
    assert len({case.key for case in cases}) == len(cases)
    assert [case["slices"] for case in cases[: len(depth.SLICES)]] == list(depth.SLICES)
    assert all(case["seed"] == 3 and case["preset"] == "quick" for case in cases)


def test_other_apertures_are_as_wide_on_the_specimen():
    wide = depth.experiment_of("quick", 5, 50.0)
    assert wide.defocus_angstrom * 50 == pytest.approx(
        EXPERIMENT.defocus_angstrom * EXPERIMENT.semiangle_mrad
    )
    assert wide.num_slices == 10 and wide.scan_shape == EXPERIMENT.scan_shape


def test_a_smaller_detector_ends_at_a_smaller_angle():
    small = depth.experiment_of("quick", 3, 30.0, 28)
    assert small.window_angstrom == EXPERIMENT.window_angstrom
    assert depth.detector_edge(small) == pytest.approx(depth.detector_edge(EXPERIMENT) / 2)
    pixel = electron_wavelength(EXPERIMENT.energy_ev) / EXPERIMENT.window_angstrom
    assert depth.detector_edge(small) == pytest.approx(14e3 * pixel)


def test_a_case_runs(monkeypatch):
    usual = depth.experiment_of
    monkeypatch.setattr(depth, "experiment_of", lambda *of: replace(usual(*of), scan_shape=(6, 6)))
    monkeypatch.setitem(depth._STARTS, "stochastic_iter", 2)
    depth.data.cache_clear()
    small = {"layers": 1, "semiangle_mrad": 40, "states": 1, "vibrating": False, "max_iter": 1}
    found = depth.run(Case("depth", {"preset": "quick", **small, "slices": 2, "seed": 0}))
    depth.data.cache_clear()
    assert 0 < found["loss"] < 1e-2
    assert found["thickness_angstrom"] == pytest.approx(6.66)
    json.dumps(found, allow_nan=False)


def test_figure_and_table_come_from_lines(found, tmp_path):
    lines = []
    for case in depth.cases(Options()):
        if case["layers"] == 3 and case["slices"] in found:
            more = {"thickness_angstrom": 19.98, "depth_of_focus_angstrom": 54.0, "loss": 1e-6}
            lines.append(
                {"case": dict(case.parameters), "result": {**more, **found[case["slices"]]}, "seconds": 1.0}
            )
    depth.draw(lines, tmp_path / "all.png")
    depth.draw(lines[:1], tmp_path / "one.png")
    assert (tmp_path / "all.png").stat().st_size > 1.2 * (tmp_path / "one.png").stat().st_size
    rows = depth.table(lines).splitlines()
    assert len(rows) == len(lines) + 2 and len({row.count("|") for row in rows}) == 1
