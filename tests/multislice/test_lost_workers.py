"""Dask workers that die: their part of the pass is done again, and only that."""

from __future__ import annotations

import os
import signal
from functools import partial

import numpy as np
import pytest

from caviar_kit.multislice import DistributedEvaluator
from tests.multislice.cluster import DeadlyLoss, two_workers
from tests.multislice.problems import MODES, aperture, evaluator, model, objects
from tests.multislice.test_sharding import SCAN

GEOMETRY = model(positions=SCAN, object_shape=(24, 25))
SCENE = objects(GEOMETRY).astype(np.complex64), aperture(GEOMETRY.window, MODES, np.complex64)


@pytest.fixture(scope="module")
def client():
    with two_workers() as client:
        yield client


def many(client, loss=None) -> DistributedEvaluator:
    whole = evaluator(GEOMETRY, loss, dtype=np.float32)
    return DistributedEvaluator(
        GEOMETRY, whole.patterns, whole.loss_function, client=client, device="cpu", worker_timeout=20
    )


def test_a_worker_lost_in_mid_pass_is_survived_with_the_same_bits(client, tmp_path):
    with many(client, DeadlyLoss(file=str(tmp_path / "harmless"))) as evaluator:
        expected = evaluator.loss_and_gradient(*SCENE)
    calls = tmp_path / "calls"
    with many(client, DeadlyLoss(file=str(calls), at=5)) as evaluator:
        before = set(client.nthreads())
        found = evaluator.loss_and_gradient(*SCENE)
        assert len(calls.read_text().split()) == 3 * 8  # both shards, and the lost one once more
        again = evaluator.loss_and_gradient(*SCENE)
    assert not before <= set(client.nthreads())
    for result in (found, again):
        assert result.loss == expected.loss
        np.testing.assert_array_equal(result.object, expected.object)
        np.testing.assert_array_equal(result.probe, expected.probe)
    client.wait_for_workers(2, timeout=60)


def test_a_worker_killed_between_two_passes_is_replaced_and_its_shard_spread_again(client):
    with many(client) as evaluator:
        expected = evaluator.loss(*SCENE)
        victim, pid = next(iter(client.run(os.getpid).items()))
        os.kill(pid, signal.SIGKILL)
        assert evaluator.loss(*SCENE) == expected
        client.wait_for_workers(2, timeout=60)
        assert victim not in client.nthreads()
        assert evaluator.loss(*SCENE) == expected
        assert len(set(evaluator._pool._address_of.values())) == 2


def test_workers_that_die_every_time_end_the_pass(client, monkeypatch):
    monkeypatch.setattr("caviar_kit.multislice.worker_pool._ATTEMPTS", 2)
    with many(client) as evaluator:

        def dies(*arguments):
            os._exit(1)

        pool = evaluator._pool
        pool.perform = partial(pool.perform, function=dies)
        with pytest.raises(RuntimeError, match="in 2 attempts at one pass Dask workers were lost or paused"):
            evaluator.loss(*SCENE)
