"""A reconstruction as a job: it pauses and stops within an iteration, and its state stays valid."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from caviar_kit.widgets.job import Job, JobStopped
from tests.adapter.problems import planted

PATIENCE = 60  # seconds until a test gives up; nothing is timed
FIT = {"max_iter": 3, "one_state_iter": 3, "refine": "probe", "batch_size": 6}


class Batches:
    """Calls of ``between_batches``: at the call of the given number something is done."""

    def __init__(self, job, at, action):
        self.job, self.left, self.action, self.calls = job, at, action, 0

    def __call__(self):
        self.calls += 1
        if self.calls == self.left:
            self.action()
        self.job.check()


def ended(job):
    return job.wait(PATIENCE) and job.state


@pytest.fixture
def ptycho():
    return planted(2, num_object_states=2)[0]


def assert_same(found, expected):
    assert found.error_iterations == expected.error_iterations
    np.testing.assert_array_equal(found.object, expected.object)
    np.testing.assert_array_equal(found.probe, expected.probe)


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_paused_and_resumed_gives_the_same_bits(ptycho, monkeypatch, optimizer, threads):
    monkeypatch.setenv("CAVIAR_KIT_THREADS", threads)
    settings = {**FIT, "optimizer": optimizer}
    paused = threading.Event()

    def pause():
        job.pause()
        paused.set()

    job = Job(lambda: ptycho.iterate(between_batches=batches, **settings))
    batches = Batches(job, 9, pause)
    job.run()
    assert paused.wait(PATIENCE)
    assert not job.wait(0.3) and job.state == "paused"
    calls = batches.calls
    assert not job.wait(0.3) and batches.calls == calls  # it really holds
    job.resume()
    assert ended(job) == "done"
    expected = planted(2, num_object_states=2)[0]
    expected.reconstruct(**settings, progress_bar=False)
    assert_same(ptycho, expected)


@pytest.mark.parametrize(("optimizer", "batch"), [("lbfgs", 1), ("adam", 3)])  # L-BFGS may need one only
def test_stopped_within_an_iteration_keeps_the_last_whole_one(ptycho, optimizer, batch):
    settings, seen = {**FIT, "optimizer": optimizer}, []

    def on_step(snapshot):
        seen.append(snapshot.iteration)
        if len(seen) == 4:
            batches.left = batches.calls + batch

    job = Job(lambda: ptycho.iterate(between_batches=batches, **settings), on_step=on_step)
    batches = Batches(job, -1, job.stop)
    job.run()
    assert ended(job) == "stopped" and seen == [1, 2, 3, 4]
    assert batches.calls == batches.left  # not one more batch
    expected = planted(2, num_object_states=2)[0]
    for snapshot in expected.iterate(**settings):
        if snapshot.iteration == 4:
            break
    del snapshot
    assert_same(ptycho, expected)
    batches.left = -1
    job.run()  # and a new run can start
    assert ended(job) == "done" and len(ptycho.error_iterations) == 6


def test_stopped_before_the_first_iteration_the_earlier_result_stays(ptycho):
    ptycho.reconstruct(**FIT, progress_bar=False)
    before = ptycho.object.copy(), list(ptycho.error_iterations)
    job = Job(lambda: ptycho.iterate(between_batches=batches, **FIT))
    batches = Batches(job, 2, job.stop)
    job.run()
    assert ended(job) == "stopped" and ptycho.error_iterations == before[1]
    np.testing.assert_array_equal(ptycho.object, before[0])


def test_what_is_raised_between_batches_comes_out(ptycho):
    def stop():
        raise JobStopped

    with pytest.raises(JobStopped):
        next(ptycho.iterate(between_batches=stop, **FIT))
    with pytest.raises(TypeError, match="between_batches must be callable"):
        ptycho.iterate(between_batches=3)


def test_an_unprepared_reconstruction_fails_with_its_sentence(ptycho):
    ptycho._preprocessed = False
    job = Job(lambda: ptycho.iterate(**FIT))
    job.run()
    assert ended(job) == "failed" and str(job.error) == "run preprocess() first"
