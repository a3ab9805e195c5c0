"""Patterns that stay on disk and are read when the fit needs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.multislice.uploads import uploaded

__all__ = ["StreamedPatterns"]

Array = Any


class StreamedPatterns:
    """Stands where :class:`caviar_kit.multislice.Evaluator` expects an array (positions, y, x).

    Parameters
    ----------
    read : callable
        ``read(position)`` returns a pattern (y, x) in FFT order as a fraction of the beam; called by one
        thread at a time.
    shape : (positions, y, x)
        Of all of them.
    dtype : dtype
        float32 or float64, into which patterns are cast.
    xp : module
        Where patterns are wanted: NumPy or CuPy.

    Raises
    ------
    TypeError, ValueError
        If an argument is not usable; on reading, if ``read`` returns another shape.
    """

    def __init__(
        self,
        read: Callable[[int], np.ndarray],
        shape: tuple[int, int, int],
        *,
        dtype: Any = np.float32,
        xp: Any = np,
    ) -> None:
        if not callable(read):
            raise TypeError(f"read must be a function of the position, got {type(read).__name__}")
        if np.shape(shape) != (3,):
            raise ValueError(f"shape must be (positions, y, x), got {shape!r}")
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")
        positions, height, width = (validation.integer("shape", n) for n in shape)
        self.shape, self.dtype, self.xp = (positions, height, width), np.dtype(dtype), xp
        self._read, self._lock = read, threading.Lock()

    @classmethod
    def from_array(cls, patterns: Any, scale: float = 1.0, **options: Any) -> StreamedPatterns:
        """From an ``h5py.Dataset``, memmap or array (positions, y, x), FFT order, times ``scale``."""
        if np.ndim(patterns) != 3:
            raise ValueError(f"patterns must have shape (positions, y, x), got {np.shape(patterns)}")
        factor = np.dtype(options.get("dtype", np.float32)).type(scale)
        return cls(
            lambda position: np.asarray(patterns[position], factor.dtype) * factor, patterns.shape, **options
        )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, position: int) -> Array:
        return self.xp.asarray(self.on_host(position))

    def batches(self, groups: Sequence[np.ndarray]) -> Iterator[Array]:
        """Patterns (n, y, x) of each group of positions.

        For a GPU the next group is read and sent while the present one is worked on; an array then
        holds until the one after the next is asked for.
        """
        if self.xp is not np:
            yield from uploaded(self.on_host, groups, self.shape[1:], self.dtype)
            return
        for group in groups:
            yield np.stack([self[position] for position in group])

    def on_host(self, position: int) -> np.ndarray:
        """One pattern (y, x) of ``dtype``, in NumPy wherever it is wanted otherwise.

        Raises
        ------
        IndexError
            If there is no such position.
        ValueError
            If ``read`` returns another shape.
        """
        position = int(position)
        if not 0 <= position < len(self):
            raise IndexError(f"position must be from 0 to {len(self) - 1}, got {position}")
        with self._lock:
            pattern = np.asarray(self._read(position))
        if pattern.shape != self.shape[1:]:
            raise ValueError(f"pattern {position} must have shape {self.shape[1:]}, got {pattern.shape}")
        return pattern.astype(self.dtype, copy=False)
