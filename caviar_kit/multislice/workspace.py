"""Buffers for the waves of a batch of scan positions, allocated and planned once."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from caviar_kit.backend import plan_fft, zeros

__all__ = ["BatchedWorkspace", "CompiledWorkspace", "Counts", "positions_at_once"]

Array = Any
_BUDGET = {"cpu": 2**20, "gpu": 2**29}  # bytes of waves: half a core's L2 cache, or much work for a GPU


class Counts(NamedTuple):
    """What decides the size of the waves of one position: there is one per mode, state and slice."""

    modes: int
    states: int
    slices: int
    window: tuple[int, int]
    dtype: np.dtype[Any] = np.dtype(np.complex64)

    @property
    def nbytes(self) -> int:
        """Bytes of these waves."""
        return self.modes * self.states * self.slices * math.prod(self.window) * self.dtype.itemsize


def positions_at_once(counts: Counts, *, gpu: bool) -> int:
    """How many positions make a batch."""
    return max(1, _BUDGET["gpu" if gpu else "cpu"] // counts.nbytes)


class CompiledWorkspace:
    """Buffers of one thread for :mod:`caviar_kit.multislice.compiled`."""

    def __init__(self, batch: int, counts: Counts) -> None:
        modes, states, slices, window, dtype = counts
        self.batch = batch
        self.probe = zeros(np, (batch, modes, *window), dtype)
        self.shifted = zeros(np, self.probe.shape, dtype)
        self.ramp_y, self.ramp_x = (zeros(np, (batch, n), dtype) for n in window)
        self.inner = zeros(np, (batch, states, modes, slices - 1, *window), dtype)
        self.far = zeros(np, (batch, states, modes, *window), dtype)
        self.intensity = zeros(np, (batch, *window), self.probe.real.dtype)
        self.residual = zeros(np, self.intensity.shape, self.intensity.dtype)


class BatchedWorkspace:
    """Buffers and planned transforms for whole arrays of waves (positions, modes, states, y, x).

    ``waves[z]`` leaves slice z and enters slice z + 1 or, the last, reaches the detector.
    """

    def __init__(self, xp: ModuleType, batch: int, counts: Counts) -> None:
        modes, states, slices, window, dtype = counts
        self.batch = batch
        self.probe = zeros(xp, (batch, modes, 1, *window), dtype)
        self.waves = [zeros(xp, (batch, modes, states, *window), dtype) for _ in range(slices)]
        self.intensity = zeros(xp, (batch, *window), self.probe.real.dtype)
        self.residual = zeros(xp, self.intensity.shape, self.intensity.dtype)
        self._parts: dict[int, Part] = {}

    def first(self, count: int) -> Part:
        """Buffers for ``count`` positions, the first of these."""
        if count not in self._parts:
            self._parts[count] = Part(self, count)
        return self._parts[count]


class Part:
    """The first positions of a workspace, with in-place transforms of each of their waves."""

    def __init__(self, workspace: BatchedWorkspace, count: int) -> None:
        self.probe, self.intensity = workspace.probe[:count], workspace.intensity[:count]
        self.waves = [wave[:count] for wave in workspace.waves]
        plans = [plan_fft(wave) for wave in self.waves]
        self.to_reciprocal = [forward for forward, _ in plans]
        self.to_real = [backward for _, backward in plans]
