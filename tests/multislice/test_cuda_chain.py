"""The engine's GPU path as a whole: its CUDA kernels run on the host, or on a GPU where one answers."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit import backend
from caviar_kit.multislice import (
    AmplitudeLoss,
    Evaluator,
    PoissonLoss,
    StreamedPatterns,
    cuda,
    gradient,
    misfit,
    workspace,
)
from caviar_kit.multislice.batched_waves import BatchedWaves
from caviar_kit.multislice.cuda_launch import Kernel
from caviar_kit.multislice.workspace import BatchedWorkspace
from tests.multislice.cuda_on_host import Host
from tests.multislice.problems import MODES, aperture, evaluator, model, objects
from tests.multislice.test_waves import CURVED, EVERYTHING, WEIGHTS, assert_same

INSTRUMENTS = pytest.mark.parametrize("instrument", [None, CURVED], ids=["nominal", "one for every position"])
LOSSES = pytest.mark.parametrize("loss", [AmplitudeLoss(), PoissonLoss()], ids=["amplitude", "poisson"])


# On the host ---------------------------------------------------------------------------------


class CudaWaves(BatchedWaves):
    """NumPy arrays, CUDA kernels, batches of two."""

    def __init__(self, *args):
        super().__init__(*args)
        self._kernels, self.corners = cuda, self.corners.astype(np.int32)

    def workspace(self, positions):
        return BatchedWorkspace(np, 2, self.shape)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    return Host(tmp_path_factory.mktemp("kernels"))


@INSTRUMENTS
@LOSSES
def test_cuda_kernels_on_the_host_give_the_gradient(host, monkeypatch, loss, instrument):
    geometry = model(band_limit=0.8)
    transmission, probe = objects(geometry), aperture(geometry.window, MODES)
    arguments = {"instrument": instrument, "wanted": EVERYTHING}
    expected = evaluator(geometry, loss, weights=WEIGHTS).loss_and_gradient(transmission, probe, **arguments)
    launched = []
    monkeypatch.setattr(
        Kernel, "__call__", lambda kernel, *a, **k: launched.append(host(kernel, *a, **k).kernel)
    )
    monkeypatch.setattr(gradient, "waves_for", CudaWaves)
    monkeypatch.setattr(misfit, "_fused", lambda xp: misfit._on_gpu)
    found = evaluator(geometry, loss, weights=WEIGHTS).loss_and_gradient(transmission, probe, **arguments)
    assert_same(found, expected, 1e-12)
    assert len(launched) == 3 * (2 * 4 + 2 * 3 + 4)  # batches, slices there and back, gaps, the rest


# On a GPU ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cupy():
    module = pytest.importorskip("cupy", reason="CuPy is not installed")
    if backend.resolve_device("auto") is np:
        pytest.skip("CuPy finds no GPU")
    return module


def on(cupy, geometry, loss, dtype, streamed):
    """The same evaluator with its patterns on the GPU, or on their way to it."""
    kept = evaluator(geometry, loss, dtype=dtype, weights=WEIGHTS.astype(dtype))
    patterns = cupy.asarray(kept.patterns)
    if streamed:
        patterns = StreamedPatterns.from_array(kept.patterns, dtype=dtype, xp=cupy)
    return kept, Evaluator(geometry, patterns, loss, weights=cupy.asarray(kept.weights))


@pytest.mark.parametrize("streamed", [False, True], ids=["on the GPU", "streamed"])
@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-4), (np.float64, 1e-11)])
@INSTRUMENTS
@LOSSES
def test_gpu_agrees_with_cpu(cupy, monkeypatch, loss, instrument, dtype, tolerance, batch, streamed):
    geometry = model(band_limit=0.8)
    kind = np.result_type(dtype, np.complex64)
    transmission, probe = objects(geometry).astype(kind), aperture(geometry.window, MODES, kind)
    nbytes = workspace.WaveShape(MODES, len(transmission), 4, geometry.window, np.dtype(kind)).nbytes
    monkeypatch.setattr(workspace, "_BUDGET", {"cpu": nbytes, "gpu": batch * nbytes})
    cpu, gpu = on(cupy, geometry, loss, dtype, streamed)
    own = None if instrument is None else instrument.on(np, dtype)
    expected = cpu.loss_and_gradient(transmission, probe, instrument=own, wanted=EVERYTHING)
    found = gpu.loss_and_gradient(
        cupy.asarray(transmission),
        cupy.asarray(probe),
        instrument=None if own is None else own.on(cupy, dtype),
        wanted=EVERYTHING,
    )
    assert_same(found, expected, tolerance)
    patterns = gpu.intensities(cupy.asarray(transmission), cupy.asarray(probe), [3, 0, 4])
    np.testing.assert_allclose(
        patterns.get(), cpu.intensities(transmission, probe, [3, 0, 4]), atol=tolerance
    )
