"""Draw the study of depth: shares and widths of the step, depth spectrum, loss, aperture, thickness."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.studies.cases import Line
from benchmarks.studies.depth import detector_edge_of
from caviar_kit.plotting._common import BLUE, VERMILION

MARKERS = "os^Dv*P"
GREEN = "#009E73"
LONG = 100  # iterations from which on a fit belongs to the series over iterations
KINDS = {True: (BLUE, "o", "300 K"), False: (VERMILION, "s", "at rest")}
USUAL = {"layers": 3, "semiangle_mrad": 40}


def draw(lines: Sequence[Line], path: Path) -> None:
    """Write the figure; what is not done is left out."""
    figure = Figure(figsize=(14, 8.8), layout="constrained")
    axes = figure.subplots(2, 3)
    long = [line for line in lines if line["case"]["max_iter"] >= LONG]
    lines = [line for line in lines if line not in long]
    over_slices = [line for line in chosen(lines, **USUAL) if not line["case"].get("detector_pixels")]
    shares(axes[0, 0], chosen(over_slices, vibrating=True))
    widths(axes[0, 1], over_slices, long)
    spectrum(axes[0, 2], chosen(over_slices, vibrating=True, slices=12))
    losses(axes[1, 0], over_slices)
    angles(axes[1, 1], chosen(lines, layers=3, slices=12, vibrating=False))
    thick(
        axes[1, 2], [line for line in chosen(lines, semiangle_mrad=40, vibrating=False) if two_a_layer(line)]
    )
    for letter, ax in zip("abcdef", axes.flat, strict=True):
        ax.set_title(f"{letter}  {ax.get_title()}", loc="left")
        ax.set_title("")
    figure.suptitle("Synthetic twisted hBN, 60 kV, 40 mrad unless named: one lattice gives way to the other")
    figure.savefig(path, dpi=110)


def chosen(lines: Sequence[Line], **wanted: Any) -> list[Line]:
    """Lines whose cases have these parameters, by slices."""
    here = [line for line in lines if all(line["case"][name] == value for name, value in wanted.items())]
    return sorted(here, key=lambda line: line["case"]["slices"])


def two_a_layer(line: Line) -> bool:
    """Whether there are two slices to a layer, and the usual detector."""
    case = line["case"]
    return bool(case["slices"] == 4 * case["layers"]) and not case.get("detector_pixels")


def thickness(line: Line) -> float:
    """Of a slice [Å]."""
    return float(line["result"]["thickness_angstrom"] / line["case"]["slices"])


def shares(ax: Axes, lines: Sequence[Line], label: str = "slices") -> None:
    """The lower lattice's share of the Bragg amplitude against depth."""
    colours = colormaps["viridis"](np.linspace(0, 0.88, max(len(lines), 1)))
    for line, colour, marker in zip(lines, colours, MARKERS, strict=False):
        result, case = line["result"], line["case"]
        name = f"{case[label]}" if label == "slices" else f"{case[label]} + {case[label]}"
        ax.plot(
            result["depth_angstrom"], result["lower_share"], marker=marker, ms=5, color=colour, label=name
        )
        ax.axvline(result["true_step_angstrom"], color="0.6", ls=":", zorder=0)
    ax.axhline(0.5, color="0.85", lw=0.8, zorder=0)
    ax.set(ylim=(0, 1), xlabel="depth (Å)", ylabel="lower lattice's share of the Bragg amplitude")
    ax.set_title("20 Å, 300 K, 4 states" if label == "slices" else "thicker, at rest")
    if lines:
        ax.legend(title=label if label == "slices" else "layers", frameon=False)


def widths(ax: Axes, lines: Sequence[Line], long: Sequence[Line] = ()) -> None:
    """Width of the step against the thickness of a slice, and after more iterations."""
    for vibrating, (colour, marker, name) in KINDS.items():
        here = [line for line in chosen(lines, vibrating=vibrating) if line["result"]["fwhm_angstrom"]]
        if here:
            label = f"{name}, {here[0]['case']['max_iter']} iterations"
            _width(ax, here, color=colour, marker=marker, label=label)
    counts = sorted({line["case"]["max_iter"] for line in long})
    for count, marker in zip(counts, "^v", strict=False):
        here = chosen(long, max_iter=count)
        label = f"at rest, {count} iterations"
        _width(ax, here, color=VERMILION, marker=marker, mfc="white", ls=":", label=label)
    ax.plot([0, 4], [0, 8], color="black", lw=1, ls="--", label="two slices")
    ax.axhline(3.33, color="0.6", ls=":")
    ax.text(3.9, 3.4, "one layer", color="0.3", ha="right", va="bottom")
    ax.set(xlim=(0, 4), ylim=(0, 8), xlabel="thickness of a slice (Å)", ylabel="FWHM of the step (Å)")
    ax.set_title("width of the step")
    ax.legend(frameon=False, loc="lower right")


def _width(ax: Axes, lines: Sequence[Line], **style: Any) -> None:
    across = [thickness(line) for line in lines]
    ax.plot(across, [line["result"]["fwhm_angstrom"] for line in lines], **style)


def spectrum(ax: Axes, lines: Sequence[Line]) -> None:
    """Ring means of the three-dimensional power spectrum."""
    ax.set(xlabel="frequency in the plane (1/Å)", ylabel="$k_z$ (1/Å)")
    if not lines:
        return
    result = lines[0]["result"]
    power = result["depth_power"]
    mesh = ax.pcolormesh(
        power["frequency"],
        power["k_z"],
        power["log10"],
        vmin=-4.5,
        vmax=0,
        cmap="cividis",
        shading="nearest",
    )
    ax.figure.colorbar(mesh, ax=ax, label="log₁₀ of power over its largest")
    if finest := result["finest_depth_angstrom"]:
        ax.axhline(1 / finest, color=VERMILION, lw=1.5)
    ax.set_title(f"depth spectrum, {lines[0]['case']['slices']} slices, 300 K")


def losses(ax: Axes, lines: Sequence[Line]) -> None:
    """Loss per pattern, and information limit in the plane."""
    twin = ax.twinx()
    for vibrating, (colour, marker, name) in KINDS.items():
        here = chosen(lines, vibrating=vibrating)
        slices = [line["case"]["slices"] for line in here]
        ax.plot(
            slices,
            [line["result"]["loss"] for line in here],
            color=colour,
            marker=marker,
            label=f"loss, {name}",
        )
        limit = [line["result"]["d_over_lambda"] for line in here]
        twin.plot(
            slices, limit, color=colour, marker=marker, mfc="white", ls="--", label=f"d/λ, {name} (right)"
        )
    ax.set_xticks(sorted({line["case"]["slices"] for line in lines}))
    ax.set(yscale="log", xlabel="slices of 20 Å", ylabel="loss (fraction of the beam)")
    twin.set(ylim=(0, 20), ylabel="information limit in the plane, d/λ")
    ax.set_title("loss and limit in the plane")
    own, other = ax.get_legend_handles_labels(), twin.get_legend_handles_labels()
    ax.legend(own[0] + other[0], own[1] + other[1], frameon=False, fontsize=9)


def angles(ax: Axes, lines: Sequence[Line]) -> None:
    """Width of the step against the aperture and against the detector's edge, beside the depth of focus."""
    aperture = [line for line in lines if not line["case"].get("detector_pixels")]
    aperture.sort(key=lambda line: line["case"]["semiangle_mrad"])
    usual = [line for line in aperture if line["case"]["semiangle_mrad"] == USUAL["semiangle_mrad"]]
    detector = [line for line in lines if line["case"].get("detector_pixels")] + usual
    detector.sort(key=detector_edge_of)
    convergence = [line["case"]["semiangle_mrad"] for line in aperture]
    focus = [line["result"]["depth_of_focus_angstrom"] for line in aperture]
    ax.plot(convergence, focus, color="black", ls="--", marker="d", label="probe's depth of focus, 1.77 λ/α²")
    width = [line["result"]["fwhm_angstrom"] for line in aperture]
    ax.plot(convergence, width, color=VERMILION, marker="s", label="FWHM of the step against α")
    edge = [detector_edge_of(line) for line in detector]
    width = [line["result"]["fwhm_angstrom"] for line in detector]
    ax.plot(edge, width, color=GREEN, marker="^", ls=":", label="FWHM against the detector's edge")
    ax.set(yscale="log", xlabel="angle (mrad)", ylabel="along the beam (Å)", ylim=(2, 500))
    ax.set_title("aperture and detector; 12 slices, at rest")
    ax.legend(frameon=False)


def thick(ax: Axes, lines: Sequence[Line]) -> None:
    """Shares against depth of crystals of several thicknesses."""
    shares(ax, sorted(lines, key=lambda line: line["case"]["layers"]), "layers")
