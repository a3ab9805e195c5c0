"""A generator run by a thread of its own: start, pause, resume, stop."""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Job", "JobStopped"]

_ACTIVE = ("running", "paused", "stopping")


class JobStopped(Exception):
    """Raised inside the worker, by `Job.check`, when the job is to stop."""


class Job:
    """Run a generator in the background.

    ``run``, ``pause``, ``resume`` and ``stop`` return at once, may be called from any thread and at
    any time, and do nothing where they make no sense. Between two steps the job always listens. A generator
    whose steps take long calls `check` now and then, and is paused and stopped within a step, too:

    >>> job = Job(lambda: ptycho.iterate(between_batches=job.check, max_iter=50), on_step=show)
    >>> job.run()

    Parameters
    ----------
    start : callable
        Makes the generator; called in the worker, at every run.
    on_step : callable, optional
        Called with each step, in the worker.
    on_end : callable, optional
        Called with the last state, "done", "stopped" or "failed", in the worker.
    clock : callable
        Seconds from any moment.

    Attributes
    ----------
    error : BaseException or None
        What ended the last run, if it failed.
    ended_by : BaseException or None
        For ``on_end``: what ended the run that it is told of, even if another has begun since.

    Raises
    ------
    TypeError
        If an argument is not callable.

    Notes
    -----
    Callbacks are called one at a time and never under the lock, so they may call every method. An error in
    ``start``, ``on_step`` or the generator fails the run; one in ``on_end`` does, too.
    """

    def __init__(
        self,
        start: Callable[[], Iterator[Any]],
        *,
        on_step: Callable[[Any], None] | None = None,
        on_end: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("start", start), ("on_step", on_step), ("on_end", on_end)):
            if not callable(value) and (value is not None or name == "start"):
                raise TypeError(f"{name} must be callable, got {type(value).__name__}")
        self._start, self._on_step, self._on_end = start, on_step, on_end
        self._lock = threading.Lock()
        self._may_go_on = threading.Event()  # cleared while paused
        self._state = "ready"
        self._clock, self._spent, self._since = clock, 0.0, math.nan
        self._thread: threading.Thread | None = None
        self.error: BaseException | None = None
        self.ended_by: BaseException | None = None  # workers follow one another: no lock

    @property
    def state(self) -> str:
        """One of "ready", "running", "paused", "stopping", "done", "stopped" and "failed"."""
        return self._state

    @property
    def active(self) -> bool:
        """Whether a run is on: "running", "paused" or "stopping"."""
        return self._state in _ACTIVE

    @property
    def seconds(self) -> float:
        """How long the present or last run has been at work; pauses do not count."""
        with self._lock:
            return self._worked()

    def run(self) -> None:
        """Start, from the beginning; nothing if a run is on."""
        with self._lock:
            if self._state in _ACTIVE:
                return
            thread = threading.Thread(
                target=self._work, args=(self._thread,), name="caviar_kit job", daemon=True
            )
            self._may_go_on.set()
            thread.start()
            self._thread, self._state, self.error = thread, "running", None
            self._spent, self._since = 0.0, self._clock()

    def pause(self) -> None:
        """Hold the worker at its next `check` or step."""
        with self._lock:
            if self._state == "running":
                self._state = "paused"
                self._may_go_on.clear()
                self._spent, self._since = self._worked(), math.nan

    def resume(self) -> None:
        """Let a paused worker go on."""
        with self._lock:
            if self._state == "paused":
                self._state, self._since = "running", self._clock()
                self._may_go_on.set()

    def stop(self) -> None:
        """End the run at the worker's next `check` or step; a paused one, too."""
        with self._lock:
            if self._state in _ACTIVE:
                self._state = "stopping"
                self._may_go_on.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run and its callbacks are over; not to be called from them.

        Parameters
        ----------
        timeout : float, optional
            Seconds at most; no limit by default.

        Returns
        -------
        bool
            Whether they are over.

        Raises
        ------
        RuntimeError
            If called from a callback of this job, or without ``timeout`` while the job is paused.
        """
        with self._lock:
            thread, paused = self._thread, self._state == "paused"
        if paused and timeout is None:
            raise RuntimeError(
                "paused, so waiting would never end: call resume() or stop() first, or give wait a timeout"
            )
        if thread is None:
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def check(self) -> None:
        """Wait while the job is paused; raise `JobStopped` if it is to stop. For the generator to call."""
        self._may_go_on.wait()
        if self._state == "stopping":
            raise JobStopped

    def _worked(self) -> float:
        return self._spent + (0.0 if math.isnan(self._since) else self._clock() - self._since)

    # The worker ----------------------------------------------------------------------------

    def _work(self, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()  # until its last callback is over
        end: str = "done"
        error: BaseException | None = None
        try:
            self._consume()
        except JobStopped:
            end = "stopped"
        except BaseException as caught:
            traceback.clear_frames(caught.__traceback__)  # which hold the data
            end, error = "failed", caught
        self._finish(end, error)
        self.ended_by = error
        try:
            if self._on_end is not None:
                self._on_end(end)
        except BaseException as caught:
            self._finish("failed", error or caught)

    def _finish(self, end: str, error: BaseException | None) -> None:
        with self._lock:
            if self._thread is threading.current_thread():  # else a callback has begun another run
                self._state, self.error = end, error
                self._spent, self._since = self._worked(), math.nan

    def _consume(self) -> None:
        self.check()
        steps = self._start()
        try:
            for step in steps:
                if self._on_step is not None:
                    self._on_step(step)
                del step  # before the next is made
                self.check()
        finally:
            close = getattr(steps, "close", None)
            if close is not None:
                close()
