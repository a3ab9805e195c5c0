"""What Dask workers do besides dying: they are paused, refused, and slow to send."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed.scheduler import NoValidWorkerError

from caviar_kit.multislice import DistributedEvaluator, StreamedPatterns
from caviar_kit.multislice.dask_client import running_workers
from tests.multislice.cluster import set_status, two_workers
from tests.multislice.problems import MODES, aperture, evaluator, model, objects
from tests.multislice.test_sharding import SCAN

GEOMETRY = model(positions=SCAN, object_shape=(24, 25))
SCENE = objects(GEOMETRY).astype(np.complex64), aperture(GEOMETRY.window, MODES, np.complex64)


@pytest.fixture(scope="module")
def client():
    with two_workers() as client:
        yield client


@pytest.fixture
def paused(client):
    """Pauses workers until the test is over."""
    yield partial(set_status, client, "paused")
    set_status(client, "running", *client.nthreads())


def many(client, **options) -> DistributedEvaluator:
    whole = evaluator(GEOMETRY, dtype=np.float32)
    return DistributedEvaluator(
        GEOMETRY, whole.patterns, whole.loss_function, client=client, device="cpu", **options
    )


def afterwards(method, then):
    """The method, with something that happens after it."""

    def both(*arguments):
        result = method(*arguments)
        then()
        return result

    return both


@pytest.mark.parametrize("moment", ["before a pass", "once everything is sent"])
def test_a_paused_worker_counts_as_lost(client, paused, monkeypatch, moment):
    monkeypatch.setattr("caviar_kit.multislice.worker_pool._CHECK_SECONDS", 0.3)
    with many(client, worker_timeout=20) as evaluator:
        expected = evaluator.loss_and_gradient(*SCENE)
        pool = evaluator._pool
        victim, other = pool._address_of[0], pool._address_of[1]
        if moment == "before a pass":
            paused(victim)
        else:
            pause_once = iter([lambda: paused(victim)])
            pool._send = afterwards(pool._send, lambda: next(pause_once, lambda: None)())
        found = evaluator.loss_and_gradient(*SCENE)
        assert running_workers(client) == [other]
        assert set(pool._address_of.values()) == {other}
        assert found.loss == expected.loss
        np.testing.assert_array_equal(found.object, expected.object)
        set_status(client, "running", victim)
        assert evaluator.loss(*SCENE) == evaluator.loss(*SCENE)
        assert set(pool._address_of.values()) == {victim, other}


def test_a_worker_that_is_paused_at_work_comes_to_the_end(client, paused, monkeypatch):
    monkeypatch.setattr("caviar_kit.multislice.worker_pool._CHECK_SECONDS", 0.3)
    with many(client) as evaluator:
        pool = evaluator._pool
        homes = dict(pool._address_of)
        result = pool._result

        def pause_at_work(future, shard):
            if shard == 0 and pool._address_of == homes:
                while not pool._is_computed(future):
                    time.sleep(0.05)
                paused(homes[0])
            return result(future, shard)

        pool._result = pause_at_work
        found = pool.perform(*work(evaluator), function=_slow)
        assert found == {0: 0, 1: 8}
        assert pool._address_of == homes


def test_if_all_workers_are_paused_the_reason_is_told(client, paused, monkeypatch):
    monkeypatch.setattr("caviar_kit.multislice.worker_pool._CHECK_SECONDS", 0.3)
    with many(client, worker_timeout=0.5) as evaluator:
        paused(*client.nthreads())
        with pytest.raises(RuntimeError, match=r"none of the 2 Dask workers .* paused.* short of memory"):
            evaluator.loss(*SCENE)
        with pytest.raises(RuntimeError, match="none of the 2 Dask workers"):
            many(client, worker_timeout=0)  # no wait at all


def test_a_task_that_dask_refuses_to_place_is_done_again(client, monkeypatch):
    monkeypatch.setattr("caviar_kit.multislice.worker_pool._ATTEMPTS", 2)

    def refused(*arguments):
        raise NoValidWorkerError("task", set(), set(), {}, 1.0)

    with many(client) as evaluator:
        with pytest.raises(RuntimeError, match="in 2 attempts at one pass"):
            evaluator._pool.perform(*work(evaluator), function=refused)
        assert evaluator.loss(*SCENE) > 0


def test_a_result_that_is_long_on_its_way_is_sent_once(client, monkeypatch, tmp_path):
    monkeypatch.setattr("caviar_kit.multislice.worker_pool._CHECK_SECONDS", 0.05)
    file = tmp_path / "sent"
    with many(client) as evaluator:
        found = evaluator._pool.perform(*work(evaluator), function=partial(_long_on_its_way, file=str(file)))
    assert sorted(found) == [0, 1]
    assert sorted(file.read_text()) == ["0", "8"]


def test_patterns_for_a_device_go_to_the_workers_past_it(client):
    """With a client the session's GPU only holds the unknowns."""
    whole = evaluator(GEOMETRY, dtype=np.float32)
    uploads = []

    class Device:
        """NumPy that counts what is put on it."""

        def __getattr__(self, name):
            return getattr(np, name)

        def asarray(self, array, **options):
            uploads.append(np.shape(array))
            return np.asarray(array, **options)

    patterns = StreamedPatterns.from_array(whole.patterns, xp=Device())
    with DistributedEvaluator(GEOMETRY, patterns, whole.loss_function, client=client, device="cpu") as found:
        del uploads[:]  # those of the checks before
        for shard in range(2):
            found._pool._patterns(shard)
        assert uploads == []
        assert found.loss(*SCENE) == pytest.approx(whole.loss(*SCENE), rel=1e-6)


def work(evaluator: DistributedEvaluator) -> tuple[dict[int, int], Any]:
    """For each shard its first position as a task, and inputs."""
    tasks = {n: shard.positions.start for n, shard in enumerate(evaluator.shards)}
    return tasks, lambda n: evaluator.shards[n].inputs(*SCENE, evaluator.nominal)


def _slow(kept: Any, task: int, inputs: Any) -> int:
    time.sleep(1.5)
    return task


@dataclass
class Slow:
    """Takes its time to be sent, and writes down that it is."""

    first: int
    file: str

    def __getstate__(self) -> dict[str, Any]:
        with Path(self.file).open("a") as file:
            file.write(str(self.first))
        time.sleep(0.4)
        return self.__dict__


def _long_on_its_way(kept: Any, task: int, inputs: Any, file: str) -> Slow:
    return Slow(task, file)
