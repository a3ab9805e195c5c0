"""Simulation on a GPU: what can be said without one, and the same patterns where CuPy finds one."""

from dataclasses import replace

import numpy as np
import pytest

from caviar_kit import backend
from caviar_kit.simulation import Snapshots, runs, scan, silicon_sigma9_snapshots
from caviar_kit.simulation.runs import Runner
from tests.simulation.tiny import TINY


@pytest.fixture(scope="module")
def silicon() -> Snapshots:
    return silicon_sigma9_snapshots().subset(2)


@pytest.fixture
def no_gpu(monkeypatch):
    def resolve(device):
        if device == "gpu":
            raise RuntimeError("device='gpu' needs CuPy and a CUDA GPU")
        return np

    monkeypatch.setattr(runs, "resolve_device", resolve)


@pytest.fixture
def pretended_gpu(monkeypatch):
    """A GPU for the choice of device only."""
    cupy = type("cupy", (), {"__name__": "cupy"})
    monkeypatch.setattr(runs, "resolve_device", lambda device: np if device == "cpu" else cupy)


def test_a_gpu_that_is_not_there_is_refused(silicon, no_gpu):
    with pytest.raises(RuntimeError, match="device='gpu' needs CuPy and a CUDA GPU"):
        scan(silicon, TINY, device="gpu")


def test_unknown_devices_are_refused(silicon):
    with pytest.raises(ValueError, match="device must be one of 'auto', 'cpu', 'gpu', got 'cuda'"):
        scan(silicon, TINY, device="cuda")


def test_auto_without_a_gpu_is_the_cpu(silicon, no_gpu):
    np.testing.assert_array_equal(scan(silicon, TINY, device="auto").data, scan(silicon, TINY).data)


@pytest.mark.parametrize("device", ["gpu", "auto"])
def test_a_gpu_takes_one_snapshot_at_a_time(silicon, pretended_gpu, device):
    runner = Runner.of(silicon, TINY, device, None)
    assert (runner.device, runner.workers) == ("gpu", 1)
    with pytest.raises(ValueError, match="workers must be 1 on a GPU"):
        Runner.of(silicon, TINY, device, 2)


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_abtem_is_told_the_device(silicon, pretended_gpu, monkeypatch, device):
    import abtem

    seen = []

    def pretend(runner, frame, points):
        seen.append(abtem.config.get("device"))
        return np.zeros((6, 40, 40), np.float32)

    monkeypatch.setattr(Runner, "_patterns", pretend)
    before = abtem.config.get("device")
    scan(silicon, TINY, device=device)
    assert seen == [device, device]
    assert abtem.config.get("device") == before


def test_patterns_come_back_from_the_device():
    """``_detected`` asks the array for its copy on the host, as CuPy's ``get`` makes it."""
    patterns = np.zeros((1, 60, 60), np.float32)
    patterns[0, 31, 30] = 1

    class OnDevice:
        def get(self):
            return patterns

    detected = runs._detected(OnDevice(), TINY)
    assert isinstance(detected, np.ndarray)
    assert np.argwhere(detected).tolist() == [[0, 20, 21]]


@pytest.mark.parametrize("fwhm", [0.0, 0.47])
def test_gpu_and_cpu_agree(silicon, fwhm):
    pytest.importorskip("cupy", reason="CuPy is not installed")
    if backend.resolve_device("auto") is np:
        pytest.skip("CuPy finds no GPU")
    experiment = replace(TINY, source_fwhm_angstrom=fwhm)
    gpu, cpu = (scan(silicon, experiment, device=device).data for device in ("gpu", "cpu"))
    assert isinstance(gpu, np.ndarray)
    assert np.abs(gpu - cpu).sum(axis=(2, 3)).max() < 1e-5  # of the beam
