"""Path means of a dispersion as text and HTML."""

from __future__ import annotations

import numpy as np

from caviar_kit.vibrations import PhononDispersion
from caviar_kit.vibrations.dispersion_result import FLAGS

__all__ = ["html_means", "means_as_text"]

_STYLE = 'style="text-align:right;border-spacing:1em 0;border-collapse:separate"'


def means_as_text(result: PhononDispersion, theory: np.ndarray | None, separator: str) -> str:
    """Branch by branch: mean, ends of its 95 % interval, mean before the correction, theory; THz."""
    heads = ["branch", *(f"{name} (THz)" for name in ("path mean", "low", "high", "uncorrected"))]
    aside = _beside(result, theory)
    lines = [separator.join(heads + (["theory (THz)"] if aside is not None else []))]
    for k, name in enumerate(result.branches):
        low, high = result.interval_thz[k]
        values = [result.path_mean_thz[k], low, high, result.uncorrected_path_mean_thz[k]]
        values += [] if aside is None else [aside[k]]
        lines.append(separator.join([name, *(f"{value:.6g}" for value in values)]))
    return "\n".join(lines) + "\n"


def html_means(result: PhononDispersion, theory: np.ndarray | None) -> str:
    """The same as a table, and what to beware of."""
    heads = ["branch", "path mean (THz)", "95 % interval", "before correction"]
    aside = _beside(result, theory)
    heads += [] if aside is None else ["theory"]
    lines = []
    for k, name in enumerate(result.branches):
        low, high = result.interval_thz[k]
        cells = [f"{result.path_mean_thz[k]:.2f}", f"{low:.2f} – {high:.2f}"]
        cells += [f"{result.uncorrected_path_mean_thz[k]:.2f}"]
        cells += [] if aside is None else [f"{aside[k]:.2f}"]
        columns = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{name}</th>{columns}</tr>')
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    table = f"<table {_STYLE}><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return table + "".join(f"<p>{text}</p>" for text in _notes(result, theory))


def _beside(result: PhononDispersion, theory: np.ndarray | None) -> np.ndarray | None:
    """Means of the theory that stand beside those of the branches: as many, both ascending."""
    return theory if theory is not None and len(theory) == len(result.branches) else None


def _notes(result: PhononDispersion, theory: np.ndarray | None) -> list[str]:
    notes = [f"{result.states} states, {result.cells} cells, {result.operations} point operations."]
    if result.parameters:
        notes[0] += f" {result.parameters} force constants."
    if theory is not None and _beside(result, theory) is None:
        notes.append(f"Path means of the theory: {', '.join(f'{mean:.2f}' for mean in theory)} THz.")
    counts = {flag: int((result.flags == flag).sum()) for flag in FLAGS if flag not in ("", "sum rule")}
    dotted = [f"{n} of {result.flags.size} {flag} ({FLAGS[flag]})" for flag, n in counts.items() if n]
    return notes + ([f"Dotted where not measured: {'; '.join(dotted)}."] if dotted else [])
