"""Arithmetic, traffic and bandwidth of a pass, and how fast it is beside what they allow: JSON lines.

    python benchmarks/bench_roofline.py

One line for 1 and one for 3 probe modes: a pass cannot be faster than its transforms, nor than its traffic
divided by the bandwidth of memory or cache (Williams *et al.* (2009), doi:10.1145/1498765.1498785). Flops of
a transform of N pixels are counted as 5 N log₂ N, those of a complex product as 6.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # from a checkout, installed or not

from benchmarks.fft_floor import fft_flops, floors
from benchmarks.fixed_problem import Problem
from benchmarks.measuring import interleaved, machine
from caviar_kit.backend import default_threads
from caviar_kit.multislice import AmplitudeLoss, Evaluator

COMPLEX, REAL = 8, 4  # bytes
CACHED, UNCACHED = 2**17, 2**26  # bytes of an array that stays in cache, and of one that cannot
PRODUCT = 6  # flops of a complex product


def pointwise_flops(problem: Problem) -> float:
    """Of all else: per slice, transmit there and back, and the sum of gradients; per gap, two transfers.

    At the detector, the intensity (4) and the product with the residual (2).
    """
    per_pixel = problem.slices * (3 * PRODUCT + 2) + (problem.slices - 1) * 2 * PRODUCT + 6
    return problem.waves * problem.window**2 * per_pixel


def pointwise_bytes(problem: Problem) -> float:
    """Read and written by point-wise work, transfer functions and residual left out.

    Per slice 3 complex numbers on the way there, 6 on the way back; per gap 2 and 2; at the detector 3.
    """
    per_pixel = COMPLEX * (9 * problem.slices + 4 * (problem.slices - 1) + 3)
    return problem.waves * problem.window**2 * per_pixel


def wave_bytes(problem: Problem) -> float:
    """All traffic of the waves, if a transform reads and writes each number once."""
    return pointwise_bytes(problem) + problem.ffts * problem.window**2 * 2 * COMPLEX


def necessary_bytes(problem: Problem, threads: int) -> float:
    """What has to come from memory if no wave does: patterns, object, and a gradient per thread (twice)."""
    patterns = problem.positions * problem.window**2 * REAL
    return patterns + problem.states * problem.slices * problem.side**2 * COMPLEX * (1 + 2 * threads)


def triad(nbytes: int, threads: int, passes: int) -> Callable[[], object]:
    """a = b + c on threads, ``passes`` times."""
    triples = [[np.ones(nbytes // REAL, np.float32) for _ in "abc"] for _ in range(threads)]
    pool = ThreadPoolExecutor(threads)

    def work(triple: list[np.ndarray]) -> None:
        a, b, c = triple
        for _ in range(passes):
            np.add(b, c, out=a)

    return lambda: list(pool.map(work, triples))


def measure(problem: Problem, threads: int, repeats: int) -> dict[str, float]:
    """Seconds and bandwidths, in turns; rates that follow from them."""
    transmission, probe = problem.guess(), problem.probe()
    evaluator = Evaluator(problem.model(), problem.patterns(), AmplitudeLoss(), threads=threads)
    ways = floors(problem, np, threads)
    moved = {"memory": (UNCACHED, 2), "cache": (CACHED, 4000)}
    work = {name: triad(nbytes, threads, passes) for name, (nbytes, passes) in moved.items()}
    work |= {"pass": lambda: evaluator.loss_and_gradient(transmission, probe), **ways}
    seconds = interleaved(work, repeats)
    rates = {name: 3 * n * passes * threads / seconds[name] for name, (n, passes) in moved.items()}
    floor = min(seconds[name] for name in ways)
    return {
        "pass_seconds": round(seconds["pass"], 5),
        "fft_floor_seconds": round(floor, 5),
        "floor_and_cache_seconds": round(floor + pointwise_bytes(problem) / rates["cache"], 5),
        "waves_through_memory_seconds": round(wave_bytes(problem) / rates["memory"], 5),
        "memory_gb_per_second": round(rates["memory"] / 1e9, 1),
        "cache_gb_per_second": round(rates["cache"] / 1e9, 1),
        "fft_gflop_per_second": round(fft_flops(problem) / floor / 1e9, 1),
        "pass_gflop_per_second": round(
            (fft_flops(problem) + pointwise_flops(problem)) / seconds["pass"] / 1e9, 1
        ),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modes", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    for modes in options.modes:
        problem = Problem(modes=modes)
        line = {
            "benchmark": "roofline",
            "modes": modes,
            "threads": options.threads,
            "fft_gflop": round(fft_flops(problem) / 1e9, 2),
            "pointwise_gflop": round(pointwise_flops(problem) / 1e9, 2),
            "wave_gb": round(wave_bytes(problem) / 1e9, 2),
            "necessary_gb": round(necessary_bytes(problem, options.threads) / 1e9, 4),
            **measure(problem, options.threads, options.repeats),
        }
        print(json.dumps(line | machine("numpy", "pyFFTW", "numba")), flush=True)


if __name__ == "__main__":
    main()
