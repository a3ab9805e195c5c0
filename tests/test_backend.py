"""Array modules, devices, and Fourier transforms that repeat bit for bit."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from caviar_kit import backend
from caviar_kit.backend import zeros
from tests.missing import hide_module


@given(
    shape=some.tuples(some.integers(1, 3), some.integers(1, 12), some.integers(1, 12)),
    dtype=some.sampled_from(["complex64", "complex128"]),
    with_fftw=some.booleans(),
)
def test_transforms_are_unnormalised_with_minus_sign_forward(shape, dtype, with_fftw):
    wave = zeros(np, shape, dtype)
    with pytest.MonkeyPatch.context() as patch:
        if not with_fftw:
            hide_module(patch, "pyfftw")
        forward, backward = backend.plan_fft(wave)
    rng = np.random.default_rng(0)
    values = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    tolerance = (1e-5 if dtype == "complex64" else 1e-13) * values[0].size
    wave[...] = values
    forward()
    assert wave.dtype == dtype
    np.testing.assert_allclose(wave, np.fft.fft2(values), atol=tolerance)
    wave[...] = values
    backward()
    np.testing.assert_allclose(wave, np.fft.ifft2(values) * values[0].size, atol=tolerance)


def test_array_module_and_host_copy():
    array = np.arange(3)
    assert backend.array_module(array) is np
    assert backend.to_numpy(array) is array


def test_array_module_on_a_gpu():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    if backend.resolve_device("auto") is np:
        pytest.skip("CuPy finds no GPU")
    array = cupy.arange(3)
    assert backend.array_module(array) is cupy
    np.testing.assert_array_equal(backend.to_numpy(array), [0, 1, 2])


def test_device_names(monkeypatch):
    assert backend.resolve_device("cpu") is np
    hide_module(monkeypatch, "cupy")
    assert backend.resolve_device("auto") is np
    with pytest.raises(RuntimeError, match="device='gpu' needs CuPy.*device='cpu'"):
        backend.resolve_device("gpu")


@pytest.mark.parametrize("device", ["cuda", "", None, 0])
def test_unknown_device_is_refused(device):
    with pytest.raises(ValueError, match="device must be one of 'auto', 'cpu', 'gpu'"):
        backend.resolve_device(device)


def test_threads_follow_the_environment(monkeypatch):
    monkeypatch.delenv("CAVIAR_KIT_THREADS", raising=False)
    assert 1 <= backend.default_threads() <= (os.cpu_count() or 1)
    monkeypatch.setenv("CAVIAR_KIT_THREADS", "3")
    assert backend.default_threads() == 3


@pytest.mark.parametrize("value", ["0", "00", "-1", "two", "", "1.5", "²"])
def test_bad_thread_count_is_refused(monkeypatch, value):
    monkeypatch.setenv("CAVIAR_KIT_THREADS", value)
    with pytest.raises(ValueError, match="CAVIAR_KIT_THREADS must be a positive integer"):
        backend.default_threads()
