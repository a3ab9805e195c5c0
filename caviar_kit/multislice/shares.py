"""Parts of a computation in several threads, that can be held or ended between two batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

__all__ = ["Hook", "in_threads"]

Hook = Callable[[], None]
Result = TypeVar("Result")


def in_threads(parts: Sequence[Callable[[Hook | None], Result]], between: Hook | None) -> list[Result]:
    """Results of all parts, at least one: the first is computed here, each other in a thread of its own.

    Parameters
    ----------
    parts : sequence of callable
        Each takes a hook, to be called now and then, or None.
    between : callable, optional
        The hook of the first part. If it waits, the other parts go on to their end and no further, so the
        process can exit meanwhile. If it, or the first part, raises, the others end at their hooks.
    """
    first, *others = parts
    if not others:
        return [first(between)]
    ended = Event()

    def leave_if_ended() -> None:
        if ended.is_set():
            raise InterruptedError("another part has ended")

    with ThreadPoolExecutor(len(others)) as pool:
        try:
            futures = [pool.submit(part, leave_if_ended) for part in others]
            return [first(between), *(future.result() for future in futures)]
        except BaseException:
            ended.set()
            raise
