"""Specimens that come with the kit."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from caviar_kit.simulation.snapshots import Snapshots
from caviar_kit.simulation.storage import load_snapshots

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["silicon_sigma9", "silicon_sigma9_snapshots"]


def silicon_sigma9() -> Atoms:
    """Relaxed silicon cell with two symmetric Σ9 {221}/[110] tilt boundaries, as ASE ``Atoms``.

    864 atoms, 34.7 × 65.3 × 7.7 Å, periodic. x is [1 1 -4], y the boundary normal [2 2 1], z the beam
    along [1 -1 0] (four atomic layers). The boundaries, rows of five- and seven-membered
    rings, lie at y ≈ 0 and y ≈ 32.6 Å; every atom has four neighbours. Stillinger–Weber potential,
    0.45 J/m² per boundary.
    """
    from ase import Atoms

    snapshots = silicon_sigma9_snapshots()
    return Atoms(numbers=snapshots.numbers, positions=snapshots.relaxed, cell=snapshots.cell, pbc=True)


def silicon_sigma9_snapshots() -> Snapshots:
    """30 molecular-dynamics snapshots at 300 K of ``silicon_sigma9``, 10 ps apart.

    LAMMPS, Stillinger–Weber potential, Langevin thermostat; every tenth of 300 snapshots that were
    taken 1 ps apart (``.provenance`` tells more). Classical dynamics: amplitudes
    follow k_B T, without the zero-point motion.
    """
    with as_file(files("caviar_kit") / "data" / "si_sigma9_snapshots.npz") as path:
        return load_snapshots(path)
