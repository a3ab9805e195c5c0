"""A Dask cluster of two processes, and patterns and losses with which things go wrong on it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster
from distributed.core import Status

from caviar_kit.multislice import AmplitudeLoss


@contextmanager
def two_workers(**options: Any) -> Iterator[Client]:
    """A client of a LocalCluster of processes with one thread each; both are closed for certain."""
    settings = {"distributed.comm.timeouts.connect": "20s"}
    defaults = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "memory_limit": None}
    options = {**defaults, "dashboard_address": ":0", **options}
    with (
        dask.config.set(settings),
        LocalCluster(**options) as cluster,
        Client(cluster, timeout=20) as client,
    ):
        client.wait_for_workers(options["n_workers"], timeout=60)
        yield client


def kept(client: Client, hoped_for: int = -1) -> list[str]:
    """Keys of all that the cluster remembers; what was released is forgotten a moment later."""
    for _ in range(100):
        keys = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))
        if len(keys) == hoped_for or hoped_for < 0:
            break
        time.sleep(0.05)
    return keys


def set_status(client: Client, status: str, *workers: str) -> None:
    """Pause workers, which Dask does if they are short of memory, or let them go on ("running")."""

    def set_own(dask_worker: Any) -> None:
        dask_worker.status = Status[status]

    def seen(dask_scheduler: Any) -> bool:
        return all(dask_scheduler.workers[address].status == Status[status] for address in workers)

    client.run(set_own, workers=list(workers))
    for _ in range(200):
        if client.run_on_scheduler(seen):
            return
        time.sleep(0.05)
    raise TimeoutError(f"workers did not become {status}")


@dataclass(frozen=True)
class DeadlyLoss(AmplitudeLoss):
    """Ends one of the processes that use it, at its ``at``-th pattern; ``file`` lists those of all."""

    file: str = ""
    at: int = 0

    def derivative(self, model: Any, data: Any) -> Any:
        me, calls = str(os.getpid()), Path(self.file)
        with calls.open("a") as file:
            file.write(len(model) * (me + "\n"))
        if 0 < self.at <= calls.read_text().split().count(me):
            with suppress(FileExistsError):
                calls.with_suffix(".victim").touch(exist_ok=False)
                os._exit(1)
        return super().derivative(model, data)


@dataclass(frozen=True)
class FailingLoss(AmplitudeLoss):
    """Raises."""

    error: type[Exception] = ZeroDivisionError

    def derivative(self, model: Any, data: Any) -> Any:
        raise self.error("in the middle of a pass")
