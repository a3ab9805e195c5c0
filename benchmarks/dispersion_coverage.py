"""How often the 95 % interval of a path mean holds the true one: one JSON line per crystal and statistics.

``python benchmarks/dispersion_coverage.py --trials 100``: patches of 59 cells, 10 states at 300 K, each trial
with a seed of its own. "direct" is eq. 6 as printed on the same displacements. Run with the repository's root
on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from caviar_kit.vibrations import Lattice, brillouin_path, phonon_dispersion
from tests.vibrations.crystals import CRYSTALS, Crystal, draw, patch

KELVIN = 300.0


def main() -> None:
    """Draw, estimate, count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--states", type=int, default=10)
    parser.add_argument("--crystals", nargs="+", default=list(CRYSTALS), choices=list(CRYSTALS))
    parser.add_argument("--statistics", nargs="+", default=["classical", "quantum"])
    parser.add_argument("--no-symmetry", action="store_true")
    chosen = parser.parse_args()
    for name in chosen.crystals:
        for statistics in chosen.statistics:
            crystal, path = CRYSTALS[name][0](), CRYSTALS[name][1]
            figures = coverage(
                crystal, path, statistics, chosen.trials, chosen.states, not chosen.no_symmetry
            )
            case = {"crystal": name, "statistics": statistics, "states": chosen.states}
            print(json.dumps({**case, "symmetry": not chosen.no_symmetry, **figures}), flush=True)


def coverage(
    crystal: Crystal, path: str, statistics: str, trials: int, states: int, symmetry: bool
) -> dict[str, Any]:
    """Counts and errors of both methods, per branch from below."""
    atoms, lattice = patch(crystal)
    way = brillouin_path(crystal.vectors, path)
    truth = way.weights @ crystal.frequencies(way.q)
    start = time.process_time()
    runs = [
        _trial(crystal, atoms, lattice, path, statistics, states, symmetry, seed) for seed in range(trials)
    ]
    seconds = (time.process_time() - start) / trials
    report: dict[str, Any] = {"trials": trials, "true_path_mean_thz": np.round(truth, 3).tolist()}
    for number, method in enumerate(("likelihood", "direct")):
        mean, interval, raw = (np.array([run[number][part] for run in runs]) for part in range(3))
        inside = (interval[..., 0] <= truth) & (truth <= interval[..., 1])
        report[method] = {
            "inside": inside.sum(axis=0).tolist(),
            "bias_percent": np.round(100 * (mean / truth - 1).mean(axis=0), 2).tolist(),
            "rms_error_percent": np.round(100 * np.sqrt(((mean / truth - 1) ** 2).mean(axis=0)), 2).tolist(),
            "uncorrected_bias_percent": np.round(100 * (raw / truth - 1).mean(axis=0), 2).tolist(),
        }
    return {**report, "cpu_seconds_per_trial": round(seconds, 2)}


def _trial(
    crystal: Crystal,
    atoms: np.ndarray,
    lattice: Lattice,
    path: str,
    statistics: str,
    states: int,
    symmetry: bool,
    seed: int,
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    u = draw(crystal, atoms, states, np.random.default_rng(seed), statistics, KELVIN)
    found = []
    for method in ("likelihood", "direct"):
        result = phonon_dispersion(
            u, lattice, crystal.masses, KELVIN, path, statistics, method=method, symmetry=symmetry
        )
        found.append((result.path_mean_thz, result.interval_thz, result.uncorrected_path_mean_thz))
    return found


if __name__ == "__main__":
    main()
