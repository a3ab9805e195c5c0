"""Keep simulated arrays on disk under a name that changes with everything they depend on."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from caviar_kit.npz import read_npz, write_npz
from caviar_kit.simulation.experiment import Experiment
from caviar_kit.simulation.snapshots import Snapshots

__all__ = ["cache_key", "read_arrays", "simulation_record", "write_arrays"]

_FORMAT = 1  # raise it when the simulation or the layout changes meaning


def cache_key(snapshots: Snapshots, experiment: Experiment) -> str:
    """16 hexadecimal digits from the bytes of the snapshots, the experiment and abTEM's version."""
    settings = f"{_FORMAT} abtem {version('abtem')} {sorted(asdict(experiment).items())}"
    settings += "" if snapshots.periodic_along_beam else " slab"
    return _digest(settings, snapshots.positions, snapshots.numbers, snapshots.cell)


def simulation_record(
    snapshots: Snapshots, experiment: Experiment, positions_angstrom: np.ndarray | None
) -> dict[str, Any]:
    """What a simulated file depends on, as JSON keeps it: settings in words, arrays as digests."""
    relaxed = snapshots.relaxed  # says which atoms are in the window
    record = {
        "format": _FORMAT,
        "abtem": version("abtem"),
        "periodic_along_beam": snapshots.periodic_along_beam,
        "snapshots": _digest("", snapshots.positions, snapshots.numbers, snapshots.cell, relaxed),
        "experiment": asdict(experiment),
        "positions_angstrom": None if positions_angstrom is None else _digest("", positions_angstrom),
    }
    revived: dict[str, Any] = json.loads(json.dumps(record))
    return revived


def _digest(settings: str, *arrays: np.ndarray) -> str:
    """16 hexadecimal digits from a text and the bytes of arrays."""
    digest = hashlib.sha256(settings.encode())
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def read_arrays(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray] | None:
    """The float32 arrays in the .npz file ``path``; None if there is no such file or it is damaged.

    Warns
    -----
    UserWarning
        If the file is truncated, fails its checksums, or lacks an array of the right shape.
    """
    try:
        arrays = read_npz(path, shapes)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        _warn_damaged(str(error))
        return None
    for name, shape in shapes.items():
        array = arrays[name]
        if array.dtype != np.float32 or array.shape != shape or not np.isfinite(array).all():
            _warn_damaged(f"{path} is damaged: {name} is {array.dtype} {array.shape} or not finite")
            return None
    return arrays


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write ``arrays`` to ``path``, all or nothing.

    Warns
    -----
    UserWarning
        If the directory cannot be written to; the caller goes on without a cache.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_npz(path, arrays, compress=False)
    except OSError as error:
        warnings.warn(
            f"the example is not cached, {path.parent} cannot be written: {error}; set CAVIAR_KIT_CACHE",
            UserWarning,
            stacklevel=4,
        )


def _warn_damaged(message: str) -> None:
    warnings.warn(f"{message}; the cached example is made again", UserWarning, stacklevel=5)
