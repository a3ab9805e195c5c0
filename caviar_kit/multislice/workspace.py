"""Buffers and planned transforms for the waves of one scan position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from caviar_kit.backend import plan_fft, zeros

__all__ = ["Chunk", "Workspace"]

Array = Any
CHUNK_BYTES = 256 * 1024  # waves of one chunk: a fraction of a core's L2 cache


@dataclass
class Chunk:
    """Waves of a few states, small enough to stay in cache while they cross the specimen.

    ``exit`` is scratch, shared by all chunks of a workspace; ``incident[z]`` (modes, states,
    y, x) enters slice z and ``far`` reaches the detector: both are kept for the way back.
    """

    states: slice
    exit: Array
    incident: list[Array]
    far: Array
    to_reciprocal: Callable[[], None]  # exit, in place
    to_real: Callable[[], None]  # exit, in place
    to_detector: Callable[[], None]  # exit → far
    incident_to_real: list[Callable[[], None]]  # incident[z], in place


class Workspace:
    """All chunks of one worker, allocated and planned once."""

    def __init__(
        self, xp: ModuleType, modes: int, states: int, slices: int, window: tuple[int, int], dtype: Any
    ) -> None:
        wave_bytes = modes * window[0] * window[1] * dtype.itemsize
        per_chunk = states if xp.__name__ == "cupy" else max(1, min(states, CHUNK_BYTES // wave_bytes))
        self.probe = zeros(xp, (modes, 1, *window), dtype)
        self.intensity = xp.zeros(window, self.probe.real.dtype)
        scratch = zeros(xp, (modes, per_chunk, *window), dtype)
        self.chunks = []
        for start in range(0, states, per_chunk):
            size = min(per_chunk, states - start)
            exit_wave = scratch if size == per_chunk else zeros(xp, (modes, size, *window), dtype)
            inner = [zeros(xp, exit_wave.shape, dtype) for _ in range(slices - 1)]
            far = zeros(xp, exit_wave.shape, dtype)
            to_reciprocal, to_real = plan_fft(exit_wave)
            chunk = Chunk(
                states=slice(start, start + size),
                exit=exit_wave,
                incident=[self.probe, *inner],
                far=far,
                to_reciprocal=to_reciprocal,
                to_real=to_real,
                to_detector=plan_fft(exit_wave, far)[0],
                incident_to_real=[_nothing, *(plan_fft(wave)[1] for wave in inner)],
            )
            self.chunks.append(chunk)


def _nothing() -> None:
    """Slice 0 receives the probe itself."""
