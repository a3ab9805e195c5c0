"""How far the atoms of bulk silicon move at 300 K, for each potential and size of cell: JSON lines.

``python benchmarks/silicon_motion.py``: rms displacement per axis [pm], classical and quantum, of periodic
cells of n × n × n primitive cells and of the infinite crystal. The first miss the waves longer than the cell;
so does a mesh of wave vectors about Γ, by less. Both errors fall as 1/n in the mean square: the infinite
crystal is extrapolated from two meshes. ``--supercell`` sets the cell of the force constants.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import numpy as np
from ase.build import bulk

from caviar_kit.simulation import Lammps, mean_square_displacements, phonopy_of

STATISTICS = ("classical", "quantum")


def main() -> None:
    """One line per potential."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--supercell", type=int, default=5)
    size = parser.parse_args().supercell
    for potential in ("sw", "tersoff", "snap"):
        with Lammps(bulk("Si", a=5.43), potential) as engine:
            phonons = phonopy_of(engine.relax("iso", 1e-6), potential, (size,) * 3)

        def square(points: int, shifted: bool, statistics: str, phonons: object = phonons) -> float:
            tensor = mean_square_displacements(
                phonons, mesh=(points,) * 3, shifted=shifted, statistics=statistics
            )
            return float(tensor[0].trace()) / 3

        cells = {f"{n}³ cells": both(lambda s, n=n: square(n, False, s)) for n in (4, 8, 16, 32)}
        limits = {
            f"infinite, from meshes {where} Γ": both(lambda s, m=m: 2 * square(32, m, s) - square(16, m, s))
            for where, m in (("about", True), ("with", False))
        }
        print(json.dumps({"potential": potential, **cells, **limits}, ensure_ascii=False), flush=True)


def both(mean_square: Callable[[str], float]) -> list[float]:
    """Root mean squares [pm], classical and quantum."""
    return [round(100 * float(np.sqrt(mean_square(statistics))), 2) for statistics in STATISTICS]


if __name__ == "__main__":
    main()
