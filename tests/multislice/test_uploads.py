"""Uploads while the GPU works, on streams that run at their own pace: nothing is overwritten too early."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from caviar_kit import backend
from caviar_kit.multislice.uploads import uploaded


class Event:
    """What was recorded last; never recorded, it has always happened."""

    def __init__(self, disable_timing=False):
        self.happened = threading.Event()
        self.happened.set()

    def synchronize(self):
        self.happened.wait()


class Stream:
    """Work in order, each piece late by some random time."""

    def __init__(self, non_blocking=False):
        self.queue, self.rng = ThreadPoolExecutor(1), np.random.default_rng(0)

    def put(self, work):
        delay = self.rng.choice([0, 2e-4, 3e-3])
        return self.queue.submit(lambda: (time.sleep(delay), work()))

    def record(self, event):
        event.happened = happened = threading.Event()
        self.put(happened.set)

    def synchronize(self):
        self.put(lambda: None).result()

    def wait_event(self, event):
        self.put(event.happened.wait)


class Array(np.ndarray):
    """Sent to by a stream, not at once."""

    def set(self, host, stream):
        stream.put(lambda: np.copyto(self, host))


@pytest.fixture
def stream(monkeypatch):
    """The current stream of a pretended CuPy."""
    current = Stream()
    cupy, cupyx = ModuleType("cupy"), ModuleType("cupyx")
    device = type("Device", (), {"__enter__": lambda self: self, "__exit__": lambda self, *a: None})
    cupy.cuda = SimpleNamespace(Device=device, Stream=Stream, Event=Event, get_current_stream=lambda: current)
    pool = []  # what was given back: work that is still queued may read it
    cupy.pool = pool
    cupy.empty = lambda shape, dtype: pool.pop() if pool else np.full(shape, np.nan, dtype).view(Array)
    cupyx.empty_pinned = lambda shape, dtype: np.full(shape, np.nan, dtype)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupyx", cupyx)
    yield current
    current.queue.shutdown()


DATA = np.random.default_rng(1).normal(size=(40, 2, 3)).astype(np.float32)


@pytest.mark.parametrize("size", [1, 3, 7, 40])
def test_every_batch_is_seen_as_it_was_read(stream, size):
    groups = [np.arange(40)[::-1][begin : begin + size] for begin in range(0, 40, size)]
    seen = [np.empty((len(group), 2, 3), np.float32) for group in groups]
    for copy, batch in zip(seen, uploaded(DATA.__getitem__, groups, (2, 3), np.dtype("f4")), strict=True):
        stream.put(lambda copy=copy, batch=batch: np.copyto(copy, batch))  # a kernel that reads it, later
    done = Event()
    stream.record(done)
    done.synchronize()
    for copy, group in zip(seen, groups, strict=True):
        np.testing.assert_array_equal(copy, DATA[group])


def test_memory_that_queued_work_still_reads_is_left_alone(stream):
    import cupy

    cupy.pool += [np.full((4, 2, 3), 7, np.float32).view(Array) for _ in range(2)]
    given_back = list(cupy.pool)
    seen = []
    stream.put(lambda: time.sleep(0.02))
    stream.put(lambda: seen.extend(array.copy() for array in given_back))
    groups = [np.arange(4), np.arange(4, 8)]
    for _ in uploaded(DATA.__getitem__, groups, (2, 3), np.dtype("f4")):
        pass
    stream.synchronize()
    assert len(seen) == 2
    np.testing.assert_array_equal(seen, 7)


def test_copies_are_over_when_the_generator_is_left(stream, monkeypatch):
    finished = []
    monkeypatch.setattr(Stream, "synchronize", lambda self: finished.append(self))
    batches = uploaded(DATA.__getitem__, [np.arange(4), np.arange(4, 8)], (2, 3), np.dtype("f4"))
    next(batches)
    batches.close()
    assert len(finished) == 1


def test_nothing_to_send(stream):
    assert list(uploaded(DATA.__getitem__, [], (2, 3), np.dtype("f4"))) == []


def test_an_error_of_the_reader_comes_through(stream):
    def read(position):
        if position == 5:
            raise OSError("the disk is gone")
        return DATA[position]

    with pytest.raises(OSError, match="the disk is gone"):
        list(uploaded(read, [np.arange(4), np.arange(4, 8), np.arange(8, 9)], (2, 3), np.dtype("f4")))


def test_on_a_gpu():
    """Every batch is read by slow work, queued and not waited for."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    if backend.resolve_device("auto") is np:
        pytest.skip("CuPy finds no GPU")
    groups = [np.arange(begin, min(begin + 3, 40)) for begin in range(0, 40, 3)]
    slow = cupy.ones((2000, 2000), cupy.float32)
    seen = []
    for batch in uploaded(DATA.__getitem__, groups, (2, 3), np.dtype("f4")):
        for _ in range(5):
            slow = slow @ slow * cupy.float32(1 / 2000)
        seen.append(batch + 0 * slow[0, 0])
    np.testing.assert_allclose(cupy.concatenate(seen).get(), DATA)
