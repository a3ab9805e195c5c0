"""What is left of the vibrations of synthetic twisted hBN after reconstruction: one JSON line per lattice.

    python benchmarks/hbn_vibrations.py --preset tutorial

Columns are followed through the states, in the slices of their own crystal, and compared with the columns of
the very snapshots behind the data: self terms, CSM and LSM by shell, correlations averaged over equivalent
pairs, and path means Γ-K-M-Γ with 95 % intervals, the mass being that of the column (the mean of both kinds,
B-N-B and N-B-N, where the layers are odd in number). ``--at-rest`` fits the same specimen with atoms at rest,
as a control: motion should be 0. ``--store FOLDER`` also writes what the package keeps of such a fit,
``hbn-twisted-lower.npz`` and ``-upper.npz``, of the columns in the scanned field, found without the truth.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

import caviar_kit as ck
from benchmarks.reconstruction import of_example

MEAN_MASS = (10.81 + 14.007) / 2  # u
LAYER = 3.33  # Å
BEYOND = 1.2  # Å around the scanned field that count as measured
SHELLS = {"self": (-1, 0.1), "nearest": (0.1, 1.9), "next": (1.9, 2.7), "third": (2.7, 3.2)}  # Å


def main() -> None:
    """Reconstruct, follow, compare."""
    options = parse()
    example = ck.load_example("hbn-twisted", options.preset)
    fit = replace(example.fit_settings, **dict(options.set))
    begin = time.perf_counter()
    ptycho = reconstruct(example, fit, options.at_rest)
    common = {
        "preset": options.preset,
        "set": dict(options.set),
        "at_rest": options.at_rest,
        "seconds": round(time.perf_counter() - begin, 1),
        "one_state_loss": float(ptycho.error_iterations[fit.stochastic_iter + fit.one_state_iter - 1]),
        "loss": float(ptycho.error),
    }
    slices, middle = np.arange(example.num_slices), example.num_slices / 2
    height = example.snapshots.relaxed[:, 2]
    upper = height > height.mean()
    for name, own, atoms in (("lower", slices < middle, ~upper), ("upper", slices >= middle, upper)):
        truth = ck.simulation.ground_truth(example.snapshots, example.experiment, -BEYOND, atoms=atoms)
        line = lattice_line(
            ptycho, truth, slices[own].tolist(), options.at_rest, layers=layers_of(example, atoms)
        )
        print(json.dumps({**common, "lattice": name, **line}), flush=True)
        if options.store:
            result = stored(ptycho, example, name, atoms, slices[own], common["seconds"])
            result.save(options.store / f"{result.name}.npz")


def stored(
    ptycho: Any, example: Any, name: str, atoms: np.ndarray, own: np.ndarray, seconds: float
) -> ck.EnsembleResult:
    """Columns of one lattice, followed in its ``own`` slices, with how they were made."""
    truth = ck.simulation.ground_truth(example.snapshots, example.experiment, atoms=atoms)
    return ck.measure_states(
        ptycho.object[:, own],
        sampling=ptycho.sampling,
        scan_positions_angstrom=ptycho.scan_positions_angstrom,
        true_positions=truth.positions,
        true_displacements=truth.displacements,
        name=f"hbn-twisted-{name}",
        preset=example.preset,
        loss=ptycho.error_iterations,
        seconds=seconds,
        provenance={
            "made with": f"python benchmarks/hbn_vibrations.py --preset {example.preset} --store FOLDER",
            **ptycho.fit_record,
            "lattice": name,
            "layers": layers_of(example, atoms),
            "slices": example.num_slices,
            "probe_modes": len(ptycho.probe),
        },
    )


def reconstruct(example: Any, fit: Any, at_rest: bool) -> Any:
    """The example, or the same with atoms at rest, with the settings ``fit``."""
    optics, settings = example.experiment, asdict(fit)
    cube = example.datacube
    if at_rest:
        cube = ck.simulation.scan(ck.simulation.coherent(example.snapshots), optics)
    ptycho = of_example(example, datacube=cube, states=settings.pop("num_states"))
    return ptycho.reconstruct(progress_bar=False, **settings)


def layers_of(example: Any, atoms: np.ndarray) -> int:
    """How many layers ``atoms`` make."""
    return round(np.ptp(example.snapshots.relaxed[atoms, 2]) / LAYER) + 1


def lattice_line(ptycho: Any, truth: Any, slices: list[int], at_rest: bool, layers: int) -> dict[str, Any]:
    """Everything about one lattice."""
    places = truth.positions + ptycho.scan_positions_angstrom[0]
    tracked = ck.track_atoms(ptycho.object, places, ptycho.sampling, slices=slices)
    kept = np.isfinite(tracked).all(axis=(0, 2))
    places, measured, known = places[kept], ck.displacements(tracked[:, kept]), truth.displacements[:, kept]
    tensors = {"measured": ck.greens_tensor(measured), "true": ck.greens_tensor(known)}
    lattice = ck.fit_lattice(places, sites=2, occupied=0)
    line: dict[str, Any] = {"columns": len(places)}
    for kind, tensor in tensors.items():
        line[f"{kind}_pm2"] = averaged(tensor, lattice)
    if not at_rest:
        shells = ck.compare_correlations(tensors["true"], tensors["measured"], places).as_dict()["shells"]
        line["csm_lsm"] = {shell: [values["csm"], values["lsm"]] for shell, values in shells.items()}
        for kind, u in (("measured", measured), ("true", known)):
            found = ck.phonon_dispersion(u, lattice, layers * MEAN_MASS, 300)
            line[f"{kind}_path_means_thz"] = found.path_mean_thz.round(1).tolist()
            line[f"{kind}_intervals_thz"] = found.interval_thz.round(1).tolist()
    return line


def averaged(tensor: np.ndarray, lattice: Any) -> dict[str, float]:
    """Half the trace, by shell, over equivalent pairs [pm²]."""
    pairs = ck.average_equivalent_pairs(tensor, lattice, point_group="site")
    away = np.linalg.norm(pairs.vectors, axis=-1)
    half_trace = 1e4 * np.trace(pairs.tensors, axis1=-2, axis2=-1) / 2
    chosen = {name: (pairs.counts > 0) & (away > low) & (away < high) for name, (low, high) in SHELLS.items()}
    return {name: round(float(half_trace[which].mean()), 2) for name, which in chosen.items()}


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="tutorial")
    parser.add_argument("--store", type=Path, help="folder for the results of both lattices")
    parser.add_argument("--at-rest", action="store_true", help="the control: atoms at rest")
    parser.add_argument(
        "--set", nargs="*", default=[], type=setting, metavar="NAME=NUMBER", help="fields of FitSettings"
    )
    return parser.parse_args()


def setting(text: str) -> tuple[str, Any]:
    """A name and a number, or True or False."""
    name, value = text.split("=")
    return name, json.loads(value.lower())


if __name__ == "__main__":
    main()
