"""How a CUDA kernel of this package is compiled and launched, and on what: geometry and checks.

Nothing here needs a GPU until a :class:`Kernel` is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, update_wrapper
from importlib import resources
from typing import Any, Generic, NamedTuple, ParamSpec

import numpy as np

__all__ = [
    "Kernel",
    "Launch",
    "compiler_options",
    "expect",
    "expect_waves",
    "integers",
    "over_waves",
    "real_dtype",
    "source",
]

Array = Any  # cupy.ndarray
Parameters = ParamSpec("Parameters")
THREADS = 256  # per block; a power of two, for the sums of the losses
LARGEST_GRID = 65535  # blocks along y or z; kernels stride over what is left


class Launch(NamedTuple):
    """One launch of a kernel."""

    kernel: str  # its name in cuda_kernels.cu
    real: np.dtype  # float32 or float64
    grid: tuple[int, int, int]  # blocks along x, y, z
    arguments: tuple[Any, ...]  # arrays and NumPy scalars of the C types

    @property
    def block(self) -> tuple[int, int, int]:
        """Threads of a block along x, y, z."""
        return THREADS, 1, 1


class Kernel(Generic[Parameters]):
    """A function on the GPU; ``plan`` takes the same arguments and says what would be launched."""

    def __init__(self, plan: Callable[Parameters, Launch]) -> None:
        self.plan = plan
        update_wrapper(self, plan)

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        """Launch the kernel on the current stream."""
        launch = self.plan(*args, **kwargs)
        _function(launch.kernel, launch.real)(launch.grid, launch.block, launch.arguments)


def source() -> str:
    """CUDA C++ source of all kernels."""
    return resources.files(__package__).joinpath("cuda_kernels.cu").read_text(encoding="utf-8")


def compiler_options(real: np.dtype) -> tuple[str, ...]:
    """What the source must be compiled with for float32 or float64 numbers."""
    return (f"-DREAL={'float' if real == np.float32 else 'double'}", f"-DTHREADS={THREADS}", "--std=c++17")


@cache
def _module(real: np.dtype) -> Any:
    import cupy

    return cupy.RawModule(code=source(), options=compiler_options(real))


@cache
def _function(name: str, real: np.dtype) -> Any:
    return _module(real).get_function(name)


def over_waves(kernel: str, shape: tuple[int, ...], rows: int, arguments: tuple[Any, ...]) -> Launch:
    """A thread per pixel, row and position; ``shape`` is (P, M, S, y, x), rows are e.g. its states."""
    blocks = -(-math.prod(shape[3:]) // THREADS)
    grid = (blocks, min(rows, LARGEST_GRID), min(shape[0], LARGEST_GRID))
    return Launch(kernel, real_dtype(arguments[0]), grid, arguments)


def integers(*values: int) -> tuple[np.int32, ...]:
    """Arguments of C type int.

    Raises
    ------
    ValueError
        If one is too large: such a batch must be cut into several.
    """
    if max(values) > np.iinfo(np.int32).max:
        raise ValueError(f"no axis, window or stack of waves may have over 2**31 - 1 parts, got {values}")
    return tuple(np.int32(value) for value in values)


def real_dtype(array: Array) -> np.dtype:
    """Precision of a real or complex array, as that of real numbers."""
    return np.dtype(array.dtype.char.lower())


def expect_waves(name: str, array: Array) -> tuple[int, ...]:
    """Refuse what are not waves (P, M, S, y, x); return their shape.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.
    """
    if array.ndim != 5 or not array.size:
        raise ValueError(f"{name} must be (P, M, S, y, x) and not empty, got shape {array.shape}")
    if array.dtype not in (np.complex64, np.complex128):
        raise TypeError(f"{name} must be complex64 or complex128, got {array.dtype}")
    expect(name, array, array.shape, array.dtype)
    return array.shape


def expect(name: str, array: Array, shape: tuple[int, ...], dtype: Any) -> None:
    """Refuse an array of another shape, precision or memory layout.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.
    """
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    if array.dtype != dtype:
        raise TypeError(f"{name} must be {np.dtype(dtype)}, got {array.dtype}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous")
