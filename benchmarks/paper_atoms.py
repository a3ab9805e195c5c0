"""Atoms instead of pixels: what `ck.refine_atomistic` finds in the paper's silicon data, as a JSON line.

    python benchmarks/paper_scale.py --size reduced --cases si-md --part prepare
    python benchmarks/paper_scale.py --size reduced --cases si-md --part fit
    python benchmarks/paper_atoms.py --size reduced --case si-md

It takes the inputs and the patterns in ``--folder``, fits pixels in one state, finds the columns there, also
beyond the scan, and then the displacements of atoms in all states. The truth is used for comparison only; the
scattering factors are Kirkland's, where the data have those of Lobato and Van Dyck.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # from a checkout, installed or not

import caviar_kit as ck
from benchmarks.atomistic import figures, outside
from benchmarks.paper import inputs
from benchmarks.paper.cases import SIZES, Case, case
from benchmarks.paper.inputs import Inputs
from caviar_kit.atomistic import AtomisticFit
from caviar_kit.npz import read_npz
from caviar_kit.vibrations.phase import projected_phase

LIT_ANGSTROM = 9.0  # beyond the scan: columns that the defocused probe reaches
PIXEL_ITERATIONS = 60
SILICON = ("si-md", "si-einstein", "si-coherent")


def main(arguments: list[str] | None = None) -> None:
    """Fit, compare, print."""
    options = parse(arguments)
    chosen = case(options.case, options.size)
    given = inputs.load(options.folder / f"{chosen.stem}.inputs.npz")
    data = read_npz(options.folder / f"{chosen.stem}.patterns.npz", ["patterns", "vacuum", "inputs"])
    given.require(data["inputs"], options.folder / f"{chosen.stem}.patterns.npz")
    ptycho = pixels(chosen, given, data["patterns"], data["vacuum"])
    ptycho.reconstruct(options.pixel_iterations, progress_bar=False)
    columns = ck.find_atoms(projected_phase(ptycho.object)[0], tuple(ptycho.sampling))
    lit = outside(columns, ptycho.scan_positions_angstrom) < LIT_ANGSTROM
    fit = AtomisticFit(
        ptycho,
        columns[lit],
        "Si",
        num_states=options.states,
        max_iter=options.iterations,
        parametrization="kirkland",
        seed=options.seed,
    )
    for _ in fit.iterate():
        pass
    common = {name: value for name, value in vars(options).items() if name != "folder"}
    print(json.dumps({**common, **figures(fit, truth(given))}), flush=True)


def pixels(
    chosen: Case, given: Inputs, patterns: np.ndarray, vacuum: np.ndarray
) -> ck.MixedObjectMultislicePtychography:
    """One state, before its first iteration."""
    optics = given.optics
    ptycho = ck.MixedObjectMultislicePtychography.from_arrays(
        patterns.reshape(*optics["scan_shape"], *patterns.shape[-2:]),
        scan_step_angstrom=optics["scan_step_angstrom"],
        detector_pixel_inverse_angstrom=1 / optics["window_angstrom"],
        energy=optics["energy_ev"],
        semiangle_cutoff=optics["semiangle_mrad"],
        defocus=optics["defocus_angstrom"],
        num_slices=chosen.num_slices,
        slice_thicknesses=optics["thickness_angstrom"] / chosen.num_slices,
        num_object_states=1,
        vacuum_probe_intensity=vacuum,
    )
    return ptycho.preprocess(force_com_rotation=0, force_com_transpose=False)


def truth(given: Inputs) -> Any:
    """Columns and their correlations as an embedded example has them."""
    known = given.truth[""]
    tensor = ck.greens_tensor(known["displacements"])
    return SimpleNamespace(ground_truth=SimpleNamespace(positions=known["positions"], greens_tensor=tensor))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=SILICON, default="si-md")
    parser.add_argument("--size", choices=SIZES, default="paper")
    parser.add_argument("--states", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=40, help="of the atoms")
    parser.add_argument("--pixel-iterations", type=int, default=PIXEL_ITERATIONS, help="of the pixels before")
    parser.add_argument("--seed", type=int, default=0, help="of the states")
    parser.add_argument("--folder", type=Path, default=Path("results/paper"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
