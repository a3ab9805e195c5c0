"""How a fit should begin in a thick crystal: twisted hBN at rest, one state; one JSON line per beginning.

    python benchmarks/thick_start.py --layers 8 --slices 16

Nothing vibrates, so that the loss says how far the fit has come. ``--slices`` fewer than layers show what a
slice of several layers costs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import caviar_kit as ck
from benchmarks.reconstruction import of_data
from benchmarks.twisted_hbn import at_rest
from caviar_kit.recipes import HBN_PRESETS

BEGINNINGS: Mapping[str, Mapping[str, Any]] = {
    "L-BFGS": {"max_iter": 60},
    "stochastic start, 20 of L-BFGS": {
        "stochastic_iter": 15,
        "batch_size": 8,
        "step_size": 0.02,
        "max_iter": 20,
    },
}


def main() -> None:
    """Simulate once, fit with each beginning."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=8, help="in each of the two crystals")
    parser.add_argument("--slices", type=int, help="of the object; one per layer by default")
    options = parser.parse_args()
    slices = options.slices or 2 * options.layers
    experiment = replace(HBN_PRESETS["tutorial"].experiment(), num_slices=2 * options.layers)
    still = at_rest(options.layers)
    cube = ck.simulation.scan(still, experiment)
    for name, settings in BEGINNINGS.items():
        ptycho = of_data(cube, experiment, still.thickness_angstrom, slices=slices, states=1)
        begin = time.perf_counter()
        ptycho.reconstruct(progress_bar=False, one_state_iter=0, **settings)
        losses = ptycho.error_iterations
        line = {
            "layers": 2 * options.layers,
            "slices": slices,
            "beginning": name,
            "seconds": round(time.perf_counter() - begin, 1),
            "loss": {n: float(f"{losses[n - 1]:.2g}") for n in (10, 15, 20, 35, 60) if n <= len(losses)},
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
