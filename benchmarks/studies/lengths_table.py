"""The study of lengths as Markdown, from its lines alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.studies.cases import Line
from benchmarks.studies.lengths import OURS
from benchmarks.studies.lengths_budget import budget, trackers_at
from benchmarks.studies.reading import SHELL_STYLES, cell, find, sizes, value

__all__ = ["tables"]

SHELLS = tuple(SHELL_STYLES)
SHOWN = (20, 50, 100, 200)


def tables(lines: Sequence[Line]) -> str:
    """Fits on the way, trackers, budget."""
    return "\n\n".join([_fits(lines), _trackers(lines), _budget(lines)])


def _fits(lines: Sequence[Line]) -> str:
    rows = [
        _row([f"fit ({sizes(lines[0])})", "states", "iterations", "seconds", "loss", *SHELLS]),
        _row(["---"] * 8),
    ]
    for line in lines:
        case = line["case"]
        if case["kind"] == "truth":
            continue
        for point in line["result"]["trace"]:
            figures = point if case["kind"] == "atoms" else point.get("trackers", {}).get(OURS)
            if point["iteration"] in SHOWN or point is line["result"]["trace"][-1]:
                numbers = [
                    case["states"],
                    point["iteration"],
                    f"{point['seconds']:.0f}",
                    f"{point['loss']:.1e}",
                ]
                rows.append(_row([_name(case), *numbers, *(cell(figures, shell) for shell in SHELLS)]))
    return "\n".join(rows)


def _name(case: Mapping[str, Any]) -> str:
    if case["kind"] == "atoms":
        return "atoms"
    return f"{case['start']} start, `state_gain={case['state_gain']}`"


def _trackers(lines: Sequence[Line]) -> str:
    """LSM of self and nearest with every tracker."""
    truth = find(lines, kind="truth")
    sources = {"true potentials": truth["result"]["trackers"] if truth else {}}
    for line in lines:
        if line["case"]["kind"] == "pixels":
            last = line["case"]["iterations"]
            if len(found := trackers_at(line, last)) > 1:
                sources[f"{_name(line['case'])}, {line['case']['states']} states, {last} iterations"] = found
    names = list(dict.fromkeys(name for found in sources.values() for name in found))
    titles = [name.replace("raw ", "raw, passes: ") for name in names]
    rows = [_row(["LSM self; nearest", *titles]), _row(["---"] * (1 + len(names)))]
    for label, found in sources.items():
        pairs = [[value(found.get(name), shell, "lsm") for shell in ("self", "nearest")] for name in names]
        rows.append(_row([label, *(f"{own:.2f}; {near:.2f}" for own, near in pairs)]))
    return "\n".join(rows)


def _budget(lines: Sequence[Line]) -> str:
    rows = [_row(["one after the other", *SHELLS, "gained: self; nearest"]), _row(["---"] * 5)]
    before: Mapping[str, Any] | None = None
    for step in budget(lines):
        gains = [value(step.figures, s, "lsm") - value(before, s, "lsm") for s in ("self", "nearest")]
        gained = "" if before is None else "; ".join(f"{gain:+.2f}" for gain in gains)
        cause = step.cause.replace("\n", " ")
        rows.append(_row([cause, *(cell(step.figures, shell) for shell in SHELLS), gained]))
        before = step.figures
    return "\n".join(rows)


def _row(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
