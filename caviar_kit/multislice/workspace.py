"""Buffers for the waves of a batch of scan positions, allocated and planned once."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from caviar_kit.backend import plan_ffts, zeros

__all__ = ["BatchView", "BatchedWorkspace", "CompiledWorkspace", "WaveShape", "positions_at_once"]

Array = Any
_BUDGET = {"cpu": 2**20, "gpu": 2**29}  # bytes of waves: half a core's L2 cache, or much work for a GPU
_VIEWS = 2  # batches of different length that are kept planned: full ones, and the last


class WaveShape(NamedTuple):
    """The waves of one position: one of ``window`` pixels per probe mode, object state and slice."""

    modes: int
    states: int
    slices: int
    window: tuple[int, int]
    dtype: np.dtype[Any] = np.dtype(np.complex64)

    @property
    def nbytes(self) -> int:
        """Bytes of these waves."""
        return self.modes * self.states * self.slices * math.prod(self.window) * self.dtype.itemsize


def positions_at_once(shape: WaveShape, positions: int, *, gpu: bool) -> int:
    """Largest batch: what the budget of memory allows, of ``positions`` in all."""
    return min(positions, max(1, _BUDGET["gpu" if gpu else "cpu"] // shape.nbytes))


class CompiledWorkspace:
    """Buffers of one thread for :mod:`caviar_kit.multislice.compiled`.

    States come before modes here: a state's patch of the object serves all modes while it is in cache.

    Attributes
    ----------
    batch : int
        Positions at most.
    probe, shifted : (batch, modes, y, x) complex
        Shifted probe; gradient in its spectrum.
    ramp_y, ramp_x : (batch, y), (batch, x) complex
        Phase ramps that shift it.
    inner : (batch, states, modes, slices - 1, y, x) complex
        Waves that enter slices 1, 2, ...
    far : (batch, states, modes, y, x) complex
        Waves at the detector.
    intensity, residual : (batch, y, x) real
        Modelled patterns, and ∂L/∂pattern.
    """

    def __init__(self, batch: int, shape: WaveShape) -> None:
        modes, states, slices, window, dtype = shape
        self.batch = batch
        self.probe = zeros(np, (batch, modes, *window), dtype)
        self.shifted = zeros(np, self.probe.shape, dtype)
        self.ramp_y, self.ramp_x = (zeros(np, (batch, n), dtype) for n in window)
        self.inner = zeros(np, (batch, states, modes, slices - 1, *window), dtype)
        self.far = zeros(np, (batch, states, modes, *window), dtype)
        self.intensity = zeros(np, (batch, *window), self.probe.real.dtype)
        self.residual = zeros(np, self.intensity.shape, self.intensity.dtype)


class BatchedWorkspace:
    """Buffers for whole arrays of waves.

    Attributes
    ----------
    batch : int
        Positions at most.
    probe : (batch, modes, 1, y, x) complex
        Shifted probe.
    waves : list of (batch, modes, states, y, x) complex
        ``waves[z]`` leaves slice z and enters slice z + 1 or, the last, reaches the detector.
    intensity, residual : (batch, y, x) real
        Modelled patterns, and ∂L/∂pattern.
    """

    def __init__(self, xp: ModuleType, batch: int, shape: WaveShape) -> None:
        modes, states, slices, window, dtype = shape
        self.batch = batch
        self.probe = zeros(xp, (batch, modes, 1, *window), dtype)
        self.waves = [zeros(xp, (batch, modes, states, *window), dtype) for _ in range(slices)]
        self.intensity = zeros(xp, (batch, *window), self.probe.real.dtype)
        self.residual = zeros(xp, self.intensity.shape, self.intensity.dtype)
        self._views: dict[int, BatchView] = {}

    def first(self, count: int) -> BatchView:
        """The first ``count`` positions of all buffers, planned."""
        if count not in self._views:
            if len(self._views) == _VIEWS:  # a plan on a GPU has a work area as large as a wave array
                del self._views[next(iter(self._views))]
            self._views[count] = BatchView(self, count)
        return self._views[count]


class BatchView:
    """The first positions of a workspace, with in-place transforms of each of their waves."""

    def __init__(self, workspace: BatchedWorkspace, count: int) -> None:
        self.probe, self.intensity = workspace.probe[:count], workspace.intensity[:count]
        self.waves = [wave[:count] for wave in workspace.waves]
        plans = plan_ffts(self.waves)
        self.to_reciprocal = [forward for forward, _ in plans]
        self.to_real = [backward for _, backward in plans]
