"""CSM and LSM against dose, defocus, scan step and source size, each changed alone.

Silicon Σ9 in motion, the preset's experiment but for one thing; new data are simulated once and kept in the
kit's cache. A larger defocus needs a larger window: there the preset's own defocus is done in that window as
well. Scans of other steps cover the same field, so the same columns are compared. Counted electrons are
fitted by the Poisson likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from benchmarks.studies.cases import Case, Line, Options

__all__ = ["base", "cases", "draw", "run", "table"]

DOSES = (1e6, 1e7, 1e5, 1e8)
DEFOCI = (0.0, 50.0, 100.0)
LARGE_DEFOCUS, WIDER = 200.0, 1.25
STEPS = (1.0, 0.75, 0.4, 0.5, 0.3)
SOURCES = ((0.47, 1), (0.47, 6), (0.2, 1), (0.2, 3))  # FWHM [Å], probe modes
ATOM_DOSES, ATOM_ITERATIONS = (1e6, 1e5, None, 1e7), 40
ONE_STATE = 20
CHANGED = ("defocus_angstrom", "scan_step_angstrom", "source_fwhm_angstrom", "window_angstrom")
_SECONDS = {"quick": 0.11, "tutorial": 0.17, "paper": 8.0}  # of one state and iteration on one thread


def cases(options: Options) -> list[Case]:
    """The preset as it is, then each condition in turn, so that a run cut short has some of all."""
    start = base(options)
    step, window = start["scan_step_angstrom"], start["window_angstrom"]
    field = step * (_experiment(options.preset).scan_shape[0] - 1)
    wide = {"window_angstrom": WIDER * window}
    defoci = [{"defocus_angstrom": defocus} for defocus in DEFOCI]
    defoci += [wide | {"defocus_angstrom": LARGE_DEFOCUS}, wide]
    steps = [{"scan_step_angstrom": round(field / round(field / wanted), 4)} for wanted in STEPS]
    sources = [{"source_fwhm_angstrom": fwhm, "modes": modes} for fwhm, modes in SOURCES]
    doses = [{"dose": dose} for dose in DOSES]
    atoms = [{"method": "atoms", "iterations": ATOM_ITERATIONS, "dose": dose} for dose in ATOM_DOSES]
    rounds = zip_longest(doses, atoms, defoci, steps, sources[:2])
    changes = [{}, *(change for one in rounds for change in one if change)]
    changes += [*sources[2:], {"seed": options.seed + 1}]
    found = [_case(start | change, field, step, options) for change in changes]
    return list({case.key: case for case in found}.values())  # the paper's preset is in focus already


def base(options: Options) -> dict[str, Any]:
    """The parameters of the preset as it is."""
    import caviar_kit.recipes as recipes

    fit = recipes.SILICON_PRESETS[options.preset].fit
    experiment = _experiment(options.preset)
    return {
        "preset": options.preset,
        "seed": options.seed,
        "method": "pixels",
        "dose": None,
        "modes": 1,
        "states": fit.num_states,
        "iterations": fit.max_iter,
        **{name: getattr(experiment, name) for name in CHANGED},
    }


def _experiment(preset: str) -> Any:
    import caviar_kit.recipes as recipes

    return recipes.SILICON_PRESETS[preset].experiment()


def _case(parameters: dict[str, Any], field: float, step: float, options: Options) -> Case:
    """With a guess of its time: positions, window, modes, states and iterations count."""
    positions = ((field / parameters["scan_step_angstrom"] + 1) / (field / step + 1)) ** 2
    waves = parameters["states"] * parameters["iterations"] * parameters["modes"]
    simulated = 20 if parameters["source_fwhm_angstrom"] == 0 else 300  # more probes than positions
    seconds = simulated + _SECONDS[options.preset] * positions * waves
    return Case("conditions", parameters, seconds, options.device)


def run(case: Case) -> dict[str, Any]:
    """Simulate, count, fit and measure one case."""
    from benchmarks.studies.silicon import conditioned, counted

    example = conditioned(case["preset"], experiment_changes(case))
    size = {
        "positions": len(example.experiment.scan_positions_angstrom),
        "columns_in_field": len(example.ground_truth.positions),
        "detector_pixels": example.experiment.detector_pixels,
    }
    data = counted(example, case["dose"], case["seed"])
    return size | (_atoms if case["method"] == "atoms" else _pixels)(case, data)


def experiment_changes(case: Case) -> dict[str, Any]:
    """Fields of the preset's experiment that are not as they are; the field scanned stays the same."""
    plain = _experiment(case["preset"])
    changes = {name: case[name] for name in CHANGED if not math.isclose(case[name], getattr(plain, name))}
    if "scan_step_angstrom" in changes:
        counts = [
            round((count - 1) * plain.scan_step_angstrom / case["scan_step_angstrom"]) + 1
            for count in plain.scan_shape
        ]
        changes["scan_shape"] = tuple(counts)
    if "window_angstrom" in changes:  # the same pixels, more of them
        larger = case["window_angstrom"] / plain.window_angstrom
        changes |= {name: round(larger * getattr(plain, name)) for name in ("grid_points", "detector_pixels")}
    return changes


def _pixels(case: Case, example: Any) -> dict[str, Any]:
    """A fit of pixels with the preset's settings."""
    from benchmarks.reconstruction import of_example
    from benchmarks.studies.silicon import measured_on_the_way, shells

    given = {"device": case.device, "seed": case["seed"], **coherence(case)}
    ptycho = of_example(example, states=case["states"], **given)
    last, loss = case["iterations"], likelihood(case)
    steps = ptycho.iterate(last, one_state_iter=ONE_STATE, loss=loss)
    ((_, seconds, result),) = measured_on_the_way(ptycho, example, steps, [last], ONE_STATE)
    found = {"loss_name": loss, "fit_seconds": round(seconds, 1), "loss": float(ptycho.error)}
    if result is None:
        return found | {"shells": None}
    return found | {
        "shells": shells(result.true_greens_tensor, result.tracked, result.true_positions),
        "nearest_to_self": result.summary()["nearest_to_self"],
    }


def _atoms(case: Case, example: Any) -> dict[str, Any]:
    """A fit of atoms to the same data."""
    from benchmarks.studies.silicon import atoms

    loss = likelihood(case)
    found = atoms(
        example,
        case["states"],
        case["iterations"],
        loss=loss,
        device=case.device,
        seed=case["seed"],
        **coherence(case),
    )
    seconds = found["trace"][-1]["seconds"]
    kept = {name: found[name] for name in ("columns", "self", "nearest", "next")}
    return {"loss_name": loss, "fit_seconds": seconds, "loss": found["loss"], "shells": kept}


def likelihood(case: Case) -> str:
    """Poisson for counted electrons."""
    return "amplitude" if case["dose"] is None else "poisson"


def coherence(case: Case) -> dict[str, Any]:
    """The source as the fit has it: a point with one mode, of known width with several."""
    if case["modes"] == 1:
        return {}
    return {"num_probes": case["modes"], "source_fwhm_angstrom": case["source_fwhm_angstrom"]}


def series(lines: Sequence[Line], start: dict[str, Any], *names: str, **fixed: Any) -> list[Line]:
    """The lines that differ from ``start`` (with ``fixed``) in ``names`` at most, by the first name."""
    wanted = {key: value for key, value in (start | fixed).items() if key not in names}
    found = [line for line in lines if {k: v for k, v in line["case"].items() if k not in names} == wanted]
    return sorted(found, key=lambda line: math.inf if (v := line["case"][names[0]]) is None else v)


def draw(lines: Sequence[Line], path: Path) -> None:
    """Dose, defocus, step, source."""
    from benchmarks.studies.conditions_figure import figure

    figure(lines, start_of(lines)).savefig(path, dpi=100)


def start_of(lines: Sequence[Line]) -> dict[str, Any]:
    """The preset as it is, as these lines have it."""
    first = min(lines, key=lambda line: line["case"]["seed"])["case"]
    return base(replace(Options(), preset=first["preset"], seed=first["seed"]))


def table(lines: Sequence[Line]) -> str:
    """Markdown: one row for each case."""
    from benchmarks.studies.conditions_table import rows

    return rows(lines)
