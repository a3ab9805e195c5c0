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
from caviar_kit.multislice.sharding import Parcel

__all__ = ["Recipe", "Station", "Task", "build", "perform"]


@dataclass(frozen=True, eq=False)
class Recipe:
    """What a station is made of besides its patterns."""

    model: MultisliceModel
    loss: Loss
    weights: np.ndarray | None
    threads: int | None  # None: those that Dask gave the worker
    device: str


@dataclass(frozen=True, eq=False)
class Task:
    """What is asked of a station.

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


class Station:
    """Patterns of a shard and their evaluator, for one task at a time."""

    def __init__(self, recipe: Recipe, patterns: np.ndarray) -> None:
        self._recipe, self._patterns = recipe, patterns
        self._lock = threading.Lock()  # a task that was given up may still be running
        xp = resolve_device(recipe.device)
        self._evaluator = Evaluator(
            recipe.model,
            xp.asarray(patterns),
            recipe.loss,
            weights=None if recipe.weights is None else xp.asarray(recipe.weights),
            threads=recipe.threads,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Station, (self._recipe, self._patterns)  # plans and buffers are made anew

    def __sizeof__(self) -> int:
        return int(self._patterns.nbytes)  # Dask minds its workers' memory

    def perform(self, task: Task, parcel: Parcel) -> Any:
        """The station's summand of a mean loss, or of it and its gradients; or patterns (n, y, x)."""
        evaluator = self._evaluator
        with self._lock:
            arrays = [evaluator.xp.asarray(_writable(a)) for a in (parcel.transmission, parcel.probe)]
            instrument = parcel.instrument.on(evaluator.xp, evaluator.real_dtype)
            options = {"wanted": task.wanted} if task.kind == "loss_and_gradient" else {}
            method = getattr(evaluator, task.kind)
            found = method(*arrays, task.positions, instrument=instrument, **options)
        if task.kind == "loss":
            return found * task.fraction
        if task.kind == "intensities":
            return to_numpy(found)
        return _scaled(found, task.fraction)


def build(recipe: Recipe, patterns: np.ndarray) -> Station:
    """Make a station with as many threads as Dask gave this worker, unless the recipe says."""
    if recipe.threads is None:
        from distributed import get_worker

        recipe = replace(recipe, threads=get_worker().state.nthreads)
    return Station(recipe, _writable(patterns))


def perform(station: Station, task: Task, parcel: Parcel) -> Any:
    """:meth:`Station.perform` as a function, which is what Dask runs."""
    return station.perform(task, parcel)


def _writable(array: np.ndarray) -> np.ndarray:
    """Arrays may arrive as views of a message that must not be written to: compiled code minds."""
    return np.require(array, requirements=("C", "W"))


def _scaled(found: Evaluation, fraction: float) -> Evaluation:
    def times(array: Any) -> Any:
        return None if array is None else to_numpy(array) * array.real.dtype.type(fraction)

    instrument = Instrument(*(times(getattr(found.instrument, f.name)) for f in fields(Instrument)))
    return Evaluation(found.loss * fraction, times(found.object), times(found.probe), instrument)
