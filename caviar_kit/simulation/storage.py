"""Snapshots on disk in fixed point: a few hundred kB instead of megabytes."""

from __future__ import annotations

import json
import os

import numpy as np

from caviar_kit.npz import read_npz, write_npz
from caviar_kit.simulation.snapshots import Snapshots

__all__ = ["load_snapshots", "save_snapshots"]

_QUANTUM_ANGSTROM = 1e-4
_KEYS = ("displacements", "quantum_angstrom", "relaxed", "cell", "numbers", "temperature_k", "provenance")


def save_snapshots(path: str | os.PathLike[str], snapshots: Snapshots) -> None:
    """Write ``snapshots`` to a compressed .npz file.

    Relaxed positions as float32 [Å]; displacements from them as int16 in units of 1e-4 Å
    (0.01 pm, hundreds of times smaller than a thermal displacement). The file is
    written beside its place and renamed: an interrupted write leaves no broken file.

    Raises
    ------
    ValueError
        If an atom is more than 3.27 Å away from its relaxed position (it has diffused).
    """
    relaxed = snapshots.relaxed.astype(np.float32)
    steps = np.rint((snapshots.positions - relaxed) / _QUANTUM_ANGSTROM)
    if np.abs(steps).max() > np.iinfo(np.int16).max:
        far = np.abs(steps).max() * _QUANTUM_ANGSTROM
        raise ValueError(f"snapshots must stay within 3.27 Å of the relaxed positions, got {far:.2f} Å")
    content = {
        "displacements": steps.astype(np.int16),
        "quantum_angstrom": _QUANTUM_ANGSTROM,
        "relaxed": relaxed,
        "cell": snapshots.cell,
        "numbers": snapshots.numbers.astype(np.uint8),
        "temperature_k": snapshots.temperature_k,
        "provenance": json.dumps(dict(snapshots.provenance)),
        "periodic_along_beam": snapshots.periodic_along_beam,
    }
    write_npz(path, content, compress=True)


def load_snapshots(path: str | os.PathLike[str]) -> Snapshots:
    """Read what ``save_snapshots`` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, or is not a snapshot file.
    """
    content = read_npz(path, _KEYS, others=True)
    relaxed = content["relaxed"].astype(np.float64)
    try:
        return Snapshots(
            positions=relaxed + content["displacements"] * float(content["quantum_angstrom"]),
            numbers=content["numbers"],
            cell=content["cell"],
            relaxed=relaxed,
            temperature_k=float(content["temperature_k"]),
            provenance=json.loads(str(content["provenance"])),
            periodic_along_beam=bool(content.get("periodic_along_beam", True)),
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)} does not hold snapshots: {error}") from error
