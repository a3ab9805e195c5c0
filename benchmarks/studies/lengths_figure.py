"""The picture of the study of lengths, from its lines alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.studies.cases import Line
from benchmarks.studies.lengths import COMMON, LONG, OURS
from benchmarks.studies.lengths_budget import at, budget, trackers_at
from benchmarks.studies.reading import NAMES, SHELL_STYLES, find, found, sizes, value

__all__ = ["figure"]

STARTS = {
    ("warped", 2): ("warped copies, conditioned (default)", "#0072B2", "o"),
    ("warped", 1): ("warped copies", "#56B4E9", "v"),
    ("white", 2): ("white noise, conditioned", "#E69F00", "D"),
    ("white", 1): ("white noise", "#D55E00", "^"),
}
PASSES = (1, 2, 3, 5, 10)


def figure(lines: Sequence[Line]) -> Figure:
    """Six panels."""
    made = Figure(figsize=(15, 8.6), layout="constrained")
    axes = made.subplots(2, 3).ravel()
    _shells(axes[0], lines)
    _starts(axes[1], lines, "lsm")
    _starts(axes[2], lines, "csm")
    _states(axes[3], lines)
    _trackers(axes[4], lines)
    _budget(axes[5], lines)
    for letter, ax in zip("abcdef", axes, strict=True):
        ax.set_title(f"{letter}  {ax.get_title()}", loc="left", fontsize=11)
        ax.set_title("")
        ax.grid(alpha=0.25)
    made.suptitle(
        f"Where does the amplitude go? Silicon Σ9 in motion, noise-free, {sizes(lines[0])}", fontsize=13
    )
    return made


def _shells(ax: Any, lines: Sequence[Line]) -> None:
    """Our fit of pixels on the way, LSM and CSM of three shells; atoms at the end."""
    ours = find(lines, kind="pixels", start="warped", state_gain=2, iterations=LONG)
    atoms = find(lines, kind="atoms")
    for shell, style in SHELL_STYLES.items():
        for name, dashes in (("lsm", "-"), ("csm", ":")):
            ax.plot(*_trace(ours, shell, name), dashes, ms=5, **style)
        ax.plot([], [], color=style["color"], marker=style["marker"], label=f"{shell}{_pairs(lines, shell)}")
        if atoms:
            last = atoms["result"]
            ax.plot(LONG * 1.25, value(last, shell, "lsm"), "*", ms=11, color=style["color"])
    ax.plot([], [], "k-", label="LSM")
    ax.plot([], [], "k:", label="CSM")
    ax.plot([], [], "k*", ms=9, label="LSM of atoms")
    _iterations(ax, "LSM, CSM")
    ax.set_title("default fit of pixels, and atoms")


def _starts(ax: Any, lines: Sequence[Line], name: str) -> None:
    """Nearest neighbours on the way, from different starts."""
    for (start, gain), (label, color, marker) in STARTS.items():
        for line in lines:
            case = line["case"]
            same = case["kind"] == "pixels" and case["iterations"] != COMMON
            if same and (case["start"], case["state_gain"]) == (start, gain):
                ax.plot(*_trace(line, "nearest", name), color=color, marker=marker, ms=5, label=label)
    _iterations(ax, NAMES[name])
    ax.set_title(f"start: {name.upper()} of nearest neighbours")


def _iterations(ax: Any, label: str) -> None:
    ax.axhline(1, color="0.6", lw=1)
    ax.set(xscale="log", xlabel="iterations with all states", ylabel=label, ylim=(0, 1.25))
    ax.set_xticks([5, 10, 20, 50, 100, 200], labels=["5", "10", "20", "50", "100", "200"])
    ax.minorticks_off()
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=8, loc="best")


def _states(ax: Any, lines: Sequence[Line]) -> None:
    """LSM and CSM at the same iterations against the number of states."""
    chosen = [
        line
        for line in lines
        if line["case"]["kind"] == "pixels"
        and (line["case"]["start"], line["case"]["state_gain"]) == ("warped", 2)
        and trackers_at(line, COMMON)
    ]
    chosen.sort(key=lambda line: line["case"]["states"])
    counts = [line["case"]["states"] for line in chosen]
    for k, (shell, style) in enumerate(SHELL_STYLES.items()):
        shifted = np.array(counts, float) * 1.025 ** (k - 1)
        lsm, csm = (
            np.array([found(trackers_at(line, COMMON)[OURS], shell, name) for line in chosen]).reshape(-1, 3)
            for name in ("lsm", "csm")
        )
        bars = np.abs(lsm[:, 1:] - lsm[:, :1]).T
        ax.errorbar(shifted, lsm[:, 0], bars, ms=5, capsize=2, elinewidth=0.7, **style)
        ax.plot(shifted, csm[:, 0], ":", ms=4, mfc="none", **style)
        ax.plot([], [], label=shell, **style)
    ax.axhline(1, color="0.6", lw=1)
    ax.set(xscale="log", xlabel="states", ylabel="LSM (solid), CSM (dotted)", ylim=(0, 1.8))
    ax.set_xticks(counts, labels=[str(count) for count in counts])
    ax.minorticks_off()
    ax.legend(fontsize=8, loc="lower right")
    ax.set_title(f"states, after {COMMON} iterations (bars: 95 % of LSM)")


def _trackers(ax: Any, lines: Sequence[Line]) -> None:
    """LSM of self terms against passes of the raw centre of mass, with the others at the right."""
    truth = find(lines, kind="truth")
    named = {
        "true potentials": (truth["result"]["trackers"] if truth else {}, "#000000", "s"),
        "pixels, default": (
            trackers_at(find(lines, kind="pixels", start="warped", state_gain=2, iterations=LONG), LONG),
            "#0072B2",
            "o",
        ),
        "pixels, white start": (
            trackers_at(find(lines, kind="pixels", start="white", state_gain=1), LONG),
            "#D55E00",
            "^",
        ),
    }
    places = list(range(len(PASSES)))
    others = {OURS: len(PASSES) + 0.4, "gaussian": len(PASSES) + 2.0}
    for label, (trackers, color, marker) in named.items():
        for shell, dashes in (("nearest", "-"), ("self", ":")):
            raw = [value(trackers.get(f"raw {n}"), shell, "lsm") for n in PASSES]
            hollow = "none" if shell == "self" else color
            look = {"color": color, "marker": marker, "mfc": hollow, "ms": 5}
            ax.plot(places, raw, ls=dashes, **look)
            rest = [value(trackers.get(name), shell, "lsm") for name in others]
            ax.plot(list(others.values()), rest, ls="", **look)
        ax.plot([], [], color=color, marker=marker, label=label)
    ax.axhline(1, color="0.6", lw=1)
    labels = [*map(str, PASSES), "minimum\nsubtracted", "Gaussian"]
    ax.set_xticks([*places, *others.values()], labels=labels, fontsize=8)
    ax.set(
        xlabel="raw centre of mass: passes   |   others",
        ylabel="LSM: nearest (full), self (open)",
        ylim=(0, 1.25),
    )
    ax.legend(fontsize=8, loc="lower right")
    ax.set_title(f"tracker, after {LONG} iterations")


def _budget(ax: Any, lines: Sequence[Line]) -> None:
    """A ladder: LSM as one cause after the other is taken away."""
    steps = budget(lines)
    rows = np.arange(len(steps))[::-1]
    for shell, style in SHELL_STYLES.items():
        ax.plot([value(step.figures, shell, "lsm") for step in steps], rows, ms=6, label=shell, **style)
    ax.axvline(0.75, color="0.6", lw=1, ls="--")
    ax.text(0.74, -1.35, "the paper's 25 % lost", ha="right", va="center", fontsize=8, color="0.35")
    ax.axvline(1, color="0.6", lw=1)
    for row, step in zip(rows, steps, strict=True):
        right = np.nanmax([0.0, *(value(step.figures, shell, "lsm") for shell in SHELL_STYLES)])
        ax.text(right + 0.07 if right < 0.6 else 0.03, row, step.cause, fontsize=8, va="center")
    ax.set_yticks([])
    ax.set(xlabel=NAMES["lsm"], xlim=(0, 1.25), ylim=(-1.5, len(steps) - 0.3))
    ax.legend(fontsize=8, loc="lower left")
    ax.set_title("one cause after the other taken away")


def _trace(line: Line | None, shell: str, name: str) -> tuple[list[int], list[float]]:
    """Iterations and one figure of our tracker on the way; gaps where nothing could be measured."""
    trace = line["result"]["trace"] if line else []
    return (
        [point["iteration"] for point in trace],
        [value(point.get("trackers", {}).get(OURS), shell, name) for point in trace],
    )


def _pairs(lines: Sequence[Line], shell: str) -> str:
    """How many ordered pairs a shell has at the end of our fit."""
    ours = find(lines, kind="pixels", start="warped", state_gain=2, iterations=LONG)
    figures = at(ours, LONG).get("trackers", {}).get(OURS)
    if not figures:
        return ""
    return f" ({figures[shell]['pairs']} {'columns' if shell == 'self' else 'ordered pairs'})"
