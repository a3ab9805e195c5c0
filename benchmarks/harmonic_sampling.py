"""Time to draw harmonic snapshots of cells of many atoms: JSON lines.

``python benchmarks/harmonic_sampling.py 3 6 11`` draws snapshots at 300 K of silicon cubes of so many cubic
cells along each edge (216, 1728 and 10648 atoms; Stillinger-Weber), with sparse force constants and, for up
to 1000 atoms, by diagonalisation. "rms" [pm per axis] of the snapshots stands beside the exact one of the
same cell.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
from ase.build import bulk

from caviar_kit.simulation import Lammps, harmonic, mean_square_displacements, phonopy_of
from caviar_kit.simulation.commensurate import spread_force_constants


def main() -> None:
    """One line per cell and route."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("edge", type=int, nargs="+", help="[cubic cells]")
    parser.add_argument("--snapshots", type=int, default=30)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    options = parser.parse_args()
    with Lammps(bulk("Si", a=5.43, cubic=True), "sw") as engine:
        cell = engine.relax("iso", 1e-6)
    phonons = phonopy_of(cell, "sw", (3, 3, 3))
    for edge in options.edge:
        crystal = cell.repeat(edge)
        mesh = mean_square_displacements(phonons, mesh=(edge,) * 3, shifted=False)
        exact = 100 * float(np.sqrt(mesh.trace(axis1=1, axis2=2).mean() / 3))
        sparse = spread_force_constants(phonons, crystal)
        routes: dict[str, Any] = {"sparse": sparse}
        if len(crystal) <= 1000:
            routes["dense"] = sparse.toarray()
        for route, force_constants in routes.items():
            wall, processor = time.perf_counter(), time.process_time()
            drawn = harmonic(
                crystal, force_constants, seed=0, snapshots=options.snapshots, tolerance=options.tolerance
            )
            figures = {
                "seconds": round(time.perf_counter() - wall, 1),
                "processor_seconds": round(time.process_time() - processor, 1),
                "rms": round(100 * float((drawn.positions - crystal.positions).std()), 2),
                "exact_rms": round(exact, 2),
            }
            size = {"atoms": len(crystal), "per_row": round(sparse.nnz / sparse.shape[0])}
            print(json.dumps({**size, "route": route, **figures}), flush=True)


if __name__ == "__main__":
    main()
