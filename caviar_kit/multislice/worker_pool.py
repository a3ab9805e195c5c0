"""Dask workers that each keep a shard of the scan, and what happens when one of them is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, wait
from contextlib import suppress
from typing import Any

import numpy as np

from caviar_kit.multislice.dask_client import running_workers, wait_for_workers
from caviar_kit.multislice.shard_evaluator import ShardSpec, Task, build, perform
from caviar_kit.multislice.sharding import ShardInput

__all__ = ["WorkerPool"]

_ATTEMPTS = 5  # at one pass, and at placing a shard
_CHECK_SECONDS = 2.0  # without news, after which we ask whether a worker still has its shard, and runs


class _WorkerLost(Exception):
    """A worker is gone, or paused by Dask, and with it a shard."""


class WorkerPool:
    """Evaluators on the workers of a Dask cluster, one for each shard of the scan.

    A worker that Dask has paused for lack of memory begins nothing: it counts as lost, unless it is at work.

    Parameters
    ----------
    client : distributed.Client
        To the cluster.
    specs : list of ShardSpec
        One per shard.
    patterns : callable
        ``patterns(n)`` returns those of shard n (positions, y, x); called again if it is lost.
    worker_timeout : float
        How long to wait for a running worker where there is none [s].
    """

    def __init__(
        self,
        client: Any,
        specs: list[ShardSpec],
        patterns: Callable[[int], np.ndarray],
        worker_timeout: float,
    ) -> None:
        self._client, self._specs, self._patterns = client, specs, patterns
        self._worker_timeout = worker_timeout
        self._address_of: dict[int, str] = {}  # shard → address
        self._evaluators: dict[int, Any] = {}  # shard → future
        self._place(range(len(specs)))

    def perform(
        self,
        tasks: dict[int, Task],
        inputs: Callable[[int], ShardInput],
        function: Callable[..., Any] = perform,
    ) -> dict[int, Any]:
        """What the evaluators of some shards return.

        Parameters
        ----------
        tasks : dict of shard → Task
        inputs : callable
            ``inputs(n)`` returns what shard n computes from.
        function : callable
            ``function(evaluator, task, inputs)`` is what the workers run.

        Raises
        ------
        RuntimeError
            If workers were lost again and again, or there is none left.
        Exception
            What the computation raised.
        """
        self._rebalance()
        results: dict[int, Any] = {}
        for _ in range(_ATTEMPTS):
            missing = [n for n in tasks if n not in results]
            self._place(n for n in missing if n not in self._evaluators)
            results |= self._attempt({n: tasks[n] for n in missing}, inputs, function)
            if len(results) == len(tasks):
                return results
        raise RuntimeError(
            f"in {_ATTEMPTS} attempts at one pass Dask workers were lost or paused every time; see their "
            "logs, first of all for lack of memory"
        )

    def close(self) -> None:
        """Let the cluster forget everything."""
        for evaluator in self._evaluators.values():
            evaluator.release()
        self._evaluators.clear()

    # One attempt ---------------------------------------------------------------------------

    def _attempt(
        self,
        tasks: dict[int, Task],
        inputs: Callable[[int], ShardInput],
        function: Callable[..., Any],
    ) -> dict[int, Any]:
        """Results of the shards whose workers lived through it."""
        sent = self._send({n: inputs(n) for n in tasks})
        futures = {n: self._submit(n, function, self._evaluators[n], tasks[n], sent[n]) for n in sent}
        results = {}
        try:
            for n, future in futures.items():
                try:
                    results[n] = self._result(future, n)
                except _WorkerLost:
                    self._forget(n)
        finally:  # after an error, or an interrupt, nobody waits for the others
            for future in (*futures.values(), *sent.values()):
                future.release()
        return results

    def _send(self, inputs: dict[int, Any]) -> dict[int, Any]:
        """Futures of what was sent to the shards' workers, all at a time; not of those who are lost."""

        async def send(n: int) -> Any:
            options = {"hash": False, "timeout": _CHECK_SECONDS, "asynchronous": True}
            return (await self._client.scatter([inputs[n]], workers=[self._address_of[n]], **options))[0]

        async def send_all() -> list[Any]:
            return await asyncio.gather(*(send(n) for n in inputs), return_exceptions=True)

        sent = dict(zip(inputs, self._client.sync(send_all), strict=True))
        for n, outcome in list(sent.items()):
            if isinstance(outcome, BaseException):
                if not isinstance(outcome, (OSError, TimeoutError, KeyError, CancelledError)):
                    raise outcome
                del sent[n]
                self._forget(n)
        return sent

    def _submit(self, shard: int, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._client.submit(
            function, *arguments, workers=[self._address_of[shard]], allow_other_workers=False, pure=False
        )

    def _result(self, future: Any, shard: int) -> Any:
        """Wait for a future and fetch its result, once, but not from a worker that is lost."""
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker, NoValidWorkerError

        async def fetch() -> Any:
            return await self._client.gather(future, asynchronous=True)

        fetched = asyncio.run_coroutine_threadsafe(fetch(), self._client.loop.asyncio_loop)
        try:
            while not wait([fetched], timeout=_CHECK_SECONDS).done:
                if not self._is_usable(shard, future):
                    raise _WorkerLost
            return fetched.result()
        except (CancelledError, CommClosedError, KilledWorker, NoValidWorkerError):
            raise _WorkerLost from None
        finally:
            fetched.cancel()

    # Who keeps what ------------------------------------------------------------------------

    def _is_usable(self, shard: int, future: Any) -> bool:
        """Whether the worker still has the shard, or is about to, and can do what is asked of it."""
        client, address = self._client, self._address_of[shard]
        if client.status != "running":
            return False
        if (evaluator := self._evaluators.get(shard)) is not None:
            if address not in client.who_has([evaluator])[evaluator.key]:
                return False
        return future.done() or address in running_workers(client) or self._is_computed(future)

    def _is_computed(self, future: Any) -> bool:
        """Whether a worker is at it: it then comes to the end, even when Dask pauses it meanwhile."""
        with suppress(CancelledError, KeyError, OSError):
            return bool(self._client.call_stack([future]))
        return False

    def _place(self, shards: Iterable[int]) -> None:
        """Give shards to the workers that have fewest."""
        missing = list(shards)
        for _ in range(_ATTEMPTS):
            if not missing:
                return
            load = Counter(dict.fromkeys(wait_for_workers(self._client, self._worker_timeout), 0))
            load.update(
                home for n, home in self._address_of.items() if home in load and n in self._evaluators
            )
            for n in missing:
                self._address_of[n] = min(load, key=load.__getitem__)
                load[self._address_of[n]] += 1
            self._build(missing)
            missing = [n for n in missing if n not in self._evaluators]
        if missing:
            raise RuntimeError(
                f"in {_ATTEMPTS} attempts to send patterns to Dask workers these were lost or paused every "
                "time; see their logs, first of all for lack of memory"
            )

    def _build(self, shards: list[int]) -> None:
        """Send patterns, one shard at a time to hold no second copy of all, and make evaluators of them."""
        building = {}
        for n in shards:
            for sent in self._send({n: self._patterns(n)}).values():
                building[n] = self._submit(n, build, self._specs[n], sent)
        for n, future in building.items():
            try:
                self._result(self._submit(n, _ready, future), n)
                self._evaluators[n] = future
            except _WorkerLost:
                continue

    def _forget(self, shard: int) -> None:
        if (evaluator := self._evaluators.pop(shard, None)) is not None:
            evaluator.release()

    def _rebalance(self) -> None:
        """Where a worker has taken over a lost one's shard, move it to one that has none, if any."""
        kept = Counter(self._address_of[n] for n in self._evaluators)
        if not kept or max(kept.values()) < 2:
            return
        idle = len(set(wait_for_workers(self._client, self._worker_timeout)) - set(kept))
        for n in sorted(self._evaluators, reverse=True):
            if idle and kept[self._address_of[n]] > 1:
                kept[self._address_of[n]] -= 1
                idle -= 1
                self._forget(n)
        self._place(n for n in range(len(self._specs)) if n not in self._evaluators)


def _ready(evaluator: Any) -> bool:
    """Small news that an evaluator is there: its own result would be the patterns, sent back."""
    return True
