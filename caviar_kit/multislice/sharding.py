"""Scan positions dealt out in shards: what a shard needs of the whole, and how its part is put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.backend import to_numpy
from caviar_kit.multislice.gradient import Evaluation
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.model import MultisliceModel

__all__ = ["ShardInput", "Shard", "Total", "make_shards", "shares"]

Array = Any


@dataclass(frozen=True, eq=False)
class ShardInput:
    """What a shard's patterns are computed from, on the host.

    Attributes
    ----------
    transmission : (states, slices, y, x) complex
    probe : (modes, y, x) complex
    instrument : Instrument
    """

    transmission: np.ndarray
    probe: np.ndarray
    instrument: Instrument


@dataclass(frozen=True, eq=False)
class Shard:
    """Successive scan positions, and the part of the object that their windows cover.

    Attributes
    ----------
    positions : slice
        Of the scan.
    field : pair of slices (y, x)
        Of the object.
    model : MultisliceModel
        Of these positions alone, in that field.
    """

    positions: slice
    field: tuple[slice, slice]
    model: MultisliceModel

    def inputs(self, transmission: Array, probe: Array, instrument: Instrument) -> ShardInput:
        """The shard's part of what patterns are computed from, copied to the host."""
        part = to_numpy(transmission[(..., *self.field)])
        return ShardInput(np.ascontiguousarray(part), to_numpy(probe), self._instrument(instrument))

    def _instrument(self, whole: Instrument) -> Instrument:
        corner = [axis.start for axis in self.field]
        return Instrument(
            positions=whole.positions[self.positions] - corner,
            slopes=whole.slopes if len(whole.slopes) == 1 else whole.slopes[self.positions],
            thicknesses=whole.thicknesses,
            beam=whole.beam[self.positions],
            background=None if whole.background is None else to_numpy(whole.background),
        )


class Total:
    """Loss and gradients of all shards, added up in the order in which they are taken in.

    Parameters
    ----------
    transmission, probe, instrument
        Those of the pass: the gradients have their shapes.
    """

    def __init__(self, transmission: Array, probe: Array, instrument: Instrument) -> None:
        self.loss = 0.0
        self.object = np.zeros(transmission.shape, transmission.dtype)
        self.probe = np.zeros(probe.shape, probe.dtype)
        changes: dict[str, Any] = {
            f.name: None if f.name == "background" else np.zeros_like(getattr(instrument, f.name))
            for f in fields(Instrument)
        }
        self.instrument = Instrument(**changes)

    def add(self, shard: Shard, part: Evaluation) -> None:
        """Take in what one shard contributes."""
        self.loss += part.loss
        self.object[(..., *shard.field)] += part.object
        self.probe += part.probe
        mine, others = self.instrument, part.instrument
        mine.positions[shard.positions] += others.positions
        mine.beam[shard.positions] += others.beam
        mine.thicknesses[...] += others.thicknesses
        mine.slopes[slice(None) if len(mine.slopes) == 1 else shard.positions] += others.slopes
        if others.background is not None:
            before = 0 if mine.background is None else mine.background
            self.instrument = replace(mine, background=before + others.background)

    def on(self, xp: Any) -> Evaluation:
        """All of it, with the large arrays in array module ``xp``."""
        instrument, background = self.instrument, self.instrument.background
        if background is not None:
            instrument = replace(instrument, background=xp.asarray(background))
        return Evaluation(self.loss, xp.asarray(self.object), xp.asarray(self.probe), instrument)


def make_shards(model: MultisliceModel, count: int) -> list[Shard]:
    """Deal out the scan positions, in their order, to ``count`` shards of equal size, as nearly as can be.

    Parameters
    ----------
    model : MultisliceModel
        Of all positions.
    count : int
        Shards; of positions fewer than that each becomes one.

    Raises
    ------
    TypeError, ValueError
        If ``count`` is not a positive integer.
    """
    validation.integer("count", count)
    blocks = np.array_split(np.arange(len(model.positions)), min(count, len(model.positions)))
    return [_shard(model, slice(int(block[0]), int(block[-1]) + 1)) for block in blocks]


def _shard(model: MultisliceModel, positions: slice) -> Shard:
    corners, window = model.sampler.corners[positions], np.array(model.window)
    first = corners.min(axis=0)
    first -= first % 2  # even, so that positions halfway between two pixels are rounded as before
    last = corners.max(axis=0) + window
    part = replace(model, positions=model.positions[positions] - first, object_shape=tuple(last - first))
    rows, columns = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return Shard(positions, (rows, columns), part)


def shares(shards: Sequence[Shard], indices: np.ndarray) -> dict[int, np.ndarray]:
    """Where in ``indices`` the positions of each shard stand, for the shards that have any.

    Parameters
    ----------
    shards : sequence of Shard
        All of them, in order.
    indices : (n,) int
        Scan positions, in any order, possibly repeated.
    """
    owners = np.searchsorted([shard.positions.stop for shard in shards], indices, side="right")
    return {int(owner): np.flatnonzero(owners == owner) for owner in np.unique(owners)}
