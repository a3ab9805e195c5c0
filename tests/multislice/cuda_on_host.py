"""Run CUDA kernels without a GPU: compiled as C++, in the grids and blocks planned for a GPU."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from caviar_kit.multislice.cuda_launch import Kernel, Launch, compiler_options, source

SHIM = Path(__file__).with_name("cuda_on_host.h")
BARRIERS = {"amplitude_loss", "poisson_loss"}  # the threads of their blocks must run at the same time


class Host:
    """Kernels of both precisions, compiled into ``folder``."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("g++") or shutil.which("c++")
        if compiler is None:
            pytest.skip("no C++ compiler (g++ or c++) to run the CUDA kernels with")
        self.libraries = {
            name: _compiled(compiler, folder, np.dtype(name)) for name in ("float32", "float64")
        }

    def __call__(self, kernel: Kernel, *args: object, **kwargs: object) -> Launch:
        """What ``kernel(*args, **kwargs)`` does on a GPU, on NumPy arrays."""
        launch = kernel.plan(*args, **kwargs)
        self.run(launch)
        return launch

    def run(self, launch: Launch) -> None:
        """Every thread of every block of ``launch``."""
        values = [_c_value(argument) for argument in launch.arguments]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        sizes = (ctypes.c_size_t * len(values))(*map(ctypes.sizeof, values))
        extents = [(ctypes.c_uint * 3)(*extent) for extent in (launch.grid, launch.block)]
        function = self.libraries[launch.real.name][f"launch_{launch.kernel}"]
        found = function(
            pointers, sizes, ctypes.c_size_t(len(values)), *extents, int(launch.kernel in BARRIERS)
        )
        assert found == 0, f"{launch.kernel} has other parameters than it is launched with"


def _compiled(compiler: str, folder: Path, real: np.dtype) -> ctypes.CDLL:
    code = source()
    launchers = [f"LAUNCHER({name})" for name in re.findall(r"__global__ void (\w+)", code)]
    (folder / "kernels.cpp").write_text("\n".join([f'#include "{SHIM}"', code, *launchers]))
    library = folder / f"kernels_{real.name}.so"
    # no contraction: NumPy rounds every product too
    flags = ["-O1", "-Wall", "-ffp-contract=off", "-pthread", "-shared", "-fPIC", "-std=c++20"]
    options = [option for option in compiler_options(real) if not option.startswith("--std")]
    done = subprocess.run(
        [compiler, *flags, *options, "-o", library, folder / "kernels.cpp"], capture_output=True, text=True
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    return ctypes.CDLL(str(library))


def _c_value(argument: object) -> ctypes._SimpleCData:
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    assert isinstance(argument, np.generic), f"{argument!r} has no certain size"
    return np.ctypeslib.as_ctypes_type(argument.dtype)(argument.item())
