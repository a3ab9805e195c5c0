"""The numbers of the correlation explorer: rows, text for spreadsheets, HTML."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np

from caviar_kit.vibrations import ShellIntervals, shell_intervals, tensor_intervals
from caviar_kit.widgets.correlation_source import CorrelationSource

__all__ = ["PAIRS", "as_text", "correlation_rows", "html_rows", "html_shells", "shell_means"]

PAIRS = (("xx", 1, 1), ("xy", 1, 0), ("yx", 0, 1), ("yy", 0, 0))

_PM2 = 1e4
_ROWS_AT_MOST = 12
_CHUNK = 40  # atoms: intervals are found for all pairs among them
_ATOMS_AT_MOST = 400  # shell means go over all pairs
_FEWEST_STATES = 3
_STYLE = 'style="text-align:right;border-spacing:1em 0;border-collapse:separate"'


def correlation_rows(
    source: CorrelationSource, atom: int, atoms: np.ndarray, *, intervals: bool
) -> list[dict[str, float]]:
    """One row for each of ``atoms``: index, distance [Å], and in pm² what was found and what is true.

    Keys are "xx" (the reference along x, the other along x), "xy" and so on, "true xx" where the truth is
    known, "xx low" and "xx high" with ``intervals``: those of `caviar_kit.tensor_intervals`.
    """
    distance = np.linalg.norm(source.positions - source.positions[atom], axis=1)
    ends = _intervals(source, atom, atoms) if intervals else None
    rows = []
    for k, other in enumerate(atoms):
        row = {"atom": int(other), "distance": float(distance[other])}
        for name, a, b in PAIRS:
            row[name] = _PM2 * float(source.tensor[atom, a, other, b])
            if ends is not None:
                row[f"{name} low"], row[f"{name} high"] = (_PM2 * float(end[k, a, b]) for end in ends)
            if source.true_tensor is not None:
                row[f"true {name}"] = _PM2 * float(source.true_tensor[atom, a, other, b])
        rows.append(row)
    return rows


def _intervals(
    source: CorrelationSource, atom: int, atoms: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Low and high ends (atoms, 2, 2) [Å²]; None where they cannot be had."""
    if source.displacements is None or source.states < _FEWEST_STATES:
        return None
    low, high = np.empty((2, len(atoms), 2, 2))
    for start in range(0, len(atoms), _CHUNK):
        part = slice(start, start + _CHUNK)
        found = tensor_intervals(source.displacements[..., [atom, *atoms[part]], :])
        low[part], high[part] = (end[0, :, 1:].transpose(1, 0, 2) for end in (found.low, found.high))
    return low, high


def shell_means(source: CorrelationSource) -> ShellIntervals | None:
    """`caviar_kit.shell_intervals` of all atoms; None without states or with too many pairs."""
    if source.displacements is None or source.states < _FEWEST_STATES or source.atoms > _ATOMS_AT_MOST:
        return None
    edges = source.shells.edges_angstrom if source.atoms > 1 else None
    return shell_intervals(source.displacements, source.positions, shell_edges=edges)


def as_text(rows: Sequence[dict[str, float]], separator: str = "\t") -> str:
    """The rows for a spreadsheet; correlations in pm², distances in Å, empty where unknown."""
    if not rows:
        return ""
    names = list(rows[0])
    heads = [{"atom": "atom", "distance": "distance (Å)"}.get(name, f"{name} (pm²)") for name in names]
    lines = [separator.join(heads)]
    for row in rows:
        values = (row[name] for name in names)
        lines.append(separator.join("" if math.isnan(value) else f"{value:.6g}" for value in values))
    return "\n".join(lines) + "\n"


def html_rows(rows: Sequence[dict[str, float]], prime: str = "") -> str:
    """The first rows as a table; ``prime`` marks the axes in its head."""
    names = [f"{name[0]}{prime}{name[1]}{prime}" for name, *_ in PAIRS]
    lines = []
    for row in rows[:_ROWS_AT_MOST]:
        cells = [f"{row['distance']:.2f}", *(_figures(row, name) for name, *_ in PAIRS)]
        lines.append(_line(f"{row['atom']:.0f}", cells))
    more = f"<p>… and {len(rows) - _ROWS_AT_MOST} more</p>" if len(rows) > _ROWS_AT_MOST else ""
    return _table(["atom", "distance (Å)", *names], lines) + more


def _figures(row: dict[str, float], name: str) -> str:
    text = _number(row[name])
    if f"{name} low" in row:
        text += _interval(row[f"{name} low"], row[f"{name} high"])
    return f"{text} ({_number(row[f'true {name}'])})" if f"true {name}" in row else text


def html_shells(means: ShellIntervals) -> str:
    """Means per shell, along the bond and across it, in pm²."""
    lines = []
    for shell, values in _shells(means):
        # the own axes of "self" are y, x of the image
        cells = [_number(value) + _interval(low, high) for value, low, high in values]
        lines.append(_line(escape(shell), cells))
    return _table(["shell", "along (self: x)", "across (self: y)", "mixed"], lines)


def _shells(means: ShellIntervals) -> Iterator[tuple[str, list[Any]]]:
    for k, shell in enumerate(means.shells):
        parts = ((1, 1), (0, 0), (0, 1))
        ends = (means.value, means.low, means.high)
        yield shell, [[_PM2 * end[k][part] for end in ends] for part in parts]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:z.1f}"


def _interval(low: float, high: float) -> str:
    if math.isnan(low):
        return ""
    return f' <span style="opacity:0.75">[{low:z.1f}, {high:z.1f}]</span>'


def _line(head: str, cells: Sequence[str]) -> str:
    return f'<tr><th scope="row">{head}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _table(heads: Sequence[str], lines: Sequence[str]) -> str:
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return f"<table {_STYLE}><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
