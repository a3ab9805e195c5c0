"""Arithmetic, traffic and bandwidth of a pass, and how fast it is beside what they allow: JSON lines.

    python benchmarks/bench_roofline.py

One line for 1 and one for 3 probe modes: a pass cannot be faster than its transforms, nor than its traffic
divided by the bandwidth of memory or cache (Williams *et al.* (2009), doi:10.1145/1498765.1498785). Flops of
a transform of N pixels are counted as 5 N log₂ N, those of a complex product as 6.

Bandwidth is that of a ← a + s b in compiled loops, one on each thread at the same time. It reads two numbers
and writes one, as a wave times a transmission function does. What is written has been read before, so no line
is fetched only to be overwritten (write-allocate): three numbers are counted, and three are moved.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # from a checkout, installed or not

from benchmarks.fft_floor import fft_flops, floors
from benchmarks.fixed_problem import Problem
from benchmarks.measuring import interleaved, machine
from caviar_kit.backend import default_threads
from caviar_kit.multislice import AmplitudeLoss, Evaluator

COMPLEX, REAL = 8, 4  # bytes
CACHED = 2**18  # bytes of both arrays of one thread: they stay in a core's own cache
UNCACHED = 2**30  # bytes of all arrays of all threads: several times the largest caches
MOVED = 3  # numbers per element of an update: two read, one written
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


@numba.njit(nogil=True)
def update(a, b, s, passes):  # type: ignore[no-untyped-def]
    """a ← a + s b, ``passes`` times."""
    for _ in range(passes):
        for i in range(a.size):
            a[i] += s * b[i]


def updates(nbytes: int, threads: int, passes: int) -> tuple[Callable[[], object], int]:
    """Updates on all threads at once, arrays of ``nbytes`` for each thread; and the bytes they move."""
    length = nbytes // (2 * REAL)
    pairs = [[np.ones(length, np.float32) for _ in "ab"] for _ in range(threads)]
    pool = ThreadPoolExecutor(threads)
    step = np.float32(2**-20)  # its sums stay finite

    def work(pair: list[np.ndarray]) -> None:
        update(*pair, step, passes)  # one call: threads meet neither in it nor in between

    return lambda: list(pool.map(work, pairs)), MOVED * REAL * length * threads * passes


def measure(problem: Problem, threads: int, repeats: int) -> dict[str, float]:
    """Seconds and bandwidths, in turns; rates that follow from them."""
    transmission, probe = problem.guess(), problem.probe()
    evaluator = Evaluator(problem.model(), problem.patterns(), AmplitudeLoss(), threads=threads)
    ways = floors(problem, np, threads)
    sizes = {"memory": (UNCACHED // threads, 2), "cache": (CACHED, 8000)}
    traffic = {name: updates(nbytes, threads, passes) for name, (nbytes, passes) in sizes.items()}
    work = {name: function for name, (function, _) in traffic.items()}
    work |= {"pass": lambda: evaluator.loss_and_gradient(transmission, probe), **ways}
    seconds = interleaved(work, repeats)
    rates = {name: moved / seconds[name] for name, (_, moved) in traffic.items()}
    floor = min(seconds[name] for name in ways)
    return {
        "pass_seconds": round(seconds["pass"], 5),
        "fft_floor_seconds": round(floor, 5),
        "floor_and_cache_seconds": round(floor + pointwise_bytes(problem) / rates["cache"], 5),
        "floor_and_memory_seconds": round(floor + pointwise_bytes(problem) / rates["memory"], 5),
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
            "pointwise_gb": round(pointwise_bytes(problem) / 1e9, 2),
            "wave_gb": round(wave_bytes(problem) / 1e9, 2),
            "necessary_gb": round(necessary_bytes(problem, options.threads) / 1e9, 4),
            **measure(problem, options.threads, options.repeats),
        }
        print(json.dumps(line | machine("numpy", "pyFFTW", "numba")), flush=True)


if __name__ == "__main__":
    main()
