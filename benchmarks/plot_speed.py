"""Draw docs/images/speed.png from the lines of the speed benchmarks.

``python benchmarks/plot_speed.py docs/speed.jsonl docs/images/speed.png``: cost per unit of work against what
is varied (bench_scaling.py), and the roofline of a pass (bench_roofline.py).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Line = dict[str, Any]
# colours of Okabe and Ito, told apart by everybody; the marker says the same
STYLES = {
    "positions_per_side": ("positions", "#0072B2", "o"),
    "states": ("states", "#E69F00", "s"),
    "modes": ("probe modes", "#009E73", "^"),
    "slices": ("slices", "#CC79A7", "D"),
    "window": ("window, to its floor", "#000000", "v"),
}
MARKERS = {1: "o", 3: "^"}  # by probe modes
COLOURS = {"memory": "#0072B2", "cache": "#E69F00"}


def scaling(lines: Iterable[Line], ax: Axes) -> Axes:
    """Cost per unit of work relative to the fixed problem, against the work relative to it."""
    for varied, (label, colour, marker) in STYLES.items():
        points = [p for p in lines if p["benchmark"] == "scaling" and p["varied"] == varied]
        if not points:
            continue
        work, cost = [p["work"] for p in points], [1 + p["deviation_from_linear"] for p in points]
        ax.plot(work, cost, color=colour, marker=marker, markersize=4, lw=1, label=label)
        scatter = [p.get("cost_quartiles", (c, c)) for p, c in zip(points, cost, strict=True)]
        ax.vlines(work, *np.transpose(scatter), color=colour, lw=1, alpha=0.6)
    ax.axhspan(0.9, 1.1, color="0.9", zorder=0, lw=0)
    ax.yaxis.set_major_locator(matplotlib.ticker.MultipleLocator(0.1))
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    low, high = ax.get_ylim()
    ax.set_ylim(min(0.8, low) - 0.2, max(1.2, high))  # room for the legend
    ax.set_xlabel("work / work of the fixed problem")
    ax.set_ylabel("cost per unit of work")
    if ax.lines:
        ax.legend(frameon=False, ncols=2, loc="lower left")
    return ax


def roofline(lines: Iterable[Line], ax: Axes) -> Axes:
    """Flops per second against flops per byte, for the traffic of memory and for that of the cache."""
    points = sorted((p for p in lines if p["benchmark"] == "roofline"), key=lambda p: p["modes"])
    if not points:
        return ax
    best = {key: max(p[key] for p in points) for key in points[0] if key.endswith("_per_second")}
    roof = best["fft_gflop_per_second"]
    for name, colour in COLOURS.items():
        bandwidth = best[f"{name}_gb_per_second"]
        slope = np.array([0.1, roof / bandwidth])
        ax.plot(slope, slope * bandwidth, color=colour, lw=1.5, label=f"{name}, {bandwidth:.0f} GB/s")
    ax.axhline(roof, color="black", lw=1, ls="--", label=f"transforms, {roof:.0f} Gflop/s")
    for point in points:
        flops, modes = point["fft_gflop"] + point["pointwise_gflop"], point["modes"]
        moved = {"memory": point["necessary_gb"], "cache": point["wave_gb"]}
        style = {"marker": MARKERS.get(modes, "x"), "ls": "none", "mec": "black", "markersize": 6}
        for name, gigabytes in moved.items():
            ax.plot(flops / gigabytes, point["pass_gflop_per_second"], color=COLOURS[name], **style)
        ax.plot([], [], color="white", label=f"pass, probe modes: {modes}", **style)
    ax.set(xscale="log", yscale="log", xlim=(0.1, 5000), ylim=(roof / 50, 2 * roof))
    ax.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    ax.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    ax.set_xlabel("flop per byte moved")
    ax.set_ylabel("Gflop/s")
    ax.legend(frameon=False, loc="lower right")
    return ax


def figure(lines: list[Line]) -> Figure:
    """Both, one above the other: narrow enough for half a page."""
    result = Figure(figsize=(3.5, 5.6), layout="constrained")
    above, below = result.subplots(2)
    scaling(lines, above)
    roofline(lines, below)
    for ax, letter in ((above, "a"), (below, "b")):
        ax.set_title(letter, loc="left", fontweight="bold")
        ax.spines[["top", "right"]].set_visible(False)
    return result


def main() -> None:
    """Read, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", type=Path)
    parser.add_argument("image", type=Path)
    options = parser.parse_args()
    lines = [json.loads(line) for line in options.lines.read_text().splitlines() if line.startswith("{")]
    with matplotlib.rc_context({"font.size": 8, "legend.fontsize": 7}):
        figure(lines).savefig(options.image, dpi=200)


if __name__ == "__main__":
    main()
