"""Dask workers that each keep a shard of the scan, and what happens when one of them is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from typing import Any

import numpy as np

from caviar_kit.multislice.sharding import Parcel
from caviar_kit.multislice.station import Recipe, Task, build, perform

__all__ = ["Crew", "check_client", "workers"]

_ATTEMPTS = 5  # at one pass, and at placing a shard
_LOOK = 2.0  # seconds without news after which we ask whether a worker still has its shard


class _Lost(Exception):
    """A worker, and with it a shard."""


class Crew:
    """Stations on the workers of a Dask cluster, one for each shard.

    Parameters
    ----------
    client : distributed.Client
        To the cluster.
    recipes : list of Recipe
        One per shard.
    patterns : callable
        ``patterns(n)`` returns those of shard n (positions, y, x); called again if it is lost.
    patience : float
        How long to wait for a worker where there is none [s].
    """

    def __init__(
        self, client: Any, recipes: list[Recipe], patterns: Callable[[int], np.ndarray], patience: float
    ) -> None:
        self._client, self._recipes, self._patterns, self._patience = client, recipes, patterns, patience
        self._homes: dict[int, str] = {}  # shard → address
        self._stations: dict[int, Any] = {}  # shard → future
        self._place(range(len(recipes)))

    def perform(self, tasks: dict[int, Task], parcel: Callable[[int], Parcel]) -> dict[int, Any]:
        """What the stations of some shards return.

        Parameters
        ----------
        tasks : dict of shard → Task
        parcel : callable
            ``parcel(n)`` returns what shard n computes from.

        Raises
        ------
        RuntimeError
            If workers were lost again and again, or there is none left.
        Exception
            What the computation raised.
        """
        self._spread()
        results: dict[int, Any] = {}
        for _ in range(_ATTEMPTS):
            missing = [n for n in tasks if n not in results]
            self._place(n for n in missing if n not in self._stations)
            results |= self._attempt({n: tasks[n] for n in missing}, parcel)
            if len(results) == len(tasks):
                return results
        raise RuntimeError(
            f"in {_ATTEMPTS} attempts at one pass Dask workers were lost every time; see their logs, "
            "first of all for lack of memory"
        )

    def close(self) -> None:
        """Let the cluster forget everything."""
        for station in self._stations.values():
            station.release()
        self._stations.clear()

    # One attempt ---------------------------------------------------------------------------

    def _attempt(self, tasks: dict[int, Task], parcel: Callable[[int], Parcel]) -> dict[int, Any]:
        """Results of the shards whose workers lived through it."""
        sent = self._send({n: parcel(n) for n in tasks})
        futures = {n: self._submit(n, perform, self._stations[n], tasks[n], sent[n]) for n in sent}
        results = {}
        try:
            for n, future in futures.items():
                try:
                    results[n] = self._result(future, n)
                except _Lost:
                    self._forget(n)
        finally:  # after an error, or an interrupt, nobody waits for the others
            for future in (*futures.values(), *sent.values()):
                future.release()
        return results

    def _send(self, parcels: dict[int, Any]) -> dict[int, Any]:
        """Futures of what was sent to the shards' workers, all at a time; not of those who are lost."""

        async def send(n: int) -> Any:
            options = {"workers": [self._homes[n]], "hash": False, "timeout": _LOOK, "asynchronous": True}
            return (await self._client.scatter([parcels[n]], **options))[0]

        async def send_all() -> list[Any]:
            return await asyncio.gather(*(send(n) for n in parcels), return_exceptions=True)

        sent = dict(zip(parcels, self._client.sync(send_all), strict=True))
        for n, outcome in list(sent.items()):
            if isinstance(outcome, BaseException):
                if not isinstance(outcome, (OSError, TimeoutError, KeyError, CancelledError)):
                    raise outcome
                del sent[n]
                self._forget(n)
        return sent

    def _submit(self, shard: int, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._client.submit(
            function, *arguments, workers=[self._homes[shard]], allow_other_workers=False, pure=False
        )

    def _result(self, future: Any, shard: int) -> Any:
        """Wait for a future, but not for one whose worker is gone."""
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker

        patience = _LOOK
        while True:
            try:
                return future.result(timeout=patience)
            except TimeoutError:
                if future.status == "error":  # the computation's own
                    raise
                if future.status == "finished":
                    patience *= 2  # a large result on its way
                if not self._lives(shard):
                    raise _Lost from None
            except (CancelledError, CommClosedError, KilledWorker):
                raise _Lost from None

    # Who keeps what ------------------------------------------------------------------------

    def _lives(self, shard: int) -> bool:
        """Whether the worker still has the shard, or is about to."""
        if self._client.status != "running":
            return False
        if (station := self._stations.get(shard)) is None:
            return self._homes[shard] in self._client.nthreads()
        return self._homes[shard] in self._client.who_has([station])[station.key]

    def _place(self, shards: Iterable[int]) -> None:
        """Give shards to the workers that have fewest."""
        missing = list(shards)
        for _ in range(_ATTEMPTS):
            if not missing:
                return
            load = Counter(dict.fromkeys(workers(self._client, self._patience), 0))
            load.update(home for n, home in self._homes.items() if home in load and n in self._stations)
            for n in missing:
                self._homes[n] = min(load, key=load.__getitem__)
                load[self._homes[n]] += 1
            self._build(missing)
            missing = [n for n in missing if n not in self._stations]
        if missing:
            raise RuntimeError(
                f"in {_ATTEMPTS} attempts to send patterns to Dask workers these were lost every time; see "
                "their logs, first of all for lack of memory"
            )

    def _build(self, shards: list[int]) -> None:
        """Send patterns, one shard at a time to hold no second copy of all, and make stations of them."""
        building = {}
        for n in shards:
            for sent in self._send({n: self._patterns(n)}).values():
                building[n] = self._submit(n, build, self._recipes[n], sent)
        for n, future in building.items():
            try:
                self._result(self._submit(n, _ready, future), n)
                self._stations[n] = future
            except _Lost:
                continue

    def _forget(self, shard: int) -> None:
        if (station := self._stations.pop(shard, None)) is not None:
            station.release()

    def _spread(self) -> None:
        """Where a worker has taken over a lost one's shard, move it to one that has none, if any."""
        kept = Counter(self._homes[n] for n in self._stations)
        if not kept or max(kept.values()) < 2:
            return
        idle = len(set(workers(self._client, self._patience)) - set(kept))
        for n in sorted(self._stations, reverse=True):
            if idle and kept[self._homes[n]] > 1:
                kept[self._homes[n]] -= 1
                idle -= 1
                self._forget(n)
        self._place(n for n in range(len(self._recipes)) if n not in self._stations)


def _ready(station: Any) -> bool:
    """Small news that a station stands: its result would be the patterns, sent back."""
    return True


def check_client(client: Any) -> None:
    """Refuse what is not a running, synchronous Dask client.

    Raises
    ------
    TypeError, ValueError
        If it is something else, asynchronous or closed.
    """
    from distributed import Client

    if not isinstance(client, Client):
        raise TypeError(f"client must be a distributed.Client, got {type(client).__name__}")
    if client.asynchronous:
        raise ValueError("client must be synchronous, got one with asynchronous=True")
    if client.status != "running":
        raise ValueError(f"client must be connected to a scheduler, got one that is {client.status}")


def workers(client: Any, patience: float) -> list[str]:
    """Addresses of the workers there are, at least one.

    Parameters
    ----------
    client : distributed.Client
    patience : float
        How long to wait for the first [s].

    Raises
    ------
    RuntimeError
        If none comes, or there is no connection to the scheduler.
    """
    if client.status != "running":
        raise RuntimeError(f"the Dask client is {client.status}: it has no connection to its scheduler")
    if not client.nthreads():
        try:
            client.wait_for_workers(1, timeout=patience)
        except TimeoutError:
            raise RuntimeError(
                f"the Dask cluster has had no worker for {patience:g} s: scale it up, or see why its workers "
                "do not start"
            ) from None
    return sorted(client.nthreads())
