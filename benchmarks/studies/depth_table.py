"""The study of depth as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.studies.cases import Line
from benchmarks.studies.depth import detector_edge_of
from benchmarks.studies.markdown import markdown

HEAD = (
    "specimen",
    "α; detector (mrad)",
    "slices × Å",
    "step at (truth), Å",
    "FWHM (Å)",
    "iterations",
    "lower share: first, last",
    "twist (°)",
    "d/λ",
    "finest along z (Å)",
    "loss",
    "seconds",
)


def table(lines: Sequence[Line]) -> str:
    """One row per reconstruction; "–" where a step cannot be fitted to so few slices."""
    return markdown(HEAD, (row(line) for line in lines))


def row(line: Line) -> list[object]:
    """Cells of one case."""
    case, result = line["case"], line["result"]
    share, slices = result["lower_share"], case["slices"]
    motion = "300 K" if case["vibrating"] else "at rest"
    states = f", {case['states']} states" if case["states"] > 1 else ""
    return [
        f"{case['layers']} + {case['layers']} layers, {motion}{states}",
        f"{case['semiangle_mrad']}; {detector_edge_of(line):.0f}",
        f"{slices} × {result['thickness_angstrom'] / slices:.2f}",
        f"{figure(result['step_angstrom'])} ({result['true_step_angstrom']:.1f})",
        figure(result["fwhm_angstrom"]),
        case["max_iter"],
        f"{share[0]:.0%}, {share[-1]:.0%}",
        f"{result['twist_deg']:.2f}",
        f"{result['d_over_lambda']:.1f}",
        figure(result["finest_depth_angstrom"]) + (" (last $k_z$)" if result["at_nyquist"] else ""),
        f"{result['loss']:.1e}",
        f"{line['seconds']:.0f}",
    ]


def figure(value: Any) -> str:
    """One decimal, or "–"."""
    return "–" if value is None else f"{value:.1f}"
