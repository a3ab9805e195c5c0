"""How finely a scan must be stepped to simulate a finite source, and its probe modes: JSON lines.

``python benchmarks/source_step.py 0.62 0.5 0.31 0.207 0.155``: at the centre of the tutorial's field, one
snapshot, the mean of neighbouring patterns at each step [Å] with Gaussian weights against one at 0.1 Å out to
5 rms widths; Σ(√I - √I')² as fraction of the beam. "point" is the pattern without source size.
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from caviar_kit import simulation
from caviar_kit.simulation.source_size import gaussian_weights

FWHM = 0.47  # Å
SIGMA = FWHM / (2 * math.sqrt(2 * math.log(2)))


def main() -> None:
    """Simulate around one position at each step, average, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", type=float, nargs="+", help="[Å]")
    steps = parser.parse_args().step
    specimen, optics = simulation.silicon_sigma9_snapshots().subset(1), simulation.Experiment.tutorial()

    def patterns(step: float, reach: int) -> Any:
        field = replace(optics, scan_step_angstrom=step, scan_shape=(2 * reach + 1, 2 * reach + 1))
        return simulation.scan(specimen, field)

    weights = np.exp(-0.5 * (np.arange(-10, 11) * 0.1 / SIGMA) ** 2)
    weights /= weights.sum()
    fine = patterns(0.1, 10).data.astype(float)
    wanted = np.einsum("a,b,abij->ij", weights, weights, fine)
    print(json.dumps({"step": "point", "misfit": misfit(fine[10, 10], wanted)}), flush=True)
    for step in steps:
        kernel = gaussian_weights(FWHM, step)
        reach = len(kernel) // 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            got = simulation.apply_source_size(patterns(step, reach), FWHM).data[0, 0]
        width = math.sqrt(kernel @ (np.arange(-reach, reach + 1) * step) ** 2) / SIGMA
        figures = {"step": step, "patterns": len(kernel) ** 2, "relative_rms_width": round(width, 4)}
        print(json.dumps({**figures, "misfit": misfit(got, wanted)}), flush=True)
    print(json.dumps({"beam_in_first_modes": modes(optics)}), flush=True)


def misfit(a: np.ndarray, b: np.ndarray) -> float:
    """Σ(√a - √b)²."""
    return float(((np.sqrt(a.clip(0)) - np.sqrt(b.clip(0))) ** 2).sum())


def modes(optics: simulation.Experiment, step: float = 0.15) -> list[float]:
    """Share of the beam in the first 1 … 12 orthogonal modes of the displaced probes."""
    k = np.arange(-32, 33) / optics.window_angstrom
    inside = np.hypot(k[:, None], k) * optics.wavelength_angstrom < optics.semiangle_mrad * 1e-3
    ky, kx = (grid[inside] for grid in np.meshgrid(k, k, indexing="ij"))  # defocus is only a phase: no matter
    kernel = gaussian_weights(FWHM, step)
    places = (np.arange(len(kernel)) - len(kernel) // 2) * step
    probes = [
        math.sqrt(wy * wx) * np.exp(-2j * np.pi * (ky * y + kx * x))
        for y, wy in zip(places, kernel, strict=True)
        for x, wx in zip(places, kernel, strict=True)
    ]
    power = np.linalg.svd(np.array(probes), compute_uv=False) ** 2
    return [round(float(share), 4) for share in (power.cumsum() / power.sum())[:12]]


if __name__ == "__main__":
    main()
