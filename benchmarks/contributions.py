"""How much multiple scattering, vibration and source size change a pattern, against thickness.

    python benchmarks/contributions.py --figure docs/images/contributions.png

Study S1 of CAVIAR's supplement (arXiv:2309.12017): silicon Σ9, 200 kV, 30 mrad, in focus; thickness by
stacking the cell, each cell at another instant. One JSON line per thickness: the L1 change of a pattern, mean
over the positions and standard deviation [% of the beam].
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from dataclasses import replace

from caviar_kit import simulation


def main() -> None:
    """Simulate, print, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--snapshots", type=int, default=30)
    parser.add_argument("--side", type=int, default=3, help="scan positions along y and x")
    parser.add_argument("--step", type=float, default=2.0, help="between them, to see different places [Å]")
    parser.add_argument("--defocus", type=float, default=0.0, help="[Å]")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--figure", help="PNG to write")
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "neighbouring probes overlap")  # nothing is reconstructed
        optics = replace(
            simulation.Experiment.paper(),
            defocus_angstrom=options.defocus,
            scan_step_angstrom=options.step,
            scan_shape=(options.side, options.side),
            window_angstrom=16.0,
            grid_points=128,
            detector_pixels=86,
        )
    start = time.perf_counter()
    result = simulation.pattern_contributions(
        simulation.silicon_sigma9_snapshots().subset(options.snapshots),
        optics,
        options.repeats,
        progress=lambda done, total: print(f"\r{done}/{total}", end="", file=sys.stderr, flush=True),
        workers=options.workers,
    )
    seconds = round(time.perf_counter() - start)
    mean, spread = result.mean, result.spread
    for number, thickness in enumerate(result.thickness_angstrom):
        line = {
            name: [round(100 * float(values[name][number]), 3) for values in (mean, spread)] for name in mean
        }
        print(json.dumps({"thickness_angstrom": round(float(thickness), 2), **line, "seconds": seconds}))
    if options.figure:
        from caviar_kit import plotting

        ax = plotting.pattern_contributions(result)
        ax.figure.savefig(options.figure, dpi=110)


if __name__ == "__main__":
    main()
