"""FFTW: plans that are kept between processes, for Python and for compiled code.

pyFFTW's plans are called from Python. Compiled code calls the same library directly, so that
a whole scan position is one call and threads do not wait for each other's Python.
"""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
import threading
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from caviar_kit.paths import cache_directory

__all__ = ["Address", "addresses", "plan"]

_FORWARD, _BACKWARD = -1, 1
_FLAGS = {"FFTW_MEASURE": 0, "FFTW_ESTIMATE": 1 << 6}
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

    def made(effort: str) -> list[Any]:
        return [
            pyfftw.FFTW(array, array, axes=(-2, -1), direction=way, flags=(effort, "FFTW_DESTROY_INPUT"))
            for way in ("FFTW_FORWARD", "FFTW_BACKWARD")
        ]

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
    except (ImportError, OSError, AttributeError):
        return None
    make.restype = ctypes.c_void_p
    make.argtypes = [ctypes.c_int] * 2 + [ctypes.c_void_p] * 2 + [ctypes.c_int, ctypes.c_uint]
    wave = pyfftw.zeros_aligned(shape, dtype, n=_ALIGNMENT)
    unaligned = _UNALIGNED if wave.nbytes % _ALIGNMENT else 0
    place = wave.ctypes.data

    def made(effort: str) -> list[int | None]:
        return [make(*shape, place, place, way, _FLAGS[effort] | unaligned) for way in (_FORWARD, _BACKWARD)]

    forward, backward = _with_kept_plans(made)
    if not (forward and backward):
        return None
    return Address(ctypes.cast(execute, ctypes.c_void_p).value or 0, forward, backward)


def _with_kept_plans(make: Callable[[str], Any]) -> Any:
    """``make`` plans, by measuring if what was found can be kept for the next process."""
    import pyfftw

    file = cache_directory() / "fftw_plans.json"
    with _lock:
        effort = "FFTW_MEASURE" if _recall(file) else "FFTW_ESTIMATE"
        known = pyfftw.export_wisdom()
        made = make(effort)
        if effort == "FFTW_MEASURE" and pyfftw.export_wisdom() != known:
            _write(file)
    return made


@cache
def _recall(file: Path) -> bool:
    """Teach FFTW the plans in ``file``, once per process; whether new ones can be kept there."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _learn(file)
        _write(file)
    except OSError as error:
        warnings.warn(
            f"FFT plans cannot be kept in {file.parent} ({error}), so they are guessed and up to twice as "
            "slow; set CAVIAR_KIT_CACHE to a directory that can be written to",
            UserWarning,
            stacklevel=5,
        )
        return False
    return True


def _learn(file: Path) -> None:
    import pyfftw

    try:
        kept = json.loads(file.read_text())
        pyfftw.import_wisdom(tuple(str(precision).encode() for precision in kept))
    except (FileNotFoundError, LookupError, TypeError, ValueError):  # none yet, or damaged: measure again
        return


def _write(file: Path) -> None:
    """Add what FFTW knows now to ``file``, all or nothing."""
    import pyfftw

    _learn(file)  # another process may have added some
    text = json.dumps([precision.decode() for precision in pyfftw.export_wisdom()])
    with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".part", delete=False) as part:
        part.write(text)
    os.replace(part.name, file)
