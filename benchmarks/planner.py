"""How well an experiment can know the correlations of silicon columns, before it is done.

Standard error of nearest-neighbour correlations against defocus at one dose, and the expected CSM against
dose at the best defocus: JSON lines and a figure, no reconstruction::

    python benchmarks/planner.py --every 2 --figure docs/images/planner.png

What such predictions are worth is checked by ``benchmarks/planner_check.py``.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import KDTree

import caviar_kit as ck
from caviar_kit.atomistic import CorrelationErrors, plan_experiment
from caviar_kit.simulation import Experiment, ground_truth, silicon_sigma9_snapshots
from caviar_kit.vibrations.shells import neighbour_shells

DEFOCUS = (0.0, 30.0, 60.0, 100.0, 150.0, 200.0)  # Å
DOSES = tuple(float(n) for n in np.logspace(4, 8, 13))  # electrons per pattern


def experiment(defocus: float, positions: int) -> Experiment:
    """The tutorial's optics with a smaller scan, in a window that holds the most defocused probe."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # at 200 Å the tails of the probe reach the window's edge
        return Experiment(
            energy_ev=200e3,
            semiangle_mrad=30,
            defocus_angstrom=defocus,
            scan_step_angstrom=0.62,
            scan_shape=(positions, positions),
            centre_angstrom=(32.59, 18.03),
            window_angstrom=20,
            grid_points=176,
            detector_pixels=72,
        )


def relative_error(errors: CorrelationErrors, truth: Any, shell: str) -> float:
    """Root mean square of the standard errors of a shell's elements over that of the elements."""
    site = KDTree(errors.positions).query(truth.positions)[1]
    pairs = neighbour_shells(truth.positions).mask(shell)
    deviation = errors.standard_error[site][:, :, site].transpose(0, 2, 1, 3)[pairs]
    elements = truth.greens_tensor.transpose(0, 2, 1, 3)[pairs]
    return float(np.sqrt((deviation**2).mean() / (elements**2).mean()))


def at_defocus(defocus: float, options: argparse.Namespace) -> tuple[dict[str, Any], CorrelationErrors, Any]:
    """One line, the errors it is made from, and the truth; CSM is that of a fit of states."""
    snapshots, optics = silicon_sigma9_snapshots(), experiment(defocus, options.positions)
    truth = ground_truth(snapshots, optics)
    begin = time.perf_counter()
    errors = plan_experiment(snapshots, optics, options.electrons, every=options.every)
    seconds = time.perf_counter() - begin
    expected = errors.expected_similarity(truth.greens_tensor, truth.positions)
    line = {
        "defocus_angstrom": defocus,
        "electrons_per_pattern": options.electrons,
        "columns_in_field": len(truth.positions),
        "unknown_elements": len(errors.elements),
        **{f"relative_error_{s}": relative_error(errors, truth, s) for s in ("self", "nearest", "next")},
        **{f"csm_{s}": expected[s].mean[0] for s in ("self", "nearest", "next")},
        "csm_nearest_of_free_elements": errors.expected_similarity(
            truth.greens_tensor, truth.positions, states=None
        )["nearest"].mean[0],
        "seconds": round(seconds, 1),
    }
    return line, errors, truth


def against_dose(errors: CorrelationErrors, truth: Any) -> list[dict[str, Any]]:
    """CSM of the nearest neighbours to expect at every dose."""
    lines = []
    for dose in DOSES:
        planned = errors.at(dose)
        found = planned.expected_similarity(truth.greens_tensor, truth.positions)["nearest"]
        free = planned.expected_similarity(truth.greens_tensor, truth.positions, states=None)["nearest"]
        (low, high), (short, long) = found.interval.tolist()
        lines.append(
            {
                "electrons_per_pattern": dose,
                "csm_nearest": found.mean[0],
                "csm_interval": [low, high],
                "lsm_nearest": found.mean[1],
                "lsm_interval": [short, long],
                "csm_nearest_of_free_elements": free.mean[0],
            }
        )
    return lines


def draw(path: Path, by_defocus: list[dict[str, Any]], by_dose: list[dict[str, Any]], best: float) -> None:
    """Two panels."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    defocus = [line["defocus_angstrom"] for line in by_defocus]
    for shell, marker in (("self", "s"), ("nearest", "o"), ("next", "^")):
        values = [100 * line[f"relative_error_{shell}"] for line in by_defocus]
        left.plot(defocus, values, marker=marker, label=shell)
    left.set(xlabel="defocus / Å", ylabel="standard error of G / %", yscale="log")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    left.yaxis.set_major_formatter(ScalarFormatter())
    left.yaxis.set_minor_formatter(NullFormatter())
    left.set_title(f"{by_defocus[0]['electrons_per_pattern']:,.0f} electrons per pattern", fontsize=10)
    left.grid(alpha=0.3)
    left.legend()
    doses = [line["electrons_per_pattern"] for line in by_dose]
    low, high = np.array([line["csm_interval"] for line in by_dose]).T
    right.fill_between(doses, low, high, alpha=0.25, label="95 % of fits")
    right.plot(
        doses, [line["csm_nearest"] for line in by_dose], marker="o", markersize=3, label="fit of 20 states"
    )
    free = [line["csm_nearest_of_free_elements"] for line in by_dose]
    right.plot(doses, free, color="0.5", linestyle=":", label="free elements")
    right.axhline(0.95, color="0.4", linewidth=0.8, linestyle="--")
    right.text(doses[0], 0.955, "0.95", color="0.3", fontsize=8, verticalalignment="bottom")
    right.set(
        xlabel="electrons per pattern", ylabel="CSM of nearest neighbours", xscale="log", ylim=(0, 1.05)
    )
    right.set_title(f"defocus {best:g} Å", fontsize=10)
    right.grid(alpha=0.3)
    right.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Sweep defocus, then dose at the best one; print and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--defocus", type=float, nargs="+", default=DEFOCUS, help="[Å]")
    parser.add_argument("--electrons", type=float, default=1e6, help="per pattern")
    parser.add_argument("--positions", type=int, default=10, help="along each side of the scan")
    parser.add_argument("--every", type=int, default=1, help="use every n-th pattern")
    parser.add_argument("--redraw", type=Path, help="draw these lines of an earlier run instead")
    parser.add_argument("--figure", type=Path, help="where to draw")
    options = parser.parse_args()
    if options.redraw:
        lines = [json.loads(line) for line in options.redraw.read_text().splitlines()]
        sweep = [line for line in lines if "csm_interval" not in line]
        dose = [line for line in lines if "csm_interval" in line]
        draw(options.figure, sweep, dose, dose[0]["defocus_angstrom"])
        return
    ck.simulation.columns(silicon_sigma9_snapshots())  # imports are not part of the time
    found = []
    for defocus in options.defocus:
        found.append(at_defocus(defocus, options))
        print(json.dumps(found[-1][0]), flush=True)
    line, errors, truth = min(found, key=lambda one: one[0]["relative_error_nearest"])
    by_dose = against_dose(errors, truth)
    for entry in by_dose:
        print(json.dumps({"defocus_angstrom": line["defocus_angstrom"], **entry}))
    if options.figure:
        draw(options.figure, [one[0] for one in found], by_dose, line["defocus_angstrom"])


if __name__ == "__main__":
    main()
