"""Thermal snapshots of a simulation as py4DSTEM data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from caviar_kit._arrays import vectors
from caviar_kit._dataset import Dataset
from caviar_kit.simulation.snapshots import Snapshots

__all__ = ["ThermalSnapshots"]

_FIELDS = ("positions", "numbers", "cell", "relaxed")


class ThermalSnapshots(Dataset):
    """:class:`caviar_kit.simulation.Snapshots` to be saved, or hung into the tree of a data cube.

    Parameters
    ----------
    snapshots : Snapshots
        Positions (snapshots, atoms, 3), here x, y, z [Å] with the beam along z, of the same atoms.
    name : str
        Name in files and trees.
    parameters, seed
        Origin; see :class:`caviar_kit._dataset.Dataset`.

    Raises
    ------
    TypeError
        If ``snapshots`` is something else.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        *,
        name: str = "thermal_snapshots",
        parameters: Mapping[str, Any] | None = None,
        seed: int | None = None,
        loss: None = None,
    ) -> None:
        super().__init__(name, parameters, seed, loss)
        if not isinstance(snapshots, Snapshots):
            raise TypeError(
                f"snapshots must be caviar_kit.simulation.Snapshots, got {type(snapshots).__name__}"
            )
        self.snapshots = snapshots

    def _stored_arrays(self) -> dict[str, Any]:
        axes = {
            "positions": ["snapshot", "atom", "axis (x, y, z)"],
            "numbers": ["atom"],
            "cell": ["vector", "axis (x, y, z)"],
            "relaxed": ["atom", "axis (x, y, z)"],
        }
        return {
            name: vectors(getattr(self.snapshots, name), names, "" if name == "numbers" else "A")
            for name, names in axes.items()
        }

    def _stored_record(self) -> dict[str, Any]:
        thermal = {
            "temperature_k": self.snapshots.temperature_k,
            "provenance": dict(self.snapshots.provenance),
            "periodic_along_beam": self.snapshots.periodic_along_beam,
        }
        return {**self._origin, **thermal}

    @classmethod
    def _arguments(cls, arrays: dict[str, np.ndarray], record: dict[str, Any]) -> dict[str, Any]:
        known: dict[str, Any] = {name: arrays[name] for name in _FIELDS}
        for key in ("temperature_k", "provenance"):
            known[key] = record[key]
        known["periodic_along_beam"] = record.get("periodic_along_beam", True)
        return {"snapshots": Snapshots(**known)}
