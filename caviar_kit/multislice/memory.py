"""Memory that a fit needs, before it starts."""

from __future__ import annotations

import math

from caviar_kit import validation
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.settings import FitSettings
from caviar_kit.multislice.sharding import make_shards
from caviar_kit.multislice.workspace import WaveShape, positions_at_once

__all__ = ["estimate_memory"]

_SINGLE, _COMPLEX = 4, 8


def estimate_memory(
    model: MultisliceModel,
    settings: FitSettings,
    *,
    num_probes: int = 1,
    threads: int = 1,
    gpu: bool = False,
    streamed: bool = False,
    checkpoint: bool = False,
    workers: int = 0,
) -> dict[str, int]:
    """Bytes that a single-precision fit needs at its peak: of each part, on "host" and "device", "total".

    Parameters
    ----------
    model : MultisliceModel
        Geometry.
    settings : FitSettings
        States, optimiser and its history. Constraints may need more.
    num_probes : int
        Probe modes.
    threads : int
        CPU threads, each with its own waves and gradient; 1 on a GPU.
    gpu : bool
        Whether the fit runs there; the host then only holds the patterns before they are sent, the
        result, and checkpoints while they are written.
    streamed : bool
        Whether patterns stay on disk.
    checkpoint : bool
        Whether checkpoints are written: on a GPU they pass through the host, on a CPU they cost nothing.
    workers : int
        Dask workers that share the patterns, 0 for none. Waves, plans and gradients of threads are then
        theirs and not counted, even on this machine; what is sent to them and comes back is.

    Raises
    ------
    TypeError, ValueError
        If ``workers`` is not an integer from 0.
    """
    validation.integer("workers", workers, minimum=0)
    window = math.prod(model.window)
    pixels = settings.num_states * model.num_slices * math.prod(model.object_shape)
    unknowns = _unknowns(settings, pixels, num_probes * window)
    shape = WaveShape(num_probes, settings.num_states, model.num_slices, model.window)
    batch = positions_at_once(shape, len(model.positions), gpu=gpu)
    threads = 1 if gpu or workers else threads
    exchange = _exchange(model, workers, shape) if workers else 0
    parts = {
        "patterns": _patterns(model, workers, streamed),
        "object and gradients": 2 * unknowns
        + _pass(settings, pixels, unknowns, threads, 0 if gpu else exchange),
        "optimizer": _vectors(settings) * unknowns,
        "waves": threads * batch * (shape.nbytes + 2 * window * (num_probes * _COMPLEX + _SINGLE)),
    }
    if gpu:
        copies = _saved_vectors(settings) * unknowns if checkpoint else 0
        parts["transform plans"] = 2 * batch * shape.nbytes // model.num_slices  # full batches, and the last
        sums = exchange + pixels * _COMPLEX  # the gradients of all workers are added up there
        parts["on the host"] = pixels * _COMPLEX + copies + (sums if workers else parts["patterns"])
    if workers:
        parts |= dict.fromkeys({"waves", "transform plans"} & parts.keys(), 0)
    host = parts.get("on the host", 0) + (parts["patterns"] if workers else 0)
    total = sum(parts.values())
    device = total - host if gpu else 0
    return {**parts, "device": device, "host": total - device, "total": total}


def _patterns(model: MultisliceModel, workers: int, streamed: bool) -> int:
    """All are kept, also to send them again; streamed ones are sent to workers one shard at a time."""
    positions = len(model.positions)
    if streamed:
        positions = -(-positions // min(workers, positions)) if workers else 0
    return positions * math.prod(model.window) * _SINGLE


def _exchange(model: MultisliceModel, workers: int, shape: WaveShape) -> int:
    """Objects for all workers, or gradients of all: here, and in the scheduler, often in this process."""
    fields = [shard.model.object_shape for shard in make_shards(model, workers)]
    pixels = sum(math.prod(field) for field in fields) * shape.states * shape.slices
    return 2 * _COMPLEX * (pixels + len(fields) * shape.modes * math.prod(model.window))


def _unknowns(settings: FitSettings, pixels: int, probe_pixels: int) -> int:
    """Bytes of one vector of unknowns."""
    size = pixels * (_SINGLE if settings.object_type == "phase" else _COMPLEX)
    return size + (probe_pixels * _COMPLEX if "probe" in settings.refine else 0)


def _pass(settings: FitSettings, pixels: int, unknowns: int, threads: int, exchange: int) -> int:
    """The most that one evaluation of loss and gradient holds, or the update after it."""
    if settings.object_type == "phase":
        # phases, exp(iφ) and gradients of the threads; later the gradient in exp(iφ) becomes one in φ
        evaluation = pixels * (_SINGLE + _COMPLEX * (1 + threads)) + exchange
        return max(evaluation, pixels * (2 * _COMPLEX + 3 * _SINGLE))
    evaluation = max(pixels * _COMPLEX * (1 + threads) + exchange, 3 * pixels * _COMPLEX)
    return max(evaluation, 4 * unknowns) if settings.optimizer == "adam" else evaluation


def _vectors(settings: FitSettings) -> int:
    """Vectors that the optimiser keeps between and during evaluations."""
    best = 1 if settings.held_out_fraction else 0
    if settings.optimizer == "adam":
        return 4 + best  # unknowns, mean, square, and the unknowns of the snapshot that was yielded
    pairs = min(settings.history, max(stage.iterations for stage in settings.stages))
    return 4 + 2 * pairs + best  # unknowns, gradient, direction, trial


def _saved_vectors(settings: FitSettings) -> int:
    """Vectors of a checkpoint."""
    return _vectors(settings) - (1 if settings.optimizer == "adam" else 2)
