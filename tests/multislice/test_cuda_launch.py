"""What the CUDA functions refuse, and the source as NVIDIA's run-time compiler sees it."""

from __future__ import annotations

import ctypes
import ctypes.util
import re
from pathlib import Path

import numpy as np
import pytest

from caviar_kit.multislice import cuda
from caviar_kit.multislice.cuda_launch import compiler_options, integers, source

WAVES, OBJECT = (2, 3, 4, 5, 6), (4, 2, 7, 8)


def arguments(**changes):
    """Arguments that all kernels take, by name."""
    good = {
        "incident": np.ones(WAVES, np.complex64),
        "wave": np.ones(WAVES, np.complex64),
        "out": np.ones(WAVES, np.complex64),
        "transmission": np.ones(OBJECT, np.complex64),
        "object_gradient": np.ones(OBJECT, np.complex64),
        "corners": np.zeros((2, 2), np.int32),
        "z": 1,
        "transfer": np.ones((2, 5, 6), np.complex64),
        "residual": np.ones((2, 5, 6), np.float32),
        "model": np.ones((2, 5, 6), np.float32),
        "data": np.ones((2, 5, 6), np.float32),
        "weights": np.ones((5, 6), np.float32),
        "losses": np.ones(2),
        "epsilon": 1e-9,
    }
    return {**good, **changes}


NAMES = {
    "transmit": ("incident", "transmission", "corners", "z", "out"),
    "adjoint_transmit": ("wave", "transmission", "corners", "z", "incident", "object_gradient"),
    "propagate": ("wave", "transfer", "out"),
    "poisson_loss": ("model", "data", "weights", "epsilon", "losses", "residual"),
}


def plan(kernel, **changes):
    given = arguments(**changes)
    return getattr(cuda, kernel).plan(*(given[name] for name in NAMES[kernel]))


@pytest.mark.parametrize("kernel", NAMES)
def test_good_arguments_are_planned(kernel):
    assert plan(kernel).kernel == kernel


@pytest.mark.parametrize(
    ("kernel", "name", "bad", "error"),
    [
        ("transmit", "incident", np.ones((2, 3, 2, 5, 6), np.complex64), ValueError),
        ("transmit", "incident", np.ones(WAVES, complex), TypeError),
        ("transmit", "out", np.ones((*WAVES[:3], 6, 5), np.complex64).swapaxes(3, 4), ValueError),
        ("transmit", "out", np.ones((2, 3, 5, 6), np.complex64), ValueError),
        ("transmit", "out", np.ones(WAVES, np.float32), TypeError),
        ("transmit", "transmission", np.ones((3, 2, 7, 8), np.complex64), ValueError),
        ("transmit", "transmission", np.ones((4, 7, 8), np.complex64), ValueError),
        ("transmit", "transmission", np.ones((4, 2, 4, 8), np.complex64), ValueError),
        ("transmit", "corners", np.zeros((2, 2)), TypeError),
        ("transmit", "corners", np.zeros((3, 2), np.int32), ValueError),
        ("transmit", "z", 2, ValueError),
        ("transmit", "z", -1, ValueError),
        ("transmit", "z", 1.0, TypeError),
        ("adjoint_transmit", "object_gradient", np.ones((4, 1, 7, 8), np.complex64), ValueError),
        ("adjoint_transmit", "wave", np.ones((2, 3, 4, 5, 0), np.complex64), ValueError),
        ("propagate", "transfer", np.ones((3, 5, 6), np.complex64), ValueError),
        ("propagate", "out", np.ones((1, *WAVES[1:]), np.complex64), ValueError),
        ("poisson_loss", "model", np.ones((2, 5, 6), np.float16), TypeError),
        ("poisson_loss", "model", np.ones((5, 6), np.float32), ValueError),
        ("poisson_loss", "data", np.ones((2, 5, 6)), TypeError),
        ("poisson_loss", "weights", np.ones((2, 5, 6), np.float32), ValueError),
        ("poisson_loss", "losses", np.ones(2, np.float32), TypeError),
        ("poisson_loss", "epsilon", 0, ValueError),
    ],
)
def test_bad_argument_is_named(kernel, name, bad, error):
    with pytest.raises(error, match="windows" if np.shape(bad) == (4, 2, 4, 8) else f"{name} must"):
        plan(kernel, **{name: bad})


def test_sizes_beyond_an_int_are_refused():
    assert integers(2**31 - 1) == (2**31 - 1,)
    with pytest.raises(ValueError, match=r"2\*\*31 - 1"):
        integers(1, 2**31)


def nvrtc():
    """NVIDIA's run-time compiler, from its wheel or from a CUDA installation; it needs no GPU."""
    try:
        import nvidia.cuda_nvrtc as wheel
    except ImportError:
        path = ctypes.util.find_library("nvrtc")
    else:
        path = str(next(Path(next(iter(wheel.__path__))).glob("lib/libnvrtc.so.*")))
    if path is None:
        pytest.skip("NVRTC is not installed (pip install nvidia-cuda-nvrtc-cu12)")
    return ctypes.CDLL(path)


def compiled(compiler, options):
    """PTX of all kernels."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    code = source().encode()
    assert not compiler.nvrtcCreateProgram(ctypes.byref(program), code, b"kernels.cu", 0, None, None)
    given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    status = compiler.nvrtcCompileProgram(program, len(options), given)
    texts = {}
    for what in ("ProgramLog", "PTX"):
        if what == "PTX":
            assert status == 0, texts["ProgramLog"]
        assert not getattr(compiler, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        assert not getattr(compiler, f"nvrtcGet{what}")(program, text)
        texts[what] = text.value.decode()
    compiler.nvrtcDestroyProgram(ctypes.byref(program))
    assert "kernels.cu" not in texts["ProgramLog"], texts["ProgramLog"]  # no warning about the source
    return texts["PTX"]


@pytest.mark.parametrize("architecture", ["70", "90"])
@pytest.mark.parametrize("real", ["float32", "float64"])
def test_nvrtc_compiles_every_kernel(architecture, real):
    compiler = nvrtc()
    options = (*compiler_options(np.dtype(real)), f"--gpu-architecture=compute_{architecture}")
    ptx = compiled(compiler, options)
    assert set(re.findall(r"\.entry (\w+)", ptx)) == set(cuda.__all__)
    # one transaction for both parts of a complex64 where the GPU has it
    assert ("add.v2.f32" in ptx) == (architecture == "90" and real == "float32")
