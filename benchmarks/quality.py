"""What one choice does to the result: reconstruct an embedded example, print its figures as JSON lines.

For instance, with a narrower frame around the detector, another conditioning, or probe modes for
a source of finite size; ``--every`` prints the figures on the way, too::

    python benchmarks/quality.py si-sigma9-coherent --states 1 --iterations 240 --frame 80
    python benchmarks/quality.py si-sigma9-md --preset tutorial --set state_gain=1 --every 35
    python benchmarks/quality.py si-sigma9-md-psc --modes 9 --source 0.47
    python benchmarks/quality.py si-sigma9-md --atomicity 3e-5

``--set name=value`` changes any field of caviar_kit.multislice.FitSettings.
"""

from __future__ import annotations

import argparse
import ast
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import caviar_kit as ck
from benchmarks.reconstruction import of_example
from caviar_kit.multislice.penalties import Atomicity
from caviar_kit.vibrations.phase import projected_phase


def main() -> None:
    """Reconstruct, measure, print."""
    options = parse()
    example = ck.load_example(options.example, options.preset)
    fit = example.fit_settings
    ptycho = prepare(example, options)
    one_state = fit.one_state_iter if options.one_state is None else options.one_state
    settings = dict(map(setting, options.set))
    steps = ptycho.iterate(options.iterations or fit.max_iter, one_state_iter=one_state, **settings)
    seconds = follow(steps, ptycho, example, options, one_state)
    if options.atomicity:
        penalty = Atomicity(options.atomicity, found_atoms(ptycho), ptycho.sampling)
        steps = ptycho.iterate(options.further, reset=False, constraints=penalty, **settings)
        follow(steps, ptycho, example, options, 0, seconds)


def follow(
    steps: Iterator[Any],
    ptycho: Any,
    example: Any,
    options: argparse.Namespace,
    before: int,
    seconds: float = 0.0,
) -> float:
    """Print figures at the end and every ``options.every`` iterations; returns the seconds of the fit."""
    begin = time.perf_counter() - seconds
    for snapshot in steps:
        done = snapshot.iteration - before
        last = snapshot.iteration == snapshot.total_iterations
        if last or (options.every and done > 0 and done % options.every == 0):
            seconds = time.perf_counter() - begin
            ptycho._store(snapshot)
            print(json.dumps({**choices(options), **figures(ptycho, example, seconds)}), flush=True)
            begin = time.perf_counter() - seconds  # measuring is not part of the fit
    return seconds


def found_atoms(ptycho: ck.MixedObjectMultislicePtychography) -> np.ndarray:
    """Columns in the mean phase of the scanned field, (atoms, 2) [Å], in the object's frame."""
    field, first = ptycho._scanned_field()
    return ck.find_atoms(projected_phase(field).mean(axis=0), ptycho.sampling) + first * np.array(
        ptycho.sampling
    )


def prepare(example: Any, options: argparse.Namespace) -> ck.MixedObjectMultislicePtychography:
    """The reconstruction, before its first iteration."""
    return of_example(
        example,
        states=options.states,
        frame=options.frame,
        num_probes=options.modes,
        source_fwhm_angstrom=options.source,
        object_type=options.object_type,
    )


def figures(ptycho: Any, example: Any, seconds: float) -> dict[str, Any]:
    """Misfit, and how well the columns move."""
    if len(ptycho.object) == 1:
        return {"seconds": round(seconds, 1), "loss": ptycho.error}
    result = ck.measure(ptycho, example, seconds=seconds)
    tensor, positions = result.greens_tensor, result.positions
    summary = result.summary()
    summary["iterations"] = len(ptycho.error_iterations)
    summary["self_pm2"] = [round(1e4 * float(np.diag(tensor[:, a, :, a]).mean()), 1) for a in (0, 1)]
    summary["offset_pm2"] = np.round(1e4 * ck.correlation_offset(tensor, positions), 1).tolist()
    corrected = ck.compare_correlations(
        result.true_greens_tensor, ck.subtract_offset(tensor, positions), result.true_positions
    )
    nearest = corrected["nearest"]
    summary["nearest_less_offset"] = {"csm": nearest.csm, "lsm": nearest.lsm}
    return summary


def choices(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for on the command line."""
    return {key: value for key, value in vars(options).items() if value not in (None, [], 0)}


def setting(text: str) -> tuple[str, Any]:
    """ "name=value" as a pair; values that are no Python literals stay strings."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("example")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--states", type=int, help="object states; the preset's by default")
    parser.add_argument("--iterations", type=int, help="with all states; the preset's by default")
    parser.add_argument("--one-state", type=int, help="iterations before; the preset's by default")
    parser.add_argument("--frame", type=int, help="side of the frame around the detector [pixel]")
    parser.add_argument("--modes", type=int, default=1, help="probe modes")
    parser.add_argument("--source", type=float, default=0.0, help="FWHM of the source [Å] in those modes")
    parser.add_argument("--object-type", default="phase")
    parser.add_argument("--every", type=int, default=0, help="print the figures every so many iterations")
    parser.add_argument("--atomicity", type=float, default=0.0, help="weight, for iterations after the fit")
    parser.add_argument("--further", type=int, default=15, help="how many of those")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="fields of FitSettings")
    return parser.parse_args()


if __name__ == "__main__":
    main()
