"""Snapshots that come with the kit."""

from __future__ import annotations

from importlib.resources import as_file, files

from caviar_kit.simulation.snapshots import Snapshots
from caviar_kit.simulation.storage import load_snapshots

__all__ = ["silicon_sigma9_snapshots"]


def silicon_sigma9_snapshots() -> Snapshots:
    """30 molecular-dynamics snapshots at 300 K of ``silicon_sigma9``, 10 ps apart.

    LAMMPS, Stillinger–Weber potential, Langevin thermostat; every tenth of 300 snapshots that were
    taken 1 ps apart (``.provenance`` tells more). Classical dynamics: amplitudes
    follow k_B T, without the zero-point motion.
    """
    with as_file(files("caviar_kit") / "data" / "si_sigma9_snapshots.npz") as path:
        return load_snapshots(path)
