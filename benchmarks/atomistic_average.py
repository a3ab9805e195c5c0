"""How correlations from counted patterns improve if several scans are averaged, as JSON lines.

Each scan has counting noise and a start of its own; tensors of atomistic fits are averaged over all choices
of k scans. Arguments besides ``--scans`` and ``--keep`` are those of benchmarks/atomistic.py::

    python -m benchmarks.atomistic_average si-sigma9-md --dose 1e5 --states 12 --rank 8 --iterations 20
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

import caviar_kit as ck
from benchmarks.atomistic import SHELLS, parse, prepare
from caviar_kit.vibrations.matching import match_atoms


def main() -> None:
    """Fit every scan, average, print."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--scans", type=int, default=4)
    parser.add_argument("--keep", type=Path, help="folder for the tensors, those there are not fitted again")
    own, rest = parser.parse_known_args()
    options = parse(rest)
    example = ck.load_example(options.example, options.preset)
    tensors = [tensor(example, options, number, own.keep) for number in range(1, own.scans + 1)]
    for count in range(1, len(tensors) + 1):
        print(json.dumps(averaged(example, tensors, count)), flush=True)


def tensor(example: Any, options: argparse.Namespace, number: int, keep: Path | None) -> np.ndarray:
    """G of all columns of the truth, in its order, from one scan [Å²]."""
    options.seed = options.noise_seed = number
    asked = hashlib.sha256(json.dumps(vars(options), sort_keys=True).encode()).hexdigest()[:12]
    path = None if keep is None else keep / f"{options.example}-{number}-{asked}.npy"
    if path is not None and path.exists():
        return np.asarray(np.load(path))
    fit, _ = prepare(example, options)
    for _ in fit.iterate():
        pass
    result = fit.result
    found, true = match_atoms(result.positions, example.ground_truth.positions + fit._scan[0])
    if len(true) < len(example.ground_truth.positions):
        raise ValueError(f"scan {number} has lost columns of the truth: {len(true)} found")
    got = result.of(found[np.argsort(true)]).greens_tensor
    if path is not None:
        np.save(path, got)
    return np.asarray(got)


def averaged(example: Any, tensors: list[np.ndarray], count: int) -> dict[str, Any]:
    """CSM and LSM of every shell, mean over all choices of ``count`` scans; CSM with least and greatest."""
    truth = example.ground_truth
    compared = [
        ck.compare_correlations(truth.greens_tensor, np.mean(chosen, axis=0), truth.positions)
        for chosen in itertools.combinations(tensors, count)
    ]
    figures: dict[str, Any] = {"scans": count, "choices": len(compared)}
    for shell in SHELLS:
        csm = [one[shell].csm for one in compared]
        lsm = float(np.mean([one[shell].lsm for one in compared]))
        figures[shell] = {"csm": [round(float(f(csm)), 3) for f in (np.mean, np.min, np.max)]}
        figures[shell]["lsm"] = round(lsm, 3)
    return figures


if __name__ == "__main__":
    main()
