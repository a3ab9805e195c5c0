"""Seconds per pass (loss and gradient over all positions) beside the FFTs it cannot do without.

``python benchmarks/bench_engine.py --modes 1`` prints one JSON line. The problem: 256 positions,
64 × 64 pixels, 8 states, 4 slices. The floor is measured in the same run with the same
planned transforms and threads.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from caviar_kit.backend import default_threads, plan_fft, zeros
from caviar_kit.multislice import AmplitudeLoss, Evaluator, MultisliceModel
from caviar_kit.physics import electron_wavelength

WINDOW, STATES, SLICES, SCAN = 64, 8, 4, 16
PIXEL = 1 / 6  # Å, so that the step of 0.5 Å is three pixels


def problem(modes: int, threads: int) -> tuple[Evaluator, np.ndarray, np.ndarray]:
    """Evaluator with noise-like data, transmission functions and probe modes."""
    rng = np.random.default_rng(0)
    steps = np.stack(np.indices((SCAN, SCAN)), axis=-1).reshape(-1, 2) * 3.0
    side = WINDOW + 3 * (SCAN - 1)
    model = MultisliceModel(
        (WINDOW, WINDOW), (PIXEL, PIXEL), electron_wavelength(200e3), (5.0,) * (SLICES - 1),
        steps + WINDOW // 2, (side, side),
    )  # fmt: skip
    transmission = np.exp(0.1j * rng.standard_normal((STATES, SLICES, side, side))).astype(np.complex64)
    probe = rng.standard_normal((modes, WINDOW, WINDOW, 2)).astype(np.float32).view(np.complex64)[..., 0]
    patterns = rng.random((len(steps), WINDOW, WINDOW), dtype=np.float32) / WINDOW**2
    return (
        Evaluator(model, patterns, AmplitudeLoss(), threads=threads),
        transmission,
        probe / np.linalg.norm(probe),
    )


def transforms(modes: int, threads: int) -> Callable[[], None]:
    """The transforms of one pass and nothing else, shared among threads as in the engine."""
    pairs = SCAN**2 * STATES * modes * (2 * (SLICES - 1) + 1) // 4 // threads

    def work(plans: tuple[Callable[[], None], Callable[[], None]]) -> None:
        for _ in range(pairs):
            plans[0]()
            plans[1]()

    plans = [plan_fft(zeros(np, (4, WINDOW, WINDOW), np.complex64)) for _ in range(threads)]
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(work, plans)) and None


def median_seconds(function: Callable[[], object], repeats: int) -> float:
    """Median wall time after one warm-up."""
    function()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modes", type=int, default=1)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    evaluator, transmission, probe = problem(options.modes, options.threads)
    floor = median_seconds(transforms(options.modes, options.threads), options.repeats)
    full = median_seconds(lambda: evaluator.loss_and_gradient(transmission, probe), options.repeats)
    loss = median_seconds(lambda: evaluator.loss(transmission, probe), options.repeats)
    result = {
        "modes": options.modes,
        "threads": options.threads,
        "pass_seconds": round(full, 4),
        "loss_only_seconds": round(loss, 4),
        "fft_floor_seconds": round(floor, 4),
        "ratio_to_floor": round(full / floor, 2),
        "load": round(os.getloadavg()[0], 2),
        "machine": platform.processor() or platform.machine(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
