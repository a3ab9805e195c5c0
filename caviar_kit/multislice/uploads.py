"""From disk to a GPU through page-locked memory, while the GPU works on what came before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

__all__ = ["uploaded"]

Array = Any
_SLOTS = 2  # one is worked on, one is filled


def uploaded(
    read: Callable[[int], np.ndarray],
    groups: Sequence[np.ndarray],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
) -> Iterator[Array]:
    """CuPy arrays (n, *shape), one per group of n positions, on the current device and stream.

    Parameters
    ----------
    read : callable
        ``read(position)`` returns an array of ``shape``; called by one other thread.
    groups : sequence of (n,) int
    shape, dtype
        Of what is read, and into what it is cast.

    Notes
    -----
    An array is overwritten once the one after the next is asked for; work that was queued on the
    current stream before that is waited for.
    """
    import cupy
    import cupyx

    device, copies = cupy.cuda.Device(), cupy.cuda.Stream(non_blocking=True)
    size = (max(map(len, groups), default=0), *shape)
    pinned = [cupyx.empty_pinned(size, dtype) for _ in range(_SLOTS)]
    arrays = [cupy.empty(size, dtype) for _ in range(_SLOTS)]
    arrived, consumed = ([cupy.cuda.Event(disable_timing=True) for _ in range(_SLOTS)] for _ in range(2))

    for event in consumed:  # what is queued may still read memory that the pool gave to these arrays
        cupy.cuda.get_current_stream().record(event)

    def send(n: int) -> None:
        slot, group = n % _SLOTS, groups[n]
        with device:  # of the thread that asked: others begin with device 0
            arrived[slot].synchronize()
            for row, position in zip(pinned[slot], group, strict=False):
                row[...] = read(position)
            copies.wait_event(consumed[slot])
            arrays[slot][: len(group)].set(pinned[slot][: len(group)], stream=copies)
            copies.record(arrived[slot])

    try:
        with ThreadPoolExecutor(1) as reader:
            sent = [reader.submit(send, 0)] if groups else []
            for n, group in enumerate(groups):
                if n + 1 < len(groups):
                    sent.append(reader.submit(send, n + 1))
                sent[n].result()
                stream = cupy.cuda.get_current_stream()
                stream.wait_event(arrived[n % _SLOTS])
                yield arrays[n % _SLOTS][: len(group)]
                stream.record(consumed[n % _SLOTS])
    finally:
        copies.synchronize()  # before the memory goes back
