"""Read figures out of lines: one shell, one figure, with its interval; colours and markers of the shells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.studies.cases import Line

__all__ = ["NAMES", "SHELL_STYLES", "cell", "find", "found", "setting_text", "sizes", "value"]

SHELL_STYLES = {
    "self": {"color": "#000000", "marker": "s"},
    "nearest": {"color": "#0072B2", "marker": "o"},
    "next": {"color": "#D55E00", "marker": "^"},
}
"""Okabe and Ito's colours, which colour-blind readers tell apart, and a marker each."""

NAMES = {"csm": "CSM (directions)", "lsm": "LSM (lengths)"}


def find(lines: Sequence[Line], **wanted: Any) -> Line | None:
    """The first line whose case has these parameters."""
    return next((line for line in lines if all(line["case"].get(k) == v for k, v in wanted.items())), None)


def found(figures: Mapping[str, Any] | None, shell: str, name: str) -> np.ndarray:
    """(value, low, high) of one figure; NaN where there is none."""
    if not figures or shell not in figures:
        return np.full(3, np.nan)
    return np.array([np.nan if v is None else v for v in figures[shell][name]], float)


def value(figures: Mapping[str, Any] | None, shell: str, name: str) -> float:
    """One figure of one shell; NaN where there is none."""
    return float(found(figures, shell, name)[0])


def cell(figures: Mapping[str, Any] | None, shell: str) -> str:
    """ "CSM / LSM" for a table."""
    csm, lsm = (value(figures, shell, name) for name in ("csm", "lsm"))
    return "–" if np.isnan(csm) else f"{csm:.3f} / {lsm:.2f}"


def sizes(line: Line) -> str:
    """What the lines were made of: preset, device, threads."""
    made = line["provenance"]
    threads = (
        f", {made['threads']} thread{'s' if made['threads'] > 1 else ''}" if made["device"] == "cpu" else ""
    )
    return f"{line['case']['preset']} preset, {made['device'].upper()}{threads}"


def setting_text(number: float) -> str:
    """A number as a person writes it: 1e6, 150, 0.47."""
    exponent = np.log10(number) if number > 0 else 0.0
    return f"1e{exponent:.0f}" if number >= 1e5 and exponent == round(exponent) else f"{number:g}"
