"""Quantum against classical dispersion of hBN's vibrations in the plane: what equation 6 makes of them.

Parts: "bands", perfect correlations at 300 K inverted in every way; "scale", the same with all of G too small
or too large; "temperature", the classical formula from 100 to 1200 K; "states", path means from few states of
59 cells, by eq. 6 and by `caviar_kit.phonon_dispersion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import caviar_kit as ck
from benchmarks.studies.cases import Case, Line, Options
from benchmarks.studies.hbn_layer import HbnLayer
from caviar_kit.vibrations import dynamical_matrix
from caviar_kit.vibrations.occupation import signed_thz

KELVIN = 300.0
STATES = (10, 20, 30, 100, 400)
TRIALS = {"quick": 20, "tutorial": 100, "paper": 100}
SCALES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0, 1.1, 1.2)
TEMPERATURES = (100, 200, 300, 400, 500, 600, 800, 1000, 1200)
EXACT = {"bands": 9.0, "scale": 0.3, "temperature": 0.3}  # parts and their seconds
_SECONDS = {10: 1.5, 20: 1.5, 30: 1.7, 100: 2.0, 400: 5.0}  # of a sample


def cases(options: Options) -> list[Case]:
    """The exact parts, then samples from few states."""
    exact = [Case("dispersion", {"part": part}, seconds) for part, seconds in EXACT.items()]
    trials = TRIALS[options.preset]
    drawn = [
        Case(
            "dispersion",
            {"part": "states", "states": states, "trials": trials, "seed": options.seed},
            3 + trials * _SECONDS[states],
        )
        for states in STATES
    ]
    return exact + drawn


def run(case: Case) -> dict[str, Any]:
    """One part."""
    if case["part"] == "states":
        return few_states(case["states"], case["trials"], case["seed"])
    return {"bands": bands, "scale": scale, "temperature": temperature}[case["part"]]()


def draw(lines: Sequence[Line], path: Path) -> None:
    """Bands, path means against states, scale of G, temperature."""
    from benchmarks.studies.dispersion_figure import draw as draw_figure

    draw_figure(lines, path)


def inverted(
    layer: HbnLayer, greens: np.ndarray, kelvin: float, statistics: str, *, one_mass: bool = False
) -> np.ndarray:
    """Frequencies (points, 4) [THz] of G(q); ``one_mass`` is the mean of both, as in the paper."""
    masses = layer.masses.mean() if one_mass else layer.masses
    matrix = dynamical_matrix(greens, masses, kelvin, statistics)
    return np.asarray(signed_thz(np.linalg.eigvalsh(matrix)))


def eq6(layer: HbnLayer, greens: np.ndarray, kelvin: float = KELVIN) -> np.ndarray:
    """Equation 6 as printed: classical, one mean mass."""
    return inverted(layer, greens, kelvin, "classical", one_mass=True)


def bands(layer: HbnLayer | None = None) -> dict[str, Any]:
    """Truth and every inversion of perfect correlations, along the path and as path means."""
    layer = layer or HbnLayer(KELVIN)
    perfect = layer.perfect_correlations()
    found = {
        "truth": layer.modes[0],
        "eq. 6": eq6(layer, perfect),
        "eq. 6, own masses": inverted(layer, perfect, KELVIN, "classical"),
        "eq. 6, 59 cells": eq6(layer, layer.patch_correlations()),
        "quantum": inverted(layer, perfect, KELVIN, "quantum"),
        "quantum, one mass": inverted(layer, perfect, KELVIN, "quantum", one_mass=True),
    }
    return {
        "kelvin": KELVIN,
        "distance": rounded(layer.way.distance, 4),
        "labels": [[round(place, 4), name] for place, name in layer.way.labels],
        "bands_thz": {name: rounded(thz) for name, thz in found.items()},
        "path_mean_thz": {name: rounded(layer.mean(thz)) for name, thz in found.items()},
    }


def scale() -> dict[str, Any]:
    """Path means if every element of G is measured too small or too large by a factor."""
    layer = HbnLayer(KELVIN)
    perfect = layer.perfect_correlations()
    return {
        "kelvin": KELVIN,
        "factor": list(SCALES),
        "truth_thz": rounded(layer.mean(layer.modes[0])),
        "eq. 6": [rounded(layer.mean(eq6(layer, factor * perfect))) for factor in SCALES],
        "quantum": [
            rounded(layer.mean(inverted(layer, factor * perfect, KELVIN, "quantum"))) for factor in SCALES
        ],
    }


def temperature() -> dict[str, Any]:
    """Path means of eq. 6 on perfect correlations against temperature; force constants stay the same."""
    layer = HbnLayer(KELVIN)
    return {
        "kelvin": list(TEMPERATURES),
        "truth_thz": rounded(layer.mean(layer.modes[0])),
        "eq. 6": [
            rounded(layer.mean(eq6(layer, HbnLayer(kelvin).perfect_correlations(), kelvin)))
            for kelvin in TEMPERATURES
        ],
    }


def few_states(states: int, trials: int, seed: int, layer: HbnLayer | None = None) -> dict[str, Any]:
    """Path means of ``trials`` samples of so many states: their mean, scatter and mean 95 % interval."""
    layer, rng = layer or HbnLayer(KELVIN), np.random.default_rng([seed, states])
    truth = layer.mean(layer.modes[0])
    results: dict[str, list[Any]] = {"eq. 6": [], "ours": []}
    for _ in range(trials):
        u = layer.displacements(states, rng)
        direct: dict[str, Any] = {"method": "direct", "statistics": "classical"}
        results["eq. 6"].append(ck.phonon_dispersion(u, layer.lattice, layer.masses.mean(), KELVIN, **direct))
        results["ours"].append(ck.phonon_dispersion(u, layer.lattice, layer.masses, KELVIN))
    figures = {name: summary(found, truth) for name, found in results.items()}
    return {
        "kelvin": KELVIN,
        "cells": results["ours"][0].cells,
        "truth_thz": rounded(truth),
        "trials": trials,
        **figures,
    }


def summary(found: list[Any], truth: np.ndarray) -> dict[str, Any]:
    """What several samples say, branch by branch from below."""
    means = np.array([result.path_mean_thz for result in found])
    intervals = np.array([result.interval_thz for result in found])
    inside = (intervals[..., 0] <= truth) & (truth <= intervals[..., 1])
    return {
        "mean_thz": rounded(means.mean(axis=0)),
        "scatter_thz": rounded(means.std(axis=0, ddof=1)),
        "interval_thz": rounded(intervals.mean(axis=0)),
        "inside": inside.sum(axis=0).tolist(),
    }


def table(lines: Sequence[Line]) -> str:
    """Path means in THz as Markdown."""
    from benchmarks.studies.dispersion_table import table as text

    return text(lines)


def rounded(values: np.ndarray, decimals: int = 2) -> list[Any]:
    """For a JSON line."""
    return np.round(np.asarray(values, float), decimals).tolist()
