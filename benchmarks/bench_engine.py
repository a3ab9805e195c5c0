"""Seconds per pass (loss and gradient) beside the Fourier transforms it cannot do without: one JSON line.

    python benchmarks/bench_engine.py --modes 1
    python benchmarks/bench_engine.py --device gpu --paper

Floor and passes take turns in the same run; all seconds are medians. The problem: 256 positions, 64 × 64
pixels, 8 states, 4 slices; with ``--paper`` 1600 positions, 128 × 128 pixels, 20 states, 4 slices. On a GPU,
which needs NumPy, SciPy and CuPy only, the result is compared with that of the CPU, and the estimated with
the measured memory of a short fit; "pool" is what CuPy's memory pool took from the device.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # from a checkout, installed or not

from benchmarks.fft_floor import floors
from benchmarks.fixed_problem import Problem
from benchmarks.measuring import interleaved, machine, peak_resident_mb
from caviar_kit.backend import default_threads, resolve_device, to_numpy
from caviar_kit.multislice import AmplitudeLoss, Evaluator, FitSettings, run
from caviar_kit.multislice.memory import estimate_memory

HISTORY = 3  # of the fit whose memory is measured
COMPARED = 16  # positions of the comparison with the CPU


def measure(problem: Problem, xp: Any, threads: int, repeats: int) -> dict[str, Any]:
    """Seconds of pass, loss and floor, and their ratio."""
    transmission, probe = problem.guess(xp), problem.probe(xp)
    evaluator = Evaluator(problem.model(), problem.patterns(xp), AmplitudeLoss(), threads=threads)
    ways = floors(problem, xp, threads)
    work = {
        "pass": lambda: evaluator.loss_and_gradient(transmission, probe),
        "loss": lambda: evaluator.loss(transmission, probe),
    }
    seconds = interleaved({**ways, **work}, repeats, _wait(xp))
    floor = min(seconds[name] for name in ways)
    return {
        "pass_seconds": round(seconds["pass"], 5),
        "loss_only_seconds": round(seconds["loss"], 5),
        "fft_floor_seconds": round(floor, 5),
        "ratio_to_floor": round(seconds["pass"] / floor, 2),
        "floors": {name: round(seconds[name], 5) for name in ways},
    }


def _wait(xp: Any) -> Any:
    return (lambda: None) if xp is np else xp.cuda.runtime.deviceSynchronize


def compare(problem: Problem, xp: Any) -> dict[str, float]:
    """Largest differences from the CPU over a few positions, relative to the largest value."""
    model, transmission, probe = problem.model(), problem.guess(), problem.probe()
    chosen = np.unique(np.linspace(0, problem.positions - 1, COMPARED).astype(int))
    few = dataclasses.replace(model, positions=model.positions[chosen])
    patterns = to_numpy(problem.patterns(xp)[chosen])
    there, here = (
        Evaluator(few, module.asarray(patterns), AmplitudeLoss()).loss_and_gradient(
            module.asarray(transmission), module.asarray(probe)
        )
        for module in (xp, np)
    )
    errors = {"loss": abs(there.loss - here.loss) / here.loss}
    for name in ("object", "probe"):
        expected, got = getattr(here, name), to_numpy(getattr(there, name))
        errors[name] = float(abs(got - expected).max() / abs(expected).max())
    return {f"{name}_error": float(f"{error:.2g}") for name, error in errors.items()}


def compare_memory(problem: Problem, cupy: Any) -> dict[str, float]:
    """What CuPy's memory pool took for a pass and for a short fit, and what was estimated for that [MB]."""
    pool, model, probe = cupy.get_default_memory_pool(), problem.model(), problem.probe(cupy)
    settings = FitSettings(problem.states, max_iter=HISTORY + 2, one_state_iter=1, history=HISTORY)
    patterns, transmission = problem.patterns(cupy), problem.guess(cupy)
    gc.collect()
    pool.free_all_blocks()
    Evaluator(model, patterns, AmplitudeLoss()).loss_and_gradient(transmission, probe)
    in_pass = pool.total_bytes()
    del transmission
    gc.collect()
    pool.free_all_blocks()
    for _ in run(Evaluator(model, patterns, AmplitudeLoss()), probe, settings):
        pass
    in_fit = pool.total_bytes()
    estimate = estimate_memory(model, settings, num_probes=problem.modes, gpu=True)["device"]
    return {
        "pass_pool_mb": round(in_pass / 1e6),
        "fit_pool_mb": round(in_fit / 1e6),
        "fit_estimated_mb": round(estimate / 1e6),
        "fit_estimated_to_pool": round(estimate / in_fit, 3),
    }


def gpu_name(cupy: Any) -> str:
    """The device as CUDA calls it."""
    return cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()


def versions(xp: Any) -> dict[str, str]:
    """Of CuPy and CUDA from themselves: the distribution has another name for each CUDA, and with conda."""
    if xp is np:
        return {}
    number = xp.cuda.runtime.runtimeGetVersion()  # 12040 is 12.4
    return {"cupy": xp.__version__, "cuda_runtime": f"{number // 1000}.{number % 1000 // 10}"}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--paper", action="store_true", help="the size of the paper's silicon data")
    for field in dataclasses.fields(Problem):
        parser.add_argument("--" + field.name.replace("_", "-"), type=int)
    parser.add_argument("--threads", type=int, default=default_threads(), help="on the CPU")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args(arguments)
    start = Problem.paper() if options.paper else Problem()
    asked = {f.name: getattr(options, f.name) for f in dataclasses.fields(Problem)}
    try:
        options.problem = dataclasses.replace(start, **{k: v for k, v in asked.items() if v is not None})
    except ValueError as error:
        parser.error(str(error))
    if min(options.threads, options.repeats) < 1:
        parser.error("--threads and --repeats must be at least 1")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit status."""
    options = parse(arguments)
    try:
        xp = resolve_device(options.device)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 2
    problem: Problem = options.problem
    threads = options.threads if xp is np else 1
    result = {
        "benchmark": "engine",
        "device": options.device,
        **dataclasses.asdict(problem),
        "ffts": problem.ffts,
        "threads": threads,
        **measure(problem, xp, threads, options.repeats),
    }
    if xp is not np:
        result |= {"gpu": gpu_name(xp), **compare(problem, xp), **compare_memory(problem, xp)}
    result["peak_memory_mb"] = round(peak_resident_mb())
    packages = ("numpy", "scipy", "pyFFTW", "numba") if xp is np else ("numpy", "scipy")
    print(json.dumps(result | machine(*packages, **versions(xp))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
