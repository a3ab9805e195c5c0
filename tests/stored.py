"""One small object of each class that the kit writes."""

from __future__ import annotations

import numpy as np

import caviar_kit as ck
from caviar_kit.simulation import Snapshots

PARAMETERS = {
    "energy": 200e3,
    "converged": np.bool_(True),
    "detector": "synthetic",
    "aberrations": {"C12": 3.5, "phi12": None},
    "shape": (3, 4),
    "mask": np.eye(2, dtype=bool),
    "empty": (),
    "pairs": [(0.0, 1.0), (2.0, 3.0)],
}


def states(num_states=3, num_slices=2):
    rng = np.random.default_rng(1)
    phases = rng.standard_normal((num_states, num_slices, 6, 5))
    return ck.ObjectEnsemble(
        np.exp(1j * phases),
        (0.25, 0.2),
        [3.84] * (num_slices - 1),
        parameters=PARAMETERS,
        seed=7,
        loss=[1e-3, 1e-4],
    )


def tracked():
    rng = np.random.default_rng(2)
    positions = np.array([[1.0, 2.0], [3.0, 1.5], [4.0, 4.0]]) + 0.07 * rng.standard_normal((5, 3, 2))
    return ck.AtomicDisplacements(positions, parameters=PARAMETERS, seed=7, loss=[1e-3])


def snapshots():
    rng = np.random.default_rng(3)
    relaxed = np.array([[1.0, 1.0, 1.0], [2.0, 3.0, 4.0]])
    return Snapshots(
        positions=relaxed + 0.05 * rng.standard_normal((4, 2, 3)),
        numbers=[14, 7],
        cell=np.diag([5.0, 6.0, 7.0]),
        relaxed=relaxed,
        temperature_k=300.0,
        provenance={"program": "by hand"},
    )


def one_of_each():
    return {
        "states": states(),
        "one_state": states(1, 1),
        "tracked": tracked(),
        "correlations": tracked().correlations(),
        "snapshots": ck.ThermalSnapshots(snapshots(), seed=3),
    }
