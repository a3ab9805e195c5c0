"""Where do the paper's 25 % of amplitude go? CSM and LSM against iterations, start, states, tracker, atoms.

Silicon Σ9 in motion, noise-free. The truth is G of the very snapshots in the data, so what is missing is lost
by the reconstruction or by the tracker; the tracker alone is seen on the true potentials.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.studies.cases import Case, Line, Options

__all__ = ["cases", "draw", "run", "table"]

STOPS = (5, 10, 20, 30, 50, 75, 100, 150, 200)
LONG, COMMON = 200, 50  # iterations: of the longest fits, and at which numbers of states are compared
TRACKED = (50, 100, 200)  # iterations at which every tracker is tried
OURS = "minimum subtracted"
WHITE_RMS = 0.05  # rad
ONE_STATE = 20  # iterations before the states are warped copies
_SECONDS = {"quick": 0.11, "tutorial": 0.17, "paper": 8.0}  # of one state and iteration on one thread


def cases(options: Options) -> list[Case]:
    """The truth, four starts, other numbers of states, atoms."""
    states = {"quick": 8, "tutorial": 10, "paper": 20}[options.preset]
    each = _SECONDS[options.preset]
    common = {"preset": options.preset, "seed": options.seed}

    def pixels(start: str, gain: float, count: int, iterations: int) -> Case:
        named = {"kind": "pixels", "start": start, "state_gain": gain}
        sizes = {"states": count, "iterations": iterations}
        return Case("lengths", common | named | sizes, each * count * iterations, options.device)

    def of_atoms(count: int, iterations: int) -> Case:
        named = {"kind": "atoms", "states": count, "iterations": iterations}
        return Case("lengths", common | named, each * (count * iterations + 60), options.device)

    found = [Case("lengths", common | {"kind": "truth"}, 10.0)]
    found += [pixels("warped", 2, states, LONG), of_atoms(states, 80), pixels("white", 1, states, LONG)]
    found += [pixels("warped", 2, count, COMMON) for count in (4, 12, 20)]
    found += [pixels("warped", 1, states, LONG // 2), pixels("white", 2, states, LONG // 2)]
    return found


def run(case: Case) -> dict[str, Any]:
    """Fit and measure one case."""
    import caviar_kit as ck

    example = ck.load_example("si-sigma9-md", case["preset"])
    size = {
        "positions": len(example.experiment.scan_positions_angstrom),
        "columns_in_field": len(example.ground_truth.positions),
    }
    did = {"truth": _truth, "pixels": _pixels, "atoms": _atoms}[case["kind"]]
    return size | did(case, example)


def _truth(case: Case, example: Any) -> dict[str, Any]:
    """Every tracker on the true potentials of the same snapshots."""
    from benchmarks.studies.silicon import shells
    from benchmarks.studies.trackers import TRACKERS, track, true_phases

    phases, positions, sampling = true_phases(example)
    reference = example.ground_truth.greens_tensor
    found = {
        tracker: shells(reference, track(tracker, phases, positions, sampling), positions)
        for tracker in TRACKERS
    }
    return {"snapshots": len(phases), "trackers": found}


def _pixels(case: Case, example: Any) -> dict[str, Any]:
    """A fit of pixels, measured on the way, at some stops with every tracker."""
    from benchmarks.reconstruction import of_example
    from benchmarks.studies.silicon import measured_on_the_way

    states, last, white = case["states"], case["iterations"], case["start"] == "white"
    common = {"device": case.device, "seed": case["seed"]}
    ptycho = of_example(example, states=states, **common)
    if white:
        from benchmarks.studies.silicon import white_states

        shape = (states, example.num_slices, *ptycho.object_shape)
        guess = white_states(shape, WHITE_RMS, case["seed"])
        ptycho = of_example(example, states=states, initial_object_guess=guess, **common)
    before = 0 if white else ONE_STATE
    steps = ptycho.iterate(last, one_state_iter=before, state_gain=float(case["state_gain"]))
    stops = [stop for stop in STOPS if stop <= last]
    trace: list[dict[str, Any]] = []
    for done, seconds, result in measured_on_the_way(ptycho, example, steps, stops, before):
        trace.append({"iteration": done, "seconds": round(seconds, 1), "loss": ptycho.error})
        if result is not None:
            trace[-1] |= _figures(result, every=done in TRACKED)
    return {"one_state_iterations": before, "trace": trace}


def _figures(result: Any, every: bool) -> dict[str, Any]:
    """Shells of one result, with our tracker or every one."""
    from benchmarks.studies.silicon import shells
    from benchmarks.studies.trackers import TRACKERS, track

    found = {}
    for tracker in TRACKERS if every else (OURS,):
        tracked = track(tracker, result.phases, result.positions, result.sampling)
        found[tracker] = shells(result.true_greens_tensor, tracked, result.true_positions)
    return {"trackers": found}


def _atoms(case: Case, example: Any) -> dict[str, Any]:
    """A fit of atoms, measured on the way."""
    from benchmarks.studies.silicon import atoms

    stops = [stop for stop in STOPS if stop <= case["iterations"]]
    return atoms(
        example,
        case["states"],
        case["iterations"],
        device=case.device,
        seed=case["seed"],
        stops=stops,
    )


def draw(lines: Sequence[Line], path: Path) -> None:
    """Iterations and start, states, tracker, and what goes where."""
    from benchmarks.studies.lengths_figure import figure

    figure(lines).savefig(path, dpi=100)


def table(lines: Sequence[Line]) -> str:
    """Markdown: each fit at its last iteration, trackers, and the budget."""
    from benchmarks.studies.lengths_table import tables

    return tables(lines)
