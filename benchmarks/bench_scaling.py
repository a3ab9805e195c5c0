"""Cost of a pass against positions, states, modes, slices and window, each varied alone: JSON lines.

    python benchmarks/bench_scaling.py > scaling.jsonl

Every point takes turns with the fixed problem, and is given relative to it. ``work`` is the arithmetic of all
transforms. ``cost`` is that of a unit of work: seconds per transform (one position, state and mode has
2 (2 (slices - 1) + 1)), for the window (N log N) seconds per second of that point's own transforms. Each
repeat has a cost of its own, from passes right after each other, so that slow changes of the machine cancel;
``cost`` is their median, ``cost_quartiles`` says how far they scatter, ``deviation_from_linear`` is cost - 1.
The reference is among the points: its deviation is noise and nothing else.

A last line per parameter has the exponent of a fit, seconds against units of work, and the largest deviation.
All takes about 7 minutes on two cores, longer where other work takes turns with it.

Memory is that of a fresh process: what loss and gradient add to data and object that are already there, for
parts of one and the same scan, so that the object does not grow with the positions. Linux only.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # from a checkout, installed or not

from benchmarks.fft_floor import fft_flops, floors
from benchmarks.fixed_problem import Problem
from benchmarks.measuring import in_turns, interleaved, machine, peak_resident_mb, resident_mb
from caviar_kit.backend import default_threads
from caviar_kit.multislice import AmplitudeLoss, Evaluator

REFERENCE = Problem()
VALUES = {
    "positions_per_side": (8, 11, 16, 23, 32),
    "states": (2, 4, 8, 16, 32),
    "modes": (1, 2, 3, 4, 6),
    "slices": (2, 3, 4, 6, 8, 12),
    "window": (32, 48, 64, 96, 128),
}
SIDES = (8, 16, 24, 32)  # positions per side of the parts whose memory is measured


def evaluation(problem: Problem, threads: int) -> Any:
    """One pass, to be called."""
    transmission, probe = problem.guess(), problem.probe()
    evaluator = Evaluator(problem.model(), problem.patterns(), AmplitudeLoss(), threads=threads)
    return lambda: evaluator.loss_and_gradient(transmission, probe)


def point(varied: str, value: int, threads: int, repeats: int) -> dict[str, Any]:
    """Time one problem beside the fixed one."""
    problem = dataclasses.replace(REFERENCE, **{varied: value})
    both = {"here": problem, "reference": REFERENCE}
    work = {(name, "pass"): evaluation(p, threads) for name, p in both.items()}
    if varied == "window":
        work |= {(name, "floor"): floor(p, threads) for name, p in both.items()}
    seconds = {key: np.array(values) for key, values in in_turns(work, repeats).items()}
    passes = {name: seconds[name, "pass"] for name in both}
    unit = {name: seconds.get((name, "floor"), np.full(repeats, p.ffts)) for name, p in both.items()}
    return {
        "benchmark": "scaling",
        "varied": varied,
        "value": value,
        **dataclasses.asdict(problem),
        "ffts": problem.ffts,
        "work": round(fft_flops(problem) / fft_flops(REFERENCE), 4),
        "threads": threads,
        "repeats": repeats,
        "pass_seconds": round(statistics.median(passes["here"]), 5),
        "reference_seconds": round(statistics.median(passes["reference"]), 5),
        **relative(passes, unit),
    }


def floor(problem: Problem, threads: int) -> Callable[[], object]:
    """The fastest way to do the transforms of a pass, found in a few rounds."""
    ways = floors(problem, np, threads)
    seconds = interleaved(ways, 2)
    return ways[min(seconds, key=seconds.__getitem__)]


def relative(passes: dict[str, np.ndarray], unit: dict[str, np.ndarray]) -> dict[str, Any]:
    """Units and cost of a unit, here over reference: median, and quartiles over repeats.

    The median of the ratios of each repeat, not the ratio of medians: what slows both sides of one repeat
    cancels.
    """
    units = unit["here"] / unit["reference"]
    cost = passes["here"] / passes["reference"] / units
    lower, middle, upper = (round(float(q), 3) for q in np.quantile(cost, (0.25, 0.5, 0.75)))
    return {
        "units": round(float(np.median(units)), 4),
        "cost": middle,
        "cost_quartiles": [lower, upper],
        "deviation_from_linear": round(middle - 1, 3),
    }


def fit(varied: str, points: list[dict[str, Any]]) -> dict[str, Any]:
    """Exponent of seconds against units of work, and the point farthest from linear."""
    units, cost = (np.array([p[key] for p in points]) for key in ("units", "cost"))
    worst = max(points, key=lambda p: abs(p["deviation_from_linear"]))
    return {
        "benchmark": "scaling fit",
        "varied": varied,
        "exponent": round(float(np.polyfit(np.log(units), np.log(units * cost), 1)[0]), 3),
        "largest_deviation_from_linear": worst["deviation_from_linear"],
        "its_quartiles": [round(q - 1, 3) for q in worst["cost_quartiles"]],
        "reference_against_itself": next(p["deviation_from_linear"] for p in points if p["work"] == 1),
    }


def memory(side: int, threads: int) -> dict[str, Any]:
    """What a pass over part of a scan adds to data and object, in this process."""
    evaluation(Problem(3, states=2), threads)()  # compiles, plans, imports
    whole = Problem(max(SIDES))
    chosen = whole.model().positions[: side**2]
    model = dataclasses.replace(whole.model(), positions=chosen)
    pixels = whole.window**2
    patterns = np.full((len(chosen), whole.window, whole.window), 1 / pixels, np.float32)
    transmission = np.ones((whole.states, whole.slices, whole.side, whole.side), np.complex64)
    probe = np.full((whole.modes, whole.window, whole.window), 1 / whole.window, np.complex64)
    before = resident_mb()
    Evaluator(model, patterns, AmplitudeLoss(), threads=threads).loss_and_gradient(transmission, probe)
    return {
        "benchmark": "scaling memory",
        "positions": len(chosen),
        "threads": threads,
        "data_mb": round(patterns.nbytes / 1e6, 1),
        "object_mb": round(transmission.nbytes / 1e6, 1),
        "added_mb": round(peak_resident_mb() - before, 1),
    }


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=(*VALUES, "memory"), action="append")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--memory-here", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if min(options.threads, options.repeats) < 1:
        parser.error("--threads and --repeats must be at least 1")
    return options


def main() -> None:
    """Print a line per point."""
    options = parse()
    if options.memory_here:
        return print(json.dumps(memory(options.memory_here, options.threads)), flush=True)
    wanted = options.only or (*VALUES, "memory")
    print(json.dumps({"benchmark": "machine", **machine("numpy", "pyFFTW", "numba")}), flush=True)
    for varied, values in VALUES.items():
        if varied in wanted:
            points = []
            for value in values:
                points.append(point(varied, value, options.threads, options.repeats))
                print(json.dumps(points[-1]), flush=True)
            print(json.dumps(fit(varied, points)), flush=True)
    for side in SIDES if "memory" in wanted else ():
        command = [sys.executable, __file__, "--threads", str(options.threads), "--memory-here", str(side)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
