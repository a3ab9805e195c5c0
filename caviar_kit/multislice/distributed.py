"""The misfit of many patterns, evaluated by the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np

from caviar_kit import validation
from caviar_kit.backend import to_numpy
from caviar_kit.multislice.dask_client import check_client, wait_for_workers
from caviar_kit.multislice.gradient import Evaluation, Evaluator, Indices
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.loss import Loss
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.patterns import StreamedPatterns
from caviar_kit.multislice.shard_evaluator import ShardSpec, Task
from caviar_kit.multislice.sharding import Shard, Total, make_shards, shares
from caviar_kit.multislice.worker_pool import WorkerPool

__all__ = ["DistributedEvaluator"]

Array = Any


class DistributedEvaluator(Evaluator):
    """An :class:`Evaluator` whose scan positions are shared among Dask workers.

    As many shards of successive positions as there are workers are sent once. A pass sends each worker
    the part of the object that its shard covers, with probe and instrument, and adds up
    what comes back, in the order of the shards: on CPUs the same shards give the same bits, whichever
    worker is first. Shards of a worker that is lost, or that Dask pauses for lack of memory, go to another
    one, and only their part is repeated.

    Parameters
    ----------
    model, patterns, loss, weights
        As for :class:`Evaluator`. The array module of ``patterns`` is that of the results;
        :class:`StreamedPatterns` are read here and sent: the workers hold them in memory.
    client : distributed.Client
        To the cluster; synchronous.
    device : {"auto", "cpu", "gpu"}
        Where a worker computes; "auto" takes its GPU if one answers.
    threads : int or None
        CPU threads of each shard; None for those that Dask gave its worker.
    worker_timeout : float
        How long to wait for a running worker where there is none [s].

    Raises
    ------
    TypeError, ValueError
        If an argument is not usable.
    RuntimeError
        Here or later, if there is no worker, or workers are lost again and again.

    Notes
    -----
    :meth:`close`, or leaving a ``with`` block, frees the workers' memory; so does giving up the evaluator.
    ``between_batches`` is called here, before each pass.
    """

    def __init__(
        self,
        model: MultisliceModel,
        patterns: Array,
        loss: Loss,
        *,
        client: Any,
        weights: Array | None = None,
        device: str = "auto",
        threads: int | None = None,
        worker_timeout: float = 60.0,
    ) -> None:
        check_client(client)
        validation.choice("device", device, ("auto", "cpu", "gpu"))
        if threads is not None:
            validation.integer("threads", threads)
        validation.number("worker_timeout", worker_timeout, minimum=0, unit="s")
        super().__init__(model, patterns, loss, weights=weights, threads=1)
        self.shards = make_shards(model, len(wait_for_workers(client, worker_timeout)))
        weights = None if self.weights is None else to_numpy(self.weights)
        specs = [ShardSpec(shard.model, loss, weights, threads, device) for shard in self.shards]
        self._pool: WorkerPool | None = WorkerPool(
            client, specs, partial(_patterns, self.patterns, self.shards), worker_timeout
        )

    def loss(
        self,
        transmission: Array,
        probe: Array,
        positions: Indices | None = None,
        *,
        instrument: Instrument | None = None,
    ) -> float:
        """As :meth:`Evaluator.loss`."""
        parts, _ = self._perform("loss", transmission, probe, positions, instrument or self.nominal)
        return float(sum(parts[n] for n in sorted(parts)))

    def loss_and_gradient(
        self,
        transmission: Array,
        probe: Array,
        positions: Indices | None = None,
        *,
        instrument: Instrument | None = None,
        wanted: Collection[str] = (),
    ) -> Evaluation:
        """As :meth:`Evaluator.loss_and_gradient`."""
        instrument = instrument or self.nominal
        parts, _ = self._perform("loss_and_gradient", transmission, probe, positions, instrument, wanted)
        total = Total(transmission, probe, instrument)
        for n in sorted(parts):
            total.add(self.shards[n], parts[n])
        return total.on(self.xp)

    def intensities(
        self,
        transmission: Array,
        probe: Array,
        positions: Indices | None = None,
        *,
        instrument: Instrument | None = None,
    ) -> Array:
        """As :meth:`Evaluator.intensities`."""
        parts, places = self._perform(
            "intensities", transmission, probe, positions, instrument or self.nominal
        )
        patterns = np.empty((sum(map(len, places.values())), *self.model.window), self.real_dtype)
        for n, place in places.items():
            patterns[place] = parts[n]
        return self.xp.asarray(patterns)

    def close(self) -> None:
        """Free what the workers keep; no further evaluation is possible."""
        if self._pool is not None:
            self._pool.close()
        self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _perform(
        self,
        kind: str,
        transmission: Array,
        probe: Array,
        positions: Indices | None,
        instrument: Instrument,
        wanted: Collection[str] = (),
    ) -> tuple[dict[int, Any], dict[int, np.ndarray]]:
        """What each shard concerned returns, and where its positions stand among those asked for."""
        if self._pool is None:
            raise RuntimeError("this DistributedEvaluator is closed")
        if self.between_batches is not None:
            self.between_batches()
        self._check_unknowns(transmission, probe)
        indices = np.arange(len(self.patterns)) if positions is None else self._indices(positions)
        places = shares(self.shards, indices)
        tasks = {
            n: Task(
                kind,
                indices[place] - self.shards[n].positions.start,
                len(place) / len(indices),
                tuple(sorted(wanted)),
            )
            for n, place in places.items()
        }
        return self._pool.perform(
            tasks, lambda n: self.shards[n].inputs(transmission, probe, instrument)
        ), places


def _patterns(patterns: Array, shards: Sequence[Shard], shard: int) -> np.ndarray:
    """Those of one shard, in memory."""
    positions = shards[shard].positions
    if isinstance(patterns, StreamedPatterns):
        return np.stack([patterns.on_host(n) for n in range(positions.start, positions.stop)])
    return to_numpy(patterns[positions])
