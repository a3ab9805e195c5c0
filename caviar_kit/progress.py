"""A progress bar: a consumer of the engine's snapshots."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Protocol

from tqdm import tqdm

__all__ = ["run_to_the_end"]


class _Snapshot(Protocol):
    """What is shown of an iteration."""

    @property
    def stage(self) -> str: ...

    @property
    def iteration(self) -> int: ...

    @property
    def total_iterations(self) -> int: ...

    @property
    def loss(self) -> float: ...


def run_to_the_end(
    steps: Iterator[_Snapshot], *, shown: bool = True, checkpoint: str | os.PathLike[str] | None = None
) -> None:
    """Consume all snapshots, showing iterations, stage, loss and time left.

    Parameters
    ----------
    steps : iterator of snapshots
        A fit; closed at the end, whatever happens.
    shown : bool
        False for silence.
    checkpoint : path, optional
        Where a fit whose first snapshot is not its first iteration goes on from.
    """
    with closing(steps), tqdm(disable=not shown, unit="it", mininterval=0.5) as bar:  # type: ignore[type-var]
        for snapshot in steps:
            if bar.n == 0 and (done := snapshot.iteration) > 1 and shown:
                bar.write(f"{checkpoint}: going on after iteration {done} of {snapshot.total_iterations}")
            bar.total = snapshot.total_iterations
            bar.set_description(snapshot.stage, refresh=False)
            bar.set_postfix(loss=f"{snapshot.loss:.2e}", refresh=False)
            bar.update(snapshot.iteration - bar.n)
