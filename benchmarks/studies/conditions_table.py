"""The study of conditions as Markdown, from its lines alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.studies.cases import Line
from benchmarks.studies.reading import SHELL_STYLES, cell, found, setting_text, sizes

__all__ = ["rows"]

CHANGES = {
    "seed": "seed {}",
    "dose": "{} electrons per pattern",
    "defocus_angstrom": "defocus {} Å",
    "window_angstrom": "window {} Å",
    "scan_step_angstrom": "step {} Å",
    "source_fwhm_angstrom": "source {} Å",
    "modes": "{} probe modes",
}


def rows(lines: Sequence[Line]) -> str:
    """One row for each case, what it changes first."""
    from benchmarks.studies.conditions import start_of

    start = start_of(lines)
    titles = [f"changed ({sizes(lines[0])})", "positions", "fit [s]", "loss", *SHELL_STYLES]
    titles.append("nearest: 95 % interval of CSM; LSM")
    table = [_row(titles), _row(["---"] * len(titles))]
    for line in sorted(lines, key=lambda line: _order(line["case"], start)):
        result = line["result"]
        shells = result["shells"]
        numbers = [result["positions"], f"{result['fit_seconds']:.0f}", f"{result['loss']:.1e}"]
        figures = [cell(shells, shell) for shell in SHELL_STYLES]
        ends = "; ".join(
            "–".join(f"{v:.2f}" for v in found(shells, "nearest", n)[1:]) for n in ("csm", "lsm")
        )
        table.append(_row([changed(line["case"], start), *numbers, *figures, ends if shells else "–"]))
    return "\n".join(table)


def changed(case: Mapping[str, Any], start: Mapping[str, Any]) -> str:
    """What differs from the preset as it is, in words."""
    words = [
        text.format(setting_text(case[name])) for name, text in CHANGES.items() if case[name] != start[name]
    ]
    if case["method"] == "atoms":
        words.append(f"atoms, {case['iterations']} iterations")
    return ", ".join(words) or "nothing"


def _order(case: Mapping[str, Any], start: Mapping[str, Any]) -> tuple[Any, ...]:
    """What changes one thing together, by its size; atoms after pixels."""
    differs = [k for k, name in enumerate(CHANGES) if case[name] != start[name]]
    sizes_of = [math.inf if case[name] is None else case[name] for name in CHANGES]
    return (case["method"] != start["method"], differs[:1], sizes_of)


def _row(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
