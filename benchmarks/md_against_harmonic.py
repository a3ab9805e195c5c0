"""Molecular dynamics against the exact harmonic covariance of the same crystal: one JSON line.

``python benchmarks/md_against_harmonic.py --snapshots 300``: Si Σ9, 864 atoms, Stillinger–Weber, 300 K. The
force constants of the whole periodic cell are finite differences of forces; their classical covariance is
compared with that of snapshots 1 ps apart, for the columns' mean displacements in the plane and their pairs
up to 1.6, 2.6 and 4.5 Å (cosine per column, mean over the columns, self terms left out). As many independent
draws from the harmonic crystal itself tell how much of the rest is chance.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from caviar_kit.simulation import (
    Columns,
    Lammps,
    Snapshots,
    column_covariance,
    column_displacements,
    columns,
    einstein,
    harmonic,
    harmonic_covariance,
    molecular_dynamics,
    save_snapshots,
    silicon_sigma9,
)
from caviar_kit.simulation.column_covariance import column_agreement
from caviar_kit.vibrations.correlations import greens_tensor

STEP_ANGSTROM = 0.01
REACHES_ANGSTROM = (1.6, 2.6, 4.5)


def force_constants(engine: Lammps, positions: np.ndarray) -> np.ndarray:
    """(n, 3, n, 3) [eV/Å²] by central differences."""
    constants = np.empty((len(positions), 3, len(positions), 3))
    for index in np.ndindex(positions.shape):
        moved = np.zeros_like(positions)
        moved[index] = STEP_ANGSTROM
        difference = engine.forces(positions - moved) - engine.forces(positions + moved)
        constants[index] = difference / (2 * STEP_ANGSTROM)
    return constants


def cosines(reference: np.ndarray, snapshots: Snapshots, found: Columns) -> dict[str, float]:
    """Mean cosine with ``reference`` for pairs up to each reach [Å]."""
    tensor = greens_tensor(column_displacements(snapshots, found))
    return {
        str(reach): round(
            float(column_agreement(reference, tensor, found.positions, snapshots.cell, reach).mean()), 4
        )
        for reach in REACHES_ANGSTROM
    }


def self_error(reference: np.ndarray, snapshots: Snapshots, found: Columns) -> float:
    """Mean relative error of the self terms xx and yy."""
    measured = (column_displacements(snapshots, found) ** 2).mean(axis=0)
    return round(float(np.abs(measured / np.einsum("iaia->ia", reference) - 1).mean()), 4)


def main() -> None:
    """Relax, find force constants, run, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--potential", default="sw")
    parser.add_argument("--snapshots", type=int, default=300)
    parser.add_argument("--interval-ps", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", help="keep the snapshots in this .npz file")
    asked = parser.parse_args()
    clock = [time.perf_counter()]
    with Lammps(silicon_sigma9(), asked.potential) as engine:
        atoms = engine.relax()
        constants = force_constants(engine, atoms.positions)
    clock.append(time.perf_counter())
    moved = molecular_dynamics(
        atoms, asked.potential, seed=asked.seed, snapshots=asked.snapshots, interval_ps=asked.interval_ps
    )
    clock.append(time.perf_counter())
    if asked.save:
        save_snapshots(asked.save, moved)
    exact = harmonic_covariance(atoms, constants, statistics="classical")
    drawn = harmonic(atoms, constants, seed=asked.seed, snapshots=asked.snapshots, statistics="classical")
    found = columns(moved)
    reference = column_covariance(exact, found)
    few = min(30, asked.snapshots)
    result = {
        "specimen": f"Si sigma-9, {len(atoms)} atoms, {asked.potential}",
        "snapshots": asked.snapshots,
        "interval_ps": asked.interval_ps,
        "measured temperature": moved.provenance["measured temperature"],
        "cosine": {
            "dynamics": cosines(reference, moved, found),
            "harmonic draws": cosines(reference, drawn, found),
            f"dynamics, {few} of them": cosines(reference, moved.subset(few), found),
            f"harmonic draws, {few} of them": cosines(reference, drawn.subset(few), found),
            "einstein": cosines(reference, einstein(moved, seed=0), found),
        },
        "self_terms_error": {
            "dynamics": self_error(reference, moved, found),
            "harmonic draws": self_error(reference, drawn, found),
        },
        "rms_pm_dynamics": (100 * moved.displacements.std(axis=(0, 1))).round(2).tolist(),
        "rms_pm_harmonic": (100 * np.sqrt(np.einsum("iaia->ia", exact).mean(axis=0))).round(2).tolist(),
        "seconds": {
            name: round(after - before, 1)
            for name, before, after in zip(("force constants", "dynamics"), clock, clock[1:], strict=False)
        },
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
