"""Which array library an array belongs to, and planned two-dimensional Fourier transforms for it.

Physics code never asks "GPU or CPU?": it takes the array module from its arrays and the
transforms from :func:`plan_fft`.
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import scipy.fft

from caviar_kit import validation
from caviar_kit.paths import cache_directory

__all__ = ["array_module", "default_threads", "plan_fft", "resolve_device", "to_numpy", "zeros"]

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


def plan_fft(source: Array, target: Array | None = None) -> tuple[Transform, Transform]:
    """Plan unnormalised 2-D transforms over the last two axes, without allocation when called.

    Parameters
    ----------
    source, target : complex array (..., y, x)
        Fixed buffers; ``target`` defaults to ``source`` (in place).

    Returns
    -------
    forward, backward : callables
        ``forward()`` writes Σ f exp(-2πi k·r) of ``source`` to ``target``; ``backward()`` writes
        Σ f exp(+2πi k·r), not divided by the number of pixels. Both may overwrite ``source``.

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
    target = source if target is None else target
    if array_module(source) is not np:
        return _plan_cupy(source, target)
    try:
        import pyfftw
    except ImportError:
        return _plan_scipy(source, target)

    def plan(*effort: str) -> tuple[Transform, Transform]:
        flags = (*effort, "FFTW_DESTROY_INPUT")
        ways = ("FFTW_FORWARD", "FFTW_BACKWARD")
        made = [pyfftw.FFTW(source, target, axes=(-2, -1), direction=way, flags=flags) for way in ways]
        return made[0].execute, made[1].execute

    file = cache_directory() / "fftw_plans.json"
    if not _recall_plans(file):
        return plan("FFTW_ESTIMATE")
    try:
        return plan("FFTW_MEASURE", "FFTW_WISDOM_ONLY")
    except RuntimeError:  # never planned here
        with _alone(file):  # or by another process, since ours recalled the plans
            _import_plans(file)
            measured = plan("FFTW_MEASURE")
            _write_plans(file)
        return measured


@cache
def _recall_plans(file: Path) -> bool:
    """Teach FFTW the plans in ``file``, once per process; whether new ones can be kept there."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _import_plans(file)
        _write_plans(file)
    except OSError as error:
        warnings.warn(
            f"FFT plans cannot be kept in {file.parent} ({error}), so they are guessed and up to twice as "
            "slow; set CAVIAR_KIT_CACHE to a directory that can be written to",
            UserWarning,
            stacklevel=3,
        )
        return False
    return True


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Let one process of this machine at a time add plans, where the system can lock a folder."""
    try:
        import fcntl

        folder = os.open(file.parent, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _import_plans(file: Path) -> None:
    import pyfftw

    try:
        kept = json.loads(file.read_text())
        pyfftw.import_wisdom(tuple(str(precision).encode() for precision in kept))
    except (FileNotFoundError, LookupError, TypeError, ValueError):  # none yet, or damaged: measure again
        return


def _write_plans(file: Path) -> None:
    """Add what FFTW knows now to ``file``, all or nothing."""
    import pyfftw

    _import_plans(file)  # another process may have added some
    text = json.dumps([precision.decode() for precision in pyfftw.export_wisdom()])
    with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".part", delete=False) as part:
        part.write(text)
    os.replace(part.name, file)


def _plan_scipy(source: np.ndarray, target: np.ndarray) -> tuple[Transform, Transform]:
    def forward() -> None:
        target[...] = scipy.fft.fft2(source, overwrite_x=True)

    def backward() -> None:
        target[...] = scipy.fft.ifft2(source, norm="forward", overwrite_x=True)

    return forward, backward


def _plan_cupy(source: Array, target: Array) -> tuple[Transform, Transform]:
    from cupyx.scipy import fft as cufft

    plan = cufft.get_fft_plan(source, axes=(-2, -1), value_type="C2C")

    def forward() -> None:
        target[...] = cufft.fft2(source, overwrite_x=True, plan=plan)

    def backward() -> None:
        target[...] = cufft.ifft2(source, norm="forward", overwrite_x=True, plan=plan)

    return forward, backward
