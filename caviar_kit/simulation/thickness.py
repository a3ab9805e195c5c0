"""Thick specimens from the snapshots of a thin cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from caviar_kit import validation
from caviar_kit.simulation.snapshots import Snapshots, check_snapshots

__all__ = ["thicken"]


def thicken(snapshots: Snapshots, repeats: int, seed: int = 0) -> Snapshots:
    """Stack ``repeats`` cells along the beam, each at another instant.

    Snapshot i of the result holds in its first cell snapshot i, and in every other cell one that a seeded
    permutation assigns: each snapshot is used once per cell, so that means and variances are those of the
    cell. Displacements correlate within a cell, as in ``snapshots``, but not from one cell to the next: a
    simple model of a thick specimen, not its dynamics.

    Parameters
    ----------
    snapshots : Snapshots
        Periodic along the beam.
    repeats : int
        Cells; 1 returns ``snapshots``.
    seed : int
        Of the permutations: same seed, same bits.

    Returns
    -------
    Snapshots
        Atoms cell by cell, ``repeats`` times as many.

    Raises
    ------
    TypeError, ValueError
        If ``snapshots`` are none, ``repeats`` is not an integer from 1, or ``seed`` not one from 0.
    """
    check_snapshots(snapshots)
    if not snapshots.periodic_along_beam:
        raise ValueError("snapshots must be periodic along the beam to be stacked, these have surfaces")
    repeats = validation.integer("repeats", repeats)
    rng = np.random.default_rng(validation.integer("seed", seed, minimum=0))
    if repeats == 1:
        return snapshots
    orders = [np.arange(len(snapshots))] + [rng.permutation(len(snapshots)) for _ in range(repeats - 1)]
    shifts = np.arange(repeats)[:, None] * snapshots.cell[2]
    stacked = {"stacked": f"{repeats} cells along the beam, snapshots permuted with seed {seed}"}
    return replace(
        snapshots,
        positions=np.concatenate(
            [snapshots.positions[o] + s for o, s in zip(orders, shifts, strict=True)], 1
        ),
        relaxed=np.concatenate([snapshots.relaxed + shift for shift in shifts]),
        numbers=np.tile(snapshots.numbers, repeats),
        cell=snapshots.cell * np.array([[1], [1], [repeats]]),
        provenance={**snapshots.provenance, **stacked},
    )
