"""How much of a pattern tells correlated from independent vibration, against defocus: one JSON line each.

``python benchmarks/defocus.py 0 150``: mean over 6 × 6 positions of Σ(√I - √I')² between molecular
dynamics and Einstein data of equal spread, as fraction of the beam; no reconstruction.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import numpy as np

from caviar_kit import load_example, simulation


def main() -> None:
    """Simulate both specimens at each defocus, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("defocus", type=float, nargs="+", help="[Å]")
    specimens = [load_example(f"si-sigma9-{name}", "quick").snapshots for name in ("md", "einstein")]
    for defocus in parser.parse_args().defocus:
        optics = replace(simulation.Experiment.tutorial(), defocus_angstrom=defocus, scan_shape=(6, 6))
        md, einstein = (np.sqrt(np.maximum(simulation.scan(s, optics).data, 0)) for s in specimens)
        misfit = float(((md - einstein) ** 2).sum(axis=(2, 3)).mean())
        print(json.dumps({"defocus_angstrom": defocus, "misfit": misfit}), flush=True)


if __name__ == "__main__":
    main()
