"""The evaluator of one shard of the scan on the Dask worker that keeps it. Runs there, without Dask."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from caviar_kit.backend import resolve_device, to_numpy
from caviar_kit.multislice.gradient import Evaluation, Evaluator
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.loss import Loss
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.sharding import ShardInput

__all__ = ["ShardSpec", "ShardEvaluator", "Task", "build", "perform"]


@dataclass(frozen=True, eq=False)
class ShardSpec:
    """What a shard's evaluator is made of besides its patterns."""

    model: MultisliceModel
    loss: Loss
    weights: np.ndarray | None
    threads: int | None  # None: those that Dask gave the worker
    device: str


@dataclass(frozen=True, eq=False)
class Task:
    """What is asked of a shard's evaluator.

    Attributes
    ----------
    kind : {"loss", "loss_and_gradient", "intensities"}
        Method of :class:`caviar_kit.multislice.Evaluator`.
    positions : (n,) int
        Counted from the first one of the shard.
    fraction : float
        Share of these in all positions of the pass: a mean over them times this is a summand of the
        mean over all.
    wanted : tuple of str
        Attributes of Instrument to differentiate in.
    """

    kind: str
    positions: np.ndarray
    fraction: float
    wanted: tuple[str, ...] = ()


class ShardEvaluator:
    """Patterns of a shard and what evaluates them, one task at a time."""

    def __init__(self, spec: ShardSpec, patterns: np.ndarray) -> None:
        self._spec, self._patterns = spec, patterns
        self._lock = threading.Lock()  # a task that was given up may still be running
        xp = resolve_device(spec.device)
        self._evaluator = Evaluator(
            spec.model,
            xp.asarray(patterns),
            spec.loss,
            weights=None if spec.weights is None else xp.asarray(spec.weights),
            threads=spec.threads,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return ShardEvaluator, (self._spec, self._patterns)  # plans and buffers are made anew

    def __sizeof__(self) -> int:
        return int(self._patterns.nbytes)  # Dask minds its workers' memory

    def perform(self, task: Task, inputs: ShardInput) -> Any:
        """What the shard adds to a mean loss, or to it and its gradients; or patterns (n, y, x)."""
        evaluator = self._evaluator
        with self._lock:
            arrays = [evaluator.xp.asarray(_writable(a)) for a in (inputs.transmission, inputs.probe)]
            instrument = inputs.instrument.on(evaluator.xp, evaluator.real_dtype)
            options = {"wanted": task.wanted} if task.kind == "loss_and_gradient" else {}
            method = getattr(evaluator, task.kind)
            found = method(*arrays, task.positions, instrument=instrument, **options)
        if task.kind == "loss":
            return found * task.fraction
        if task.kind == "intensities":
            return to_numpy(found)
        return _scaled(found, task.fraction)


def build(spec: ShardSpec, patterns: np.ndarray) -> ShardEvaluator:
    """Make an evaluator with as many threads as Dask gave this worker, unless ``spec`` says."""
    if spec.threads is None:
        from distributed import get_worker

        spec = replace(spec, threads=get_worker().state.nthreads)
    return ShardEvaluator(spec, _writable(patterns))


def perform(evaluator: ShardEvaluator, task: Task, inputs: ShardInput) -> Any:
    """:meth:`ShardEvaluator.perform` as a function, which is what Dask runs."""
    return evaluator.perform(task, inputs)


def _writable(array: np.ndarray) -> np.ndarray:
    """Arrays may arrive as views of a message that must not be written to: compiled code minds."""
    return np.require(array, requirements=("C", "W"))


def _scaled(found: Evaluation, fraction: float) -> Evaluation:
    def times(array: Any) -> Any:
        return None if array is None else to_numpy(array) * array.real.dtype.type(fraction)

    instrument = Instrument(*(times(getattr(found.instrument, f.name)) for f in fields(Instrument)))
    return Evaluation(found.loss * fraction, times(found.object), times(found.probe), instrument)
