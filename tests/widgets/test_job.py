"""The worker thread: it holds when paused, ends when stopped, and leaves what it ran in order."""

from __future__ import annotations

import threading
from itertools import count

import numpy as np
import pytest

from caviar_kit.widgets.job import Job

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


def test_waiting_for_a_paused_job_needs_a_timeout(steps):
    job, said = Job(steps), []

    def wait():
        with pytest.raises(RuntimeError, match="would never end: call resume"):
            job.wait()
        said.append(True)

    job.run()
    job.pause()
    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(10)
    assert said and not job.wait(0)
    job.stop()
    steps.tickets.release()
    assert job.wait() and job.state == "stopped"


def test_on_end_knows_its_own_error_when_another_run_has_begun():
    seen = []

    def start():
        if not seen:
            raise ValueError("the first")
        return iter(())

    def on_end(state):
        before = len(seen)
        seen.append(state)
        if not before:
            job.run()
        seen.append(str(job.ended_by))

    job = Job(start, on_end=on_end)
    job.run()
    while len(seen) < 4:
        assert job.wait(PATIENCE)
    assert seen == ["failed", "the first", "done", "None"]


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
