"""Which array library an array belongs to, and planned two-dimensional Fourier transforms for it.

Physics code never asks "GPU or CPU?": it takes the array module from its arrays and the
transforms from :func:`plan_fft`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import scipy.fft

from caviar_kit import fftw, validation

__all__ = ["array_module", "default_threads", "plan_fft", "plan_ffts", "resolve_device", "to_numpy", "zeros"]

Array = Any  # numpy.ndarray or cupy.ndarray
Transform = Callable[[], None]


def array_module(array: Array) -> ModuleType:
    """Return ``numpy`` or ``cupy``, whichever ``array`` belongs to."""
    if type(array).__module__.partition(".")[0] == "cupy":
        import cupy

        return cupy
    return np


def to_numpy(array: Array) -> np.ndarray:
    """Copy ``array`` to the host if it is on a GPU; return NumPy arrays unchanged."""
    return array if isinstance(array, np.ndarray) else array.get()


def default_threads() -> int:
    """Threads that the engine uses on a CPU: CAVIAR_KIT_THREADS, else the cores of this process."""
    requested = os.environ.get("CAVIAR_KIT_THREADS")
    if requested is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not requested.isdecimal() or int(requested) == 0:
        raise ValueError(f"CAVIAR_KIT_THREADS must be a positive integer, got {requested!r}")
    return int(requested)


def resolve_device(device: str) -> ModuleType:
    """Return the array module for ``device``: "cpu", "gpu" or "auto" (a GPU if one answers).

    Raises
    ------
    ValueError
        If the name is unknown.
    RuntimeError
        If "gpu" is asked for and CuPy finds none.
    """
    validation.choice("device", device, ("auto", "cpu", "gpu"))
    if device == "cpu":
        return np
    try:
        import cupy

        cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # ImportError, or any CUDA start-up failure
        if device == "auto":
            return np
        raise RuntimeError(f"device='gpu' needs CuPy and a CUDA GPU ({error}); use device='cpu'") from error
    return cupy


def zeros(xp: ModuleType, shape: tuple[int, ...], dtype: Any) -> Array:
    """Zeros of array module ``xp``, on the CPU aligned as FFTW's vector code wants them."""
    if xp is np:
        try:
            import pyfftw
        except ImportError:
            return np.zeros(shape, dtype)
        return pyfftw.zeros_aligned(shape, dtype)
    return xp.zeros(shape, dtype)


def plan_fft(array: Array) -> tuple[Transform, Transform]:
    """Plan unnormalised 2-D transforms over the last two axes, in place.

    Parameters
    ----------
    array : complex array (..., y, x)
        A fixed buffer.

    Returns
    -------
    forward, backward : callables
        ``forward()`` replaces f by Σ f exp(-2πi k·r); ``backward()`` by Σ f exp(+2πi k·r), not divided
        by the number of pixels.

    Notes
    -----
    FFTW times several algorithms and takes the fastest, about twice as fast as a guess unless the
    sides are powers of two. Two processes may then choose differently, and round differently. So
    the choices are kept in ``fftw_plans.json`` in the cache directory ($CAVIAR_KIT_CACHE, else
    $XDG_CACHE_HOME/caviar_kit, else ~/.cache/caviar_kit): one machine, one plan, the same bits.

    Warns
    -----
    UserWarning
        If that directory cannot be written to; plans are then guessed, slower but reproducible.
    """
    return plan_ffts([array])[0]


def plan_ffts(arrays: Sequence[Array]) -> list[tuple[Transform, Transform]]:
    """:func:`plan_fft` for several buffers of one shape, which on a GPU share a plan and its work area."""
    if array_module(arrays[0]) is not np:
        return _plan_cupy(arrays)
    try:
        return [fftw.plan(array) for array in arrays]
    except ImportError:
        return [_plan_scipy(array) for array in arrays]


def _plan_scipy(array: np.ndarray) -> tuple[Transform, Transform]:
    def forward() -> None:
        array[...] = scipy.fft.fft2(array, overwrite_x=True)

    def backward() -> None:
        array[...] = scipy.fft.ifft2(array, norm="forward", overwrite_x=True)

    return forward, backward


def _plan_cupy(arrays: Sequence[Array]) -> list[tuple[Transform, Transform]]:
    from cupy.cuda import cufft
    from cupyx.scipy import fft

    plan = fft.get_fft_plan(arrays[0], axes=(-2, -1), value_type="C2C")

    def transform(array: Array, direction: int) -> Transform:
        return lambda: plan.fft(array, array, direction)

    return [(transform(a, cufft.CUFFT_FORWARD), transform(a, cufft.CUFFT_INVERSE)) for a in arrays]
