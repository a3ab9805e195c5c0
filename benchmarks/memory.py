"""Estimated and measured memory of a fit: one JSON line per problem, each in a process of its own.

``python benchmarks/memory.py`` measures the peak resident memory of a fit, less what the process
held before it had data. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from caviar_kit.checkpointing import run_with_checkpoints
from caviar_kit.multislice import AmplitudeLoss, Evaluator, FitSettings, MultisliceModel
from caviar_kit.multislice.memory import estimate_memory

PROBLEMS = {
    "states": {"num_states": 20, "history": 6},
    "long history": {"num_states": 8, "history": 20},
    "complex": {"num_states": 8, "history": 5, "object_type": "complex"},
    "adam": {"num_states": 20, "optimizer": "adam"},
    "complex adam": {"num_states": 12, "optimizer": "adam", "object_type": "complex"},
    "held out": {"num_states": 12, "history": 4, "held_out_fraction": 0.2, "patience": 3},
    "slices, modes, threads": {"num_states": 6, "history": 4, "slices": 12, "modes": 4, "threads": 2},
    "refined probe": {"num_states": 12, "history": 5, "modes": 6, "refine": ("probe", "positions")},
}  # fmt: skip
WINDOW, ITERATIONS = 128, 26


def resident(kind: str) -> int:
    """Resident memory of this process [bytes]: "VmRSS" now, "VmHWM" at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(kind)).split()[1])


def fit(side: int, options: dict) -> dict[str, int]:
    """Run a fit to random data; the estimate of its memory."""
    slices, modes, threads, scan = (
        options.pop(name, usual) for name, usual in (("slices", 4), ("modes", 1), ("threads", 1), ("scan", 3))
    )
    rng = np.random.default_rng(0)
    places = np.linspace(WINDOW // 2, side - WINDOW // 2, scan)
    model = MultisliceModel(
        (WINDOW, WINDOW), (0.15, 0.15), 0.025, (3.0,) * (slices - 1),
        np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2), (side, side),
    )  # fmt: skip
    iterations = min(ITERATIONS, options.get("history", 2) + 3)
    settings = FitSettings(max_iter=iterations, one_state_iter=1, **options)
    patterns = np.zeros((scan**2, WINDOW, WINDOW), np.float32)
    probe = np.zeros((modes, WINDOW, WINDOW), np.complex64)
    probe[:, 56:72, 56:72] = rng.random((modes, 16, 16)) + 1
    probe /= np.linalg.norm(probe)
    evaluator = Evaluator(model, patterns, AmplitudeLoss(), threads=threads)
    truth = np.exp(0.1j * rng.random((1, slices, side, side), dtype=np.float32))
    for position, pattern in enumerate(patterns):
        pattern[...] = evaluator.intensities(truth, probe, [position])[0]
    del truth
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fit.npz"
        for snapshot in run_with_checkpoints(evaluator, probe, settings, path, every_seconds=20.0):
            if snapshot.iteration == settings.total_iterations:
                snapshot.object  # noqa: B018  as a result is taken
    if snapshot.iteration < settings.total_iterations:
        raise RuntimeError("the fit ended early, before its history was full")
    return estimate_memory(model, settings, num_probes=modes, threads=threads, checkpoint=True)


def measure(name: str, side: int) -> None:
    """One problem in this process."""
    fit(160, {"num_states": 2, "refine": PROBLEMS[name].get("refine", ())})  # compiles, plans, imports
    before = resident("VmRSS")
    estimate = fit(side, dict(PROBLEMS[name]))["total"]
    measured = resident("VmHWM") - before
    result = {
        "problem": name,
        "estimated_mb": round(estimate / 1e6),
        "measured_mb": round(measured / 1e6),
        "estimated_to_measured": round(estimate / measured, 3),
    }
    print(json.dumps(result), flush=True)


def main() -> None:
    """Measure each problem in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=320, help="pixels of the object's side")
    parser.add_argument("--only", choices=PROBLEMS, action="append")
    parser.add_argument("--here", choices=PROBLEMS, help="measure this one in this process")
    options = parser.parse_args()
    if options.here:
        return measure(options.here, options.side)
    for name in options.only or PROBLEMS:
        command = [sys.executable, __file__, "--side", str(options.side), "--here", name]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
