"""The picture of the study of conditions, from its lines alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.studies.cases import Line
from benchmarks.studies.conditions import ATOM_ITERATIONS, DOSES, series
from benchmarks.studies.reading import NAMES, SHELL_STYLES, found, setting_text, sizes

__all__ = ["figure"]

Start = Mapping[str, Any]
FIGURES = ("csm", "lsm")
BOTTOM, TOP = {"csm": -0.55, "lsm": -0.05}, {"csm": 1.1, "lsm": 1.75}
_ATOMS = {"color": "#009E73", "marker": "*", "ms": 10, "mfc": "none"}
_NOISE_FREE = 1e9  # where data without noise are drawn on the axis of doses


def figure(lines: Sequence[Line], start: Start) -> Figure:
    """CSM above, LSM below; dose, defocus, step, source from left to right."""
    made = Figure(figsize=(15, 7.6), layout="constrained")
    axes = made.subplots(2, 4, sharex="col", sharey="row")
    for row, name in zip(axes, FIGURES, strict=True):
        row[0].set_ylim(BOTTOM[name], TOP[name])
        _dose(row[0], lines, start, name)
        _defocus(row[1], lines, start, name)
        _step(row[2], lines, start, name)
        _source(row[3], lines, start, name)
        row[0].set_ylabel(NAMES[name])
        for ax in row:
            ax.axhline(1, color="0.6", lw=1)
            ax.axhline(0, color="0.6", lw=0.6)
            ax.grid(alpha=0.25)
    for ax, title in zip(axes[0], ("dose", "defocus", "scan step", "source size"), strict=True):
        ax.set_title(title)
    axes[0, 0].legend(fontsize=8, loc="lower right")
    axes[0, 1].legend(fontsize=8, loc="lower right")
    axes[0, 3].legend(fontsize=8, loc="lower left")
    field = (
        f"{start['states']} states, {start['iterations']} iterations, "
        f"defocus {start['defocus_angstrom']:g} Å, step {start['scan_step_angstrom']:g} Å, "
        "bars: 95 % over states"
    )
    made.suptitle(
        f"Conditions, each changed alone. Silicon Σ9 in motion, {sizes(lines[0])}; {field}", fontsize=12
    )
    return made


def _dose(ax: Any, lines: Sequence[Line], start: Start, name: str) -> None:
    pixels = series(lines, start, "dose")
    _shells(ax, pixels, [_at_dose(line) for line in pixels], name)
    atoms = series(lines, start, "dose", method="atoms", iterations=ATOM_ITERATIONS)
    near = np.array([found(line["result"]["shells"], "nearest", name) for line in atoms]).reshape(-1, 3)
    label = "nearest, atoms (40 iterations)"
    _bars(ax, [1.25 * _at_dose(line) for line in atoms], near, label=label, ls="--", **_ATOMS)
    doses = sorted({_at_dose(line) for line in [*pixels, *atoms]})
    labels = ["none" if dose == _NOISE_FREE else setting_text(dose) for dose in doses]
    ax.set(xscale="log", xlim=(min(DOSES) / 2, 2 * _NOISE_FREE))
    ax.set_xticks(doses, labels=labels)
    ax.minorticks_off()
    if name == "lsm":
        ax.set_xlabel("electrons per pattern (none: noise-free)")


def _at_dose(line: Line) -> float:
    dose = line["case"]["dose"]
    return _NOISE_FREE if dose is None else float(dose)


def _defocus(ax: Any, lines: Sequence[Line], start: Start, name: str) -> None:
    """In the preset's window, and beside it in a wider one."""
    small = series(lines, start, "defocus_angstrom")
    _shells(ax, small, [line["case"]["defocus_angstrom"] for line in small], name)
    wide = [
        line
        for line in series(lines, start, "defocus_angstrom", "window_angstrom")
        if line["case"]["window_angstrom"] != start["window_angstrom"]
    ]
    for shell, style in SHELL_STYLES.items():
        figures = np.array([found(line["result"]["shells"], shell, name) for line in wide]).reshape(-1, 3)
        places = [line["case"]["defocus_angstrom"] + 4 for line in wide]
        window = wide[0]["case"]["window_angstrom"] if wide else 0
        label = f"open: window {window:g} Å" if wide and shell == "nearest" else None
        _bars(ax, places, figures, label=label, ls=":", mfc="none", ms=6, **style)
    if name == "lsm":
        ax.set_xlabel("defocus [Å]")


def _step(ax: Any, lines: Sequence[Line], start: Start, name: str) -> None:
    found_here = series(lines, start, "scan_step_angstrom")
    _shells(ax, found_here, [line["case"]["scan_step_angstrom"] for line in found_here], name)
    if name == "lsm":
        ax.set_xlabel("scan step [Å], the same field")


def _source(ax: Any, lines: Sequence[Line], start: Start, name: str) -> None:
    """With one probe mode, and with several of the known width."""
    one = series(lines, start, "source_fwhm_angstrom")
    _shells(ax, one, [line["case"]["source_fwhm_angstrom"] for line in one], name)
    several = [
        line for line in series(lines, start, "source_fwhm_angstrom", "modes") if line["case"]["modes"] > 1
    ]
    for shell, style in SHELL_STYLES.items():
        figures = np.array([found(line["result"]["shells"], shell, name) for line in several]).reshape(-1, 3)
        places = [line["case"]["source_fwhm_angstrom"] + 0.012 for line in several]
        label = "open: several modes of known width" if shell == "nearest" and several else None
        _bars(ax, places, figures, label=label, ls=":", mfc="none", ms=6, **style)
    if name == "lsm":
        ax.set_xlabel("source FWHM [Å]")


def _shells(ax: Any, lines: Sequence[Line], x: Sequence[float], name: str) -> None:
    for shell, style in SHELL_STYLES.items():
        figures = np.array([found(line["result"]["shells"], shell, name) for line in lines]).reshape(-1, 3)
        _bars(ax, x, figures, label=shell, ls="-", ms=5, **style)


def _bars(ax: Any, x: Sequence[float], figures: np.ndarray, **style: Any) -> None:
    """Values with their intervals; what is beyond the axes is an arrow at the top, with its number."""
    low, high = ax.get_ylim()
    beyond = figures[:, 0] > high
    ends = np.abs(figures[:, 1:] - figures[:, :1]).T
    shown = np.where(beyond, np.nan, figures[:, 0])
    ax.errorbar(x, shown, ends, capsize=2, elinewidth=0.7, **style)
    for place, figure in zip(np.asarray(x)[beyond], figures[beyond, 0], strict=True):
        row = sum(text.get_gid() == "beyond" for text in ax.texts)
        ax.plot(place, high - 0.03 * (high - low), marker=6, color=style["color"], clip_on=False)
        number = {"color": style["color"], "fontsize": 8, "ha": "right", "va": "top", "gid": "beyond"}
        ax.text(place - 0.01, high - (0.07 + 0.055 * row) * (high - low), f"{figure:.1f}", **number)
