"""Two reference specimens: atoms that vibrate independently, and atoms at rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from caviar_kit import validation
from caviar_kit.simulation.columns import columns
from caviar_kit.simulation.snapshots import Snapshots, check_snapshots

__all__ = ["coherent", "einstein"]


def einstein(snapshots: Snapshots, seed: int, match: str = "column") -> Snapshots:
    """Independent Gaussian displacements, as large as those of ``snapshots`` (Einstein model).

    Means stay *exactly*, and so do the variances of what is drawn (each draw is centred and rescaled): of
    every atom with ``match="atom"``; of every column's mean, and of every atom along z, with "column". In
    the plane an atom of a column then has that variance only on average, since the few draws of its
    column's motion and of its own around it correlate by chance.

    Parameters
    ----------
    snapshots : Snapshots
        At least 3 of them, usually molecular dynamics.
    seed : int
        Seed of the random numbers: same seed, same bits.
    match : {"column", "atom"}
        What is independent. "atom": each atom; columns then vibrate less than in
        ``snapshots``, whose atoms move together along a column (26.6 against 35.7 pm² in
        Si Σ9 at 300 K). "column": in the plane, each column, with the variance of the column's
        mean and, around it, of its atoms; each atom along z. The embedded example uses "column":
        what an image shows then has the same self terms as molecular dynamics.

    Raises
    ------
    TypeError, ValueError
        If the atoms do not stand in columns (two crystals on top of each other: use "atom"), there are
        fewer than 3 snapshots, ``seed`` is not an integer from 0, or ``match`` is
        none of the two.
    """
    check_snapshots(snapshots)
    validation.integer("number of snapshots", len(snapshots), minimum=3)
    rng = np.random.default_rng(validation.integer("seed", seed, minimum=0))
    match = validation.choice("match", match, ("column", "atom"))
    thermal = snapshots.displacements
    drawn = _independent(thermal, rng)
    if match == "column":
        found = columns(snapshots)
        common = found.average(thermal[..., :2])
        relative = thermal[..., :2] - common[:, found.labels]
        around = rng.standard_normal(relative.shape)
        around = _scaled(around - found.average(around)[:, found.labels], relative)
        around -= found.average(around)[:, found.labels]  # rescaling may have moved the column again
        drawn[..., :2] = _independent(common, rng)[:, found.labels] + around
    provenance = {"dynamics": f"Einstein model, variance matched per {match}, seed {seed}"}
    provenance["matched to"] = "; ".join(f"{key}: {value}" for key, value in snapshots.provenance.items())
    return replace(snapshots, positions=snapshots.mean_positions + drawn, provenance=provenance)


def coherent(snapshots: Snapshots) -> Snapshots:
    """One snapshot with the atoms at rest in the mean positions of ``snapshots``."""
    check_snapshots(snapshots)
    provenance = {
        "dynamics": f"atoms at rest in the mean of {len(snapshots)} snapshots",
        **{f"mean of {key}": value for key, value in snapshots.provenance.items()},
    }
    mean = snapshots.mean_positions[None]
    return replace(snapshots, positions=mean, temperature_k=0.0, provenance=provenance)


def _independent(reference: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Normal numbers with the shape of ``reference`` and its variance along the first axis."""
    return _scaled(rng.standard_normal(reference.shape), reference)


def _scaled(drawn: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """``drawn``, centred along the first axis and given the standard deviation of ``reference``."""
    centred = drawn - drawn.mean(axis=0)
    spread = centred.std(axis=0)
    return centred * np.divide(reference.std(axis=0), spread, out=np.zeros_like(spread), where=spread > 0)
