"""Scan positions shared among the workers of a Dask cluster: the same numbers, whatever happens to it."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from distributed import Client, LocalCluster

from caviar_kit.backend import array_module, resolve_device, to_numpy
from caviar_kit.multislice import (
    AmplitudeLoss,
    DistributedEvaluator,
    Evaluator,
    FitSettings,
    PoissonLoss,
    StreamedPatterns,
    load_checkpoint,
    run,
)
from tests.multislice.cluster import FailingLoss, kept, two_workers
from tests.multislice.problems import MODES, aperture, evaluator, model, objects
from tests.multislice.test_sharding import ATTRIBUTES, SCAN, assert_same, instrument

GEOMETRY = model(positions=SCAN, object_shape=(24, 25))
WEIGHTS = np.random.default_rng(1).uniform(size=GEOMETRY.window).astype(np.float32)
SCENE = objects(GEOMETRY).astype(np.complex64), aperture(GEOMETRY.window, MODES, np.complex64)
FIT = FitSettings(num_states=2, one_state_iter=2, max_iter=4, history=4, seed=3)


@pytest.fixture(scope="module")
def client():
    with two_workers() as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_left(request):
    """After a test the cluster has forgotten everything."""
    yield
    gc.collect()
    if "client" in request.fixturenames:
        assert kept(request.getfixturevalue("client"), hoped_for=0) == []


def one(loss=None, dtype=np.float32, **options) -> Evaluator:
    return evaluator(GEOMETRY, loss, dtype=dtype, **options)


def many(client, loss=None, dtype=np.float32, **options) -> DistributedEvaluator:
    whole = one(loss, dtype)
    return DistributedEvaluator(
        GEOMETRY, whole.patterns, whole.loss_function, client=client, device="cpu", **options
    )


def outcome(snapshots):
    return [(s.stage, s.loss, s.held_out_loss, s.object.tobytes(), s.probe.tobytes()) for s in snapshots]


@pytest.mark.parametrize(
    ("loss", "weights"), [(AmplitudeLoss(), None), (PoissonLoss(), WEIGHTS)], ids=["amplitude", "poisson"]
)
def test_a_pass_is_that_of_one_process(client, loss, weights):
    state = instrument(GEOMETRY, slopes_each=True).on(np, np.float32)
    whole = one(loss, weights=weights)
    with many(client, loss, weights=weights) as evaluator:
        assert len(evaluator.shards) == 2
        for positions in (None, [9, 2, 3, 12]):
            expected = whole.loss_and_gradient(*SCENE, positions, instrument=state, wanted=ATTRIBUTES)
            found = evaluator.loss_and_gradient(*SCENE, positions, instrument=state, wanted=ATTRIBUTES)
            assert_same(found, expected, 1e-6)
            assert evaluator.loss(*SCENE, positions, instrument=state) == pytest.approx(found.loss, rel=1e-6)
            np.testing.assert_allclose(
                evaluator.intensities(*SCENE, positions, instrument=state),
                whole.intensities(*SCENE, positions, instrument=state),
                rtol=1e-5,
            )


def test_only_the_shards_concerned_are_asked(client):
    with many(client) as evaluator:
        asked = []
        perform = evaluator._pool.perform
        evaluator._pool.perform = lambda tasks, inputs: asked.append(set(tasks)) or perform(tasks, inputs)
        for positions in ([0, 7], [8], [15, 0], None):
            evaluator.loss(*SCENE, positions)
        assert asked == [{0}, {1}, {0, 1}, {0, 1}]


FITS = {
    "adam, held out": replace(FIT, optimizer="adam", batch_size=5, held_out_fraction=0.25),
    "instrument": replace(FIT, refine=("probe", "positions", "tilt", "beam", "background"), thinned_iter=2),
}


@pytest.mark.parametrize("settings", FITS.values(), ids=FITS)
def test_a_fit_repeats_to_the_last_bit_and_is_that_of_one_process(client, settings):
    """To rounding, which a fit amplifies a thousandfold and more: hence in double precision."""
    probe = SCENE[1].astype(complex)
    expected = list(run(one(dtype=float, threads=2), probe, settings))
    with many(client, dtype=float) as evaluator:
        found = list(run(evaluator, probe, settings))
    with many(client, dtype=float) as evaluator:
        assert outcome(run(evaluator, probe, settings)) == outcome(found)
    assert [s.stage for s in found] == [s.stage for s in expected]
    np.testing.assert_allclose([s.loss for s in found], [s.loss for s in expected], rtol=1e-9)
    difference = np.linalg.norm(found[-1].object - expected[-1].object)
    assert difference < 1e-7 * np.linalg.norm(expected[-1].object - 1)


def test_equal_shards_of_a_power_of_two_fit_with_the_bits_of_two_threads(client):
    with many(client) as evaluator:
        assert outcome(run(evaluator, SCENE[1], FIT)) == outcome(run(one(threads=2), SCENE[1], FIT))


def test_a_fit_goes_on_from_a_checkpoint(client, tmp_path):
    file = tmp_path / "fit.npz"
    with many(client) as evaluator:
        whole = outcome(run(evaluator, SCENE[1], FIT))
        with closing(run(evaluator, SCENE[1], FIT)) as steps:
            list(islice(steps, 4))[-1].checkpoint().save(file)
    with many(client) as evaluator:
        assert outcome(run(evaluator, SCENE[1], FIT, resume=load_checkpoint(file))) == whole[3:]
    assert next(run(one(), SCENE[1], FIT, resume=load_checkpoint(file))).iteration == 4


def test_patterns_on_disk_are_read_here_and_sent(client):
    whole = one()
    streamed = StreamedPatterns.from_array(whole.patterns)
    with DistributedEvaluator(GEOMETRY, streamed, whole.loss_function, client=client) as evaluator:
        assert_same(evaluator.loss_and_gradient(*SCENE), whole.loss_and_gradient(*SCENE), 1e-6)


def test_a_pass_may_take_longer_than_we_wait_for_news(client, monkeypatch):
    monkeypatch.setattr("caviar_kit.multislice.worker_pool._CHECK_SECONDS", 0.003)
    with many(client) as evaluator:
        assert_same(evaluator.loss_and_gradient(*SCENE), one().loss_and_gradient(*SCENE), 1e-6)


@pytest.mark.parametrize("error", [ZeroDivisionError, TimeoutError, KeyError, ConnectionError])
def test_an_error_of_the_computation_is_passed_on(client, error):
    with many(client, FailingLoss(error=error)) as evaluator:
        for _ in range(2):
            with pytest.raises(error, match="in the middle of a pass"):
                evaluator.loss_and_gradient(*SCENE)
        assert evaluator.loss(*SCENE) > 0  # needs no derivative
        with pytest.raises(ValueError, match=r"transmission must have shape \(states, 4, 24, 25\)"):
            evaluator.loss(SCENE[0][..., 1:], SCENE[1])
        with pytest.raises(ValueError, match="positions must be indices from 0 to 15"):
            evaluator.loss(*SCENE, [16])


def test_nothing_is_left_when_the_evaluator_is_given_up_or_the_fit_is(client):
    evaluator = many(client)
    steps = run(evaluator, SCENE[1], FIT)
    next(steps)
    assert len(kept(client)) >= 2
    del evaluator, steps  # the fixture looks what is left


def test_the_hook_between_batches_is_called_before_each_pass(client):
    def interrupt() -> None:
        raise InterruptedError("enough")

    with many(client) as evaluator:
        evaluator.between_batches = interrupt
        with pytest.raises(InterruptedError, match="enough"):
            evaluator.loss(*SCENE)


def test_a_closed_evaluator_says_so(client):
    with many(client) as evaluator:
        pass
    evaluator.close()
    with pytest.raises(RuntimeError, match="DistributedEvaluator is closed"):
        evaluator.loss(*SCENE)


# What is refused ----------------------------------------------------------------------------


def test_what_is_no_client_is_refused():
    with pytest.raises(TypeError, match=r"client must be a distributed\.Client, got str"):
        many("tcp://127.0.0.1:8786")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"device": "tpu"}, ValueError, "device must be one of"),
        ({"threads": 0}, ValueError, "threads must be at least 1"),
        ({"worker_timeout": -1}, ValueError, "worker_timeout must be"),
    ],
)
def test_other_bad_arguments_are_refused(client, options, error, match):
    whole = one()
    with pytest.raises(error, match=match):
        DistributedEvaluator(GEOMETRY, whole.patterns, whole.loss_function, client=client, **options)


async def refused(address):
    async with Client(address, asynchronous=True) as client:
        with pytest.raises(ValueError, match="client must be synchronous"):
            many(client)


def test_clients_that_cannot_work_are_refused():
    options = {"n_workers": 0, "processes": False, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        with pytest.raises(RuntimeError, match=r"no worker for 0\.2 s: scale it up"):
            many(client, worker_timeout=0.2)
        cluster.scale(1)
        with many(client) as evaluator:  # waits for it
            assert evaluator.loss(*SCENE) == one().loss(*SCENE)
        asyncio.run(refused(cluster.scheduler_address))
    with pytest.raises(ValueError, match="client must be connected"):
        many(client)


def test_workers_with_a_gpu_give_the_same_within_single_precision():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    if resolve_device("auto") is np:
        pytest.skip("CuPy finds no GPU")
    whole, expected = one(), one().loss_and_gradient(*SCENE)
    streamed = StreamedPatterns.from_array(whole.patterns, xp=cupy)
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        for patterns, scene in ((whole.patterns, SCENE), (streamed, [cupy.asarray(a) for a in SCENE])):
            arguments = GEOMETRY, patterns, whole.loss_function
            with DistributedEvaluator(*arguments, client=client, device="gpu") as evaluator:
                found = evaluator.loss_and_gradient(*scene)
                assert array_module(found.object) is evaluator.xp
            assert found.loss == pytest.approx(expected.loss, rel=1e-4)
            difference = np.linalg.norm(to_numpy(found.object) - expected.object)
            assert difference < 1e-4 * np.linalg.norm(expected.object)


def test_the_engine_loads_without_dask():
    code = "import sys, caviar_kit.multislice; assert not {'distributed', 'dask'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
