"""Array modules, devices, and Fourier transforms that repeat bit for bit."""

from __future__ import annotations

import builtins
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from caviar_kit import backend

TRANSFORM = """
import numpy as np
from caviar_kit.backend import plan_fft
for side in (60, 64, 96):
    wave = np.zeros((2, side, side), np.complex64)
    forward, backward = plan_fft(wave)
    rng = np.random.default_rng(0)
    wave.real, wave.imag = rng.normal(size=(2, 2, side, side))
    forward()
    print(wave.tobytes().hex())
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache directory, and FFTW knowing no plan, before and after."""
    pyfftw = pytest.importorskip("pyfftw", reason="plans are pyFFTW's")
    known = pyfftw.export_wisdom()
    monkeypatch.setenv("CAVIAR_KIT_CACHE", str(tmp_path))
    backend._recall_plans.cache_clear()
    pyfftw.forget_wisdom()
    yield tmp_path
    backend._recall_plans.cache_clear()
    pyfftw.import_wisdom(known)


def numpy_transforms(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.fft.fft2(wave), np.fft.ifft2(wave) * wave.shape[-1] * wave.shape[-2]


@given(
    shape=some.tuples(some.integers(1, 3), some.integers(1, 12), some.integers(1, 12)),
    dtype=some.sampled_from(["complex64", "complex128"]),
    in_place=some.booleans(),
    with_fftw=some.booleans(),
)
def test_transforms_are_unnormalised_with_minus_sign_forward(shape, dtype, in_place, with_fftw):
    source = np.empty(shape, dtype)
    target = source if in_place else np.empty_like(source)
    with pytest.MonkeyPatch.context() as patch:
        if not with_fftw:
            hide_module(patch, "pyfftw")
        transforms = backend.plan_fft(source, None if in_place else target)
    rng = np.random.default_rng(0)
    wave = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    for transform, expected in zip(transforms, numpy_transforms(wave), strict=True):
        source[...] = wave
        transform()
        assert target.dtype == dtype
        tolerance = 1e-5 if dtype == "complex64" else 1e-13
        np.testing.assert_allclose(target, expected, atol=tolerance * wave[0].size)


def hide_module(patch: pytest.MonkeyPatch, name: str) -> None:
    """Let ``import name`` fail."""
    load = builtins.__import__

    def refuse(module, *args, **kwargs):
        if module.partition(".")[0] == name:
            raise ImportError(f"{name} is hidden by the test")
        return load(module, *args, **kwargs)

    patch.setattr(builtins, "__import__", refuse)


def run_transform(cache: Path) -> str:
    environment = {**os.environ, "CAVIAR_KIT_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", TRANSFORM], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return hashlib.sha256(done.stdout.encode()).hexdigest()


def test_processes_share_plans_and_bits(tmp_path):
    assert len({run_transform(tmp_path) for _ in range(4)}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["fftw_plans.json"]


def test_plans_that_another_process_found_meanwhile_are_taken(cache, monkeypatch):
    """Else two that begin together would measure, choose and round differently."""
    import pyfftw

    backend.plan_fft(np.zeros((4, 4), np.complex64))  # this process has read the file
    run_transform(cache)  # another one adds its plan
    monkeypatch.setattr(pyfftw, "FFTW", measured := Spy(pyfftw.FFTW))
    exec(TRANSFORM.replace("print", "str"), {})
    assert len(measured.calls) > 6
    assert [flags for flags, known in measured.calls if not known] == []


class Spy:
    """pyfftw.FFTW that notes whether FFTW could answer from plans it knew."""

    def __init__(self, plan):
        self.plan, self.calls = plan, []

    def __call__(self, *arrays, flags, **options):
        try:
            self.plan(*arrays, flags=(*flags, "FFTW_WISDOM_ONLY"), **options)
            known = True
        except RuntimeError:
            known = "FFTW_WISDOM_ONLY" in flags  # asked for known ones only
        self.calls.append((flags, known))
        return self.plan(*arrays, flags=flags, **options)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"null", b'["a", "(fftw", ""]', b'["a"]', b"\xff\x00"]
)
def test_damaged_plan_file_is_replaced(cache, content):
    file = cache / "fftw_plans.json"
    file.write_bytes(content)
    backend.plan_fft(np.zeros((48, 48), np.complex64))
    assert "fftw" in json.loads(file.read_text())[1]


def test_without_a_cache_plans_are_guessed_with_a_warning(cache, monkeypatch):
    (cache / "file").touch()
    monkeypatch.setenv("CAVIAR_KIT_CACHE", str(cache / "file"))
    with pytest.warns(UserWarning, match="CAVIAR_KIT_CACHE"):
        forward, _ = backend.plan_fft(wave := np.zeros((4, 6), complex))
    wave[0, 0] = 1
    forward()
    np.testing.assert_allclose(wave, 1)


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
