"""The estimate of memory against what a fit really allocates."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from caviar_kit.multislice import AmplitudeLoss, DistributedEvaluator, Evaluator, FitSettings, run
from caviar_kit.multislice.memory import estimate_memory
from caviar_kit.multislice.sharding import make_shards
from tests.multislice.cluster import two_workers
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


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_workers_take_data_and_waves_from_the_gpu_and_give_the_host_what_travels(optimizer):
    settings, window, states = FitSettings(num_states=6, optimizer=optimizer), 64 * 64, 6
    alone, shared = (estimate_memory(geometry(), settings, num_probes=2, gpu=True, workers=n) for n in (0, 3))
    theirs = ("patterns", "waves", "transform plans")
    assert alone["device"] - shared["device"] == sum(alone[name] for name in theirs)
    assert shared["total"] == shared["host"] + shared["device"]
    fields = [np.prod(shard.model.object_shape) for shard in make_shards(geometry(), 3)]
    sent = 8 * (sum(fields) * states * 3 + 3 * 2 * window)  # to all workers, from here through the scheduler
    gradient = 8 * states * 3 * 128 * 130
    assert shared["host"] - alone["host"] == 2 * sent + gradient


def test_streamed_patterns_are_sent_to_workers_one_shard_at_a_time():
    estimates = [estimate_memory(geometry(), FitSettings(), streamed=True, workers=n) for n in (1, 4, 99)]
    assert [estimate["patterns"] for estimate in estimates] == [n * 64 * 64 * 4 for n in (30, 8, 1)]


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_estimate_for_workers_is_what_the_session_allocates(optimizer):
    """With the scheduler in this process; what is not held at the very same moment is counted, too."""
    settings = FitSettings(num_states=6, max_iter=6, one_state_iter=0, optimizer=optimizer, history=3)
    start, probe = np.ones((1, 3, 128, 130), np.complex64), aperture((64, 64), 2, np.complex64)
    truth = states(start.shape, strength=0.1, absorption=0).astype(np.complex64)
    patterns = evaluator(geometry(), dtype=np.float32).intensities(truth, probe)
    with two_workers() as client:
        tracemalloc.start()
        try:
            with DistributedEvaluator(
                geometry(), patterns.copy(), AmplitudeLoss(), client=client, device="cpu"
            ) as engine:
                for snapshot in run(engine, probe, settings, initial_object=start):
                    del snapshot
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    estimate = estimate_memory(geometry(), settings, num_probes=2, workers=2)
    assert 0.95 < estimate["total"] / peak < 1.2


@pytest.mark.parametrize("workers", [-1, 2.0, True])
def test_a_number_of_workers_that_is_none_is_refused(workers):
    with pytest.raises((TypeError, ValueError), match="workers must be"):
        estimate_memory(geometry(), FitSettings(), workers=workers)


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
