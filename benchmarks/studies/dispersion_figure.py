"""Draw the study of dispersion: bands, scale of G, temperature, path means against the number of states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from benchmarks.studies.cases import Line
from benchmarks.studies.hbn_layer import BRANCHES
from caviar_kit.plotting._common import BLUE, VERMILION

PAPER_THZ = ((10.7, 14.1, 17.7, 24.0), (10.8, 13.0, 18.2, 27.0))  # arXiv:2309.12017, two lattices, eq. 6
PAPER_STATES = 10
MARKERS = "os^D"
COLOURS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # of branches, none of the two of the methods
METHODS = {"eq. 6": (VERMILION, "s", 0.94), "ours": (BLUE, "o", 1.06)}
LOST = 0.75  # of the amplitudes are what the paper finds in silicon


def draw(lines: Sequence[Line], path: Path) -> None:
    """Write the figure; parts that are not done stay empty."""
    parts = {line["case"]["part"]: line["result"] for line in lines}
    samples = [line for line in lines if line["case"]["part"] == "states"]
    figure = Figure(figsize=(14, 9.4), layout="constrained")
    axes = figure.subplot_mosaic("AAAABBBBCCCC;DDDEEEFFFGGG")
    for key, part, fill in (("A", "bands", bands), ("B", "scale", scale), ("C", "temperature", temperature)):
        if part in parts:
            fill(axes[key], parts[part])
    for number, key in enumerate("DEFG"):
        if samples:
            states(axes[key], number, samples, parts.get("bands"))
    for letter, ax in zip("abcdefg", axes.values(), strict=True):
        ax.text(0.015, 0.985, letter, transform=ax.transAxes, va="top", weight="bold", size=13)
    if samples:
        handles, names = axes["D"].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle("In-plane vibrations of hBN (spring model, synthetic): equation 6 against Bose–Einstein")
    figure.savefig(path, dpi=110)


def bands(ax: Axes, result: Mapping[str, Any]) -> None:
    """Truth and inversions of perfect correlations along Γ-K-M-Γ."""
    distance, found = np.array(result["distance"]), result["bands_thz"]
    styles = {
        "quantum": {"color": BLUE, "lw": 5, "alpha": 0.4, "label": "quantum inversion"},
        "truth": {"color": "black", "lw": 1.2, "label": "truth"},
        "eq. 6": {"color": VERMILION, "lw": 1.8, "ls": (0, (5, 1.5)), "label": "eq. 6"},
    }
    for name, style in styles.items():
        drawn = ax.plot(distance, np.array(found[name]), **style)
        for line in drawn[1:]:
            line.set_label("_")
    for place, _ in result["labels"]:
        ax.axvline(place, color="0.85", lw=0.8, zorder=0)
    ax.set_xticks([place for place, _ in result["labels"]], [name for _, name in result["labels"]])
    ax.set(xlim=(0, distance[-1]), ylim=(0, 55), xlabel="wave vector", ylabel="frequency (THz)")
    ax.set_title(f"perfect correlations, {result['kelvin']:g} K")
    ax.legend(loc="upper center", ncols=3, frameon=False, columnspacing=1.2, handlelength=1.6)


def scale(ax: Axes, result: Mapping[str, Any]) -> None:
    """Path means over their truth if all of G is too small or too large."""
    truth, factor = np.array(result["truth_thz"]), np.array(result["factor"])
    for method, dash in (("quantum", "-"), ("eq. 6", "--")):
        ratio = np.array(result[method]) / truth
        for number, name in enumerate(BRANCHES):
            style: dict[str, Any] = {"color": COLOURS[number], "marker": MARKERS[number], "ls": dash, "ms": 5}
            ax.plot(factor, ratio[:, number], label=name if dash == "-" else "_", **style)
        ax.plot([], [], color="black", ls=dash, label=f"{method} inversion" if dash == "-" else method)
    ax.axhline(1, color="black", lw=0.8)
    ax.axvline(LOST, color="0.6", ls=":")
    ax.text(LOST + 0.01, 0.43, "a quarter lost", color="0.3")
    ax.set(xlabel="all of G times", ylabel="path mean / truth", ylim=(0.4, 2.15))
    ax.set_title("correlations too small or too large, 300 K")
    ax.legend(loc="upper right", frameon=False)


def temperature(ax: Axes, result: Mapping[str, Any]) -> None:
    """Path means of eq. 6 over their truth against temperature."""
    ratio = np.array(result["eq. 6"]) / np.array(result["truth_thz"]) - 1
    for number, name in enumerate(BRANCHES):
        style: dict[str, Any] = {"color": COLOURS[number], "marker": MARKERS[number], "ls": "--", "ms": 5}
        ax.plot(result["kelvin"], ratio[:, number], label=name, **style)
    ax.axhline(0, color="black", lw=0.8)
    ax.axvline(300, color="0.6", ls=":")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set(xlabel="temperature (K)", ylabel="error of a path mean by eq. 6", ylim=(-0.75, 0.05))
    ax.set_title("perfect correlations, eq. 6")
    ax.legend(loc="lower right", frameon=False)


def states(ax: Axes, branch: int, samples: Sequence[Line], exact: Mapping[str, Any] | None = None) -> None:
    """One branch: mean of the samples and their mean 95 % interval against the number of states."""
    count = np.array([line["case"]["states"] for line in samples])
    for method, (colour, marker, aside) in METHODS.items():
        found = [line["result"][method] for line in samples]
        mean = np.array([one["mean_thz"][branch] for one in found])
        low, high = np.array([one["interval_thz"][branch] for one in found]).T
        label = f"{method}: mean of {samples[0]['result']['trials']} samples and mean 95 % interval"
        ax.vlines(count * aside, low, high, color=colour, lw=2)
        ax.plot(count * aside, mean, marker, color=colour, ms=6, label=label)
    paper = [values[branch] for values in PAPER_THZ]
    label = "paper's experiment, two lattices (other data)"
    ax.plot([PAPER_STATES * 0.78] * 2, paper, "D", mfc="none", color="black", ms=6, label=label)
    truth = samples[0]["result"]["truth_thz"][branch]
    ax.axhline(truth, color="black", lw=1, label="truth")
    if exact:
        limit = exact["path_mean_thz"]["eq. 6, 59 cells"][branch]
        ax.axhline(limit, color=VERMILION, ls=":", label="eq. 6, infinitely many states")
    top = max(1.6 * truth, 1.05 * max(line["result"]["eq. 6"]["interval_thz"][branch][1] for line in samples))
    ax.set_xscale("log")
    ax.set_xticks(count, [str(n) for n in count])
    ax.xaxis.minorticks_off()
    ax.set(xlim=(6.5, 560), ylim=(0, top), xlabel="states of 59 cells, 300 K")
    ax.set_ylabel("path mean (THz)" if branch == 0 else "")
    ax.set_title(BRANCHES[branch])
