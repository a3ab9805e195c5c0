"""FFTW: plans that are kept between processes, for Python and for compiled code.

pyFFTW's plans are called from Python. Compiled code calls the same library directly, so that
a whole scan position is one call and threads do not wait for each other's Python.
"""

from __future__ import annotations

import ctypes
import json
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from caviar_kit.paths import cache_directory

__all__ = ["Address", "addresses", "plan"]

_FORWARD, _BACKWARD = -1, 1
_FLAGS = {"FFTW_MEASURE": 0, "FFTW_ESTIMATE": 1 << 6, "FFTW_WISDOM_ONLY": 1 << 21}
_UNALIGNED = 1 << 1
_ALIGNMENT = 64  # bytes: no processor has longer vectors
_PREFIX = {"complex64": "fftwf", "complex128": "fftw"}
_lock = threading.Lock()  # FFTW's planner serves one thread at a time


class Address(NamedTuple):
    """Where compiled code finds FFTW's ``execute_dft`` and the plans to call it with, in place."""

    execute: int
    forward: int
    backward: int


def plan(array: np.ndarray) -> tuple[Callable[[], None], Callable[[], None]]:
    """Unnormalised forward and backward transforms over the last two axes, in place, from Python.

    Raises
    ------
    ImportError
        If pyFFTW is not installed.
    """
    import pyfftw

    def made(*flags: str) -> list[Any] | None:
        try:
            return [
                pyfftw.FFTW(array, array, axes=(-2, -1), direction=way, flags=(*flags, "FFTW_DESTROY_INPUT"))
                for way in ("FFTW_FORWARD", "FFTW_BACKWARD")
            ]
        except RuntimeError:  # asked for a known plan only, and there is none
            return None

    forward, backward = _with_kept_plans(made)
    return forward.execute, backward.execute


@cache
def addresses(shape: tuple[int, int], dtype: str) -> Address | None:
    """In-place transforms of one (y, x) array of ``dtype`` "complex64" or "complex128", for compiled code.

    They hold for every such array whose first pixel lies on a multiple of 64 bytes, if the array
    fills a multiple of 64 bytes itself, and for any other array otherwise. The plans are kept until
    the process ends.

    Returns
    -------
    Address or None
        None without pyFFTW, or where the loader does not show the library behind it.
    """
    try:
        import pyfftw
        import pyfftw.pyfftw

        library = ctypes.CDLL(pyfftw.pyfftw.__file__)  # finds the symbols of what that is linked with
        make = getattr(library, f"{_PREFIX[dtype]}_plan_dft_2d")
        execute = getattr(library, f"{_PREFIX[dtype]}_execute_dft")
        getattr(library, f"{_PREFIX[dtype]}_make_planner_thread_safe")()  # pyFFTW has a lock of its own
    except (ImportError, OSError, AttributeError):
        return None
    make.restype = ctypes.c_void_p
    make.argtypes = [ctypes.c_int] * 2 + [ctypes.c_void_p] * 2 + [ctypes.c_int, ctypes.c_uint]
    wave = pyfftw.zeros_aligned(shape, dtype, n=_ALIGNMENT)
    unaligned = _UNALIGNED if wave.nbytes % _ALIGNMENT else 0
    place = wave.ctypes.data

    def made(*flags: str) -> list[int] | None:
        bits = unaligned | sum(_FLAGS[flag] for flag in flags)
        plans = [make(*shape, place, place, way, bits) for way in (_FORWARD, _BACKWARD)]
        return plans if all(plans) else None

    forward, backward = _with_kept_plans(made)
    return Address(ctypes.cast(execute, ctypes.c_void_p).value or 0, forward, backward)


def _with_kept_plans(make: Callable[..., list[Any] | None]) -> list[Any]:
    """``make(*flags)`` of known plans, or new ones by measuring if they can be kept for other processes."""
    with _lock:
        store = _store(cache_directory() / "fftw_plans.json")
        if store is None:
            plans = make("FFTW_ESTIMATE")
        elif plans := make("FFTW_MEASURE", "FFTW_WISDOM_ONLY"):
            store.keep()  # they may have been learnt elsewhere
        else:
            with store.alone():
                store.learn()  # what another process found meanwhile
                plans = make("FFTW_MEASURE")
                store.write_if_possible()
    if not plans:
        raise RuntimeError("FFTW cannot plan this transform")
    return plans


@cache
def _store(file: Path) -> _Store | None:
    """Plans kept in ``file``, which FFTW now knows; None if it cannot be written to."""
    store = _Store(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with store.alone():
            store.learn()
            store.write()
    except OSError as error:
        warnings.warn(
            f"FFT plans cannot be kept in {file.parent} ({error}), so they are guessed and up to twice as "
            "slow; set CAVIAR_KIT_CACHE to a directory that can be written to",
            UserWarning,
            stacklevel=5,
        )
        return None
    return store


class _Store:
    """A file with everything that FFTW has learnt ("wisdom")."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._kept: tuple[bytes, ...] = ()

    def learn(self) -> None:
        """Teach FFTW what the file holds."""
        import pyfftw

        try:
            kept = json.loads(self.file.read_text())
            pyfftw.import_wisdom(tuple(str(precision).encode() for precision in kept))
        except (FileNotFoundError, LookupError, TypeError, ValueError):  # none yet, or damaged
            return

    def keep(self) -> None:
        """Add what FFTW knows to the file, unless that has it, or can no longer be written."""
        import pyfftw

        if pyfftw.export_wisdom() != self._kept:
            with self.alone():
                self.learn()  # another process may have added some
                self.write_if_possible()

    def write_if_possible(self) -> None:
        """:meth:`write`, or keep the plans for this process alone."""
        with suppress(OSError):
            self.write()

    def write(self) -> None:
        """Write what FFTW knows, all or nothing."""
        import pyfftw

        self._kept = pyfftw.export_wisdom()
        text = json.dumps([precision.decode() for precision in self._kept])
        part = self.file.with_suffix(f".{os.getpid()}.part")
        try:
            part.write_text(text)
            os.replace(part, self.file)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one process of this machine at a time add plans, where the system can lock a folder."""
        try:
            import fcntl

            folder = os.open(self.file.parent, os.O_RDONLY)
        except (ImportError, OSError):
            yield
            return
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)
