"""What the figures share: colours, axes, scale bar, the frame of an image in Å."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from caviar_kit import validation

__all__ = [
    "BLUE",
    "CYCLE",
    "PM2_PER_ANGSTROM2",
    "VERMILION",
    "image_extent",
    "label",
    "new_axes",
    "round_length",
    "scale_bar",
]

PM2_PER_ANGSTROM2 = 1e4

# Okabe & Ito, colours that colour-blind readers tell apart
BLUE, VERMILION = "#0072B2", "#D55E00"
CYCLE = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def new_axes(ax: Axes | None, width: float = 5.5, height: float = 4.5) -> Axes:
    """Return ``ax``, or the axes of a new figure of that size [inch].

    Raises
    ------
    TypeError
        If ``ax`` is neither None nor matplotlib axes.
    """
    if ax is None:
        from matplotlib import pyplot as plt

        return plt.subplots(figsize=(width, height), layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be matplotlib axes or None, got {type(ax).__name__}")
    return ax


def image_extent(shape: tuple[int, ...], pixel: np.ndarray) -> tuple[float, float, float, float]:
    """Left, right, bottom, top [Å] for ``imshow(origin="upper")`` with pixel (0, 0) centred on 0."""
    (height, width), (size_y, size_x) = shape, pixel
    return -size_x / 2, (width - 0.5) * size_x, (height - 0.5) * size_y, -size_y / 2


def round_length(longest: float) -> float:
    """Largest of 1, 2, 5 × 10ⁿ that is not longer than ``longest``."""
    longest = validation.number("longest", longest, minimum=0, open_minimum=True)
    power = 10.0 ** np.floor(np.log10(longest))
    return float(power * max(step for step in (1, 2, 5) if step * power <= longest * (1 + 1e-9)))


def scale_bar(ax: Axes, *, color: str = "white", fraction: float = 0.3) -> Any:
    """Draw a labelled bar of a round length [Å] in the lower left corner; returns the text.

    The x axis must be in Å. Length is at most ``fraction`` of the width shown.
    """
    left, right = ax.get_xlim()
    width = abs(right - left)
    length = round_length(fraction * width)
    outline = "black" if color == "white" else "white"
    effects = [patheffects.withStroke(linewidth=2.5, foreground=outline)]
    start = min(left, right) + 0.06 * width
    place = blended_transform_factory(ax.transData, ax.transAxes)
    ax.plot(
        [start, start + length],
        [0.06, 0.06],
        color=color,
        linewidth=3,
        transform=place,
        solid_capstyle="butt",
        path_effects=[patheffects.withStroke(linewidth=5, foreground=outline)],
        scalex=False,
        scaley=False,
    )
    label = f"{length:g} Å" if length < 100 else f"{length / 10:g} nm"
    return ax.text(
        start + length / 2,
        0.085,
        label,
        color=color,
        ha="center",
        va="bottom",
        transform=place,
        path_effects=effects,
    )


def label(ax: Axes, text: str) -> None:
    """Write ``text`` inside the upper left corner, readable on any image."""
    outline = [patheffects.withStroke(linewidth=2.5, foreground="black")]
    ax.text(
        0.03, 0.97, text, color="white", ha="left", va="top", transform=ax.transAxes, path_effects=outline
    )
