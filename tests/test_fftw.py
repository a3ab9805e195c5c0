"""FFTW from Python and from compiled code; plans that outlive the process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from caviar_kit import backend, fftw
from tests.missing import hide_module

pyfftw = pytest.importorskip("pyfftw", reason="plans are pyFFTW's")
numba = pytest.importorskip("numba", reason="compiled code is Numba's")

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
    known = pyfftw.export_wisdom()
    monkeypatch.setenv("CAVIAR_KIT_CACHE", str(tmp_path))
    fftw._store.cache_clear()
    pyfftw.forget_wisdom()
    yield tmp_path
    fftw._store.cache_clear()
    pyfftw.import_wisdom(known)


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


def test_plans_follow_to_another_cache(cache, tmp_path_factory, monkeypatch):
    """Otherwise a process that reads that one would find its own."""
    backend.plan_fft(np.zeros((30, 44), np.complex64))
    other = tmp_path_factory.mktemp("other")
    monkeypatch.setenv("CAVIAR_KIT_CACHE", str(other))
    backend.plan_fft(np.zeros((30, 44), np.complex64))
    assert (other / "fftw_plans.json").read_text() == (cache / "fftw_plans.json").read_text()


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


def test_a_cache_that_vanishes_costs_the_plans_and_nothing_else(cache):
    backend.plan_fft(np.zeros((30, 46), np.complex64))
    shutil.rmtree(cache)
    forward, _ = backend.plan_fft(wave := np.zeros((30, 50), np.complex64))
    assert fftw.addresses.__wrapped__((30, 52), "complex64") is not None
    wave[0, 0] = 1
    forward()
    np.testing.assert_allclose(wave, 1)
    assert not cache.exists()


# From compiled code ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both_ways():
    from caviar_kit.multislice.compiled import _call_fftw

    @numba.njit
    def transform(addresses, waves, backward):
        for n in range(len(waves)):
            _call_fftw(addresses[0], addresses[1 + backward], waves[n].ctypes.data)

    return transform


@given(
    shape=some.tuples(some.integers(1, 20), some.integers(1, 20)),
    count=some.integers(1, 4),
    dtype=some.sampled_from(["complex64", "complex128"]),
)
def test_compiled_code_transforms_any_of_many_arrays(both_ways, shape, count, dtype):
    """Also the second and later ones, whose first pixels are aligned only if an array's size allows."""
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(count, *shape)) + 1j * rng.normal(size=(count, *shape))).astype(dtype)
    addresses = np.array(fftw.addresses(shape, dtype), np.intp)
    tolerance = (1e-5 if dtype == "complex64" else 1e-13) * values[0].size
    wave = backend.zeros(np, values.shape, dtype)
    wave[...] = values
    both_ways(addresses, wave, 0)
    np.testing.assert_allclose(wave, np.fft.fft2(values), atol=tolerance)
    both_ways(addresses, wave, 1)
    np.testing.assert_allclose(wave / values[0].size, values, atol=tolerance)


def test_compiled_code_keeps_its_plans_too(cache):
    assert fftw.addresses.__wrapped__((30, 42), "complex64") is not None
    first = (cache / "fftw_plans.json").read_text()
    assert fftw.addresses.__wrapped__((30, 42), "complex64") is not None
    assert (cache / "fftw_plans.json").read_text() == first
    fftw.addresses.__wrapped__((30, 44), "complex64")
    assert len((cache / "fftw_plans.json").read_text()) > len(first)


def test_without_pyfftw_there_are_none(monkeypatch):
    hide_module(monkeypatch, "pyfftw")
    assert fftw.addresses.__wrapped__((8, 8), "complex64") is None
