"""A fit between two iterations, complete: what it takes to go on as if nothing had happened."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.backend import to_numpy
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.npz import read_npz, write_npz

__all__ = ["Checkpoint", "load_checkpoint"]

_VERSION = 1
_OPTIMIZER, _BEST = "optimizer/", "best/"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that the engine needs to continue.

    Attributes
    ----------
    fingerprint : str
        Of settings and model: a checkpoint only continues the fit it came from.
    progress : dict
        Stage, iterations, losses and the state of the random numbers (JSON-ready).
    probe, instrument
        Those that the stage began with.
    optimizer : dict of arrays
        State of the optimiser.
    best : array or None
        Vector of the best held-out iteration.
    """

    fingerprint: str
    progress: dict[str, Any]
    probe: np.ndarray
    instrument: Instrument
    optimizer: dict[str, np.ndarray]
    best: np.ndarray | None = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to ``path`` (.npz without pickles): complete, or the old file stays."""
        arrays: dict[str, Any] = {
            "version": np.array(_VERSION),
            "fingerprint": np.array(self.fingerprint),
            "progress": np.array(json.dumps(self.progress)),
            "probe": self.probe,
            **{_OPTIMIZER + name: array for name, array in self.optimizer.items()},
        }
        for f in fields(Instrument):
            if (value := getattr(self.instrument, f.name)) is not None:
                arrays["instrument/" + f.name] = to_numpy(value)
        if self.best is not None:
            arrays[_BEST + "vector"] = self.best
        write_npz(path, {name: to_numpy(array) for name, array in arrays.items()}, compress=False)


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read what :meth:`Checkpoint.save` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If ``path`` is no path, or the file is damaged, of another kind or of a newer version.
    """
    arrays = read_npz(
        validation.path_like("path", path), ["version", "fingerprint", "progress", "probe"], others=True
    )
    try:
        version = int(arrays["version"])
        if version <= _VERSION:
            return _assembled(arrays)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)} is damaged or no checkpoint: {error}") from error
    raise ValueError(f"{os.fspath(path)}: checkpoint version {version}, this release reads up to {_VERSION}")


def _assembled(arrays: dict[str, np.ndarray]) -> Checkpoint:
    def group(prefix: str) -> dict[str, np.ndarray]:
        return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}

    return Checkpoint(
        fingerprint=str(arrays["fingerprint"]),
        progress=json.loads(str(arrays["progress"])),
        probe=arrays["probe"],
        instrument=Instrument(**group("instrument/")),
        optimizer=group(_OPTIMIZER),
        best=group(_BEST).get("vector"),
    )
