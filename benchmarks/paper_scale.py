"""The paper's data sets, simulated, reconstructed and measured, in parts that can be interrupted.

    python benchmarks/paper_scale.py --part check              # exit status 0: can be fitted here
    python benchmarks/paper_scale.py --part prepare            # the whole kit; needs no GPU
    python benchmarks/paper_scale.py --part fit                # NumPy, SciPy and CuPy only
    python benchmarks/paper_scale.py --part report             # tables and figures

``--size reduced`` does the same over smaller fields, for a CPU; ``--cases si-md hbn`` does some of them, and
``--states`` and ``--iterations`` change their fits.
Every part stops after ``--minutes`` and goes on when called again: its exit status is then 75, more to do.
What has been finished is not done again. Files are in ``--folder``: ``<case>.inputs.npz`` (a few MB, to be
carried to a GPU machine), ``.patterns.npz``, ``.fit.npz``, ``.result.npz``, ``.json`` (figures).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # from a checkout, installed or not

from benchmarks.paper import inputs
from benchmarks.paper.cases import CASES, SIZES, Case, case
from benchmarks.paper.fit import fit
from benchmarks.paper.measure import made_with, measure
from benchmarks.paper.simulate import simulate
from caviar_kit.backend import resolve_device

MORE_TO_DO = 75  # EX_TEMPFAIL of sysexits.h
PARTS = ("check", "prepare", "fit", "report")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the part; the exit status."""
    options = parse(arguments)
    if options.part in ("check", "fit") and options.size == "paper" and options.device == "auto":
        if resolve_device("auto") is np:
            hours = "no GPU answers, and a CPU takes hours for each of these cases"
            print(f"{hours}: --size reduced, or --device cpu")
            return 2
    if options.part == "check":
        return 0
    options.folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * options.minutes
    if options.part == "report":
        from benchmarks.paper.report import report

        report(options.cases, options.folder)
        return 0
    last, do = (".inputs.npz", prepare) if options.part == "prepare" else (".json", work)
    open_cases = [each for each in options.cases if not (options.folder / f"{each.stem}{last}").exists()]
    try:
        check_finished(options)
        for number, chosen in enumerate(open_cases):
            if (number and time.monotonic() > deadline) or not do(chosen, options, deadline):
                print(f"{chosen.stem}: not finished, call again to go on", flush=True)
                return MORE_TO_DO
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def check_finished(options: argparse.Namespace) -> None:
    """Refuse a folder in which a case was finished with other states or iterations."""
    for each in options.cases:
        path = options.folder / f"{each.stem}.json"
        if path.exists() and json.loads(path.read_text())["made with"] != made_with(each):
            raise ValueError(f"{path} is of other states or iterations: take another --folder")


def prepare(chosen: Case, options: argparse.Namespace, deadline: float) -> bool:
    """Write the inputs of a case."""
    print(f"{chosen.stem}: drawing snapshots", flush=True)
    inputs.prepare(chosen, options.folder / f"{chosen.stem}.inputs.npz")
    return True


def work(chosen: Case, options: argparse.Namespace, deadline: float) -> bool:
    """Simulate, fit and measure a case; whether all of it is done."""
    files = {kind: options.folder / f"{chosen.stem}.{kind}.npz" for kind in ("inputs", "patterns", "fit")}
    if not files["inputs"].exists():
        raise FileNotFoundError(f"there is no {files['inputs']}: run --part prepare first")
    given = inputs.load(files["inputs"])
    print(f"{chosen.stem}: simulating", flush=True)
    if not simulate(given, files["patterns"], resolve_device(options.device), deadline):
        return False
    print(f"{chosen.stem}: fitting", flush=True)
    if not fit(chosen, given, files["patterns"], files["fit"], options.device, deadline):
        return False
    print(f"{chosen.stem}: measuring", flush=True)
    measure(chosen, given, options.folder)
    return True


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--size", choices=SIZES, default="paper")
    names = tuple(dict.fromkeys(each.name for each in CASES))
    parser.add_argument("--cases", nargs="+", choices=names, default=names)
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--states", type=int, help="instead of the case's own; take another --folder")
    parser.add_argument("--iterations", type=int, help="with all states, likewise")
    parser.add_argument("--folder", type=Path, default=Path("results/paper"))
    options = parser.parse_args(arguments)
    asked = {"num_states": options.states, "max_iter": options.iterations}
    changes = {name: value for name, value in asked.items() if value is not None}
    found = [case(name, options.size) for name in options.cases]
    options.cases = [replace(each, fit=replace(each.fit, **changes)) for each in found]
    return options


if __name__ == "__main__":
    sys.exit(main())
