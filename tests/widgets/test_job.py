"""The worker thread: it holds when paused, ends when stopped, and leaves what it ran in order."""

from __future__ import annotations

import threading
from itertools import count

import numpy as np
import pytest

from caviar_kit.widgets.job import Job, JobStopped
from tests.adapter.problems import planted

PATIENCE = 60  # seconds until a test gives up; nothing is timed


class Steps:
    """A generator under control: each step waits for a ticket."""

    def __init__(self, most=10**6):
        self.tickets, self.made, self.arrived = threading.Semaphore(0), [], threading.Semaphore(0)
        self.closed, self.most, self.starts = threading.Event(), most, 0

    def __call__(self):
        self.starts += 1
        self.closed.clear()
        try:
            for n in range(self.most):
                assert self.tickets.acquire(timeout=PATIENCE)
                self.made.append(n)
                self.arrived.release()
                yield n
        finally:
            self.closed.set()

    def let(self, steps=1):
        self.tickets.release(steps)
        for _ in range(steps):
            assert self.arrived.acquire(timeout=PATIENCE)


@pytest.fixture
def steps():
    return Steps()


def ended(job):
    return job.wait(PATIENCE) and job.state


def test_runs_to_the_end_and_tells(steps):
    seen, ends = [], []
    job = Job(lambda: iter("abc"), on_step=seen.append, on_end=ends.append)
    assert job.state == "ready" and job.wait(0)
    job.run()
    assert ended(job) == "done" and seen == ["a", "b", "c"] and ends == ["done"] and job.error is None
    job.run()
    assert ended(job) == "done" and seen == [*"abcabc"]


def test_the_worker_is_a_named_daemon():
    threads = []
    job = Job(lambda: iter([0]), on_step=lambda _: threads.append(threading.current_thread()))
    job.run()
    job.wait(PATIENCE)
    assert threads[0].daemon and threads[0].name == "caviar_kit job"
    assert threads[0] is not threading.current_thread()


def test_pause_holds_and_resume_goes_on(steps):
    seen = []
    job = Job(steps, on_step=seen.append)
    job.run()
    steps.let(2)
    job.pause()
    job.pause()
    assert job.state == "paused" and job.active
    steps.tickets.release(5)  # it could go on, and must not
    assert not job.wait(0.3)
    assert len(steps.made) <= 3  # at most the step that was on its way
    job.resume()
    job.resume()
    assert job.state == "running"
    for _ in range(5):
        assert steps.arrived.acquire(timeout=PATIENCE)
    job.stop()
    steps.tickets.release()
    assert ended(job) == "stopped" and seen[:7] == [*range(7)]


def test_pauses_do_not_count_as_work(steps):
    now = [100.0]
    job = Job(steps, clock=lambda: now[0])
    assert job.seconds == 0
    job.run()
    steps.let()
    now[0] += 3
    assert job.seconds == 3
    job.pause()
    now[0] += 50
    assert job.seconds == 3
    job.resume()
    now[0] += 2
    job.stop()
    steps.tickets.release()
    assert ended(job) == "stopped" and job.seconds == 5
    now[0] += 9
    assert job.seconds == 5


@pytest.mark.parametrize("paused", [False, True])
def test_stop_closes_the_generator_also_when_paused(steps, paused):
    job = Job(steps)
    job.run()
    steps.let()
    if paused:
        job.pause()
    job.stop()
    job.stop()
    steps.tickets.release()
    assert ended(job) == "stopped" and steps.closed.is_set() and job.error is None
    assert len(steps.made) <= 2


def test_transitions_that_make_no_sense_do_nothing(steps):
    job = Job(steps)
    for method in (job.pause, job.resume, job.stop):
        method()
        assert job.state == "ready"
    job.run()
    job.resume()
    assert job.state == "running"
    job.run()
    steps.let()
    job.pause()
    job.run()
    assert job.state == "paused" and steps.starts == 1
    job.stop()
    job.pause()
    job.resume()
    assert job.state == "stopping" or not job.active
    steps.tickets.release()
    assert ended(job) == "stopped"
    for method in (job.pause, job.resume, job.stop):
        method()
        assert job.state == "stopped"


def test_run_from_many_threads_at_once_starts_one(steps):
    job, barrier = Job(steps), threading.Barrier(8)

    def click():
        barrier.wait(PATIENCE)
        job.run()

    threads = [threading.Thread(target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    steps.let()
    job.stop()
    steps.tickets.release()
    assert ended(job) == "stopped" and steps.starts == 1


def test_wild_clicking_leaves_it_usable():
    job = Job(lambda: count())
    rng = np.random.default_rng(0)
    orders = [rng.permutation(np.repeat(np.arange(4), 200)) for _ in range(4)]
    methods = (job.run, job.pause, job.resume, job.stop)
    threads = [threading.Thread(target=lambda o=o: [methods[n]() for n in o]) for o in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    job.stop()
    assert job.wait(PATIENCE) and not job.active and job.error is None
    job.run()
    assert job.active
    job.stop()
    assert ended(job) == "stopped"


@pytest.mark.parametrize("where", ["start", "generator", "on_step", "on_end"])
def test_an_error_is_kept_and_the_next_run_is_clean(where):
    broken = {where}

    def fail(place):
        if place in broken:
            raise RuntimeError(f"no {place}")

    def start():
        fail("start")
        return steps()

    def steps():
        yield 1
        fail("generator")
        yield 2

    ends = []

    def on_end(state):
        ends.append(state)
        fail("on_end")

    job = Job(start, on_step=lambda _: fail("on_step"), on_end=on_end)
    job.run()
    assert ended(job) == "failed" and str(job.error) == f"no {where}"
    assert ends == ["done" if where == "on_end" else "failed"]
    broken.clear()
    job.run()
    assert ended(job) == "done" and job.error is None


def test_callbacks_may_call_every_method(steps):
    runs = []

    def on_step(n):
        job.pause()
        job.resume()
        job.stop()

    def on_end(state):
        runs.append(state)
        if len(runs) < 3:
            job.run()

    job = Job(lambda: count(), on_step=on_step, on_end=on_end)
    job.run()
    while len(runs) < 3 or job.active:
        assert job.wait(PATIENCE)
    assert runs == ["stopped"] * 3 and job.state == "stopped"


def test_check_stops_within_a_step():
    inside = threading.Event()

    def one_endless_step():
        while True:
            inside.set()
            job.check()
        yield

    job = Job(one_endless_step)
    job.run()
    assert inside.wait(PATIENCE)
    job.stop()
    assert ended(job) == "stopped"


@pytest.mark.parametrize(
    "wrong", [{"start": 3}, {"start": iter, "on_step": 1}, {"start": iter, "on_end": ""}]
)
def test_refuses_what_cannot_be_called(wrong):
    with pytest.raises(TypeError, match="must be callable"):
        Job(**wrong)


# The engine --------------------------------------------------------------------------------

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
