"""Molecular dynamics against the exact harmonic covariance of the same crystal: one JSON line.

``python benchmarks/md_against_harmonic.py --snapshots 300``: Si Σ9, 864 atoms, Stillinger–Weber, 300 K. The
force constants of the whole periodic cell are finite differences of forces; their classical covariance is
compared with that of snapshots 1 ps apart, for the columns' mean displacements in the plane and all pairs of
columns up to 4.5 Å (cosine per column, mean over the columns; self terms apart).
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from caviar_kit.simulation import (
    Lammps,
    column_covariance,
    column_displacements,
    columns,
    einstein,
    harmonic_covariance,
    molecular_dynamics,
    silicon_sigma9,
)
from caviar_kit.simulation.column_covariance import column_agreement
from caviar_kit.vibrations.correlations import greens_tensor

STEP_ANGSTROM = 0.01


def force_constants(engine: Lammps, positions: np.ndarray) -> np.ndarray:
    """(n, 3, n, 3) [eV/Å²] by central differences."""
    constants = np.empty((len(positions), 3, len(positions), 3))
    for index in np.ndindex(positions.shape):
        moved = np.zeros_like(positions)
        moved[index] = STEP_ANGSTROM
        difference = engine.forces(positions - moved) - engine.forces(positions + moved)
        constants[index] = difference / (2 * STEP_ANGSTROM)
    return constants


def main() -> None:
    """Relax, find force constants, run, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--potential", default="sw")
    parser.add_argument("--snapshots", type=int, default=300)
    parser.add_argument("--interval-ps", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    start = time.perf_counter()
    with Lammps(silicon_sigma9(), asked.potential) as engine:
        atoms = engine.relax()
        exact = harmonic_covariance(atoms, force_constants(engine, atoms.positions), statistics="classical")
    seconds = {"force constants": round(time.perf_counter() - start, 1)}
    start = time.perf_counter()
    moved = molecular_dynamics(
        atoms, asked.potential, seed=asked.seed, snapshots=asked.snapshots, interval_ps=asked.interval_ps
    )
    seconds["dynamics"] = round(time.perf_counter() - start, 1)

    found = columns(moved)
    reference = column_covariance(exact, found)

    def cosine(count: int, snapshots=moved) -> float:
        tensor = greens_tensor(column_displacements(snapshots.subset(count), found))
        return float(column_agreement(reference, tensor, found.positions, snapshots.cell).mean())

    self_terms = np.einsum("iaia->ia", greens_tensor(column_displacements(moved, found)))
    spread = np.sqrt(np.einsum("iaia->ia", exact).mean(axis=0))
    result = {
        "specimen": f"Si sigma-9, {len(atoms)} atoms, {asked.potential}",
        "snapshots": asked.snapshots,
        "interval_ps": asked.interval_ps,
        "measured temperature": moved.provenance["measured temperature"],
        "cosine": {str(n): round(cosine(n), 4) for n in sorted({min(30, asked.snapshots), asked.snapshots})},
        "cosine_einstein": round(cosine(asked.snapshots, einstein(moved, seed=0)), 4),
        "self_terms_error": round(float(np.abs(self_terms / np.einsum("iaia->ia", reference) - 1).mean()), 4),
        "rms_pm_md": (100 * moved.displacements.std(axis=(0, 1))).round(2).tolist(),
        "rms_pm_harmonic": (100 * spread).round(2).tolist(),
        "seconds": seconds,
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
