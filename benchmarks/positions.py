"""What scan errors do to a fit of independently simulated data, and what refining mends: one JSON line each.

``python benchmarks/positions.py --rms-pm 5``: molecular dynamics of Si Σ9, quick preset, multislice by
abTEM; random errors of that rms per axis are planted into the positions that the fit is told.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

import caviar_kit as ck

KNOWN = {"force_com_rotation": 0, "force_com_transpose": False}
STATES, SINGLE, ITERATIONS = 6, 25, 12


def fit(example, errors: np.ndarray, refine: tuple[str, ...]) -> dict[str, object]:
    """Fit with wrong positions; what became of them."""
    optics = example.experiment
    rows, columns = np.indices(optics.scan_shape) * optics.scan_step_angstrom
    planted = np.stack([rows.ravel(), columns.ravel()], axis=1)
    ptycho = ck.MixedObjectMultislicePtychography(
        datacube=example.datacube,
        energy=optics.energy_ev,
        defocus=optics.defocus_angstrom,
        vacuum_probe_intensity=example.vacuum_probe,
        num_slices=2,
        slice_thicknesses=3.84,
        num_object_states=STATES,
        initial_scan_positions=planted + errors,
    ).preprocess(**KNOWN)
    begin = time.perf_counter()
    ptycho.reconstruct(ITERATIONS, one_state_iter=SINGLE, refine=refine, progress_bar=False)
    left = ptycho.scan_positions_angstrom - planted
    left -= left.mean(axis=0)
    return {
        "refine": refine,
        "planted_pm": round(100 * float(np.sqrt((errors**2).mean())), 3),
        "left_pm": round(100 * float(np.sqrt((left**2).mean())), 3),
        "loss": ptycho.error_iterations[-1],
        "seconds": round(time.perf_counter() - begin, 1),
    }


def main() -> None:
    """Fit right and wrong positions with and without refinement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rms-pm", type=float, default=5.0)
    rms = parser.parse_args().rms_pm / 100
    example = ck.load_example("si-sigma9-md", "quick")
    count = int(np.prod(example.experiment.scan_shape))
    errors = np.random.default_rng(0).normal(scale=rms, size=(count, 2))
    errors -= errors.mean(axis=0)
    for planted in (0 * errors, errors):
        for refine in ((), ("positions",)):
            print(json.dumps(fit(example, planted, refine)), flush=True)


if __name__ == "__main__":
    main()
