"""The Fourier transforms of one pass and nothing else: what no implementation can be faster than."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from typing import Any

import numpy as np

from benchmarks.fixed_problem import Problem
from caviar_kit.backend import plan_fft, zeros

__all__ = ["fft_flops", "floors"]

Work = Callable[[], object]
CACHED_BYTES = 256 * 1024  # of one batch: stays in a core's L2 cache
LARGE = 256  # transforms in one batch, shared among the threads of FFTW itself
DEVICE_BYTES = (2**21, 2**25, 2**29)  # of one batch on a GPU: within its cache, or enough to fill it


def fft_flops(problem: Problem) -> float:
    """Flops of all transforms of a pass, 5 N log₂ N for N pixels."""
    pixels = problem.window**2
    return problem.ffts * 5 * pixels * math.log2(pixels)


def floors(problem: Problem, xp: Any, threads: int) -> dict[str, Work]:
    """Ways to do the transforms of one pass, by name; the fastest of them is the floor.

    On a CPU: small batches on threads of our own, as in the engine, and large ones on those of FFTW
    if pyFFTW is installed. On a GPU: batches of several sizes with one cuFFT plan each.
    """
    if xp is not np:
        return {f"batches of {n >> 20} MiB": _device(problem, xp, n) for n in DEVICE_BYTES}
    ways = {"small batches": _small(problem, threads)}
    large = _large(problem, threads)
    return ways if large is None else {**ways, "large batches": large}


def _small(problem: Problem, threads: int) -> Work:
    batch = _batch(problem, CACHED_BYTES // _bytes(problem))
    jobs = [len(share) for share in np.array_split(np.arange(problem.ffts // batch), threads)]
    buffers = [zeros(np, (batch, problem.window, problem.window), np.complex64) for _ in jobs]
    plans = [plan_fft(buffer) for buffer in buffers]
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(_there_and_back, plans, jobs))


def _large(problem: Problem, threads: int) -> Work | None:
    try:
        import pyfftw
    except ImportError:
        return None
    batch = _batch(problem, LARGE)
    waves = pyfftw.zeros_aligned((batch, problem.window, problem.window), np.complex64)
    plans = [
        pyfftw.FFTW(waves, waves, axes=(-2, -1), direction=way, flags=("FFTW_MEASURE",), threads=threads)
        for way in ("FFTW_FORWARD", "FFTW_BACKWARD")
    ]
    steps = [plan.execute for plan in plans]
    return lambda: _there_and_back(steps, problem.ffts // batch)


def _device(problem: Problem, cupy: Any, nbytes: int) -> Work:
    batch = _batch(problem, nbytes // _bytes(problem))
    steps = plan_fft(cupy.zeros((batch, problem.window, problem.window), np.complex64))
    return lambda: _there_and_back(steps, problem.ffts // batch)


def _there_and_back(steps: Any, count: int) -> None:
    for step in islice(cycle(steps), count):
        step()


def _batch(problem: Problem, most: int) -> int:
    """The largest divisor of all transforms that is at most ``most``."""
    ffts = problem.ffts
    return next(n for n in range(max(1, min(most, ffts)), 0, -1) if ffts % n == 0)


def _bytes(problem: Problem) -> int:
    return problem.window**2 * np.dtype(np.complex64).itemsize
