"""Ensemble results made by hand: a small crystal whose atoms follow a common sway."""

from __future__ import annotations

import numpy as np

import caviar_kit as ck

SAMPLING = 0.25


def ensemble(
    name: str = "si-sigma9-md", *, rows: int = 3, states: int = 6, sway: float = 0.06, seed: int = 0
) -> ck.EnsembleResult:
    """``rows`` × 4 atoms, 2 Å apart; ``sway`` [Å] is shared by all, a third of it is each atom's own.

    Without sway the true atoms rest, and the found ones tremble a little.
    """
    rng = np.random.default_rng(seed)
    places = 2.0 * np.stack(np.indices((rows, 4)), axis=-1).reshape(-1, 2) + 1.5
    u = sway * (rng.standard_normal((states, 1, 2)) + rng.standard_normal((states, len(places), 2)) / 3)
    if not sway:
        u = 1e-3 * rng.standard_normal((states, len(places), 2))
    u -= u.mean(axis=0)
    tracked = places + u
    y, x = SAMPLING * np.indices((int((2 * rows + 1) / SAMPLING), int(9 / SAMPLING)))
    phases = [sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 0.18) for a, b in state) for state in tracked]
    return ck.EnsembleResult(
        name=name,
        preset="quick",
        phases=np.array(phases, dtype=np.float32),
        sampling=np.full(2, SAMPLING),
        tracked=tracked,
        true_positions=places,
        true_displacements=(np.sqrt(1.2) if sway else 0.0) * u,
        loss=np.geomspace(1e-3, 1e-6, 9),
        seconds=12.5,
        provenance={"seed": seed, "made with": "random numbers"},
    )
