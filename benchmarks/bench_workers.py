"""Seconds per pass in one process and on Dask workers, and what of that is sending and receiving.

``python benchmarks/bench_workers.py`` prints one JSON line. A pass is loss and gradient over all scan
positions of noise-like data. "idle" passes send and return the same arrays but compute
nothing, so a pass less an idle one is computing. "return" passes send almost nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from caviar_kit.multislice import AmplitudeLoss, DistributedEvaluator, Evaluation, Evaluator, MultisliceModel
from caviar_kit.physics import electron_wavelength

PIXEL, STEP = 1 / 6, 3.0  # Å and pixels


@dataclass(frozen=True)
class Size:
    """Of a problem: side² scan positions, window² pixels."""

    side: int = 16
    window: int = 64
    states: int = 8
    slices: int = 4
    modes: int = 1


def problem(size: Size) -> tuple[MultisliceModel, np.ndarray, np.ndarray, np.ndarray]:
    """Model, patterns, transmission functions and probe."""
    rng = np.random.default_rng(0)
    steps = np.stack(np.indices((size.side, size.side)), axis=-1).reshape(-1, 2) * STEP
    window, field = (size.window,) * 2, (size.window + int(STEP) * (size.side - 1),) * 2
    model = MultisliceModel(
        window, (PIXEL, PIXEL), electron_wavelength(200e3), (5.0,) * (size.slices - 1),
        steps + size.window // 2, field,
    )  # fmt: skip
    patterns = rng.random((len(steps), *window), dtype=np.float32) / size.window**2
    phase = 0.1 * rng.standard_normal((size.states, size.slices, *field), dtype=np.float32)
    probe = rng.standard_normal((size.modes, *window, 2), dtype=np.float32).view(np.complex64)[..., 0]
    return model, patterns, np.exp(1j * phase), probe / np.linalg.norm(probe)


def median_seconds(function: Callable[[], object], repeats: int) -> float:
    """Median wall time after one warm-up."""
    function()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def one_process(size: Size, threads: int, repeats: int) -> float:
    """Seconds per pass of an Evaluator."""
    model, patterns, transmission, probe = problem(size)
    evaluator = Evaluator(model, patterns, AmplitudeLoss(), threads=threads)
    return median_seconds(lambda: evaluator.loss_and_gradient(transmission, probe), repeats)


def on_workers(
    size: Size, workers: int, repeats: int, *, threads: int = 1, direct: bool = False
) -> dict[str, float]:
    """Seconds per pass on a LocalCluster of processes: in all, and sending, computing, receiving."""
    from distributed import Client, LocalCluster

    options = {"processes": True, "memory_limit": None, "dashboard_address": ":0"}
    model, patterns, transmission, probe = problem(size)
    with (
        LocalCluster(n_workers=workers, threads_per_worker=threads, **options) as cluster,
        Client(cluster, direct_to_workers=direct) as client,
        DistributedEvaluator(model, patterns, AmplitudeLoss(), client=client, device="cpu") as evaluator,
    ):
        full = median_seconds(lambda: evaluator.loss_and_gradient(transmission, probe), repeats)
        crew, perform = evaluator._crew, evaluator._crew.perform

        def instead(function: Callable[..., Any], tasks: dict[int, Any], parcel: Any) -> Any:
            attempt, crew._submit = crew._submit, lambda n, _, *rest: submit(n, function, *rest)
            try:
                return perform(tasks, parcel)
            finally:
                crew._submit = attempt

        submit = crew._submit
        crew.perform = partial(instead, _echo)
        echo = median_seconds(lambda: evaluator.loss_and_gradient(transmission, probe), repeats)
        crew.perform = partial(instead, _acknowledge)
        sent = median_seconds(lambda: evaluator.loss(transmission, probe), repeats)
        empty = statistics.median(_round_trip(client) for _ in range(10))
    return {
        "pass_seconds": full,
        "sending": sent,
        "computing": full - echo,
        "receiving_and_adding": echo - sent,
        "empty_task": empty,
    }


def _echo(station: Any, task: Any, parcel: Any) -> Evaluation:
    """As much as a pass returns, without computing."""
    return Evaluation(0.0, parcel.transmission, parcel.probe, parcel.instrument)


def _acknowledge(station: Any, task: Any, parcel: Any) -> float:
    return 0.0


def _round_trip(client: Any) -> float:
    begin = time.perf_counter()
    client.submit(int, pure=False).result()
    return time.perf_counter() - begin


def megabytes_per_pass(size: Size, workers: int) -> float:
    """Sent to all workers in a pass, and received again."""
    from caviar_kit.multislice.sharding import make_shards

    shards = make_shards(problem(size)[0], workers)
    pixels = sum(np.prod([axis.stop - axis.start for axis in shard.field]) for shard in shards)
    return 8e-6 * float(pixels * size.states * size.slices + len(shards) * size.modes * size.window**2)


def measure(
    size: Size, workers: tuple[int, ...] = (1, 2), repeats: int = 7, *, direct: bool = False
) -> dict[str, Any]:
    """Everything, as numbers that JSON can hold."""
    one = {f"{n}_threads": round(one_process(size, n, repeats), 4) for n in sorted({1, *workers})}
    many = {
        f"{n}_workers": {
            **{name: round(value, 4) for name, value in on_workers(size, n, repeats, direct=direct).items()},
            "megabytes_each_way": round(megabytes_per_pass(size, n), 1),
        }
        for n in workers
    }
    return {**vars(size), "one_process": one, "dask": many}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in vars(Size()).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--direct", action="store_true", help="arrays do not pass through the scheduler")
    options = vars(parser.parse_args())
    workers, others = tuple(options.pop("workers")), {n: options.pop(n) for n in ("repeats", "direct")}
    result = {**measure(Size(**options), workers, **others), "direct": others["direct"]}
    load = round(os.getloadavg()[0], 2)
    print(json.dumps({**result, "load": load, "machine": platform.processor() or platform.machine()}))


if __name__ == "__main__":
    main()
