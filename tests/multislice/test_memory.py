"""The estimate of memory against what a fit really allocates."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from caviar_kit.multislice import AmplitudeLoss, Evaluator, FitSettings, run
from caviar_kit.multislice.memory import estimate_memory
from tests.multislice.problems import aperture, evaluator, model, states


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
    truth = states(start.shape, strength=0.1, absorption=0).astype(np.complex64)
    patterns = engine.intensities(truth, probe)  # not noise, on which L-BFGS forgets its history
    engine.loss_and_gradient(start, probe)  # compiles the kernels, which takes memory of its own
    tracemalloc.start()
    try:
        engine = Evaluator(geometry(), patterns.copy(), AmplitudeLoss(), threads=threads)
        for snapshot in run(engine, probe, settings, initial_object=start):
            del snapshot
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    estimate = estimate_memory(geometry(), settings, num_probes=2, threads=threads)
    assert 0.85 < estimate["total"] / peak < 1.15


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_parts_add_up_and_every_part_is_somewhere(gpu, optimizer):
    settings = FitSettings(optimizer=optimizer)
    estimate = estimate_memory(geometry(), settings, gpu=gpu, checkpoint=True)
    sums = {name: estimate.pop(name) for name in ("device", "host", "total")}
    assert sums["total"] == sum(estimate.values()) == sums["host"] + sums["device"]
    assert (sums["device"] > 0) == gpu
    if gpu:
        assert sums["device"] > sums["host"]


def test_streamed_patterns_take_no_memory():
    kept, streamed = (
        estimate_memory(geometry(), FitSettings(), streamed=streamed) for streamed in (False, True)
    )
    assert kept["total"] - streamed["total"] == 30 * 64 * 64 * 4


def test_a_checkpoint_costs_the_host_of_a_gpu_the_history():
    settings = FitSettings(history=10)
    with_it, without = (
        estimate_memory(geometry(), settings, gpu=True, checkpoint=checkpoint) for checkpoint in (True, False)
    )
    vector = 12 * 3 * 128 * 130 * 4
    assert with_it["device"] == without["device"]
    assert with_it["host"] - without["host"] == 22 * vector  # ten pairs, unknowns and gradient


def test_estimate_grows_with_what_costs():
    def total(threads=1, **changes):
        return estimate_memory(geometry(), FitSettings(**changes), threads=threads)["total"]

    base = total()
    assert total(num_states=24) > 1.8 * base
    assert total(threads=8) > base
    assert total(history=40) > base
    assert total(object_type="complex") > base
    assert total(optimizer="adam") < base
