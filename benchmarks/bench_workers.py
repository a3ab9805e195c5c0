"""Seconds per pass in one process and on Dask workers, and what of that is traffic: one JSON line.

    python benchmarks/bench_workers.py --positions_per_side 32

A pass is loss and gradient over all scan positions of the fixed problem. Everything takes turns: one process
with as many threads as there are workers, and for each number of workers of this machine a pass, tasks that
compute nothing but return as much as a pass ("echo"), and tasks that return nothing. Seconds are medians.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # from a checkout, installed or not

from benchmarks.fixed_problem import Problem
from benchmarks.measuring import interleaved, machine
from caviar_kit.multislice import AmplitudeLoss, DistributedEvaluator, Evaluation, Evaluator, Instrument
from caviar_kit.multislice.shard_evaluator import ShardSpec, Task
from caviar_kit.multislice.sharding import Shard, Total, make_shards
from caviar_kit.multislice.worker_pool import WorkerPool

TIMEOUT = 60.0  # s


def one_process(problem: Problem, threads: int) -> Callable[[], object]:
    """A pass of an Evaluator, to be called."""
    transmission, probe = problem.guess(), problem.probe()
    evaluator = Evaluator(problem.model(), problem.patterns(), AmplitudeLoss(), threads=threads)
    return lambda: evaluator.loss_and_gradient(transmission, probe)


def on_workers(problem: Problem, client: Any, stack: ExitStack) -> dict[str, Callable[[], object]]:
    """A pass on the workers, the two without computing and an empty task, to be called."""
    model, patterns, loss = problem.model(), problem.patterns(), AmplitudeLoss()
    transmission, probe, instrument = problem.guess(), problem.probe(), Instrument.nominal(model)
    evaluator = stack.enter_context(DistributedEvaluator(model, patterns, loss, client=client, device="cpu"))
    shards = evaluator.shards
    specs = [ShardSpec(shard.model, loss, None, 1, "cpu") for shard in shards]
    pool = WorkerPool(client, specs, lambda n: patterns[shards[n].positions], TIMEOUT)
    stack.callback(pool.close)
    tasks = {n: _task(shard, len(patterns)) for n, shard in enumerate(shards)}

    def sent_and(function: Callable[..., Any]) -> dict[int, Any]:
        return pool.perform(tasks, lambda n: shards[n].inputs(transmission, probe, instrument), function)

    def echo() -> Evaluation:
        total = Total(transmission, probe, instrument)
        for n, part in sorted(sent_and(_echo).items()):
            total.add(shards[n], part)
        return total.on(np)

    return {
        "pass": lambda: evaluator.loss_and_gradient(transmission, probe),
        "echo": echo,
        "send": lambda: sent_and(_nothing),
        "empty": lambda: client.submit(int, pure=False).result(),
    }


def _task(shard: Shard, positions: int) -> Task:
    count = shard.positions.stop - shard.positions.start
    return Task("loss_and_gradient", np.arange(count), count / positions)


def _echo(kept: Any, task: Any, inputs: Any) -> Evaluation:
    """As much as a pass returns, without computing."""
    return Evaluation(0.0, inputs.transmission, inputs.probe, inputs.instrument)


def _nothing(kept: Any, task: Any, inputs: Any) -> None:
    return None


def megabytes_per_pass(problem: Problem, workers: int) -> float:
    """Sent to all workers in a pass, and received again."""
    shards = make_shards(problem.model(), workers)
    pixels = sum(math.prod(shard.model.object_shape) for shard in shards) * problem.states * problem.slices
    return 8e-6 * (pixels + len(shards) * problem.modes * problem.window**2)


def measure(problem: Problem, workers: tuple[int, ...], repeats: int, direct: bool) -> dict[str, Any]:
    """Everything, as numbers that JSON can hold."""
    from distributed import Client, LocalCluster

    options = {"threads_per_worker": 1, "processes": True, "memory_limit": None, "dashboard_address": ":0"}
    threads = sorted({1, *workers})
    work: dict[Any, Callable[[], object]] = {("threads", n): one_process(problem, n) for n in threads}
    with ExitStack() as stack:
        for n in workers:
            cluster = stack.enter_context(LocalCluster(n_workers=n, **options))
            client = stack.enter_context(Client(cluster, direct_to_workers=direct))
            ways = on_workers(problem, client, stack)
            work |= {(name, n): function for name, function in ways.items()}
        seconds = interleaved(work, repeats)
    return {
        "one_process": {f"{n}_threads": round(seconds["threads", n], 4) for n in threads},
        "dask": {f"{n}_workers": _parts(problem, n, seconds) for n in workers},
    }


def _parts(problem: Problem, n: int, seconds: dict[Any, float]) -> dict[str, float]:
    whole, echo, send = (seconds[name, n] for name in ("pass", "echo", "send"))
    return {
        "pass_seconds": round(whole, 4),
        "sending": round(send, 4),
        "computing": round(whole - echo, 4),
        "receiving_and_adding": round(echo - send, 4),
        "empty_task": round(seconds["empty", n], 4),
        "megabytes_each_way": round(megabytes_per_pass(problem, n), 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for field in fields(Problem):
        parser.add_argument(f"--{field.name}", type=int, default=field.default)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--direct", action="store_true", help="arrays do not pass through the scheduler")
    options = parser.parse_args()
    problem = Problem(**{field.name: getattr(options, field.name) for field in fields(Problem)})
    result = measure(problem, tuple(options.workers), options.repeats, options.direct)
    about = {"direct": options.direct, **machine("caviar-kit", "distributed", "numpy")}
    print(json.dumps({**vars(problem), **result, **about}))


if __name__ == "__main__":
    main()
