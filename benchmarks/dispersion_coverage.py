"""How often the 95 % interval of a path mean holds the true one: one JSON line per crystal and statistics.

``python benchmarks/dispersion_coverage.py --trials 100``: patches of 59 cells, 10 states at 300 K, each trial
with a seed of its own. "direct" is eq. 6 as printed on the same displacements. ``--slices 4``: as many slices
per state, neighbours correlated by 0.8. Without the extra ``md`` a line says that "hbn-phonopy" was not run.
``--phonopy FILE``: another hexagonal flat layer, from a phonopy.yaml with force constants or forces; without
its long-range term. ``--reach 4`` (Å) or ``auto``: of the fitted forces. Run with the repository's root on
PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from caviar_kit.vibrations import PhononDispersion, phonon_dispersion
from tests.vibrations.crystals import CRYSTALS, Crystal, draw, patch
from tests.vibrations.phonopy_crystal import flat_crystal

KELVIN = 300.0
CORRELATION = 0.8  # of neighbouring slices
METHODS = ("likelihood", "direct")


def main() -> None:
    """Draw, estimate, count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--states", type=int, default=10)
    parser.add_argument("--slices", type=int, default=1)
    parser.add_argument("--crystals", nargs="+", default=list(CRYSTALS), choices=list(CRYSTALS))
    parser.add_argument("--phonopy", metavar="FILE")
    parser.add_argument("--reach", type=lambda text: text if text == "auto" else float(text))
    parser.add_argument("--statistics", nargs="+", default=["classical", "quantum"])
    parser.add_argument("--no-symmetry", action="store_true")
    chosen = parser.parse_args()
    crystals = {name: CRYSTALS[name] for name in chosen.crystals}
    if chosen.phonopy:
        crystals = {chosen.phonopy: (partial(from_file, chosen.phonopy), "GKMG")}
    for name, (make, path) in crystals.items():
        try:
            crystal = make()
        except ImportError as error:
            print(json.dumps({"crystal": name, "not run": str(error)}), flush=True)
            continue
        for statistics in chosen.statistics:
            symmetry = not chosen.no_symmetry
            case = Case(crystal, path, statistics, chosen.states, chosen.slices, symmetry, chosen.reach)
            told = {"crystal": name, "statistics": statistics, "states": chosen.states}
            told |= {"slices": chosen.slices, "symmetry": symmetry, "reach": chosen.reach}
            print(json.dumps({**told, **coverage(case, chosen.trials)}), flush=True)


@dataclass(frozen=True)
class Case:
    crystal: Crystal
    path: str
    statistics: str
    states: int
    slices: int
    symmetry: bool
    reach: float | str | None


def from_file(name: str) -> Crystal:
    """The crystal of a phonopy.yaml."""
    import phonopy

    return flat_crystal(phonopy.load(name, is_nac=False))


def coverage(case: Case, trials: int) -> dict[str, Any]:
    """Counts and errors of both methods, per branch from below."""
    truth = case.crystal.path_means(case.path)
    start = time.process_time()
    runs = [one_trial(case, seed) for seed in range(trials)]
    seconds = (time.process_time() - start) / trials
    report: dict[str, Any] = {"trials": trials, "true_path_mean_thz": np.round(truth, 3).tolist()}
    for number, method in enumerate(METHODS):
        results = [run[number] for run in runs]
        mean = np.array([result.path_mean_thz for result in results])
        raw = np.array([result.uncorrected_path_mean_thz for result in results])
        interval = np.array([result.interval_thz for result in results])
        inside = (interval[..., 0] <= truth) & (truth <= interval[..., 1])
        report[method] = {
            "force_constants": sorted({result.parameters for result in results}),
            "inside": inside.sum(axis=0).tolist(),
            "bias_percent": np.round(100 * (mean / truth - 1).mean(axis=0), 2).tolist(),
            "rms_error_percent": np.round(100 * np.sqrt(((mean / truth - 1) ** 2).mean(axis=0)), 2).tolist(),
            "uncorrected_bias_percent": np.round(100 * (raw / truth - 1).mean(axis=0), 2).tolist(),
        }
    return {**report, "cpu_seconds_per_trial": round(seconds, 2)}


def one_trial(case: Case, seed: int) -> list[PhononDispersion]:
    """What each method finds."""
    crystal = case.crystal
    atoms, lattice = patch(crystal)
    rng = np.random.default_rng(seed)
    layers = [draw(crystal, atoms, case.states, rng, case.statistics, KELVIN) for _ in range(case.slices)]
    for below, layer in pairwise(layers):
        layer *= np.sqrt(1 - CORRELATION**2)
        layer += CORRELATION * below
    found = []
    for method in METHODS:
        options: dict[str, Any] = {"method": method, "symmetry": case.symmetry, "reach": case.reach}
        result = phonon_dispersion(
            np.stack(layers, axis=1), lattice, crystal.masses, KELVIN, case.path, case.statistics, **options
        )
        found.append(result)
    return found


if __name__ == "__main__":
    main()
