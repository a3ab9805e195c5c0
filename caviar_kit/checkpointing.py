"""A fit that survives its process: the engine's generator, written to a file now and then."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from caviar_kit import validation
from caviar_kit.multislice.checkpoint import load_checkpoint
from caviar_kit.multislice.engine import Snapshot, run
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.settings import FitSettings
from caviar_kit.npz import remove_partials

__all__ = ["run_with_checkpoints"]


def run_with_checkpoints(
    evaluator: Evaluator,
    probe: Any,
    settings: FitSettings,
    path: str | os.PathLike[str],
    *,
    every_seconds: float = 60.0,
    **start: Any,
) -> Iterator[Snapshot]:
    """Run a fit like :func:`caviar_kit.multislice.run`, and write it to ``path`` now and then.

    If ``path`` exists, the fit goes on from there. It is written when the generator is left between
    two iterations, too, and removed when the fit has come to its end.

    Parameters
    ----------
    evaluator, probe, settings
        As for :func:`caviar_kit.multislice.run`.
    path : path
        The checkpoint, see :class:`caviar_kit.multislice.Checkpoint`.
    every_seconds : float
        Least time between two writes [s]; 0 writes after every iteration.
    **start
        ``initial_object`` and ``instrument``, as for :func:`caviar_kit.multislice.run`.

    Yields
    ------
    Snapshot
        As :func:`caviar_kit.multislice.run`; first the one gone on from, if any.

    Raises
    ------
    TypeError, ValueError
        If ``path`` is no path, exists and is damaged, something else or of another fit, or its folder
        does not exist.
    """
    path = validation.path_like("checkpoint", path)
    validation.number("checkpoint_every", every_seconds, minimum=0, unit="s")
    if not path.parent.is_dir():
        raise ValueError(f"checkpoint={os.fspath(path)!r}: there is no folder {os.fspath(path.parent)!r}")
    if path.is_dir():
        raise ValueError(f"checkpoint={os.fspath(path)!r} must name a file, this is a folder")
    if not path.exists():
        return _written(run(evaluator, probe, settings, **start), path, every_seconds)
    try:
        steps = run(evaluator, probe, settings, resume=load_checkpoint(path), **start)
    except ValueError as error:
        raise ValueError(
            f"checkpoint={os.fspath(path)!r}: {error}; remove the file to start from the beginning"
        ) from error
    return _written(steps, path, every_seconds)


def _written(steps: Iterator[Snapshot], path: Path, every_seconds: float) -> Iterator[Snapshot]:
    begin, written = time.monotonic(), None
    for snapshot in steps:
        if time.monotonic() - begin >= every_seconds:
            _save(snapshot, path)
            begin, written = time.monotonic(), snapshot
        try:
            yield snapshot
        except BaseException:  # left between two iterations: lose nothing
            if written is not snapshot:
                _save(snapshot, path)
            raise
    path.unlink(missing_ok=True)
    remove_partials(path)


def _save(snapshot: Snapshot, path: Path) -> None:
    snapshot.checkpoint().save(path)
