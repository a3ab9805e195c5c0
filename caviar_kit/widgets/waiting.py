"""Act once when a burst of changes has come to rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Waiting"]


class Waiting:
    """Calls an action after the last of several changes; without an event loop (a script) at once.

    Parameters
    ----------
    action : callable
        Without arguments.
    seconds : float
        Rest after which the action is called.
    """

    def __init__(self, action: Callable[[], None], seconds: float = 0.25) -> None:
        self._action, self._seconds = action, seconds
        self._pending: asyncio.TimerHandle | None = None
        self._paused = False

    def call(self, change: Any = None) -> None:
        """Something has changed."""
        if self._paused:
            return
        self._cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._action()
        else:
            self._pending = loop.call_later(self._seconds, self._action)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Changes within do nothing; the action is called once at the end."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False
            self._cancel()
            self._action()

    def _cancel(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
