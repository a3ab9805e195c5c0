"""Two implementations of the waves give one result, in any batches and from any memory layout."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from caviar_kit import fftw
from caviar_kit.backend import to_numpy
from caviar_kit.multislice import AmplitudeLoss, Evaluator, gradient, waves, workspace
from caviar_kit.multislice.batched_waves import BatchedWaves
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.workspace import BatchedWorkspace
from tests.multislice.problems import MODES, aperture, evaluator, model, objects

EVERYTHING = ("positions", "slopes", "thicknesses", "beam", "background")
WEIGHTS = np.random.default_rng(5).integers(0, 3, (12, 15)).astype(float)
CURVED = Instrument(
    positions=np.array([[6.2, 7], [8.3, 9.8], [7.5, 11.25], [10.9, 7.4], [9.0, 12.6]]),
    slopes=np.random.default_rng(3).normal(0, 0.01, (5, 2)),
    thicknesses=np.array([3.1, 4.4, 2.0]),
    beam=np.array([1, 0.9, 1.1, 1.2, 0.8]),
    background=np.random.default_rng(4).uniform(0, 1e-3, (12, 15)),
)


def assert_same(found, expected, tolerance):
    """Loss and all gradients, relative to the norm of each."""
    assert found.loss == pytest.approx(expected.loss, rel=tolerance)
    pairs = [(found.object, expected.object), (found.probe, expected.probe)]
    pairs += [(getattr(found.instrument, name), getattr(expected.instrument, name)) for name in EVERYTHING]
    for one, other in pairs:
        one, other = to_numpy(one), to_numpy(other)
        assert np.linalg.norm(one - other) <= tolerance * np.linalg.norm(other)


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 100])
def test_result_does_not_depend_on_batches(monkeypatch, batch):
    geometry = model()
    transmission, probe = objects(geometry, 3), aperture(geometry.window, MODES)
    expected = evaluator(geometry).loss_and_gradient(transmission, probe, wanted=EVERYTHING)
    nbytes = workspace.WaveShape(MODES, 3, 4, geometry.window, np.dtype(complex)).nbytes
    monkeypatch.setattr(workspace, "_BUDGET", {"cpu": batch * nbytes, "gpu": 0})
    engine = evaluator(geometry)
    found = engine.loss_and_gradient(transmission, probe, wanted=EVERYTHING)
    assert_same(found, expected, 1e-14)
    patterns = engine.intensities(transmission, probe, [4, 0, 1])
    np.testing.assert_allclose(patterns, evaluator(geometry).intensities(transmission, probe)[[4, 0, 1]])


@pytest.mark.parametrize("instrument", [None, CURVED], ids=["nominal", "one for every position"])
@pytest.mark.parametrize("count", [1, 4])
def test_compiled_and_batched_waves_agree(monkeypatch, instrument, count):
    """Two implementations: every position compiled, or whole arrays of waves as on a GPU."""
    geometry = model(band_limit=0.8)
    transmission, probe = objects(geometry), aperture(geometry.window, MODES)
    arguments = {"instrument": instrument, "wanted": EVERYTHING}
    compiled = evaluator(geometry).loss_and_gradient(transmission, probe, **arguments)
    monkeypatch.setattr(gradient, "waves_for", BatchedWaves)
    monkeypatch.setattr(
        BatchedWaves, "workspace", lambda waves, positions: BatchedWorkspace(np, count, waves.shape)
    )
    assert_same(evaluator(geometry).loss_and_gradient(transmission, probe, **arguments), compiled, 1e-13)


@pytest.mark.parametrize("missing", ["pyfftw", "numba"])
def test_without_fftw_or_numba_waves_are_batched(monkeypatch, missing):
    geometry = model()
    arguments = geometry, objects(geometry), aperture(geometry.window), evaluator(geometry).nominal
    assert type(waves.waves_for(*arguments)).__name__ == "CompiledWaves"
    if missing == "pyfftw":
        monkeypatch.setattr(fftw, "addresses", lambda *_: None)
    else:
        monkeypatch.setitem(sys.modules, "caviar_kit.multislice.compiled_waves", None)
    assert type(waves.waves_for(*arguments)).__name__ == "BatchedWaves"


def test_any_memory_layout_and_precision_of_the_instrument_will_do():
    geometry, probe = model(), aperture((12, 15), MODES, np.complex64)
    transmission = objects(geometry).astype(np.complex64)
    plain = evaluator(geometry, dtype=np.float32, weights=WEIGHTS)
    strange = Evaluator(
        geometry,
        np.asfortranarray(plain.patterns),
        AmplitudeLoss(),
        weights=np.asfortranarray(WEIGHTS),
        threads=1,
    )
    single = replace(CURVED, background=CURVED.background.astype(np.float32))
    expected = plain.loss_and_gradient(transmission, probe, instrument=single, wanted=EVERYTHING)
    found = strange.loss_and_gradient(transmission, probe, instrument=CURVED, wanted=EVERYTHING)
    assert_same(found, expected, 1e-6)
    assert found.instrument.background.dtype == np.float32
    turned = np.asfortranarray(transmission)
    assert_same(strange.loss_and_gradient(turned, probe, instrument=CURVED, wanted=EVERYTHING), found, 1e-6)


def test_where_nothing_can_be_kept_numba_compiles_in_every_process(monkeypatch):
    numba = pytest.importorskip("numba")
    from caviar_kit.multislice import jit

    njit = numba.njit

    def refuse_to_keep(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function 'forward': no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", refuse_to_keep)
    assert jit.compiled(lambda x: x + 1)(2) == 3
