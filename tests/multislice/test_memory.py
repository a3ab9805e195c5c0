"""The estimate of memory against what a fit really allocates."""

from __future__ import annotations

import tracemalloc
from itertools import islice

import numpy as np
import pytest

from caviar_kit.multislice import FitSettings, run
from caviar_kit.multislice.memory import estimate_memory
from tests.multislice.problems import aperture, evaluator, model


def geometry():
    positions = np.random.default_rng(0).uniform(32, 90, (30, 2))
    return model(window=(64, 64), positions=positions, object_shape=(128, 130), thicknesses=(2.0, 2.0))


@pytest.mark.parametrize("object_type", ["phase", "complex"])
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("threads", [1, 2])
def test_estimate_is_what_a_fit_allocates(object_type, optimizer, threads):
    settings = FitSettings(
        num_states=6,
        max_iter=8,
        one_state_iter=0,
        object_type=object_type,
        optimizer=optimizer,
        batch_size=30,
        history=5,
    )
    start = np.ones((1, 3, 128, 130), np.complex64)
    probe = aperture((64, 64), 2, np.complex64)
    engine = evaluator(geometry(), dtype=np.float32)
    engine.loss_and_gradient(start, probe)  # compiles the kernels, which takes memory of its own
    tracemalloc.start()
    try:
        engine = evaluator(geometry(), dtype=np.float32, threads=threads)
        for _ in islice(run(engine, probe, settings, initial_object=start), 8):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    estimate = estimate_memory(geometry(), settings, num_probes=2, threads=threads)
    assert estimate["total"] == sum(value for name, value in estimate.items() if name != "total")
    assert 0.6 < peak / estimate["total"] < 1.15


def test_estimate_grows_with_what_costs():
    def total(threads=1, **changes):
        return estimate_memory(geometry(), FitSettings(**changes), threads=threads)["total"]

    base = total()
    assert total(num_states=24) > 1.8 * base
    assert total(threads=8) > base
    assert total(history=40) > base
    assert total(object_type="complex") > base
    assert total(optimizer="adam") < base
