"""Atoms instead of pixels on synthetic twisted hBN: self terms, correlations, dispersion; JSON lines.

    python benchmarks/hbn_atomistic.py --preset tutorial

As in lesson 4.9: columns from a one-state fit of pixels, the lattice completed over the lit field, elements
from four fits of atoms at rest, then single atoms in free states. One line about the elements, then one per
crystal, with the same atoms of the very snapshots beside it. Times are those of the fits.
"""

from __future__ import annotations

import argparse
import json
from typing import Any, NamedTuple

import numpy as np
from hbn_vibrations import MEAN_MASS, averaged

import caviar_kit as ck
from benchmarks.reconstruction import of_example

HALVES, LAYERS, LAYER_ANGSTROM = 2, 3, 3.33
AROUND = 1.2  # Å about the scan that count as measured


class Structure(NamedTuple):
    """Atoms, column by column and layer by layer."""

    places: np.ndarray  # (atoms, 2), Å
    crystal: np.ndarray  # (atoms,): 0 lower, 1 upper
    layer: np.ndarray  # (atoms,)
    turn: np.ndarray  # (atoms,): 0 and 1 by turns along a column


def main() -> None:
    """Fit, compare, print."""
    options = parse()
    example = ck.load_example("hbn-twisted", options.preset)
    ptycho = pixels(example, options.at_rest)
    structure = completed(ptycho, example.experiment)
    keep = dict(
        occupancies=np.eye(HALVES * LAYERS)[structure.layer], parametrization="kirkland", progress_bar=False
    )
    trials = {}
    for first in ((0, 0), (0, 1), (1, 0), (1, 1)):
        elements = np.where(structure.turn == np.array(first)[structure.crystal], "B", "N").tolist()
        rest = ck.refine_atomistic(ptycho, structure.places, elements, num_states=1, max_iter=10, **keep)
        trials[first] = rest, elements
    best, elements = min(trials.values(), key=lambda trial: trial[0].loss[-1])
    common = {"preset": options.preset, "states": options.states, "iterations": options.iterations}
    common |= {"begin": options.begin, "at_rest": options.at_rest}
    choices = {
        str(first): {"loss": float(f"{rest.loss[-1]:.3g}"), "factors": rest.scales.round(3).tolist()}
        for first, (rest, _) in trials.items()
    }
    seconds = sum(rest.seconds for rest, _ in trials.values())
    print(
        json.dumps({**common, "pixel_loss": float(ptycho.error), "elements": choices, "s": round(seconds, 1)})
    )
    size = dict(num_states=options.states, max_iter=options.iterations, thermal_rms_angstrom=options.begin)
    result = ck.refine_atomistic(ptycho, structure.places, elements, **size, **keep)
    common |= {"loss": float(f"{result.loss[-1]:.3g}"), "s": round(result.seconds, 1)}
    for crystal, name in enumerate(("lower", "upper")):
        line = compared(result, structure, crystal, example, ptycho.scan_positions_angstrom)
        print(json.dumps({**common, "lattice": name, **line}), flush=True)


def pixels(example: Any, at_rest: bool) -> Any:
    """One state; of the same specimen with atoms at rest, if wanted."""
    cube = example.datacube
    if at_rest:
        cube = ck.simulation.scan(ck.simulation.coherent(example.snapshots), example.experiment)
    ptycho = of_example(example, datacube=cube, states=1)
    begin = dict(stochastic_iter=15, one_state_iter=0, batch_size=8, step_size=0.02)
    return ptycho.reconstruct(max_iter=15, progress_bar=False, **begin)


def completed(ptycho: Any, optics: Any) -> Structure:
    """Lattices of both crystals in the simulated window, and its copies as far as a probe sees."""
    scan, side = ptycho.scan_positions_angstrom, optics.window_angstrom
    low, high = scan.min(axis=0), scan.max(axis=0)
    corner = scan[0] - optics.first_position_in_window_angstrom
    copies = side * np.array([[a, b] for a in (-1, 0, 1) for b in (-1, 0, 1)])
    columns, sites, crystals = [], [], []
    for crystal in range(HALVES):
        part = slice(LAYERS * crystal, LAYERS * (crystal + 1))
        seen = ck.find_atoms(ck.vibrations.projected_phase(ptycho.object, part)[0], ptycho.sampling)
        seen = seen[((seen > low - 1) & (seen < high + 1)).all(axis=1)]
        places, kinds = ck.fit_lattice(seen, sites=2, occupied=0).within(corner, corner + side - 1e-6)
        columns.append((places + copies[:, None]).reshape(-1, 2))
        sites.append(np.tile(kinds, len(copies)))
        crystals.append(np.full(len(columns[-1]), crystal))
    where, site, of = np.concatenate(columns), np.concatenate(sites), np.concatenate(crystals)
    lit = ((where >= low - side / 2) & (where <= high + side / 2)).all(axis=1)
    where, site, of, number = where[lit], site[lit], of[lit], np.arange(LAYERS)
    return Structure(
        np.repeat(where, LAYERS, axis=0),
        np.repeat(of, LAYERS),
        (LAYERS * of[:, None] + number).ravel(),
        (site[:, None] + number).ravel() % 2,
    )


def compared(
    result: Any, structure: Structure, crystal: int, example: Any, scan: np.ndarray
) -> dict[str, Any]:
    """Everything about one crystal, fitted and true."""
    low, high = scan.min(axis=0) - AROUND, scan.max(axis=0) + AROUND
    inside = ((structure.places >= low) & (structure.places <= high)).all(axis=1)
    inside &= structure.crystal == crystal
    places = result.positions[inside].reshape(-1, LAYERS, 2)
    at = places.mean(axis=1)
    fitted = result.displacements[:, inside].reshape(len(result.displacements), -1, LAYERS, 2).swapaxes(1, 2)
    floors = np.digitize(example.snapshots.relaxed[:, 2], LAYER_ANGSTROM * np.arange(1, HALVES * LAYERS))
    moved, off = [], []
    for number in range(LAYERS):
        mask = floors == LAYERS * crystal + number
        true = ck.simulation.ground_truth(example.snapshots, example.experiment, -2, atoms=mask)
        index = ck.match_atoms(true.positions + scan[0], at)[0]
        moved.append(true.displacements[:, index])
        off.append(places[:, number] - true.positions[index] - scan[0])
    cases = {"measured": fitted, "true": np.stack(moved, axis=1)}
    lattice = ck.fit_lattice(at, sites=2, occupied=0)
    line: dict[str, Any] = {
        "columns": len(at),
        "off_pm": round(100 * float(np.sqrt(np.square(off).mean())), 2),
    }
    for kind, u in cases.items():
        line[f"{kind}_atoms_pm2"] = (1e4 * (u**2).mean(axis=(0, 2, 3))).round(1).tolist()
        line[f"{kind}_columns_pm2"] = averaged(ck.greens_tensor(u.mean(axis=1)), lattice)
        found = ck.phonon_dispersion(u.mean(axis=1), lattice, LAYERS * MEAN_MASS, 300)
        line[f"{kind}_path_means_thz"] = found.path_mean_thz.round(1).tolist()
        line[f"{kind}_intervals_thz"] = found.interval_thz.round(1).tolist()
    tensors = [ck.greens_tensor(cases[kind].mean(axis=1)) for kind in ("true", "measured")]
    shells = ck.compare_correlations(*tensors, at).as_dict()["shells"]
    line["csm_lsm"] = {shell: [values["csm"], values["lsm"]] for shell, values in shells.items()}
    return line


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="tutorial", choices=("quick", "tutorial"))
    parser.add_argument("--states", type=int, default=12)
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--begin", type=float, default=0.05, help="rms of the states to begin with [Å]")
    parser.add_argument("--at-rest", action="store_true", help="the control: motion should be 0")
    return parser.parse_args()


if __name__ == "__main__":
    main()
