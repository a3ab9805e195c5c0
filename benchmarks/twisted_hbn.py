"""Twisted hBN as the benchmarks use it: at rest, of any thickness."""

from __future__ import annotations

import caviar_kit as ck
from caviar_kit.simulation import Snapshots

__all__ = ["TWIST_DEG", "at_rest"]

TWIST_DEG = 10.99


def at_rest(layers: int) -> Snapshots:
    """``layers`` and as many again on top of them, twisted; one snapshot of atoms that do not move."""
    atoms = ck.simulation.twisted_hbn(layers, layers, TWIST_DEG)
    return Snapshots(
        atoms.positions[None], atoms.numbers, atoms.cell.array, atoms.positions, temperature_k=0.0
    )
