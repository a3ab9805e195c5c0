"""Correlation arrows around one atom, as in figure 2 of arXiv:2309.12017."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.legend_handler import HandlerPatch
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrow
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.plotting._common import (
    BLUE,
    PM2_PER_ANGSTROM2,
    VERMILION,
    image_extent,
    new_axes,
    round_length,
)
from caviar_kit.vibrations._inputs import pixel_size, positions_2d
from caviar_kit.vibrations.correlations import rotate_axes

__all__ = ["correlation_arrows"]

_STAR = "#F0E442"
_SHORTEST_FRACTION = 0.02  # of the longest arrow: shorter ones are a head without a shaft


def correlation_arrows(
    G: ArrayLike,
    positions: ArrayLike,
    reference: int,
    *,
    image: ArrayLike | None = None,
    sampling: float | ArrayLike | None = None,
    radius: float | None = None,
    scale: float | None = None,
    include_self: bool = False,
    neighbours: ArrayLike | None = None,
    axes: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how every neighbour moves when the reference atom moves along x, and along y.

    At each neighbour j the filled blue arrow is G[reference, x, j, :] and the hollow vermilion
    one is G[reference, y, j, :]. Without correlation there is no arrow.

    Parameters
    ----------
    G : array, (atoms, 2, atoms, 2), Å²
    positions : array, (atoms, 2), Å
    reference : int
        Index of the reference atom.
    image : array, real, (y, x), optional
        Phase drawn behind, needs ``sampling``.
    sampling : float or (y, x) pair, Å per pixel, optional
    radius : float, Å, optional
        How far neighbours are drawn; four times the nearest distance by default.
    scale : float, Å per pm², optional
        Length of an arrow of 1 pm². By default the longest arrow is 0.8 of the nearest
        distance. Give the same value to compare two figures.
    include_self : bool
        Draw the reference atom's own variances too (usually the longest arrows).
    neighbours : array, bool, (atoms,), optional
        Which of the atoms within ``radius`` get arrows; by default all.
    axes : array, (2, 2), optional
        Rows y', x' along which the reference moves, for example `Lattice.axes`; by default the image's.
        The picture stays as it is: arrows are G[reference, x', j, :] and G[reference, y', j, :].
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        Axes in Å, y downwards.

    Raises
    ------
    TypeError, ValueError
        If shapes disagree or an argument is out of range.
    """
    where = positions_2d(positions)
    tensor = validation.as_array("G", G, shape=(len(where), 2, len(where), 2)) * PM2_PER_ANGSTROM2
    reference = validation.integer("reference", reference, minimum=0, maximum=len(where) - 1)
    if (image is None) != (sampling is None):
        raise ValueError("image and sampling belong together: give both or neither")
    distance = np.linalg.norm(where - where[reference], axis=1)
    others = np.delete(distance, reference)
    bond = float(others.min()) if others.size else 1.0
    reach = (
        4 * bond
        if radius is None
        else validation.number("radius", radius, minimum=0, open_minimum=True, unit="Å")
    )
    shown = distance <= reach
    own = np.arange(len(where)) == reference
    drawn = np.flatnonzero(shown & np.where(own, include_self, _chosen(neighbours, len(where))))
    if axes is not None:
        tensor = _turned(tensor, axes)
    from_x, from_y = tensor[reference, 1, drawn], tensor[reference, 0, drawn]
    longest = float(np.linalg.norm([from_x, from_y], axis=-1).max(initial=0))
    if scale is None:
        scale = 0.8 * bond / longest if longest > 0 else 1.0
    scale = validation.number("scale", scale, minimum=0, open_minimum=True, unit="Å per pm²")

    ax = new_axes(ax, 5.5, 5.8)
    if image is not None and sampling is not None:
        backdrop, pixel = validation.as_array("image", image, shape=(None, None)), pixel_size(sampling)
        # atoms no darker than mid-grey, so that the arrows stand out
        top = backdrop.min() + (2 * np.ptp(backdrop) or 1)
        ax.imshow(backdrop, cmap="Greys", vmax=top, extent=image_extent(backdrop.shape, pixel), zorder=0)
    y, x = where[reference]
    dots = where[shown]
    ax.scatter(dots[:, 1], dots[:, 0], s=16, color="0.6", edgecolor="black", linewidth=0.5, zorder=2)
    ax.scatter(x, y, s=130, marker="*", color=_STAR, edgecolor="black", linewidth=0.8, zorder=5)
    for vectors, style in ((from_y, _HOLLOW), (from_x, _FILLED)):
        long_enough = np.linalg.norm(vectors, axis=-1) > _SHORTEST_FRACTION * longest
        if long_enough.any():
            _arrows(ax, where[drawn][long_enough], scale * vectors[long_enough], style)
    edge = reach + 0.5 * bond
    ax.set(
        xlim=(x - edge, x + edge), ylim=(y + edge, y - edge), xlabel="x (Å)", ylabel="y (Å)", aspect="equal"
    )
    if axes is not None:
        _local_axes(ax, where[reference], np.asarray(axes), 0.9 * edge)
    _legend(ax, "" if axes is None else "′")
    _key(ax, scale, longest)
    return ax


_FILLED: dict[str, Any] = {"facecolor": BLUE, "edgecolor": "white", "linewidth": 0.6}
_HOLLOW: dict[str, Any] = {"facecolor": "white", "edgecolor": VERMILION, "linewidth": 1.1}


def _arrows(ax: Axes, starts: np.ndarray, vectors: np.ndarray, style: dict[str, Any]) -> None:
    """Draw arrows from ``starts`` [Å] along ``vectors`` [Å on paper], both (arrows, 2), y then x."""
    ax.quiver(
        *starts.T[::-1],
        *vectors.T[::-1],
        angles="xy",
        scale_units="xy",
        scale=1,
        units="inches",
        width=0.04,
        headwidth=3.2,
        headlength=3.6,
        headaxislength=3.6,
        minshaft=1.2,
        minlength=0.1,
        zorder=4,
        **style,
    )


def _chosen(neighbours: ArrayLike | None, atoms: int) -> np.ndarray:
    if neighbours is None:
        return np.ones(atoms, bool)
    mask = np.asarray(neighbours)
    if mask.dtype != bool or mask.shape != (atoms,):
        raise ValueError(
            f"neighbours must be bool of shape ({atoms},), got dtype {mask.dtype} of shape {mask.shape}"
        )
    return mask


def _turned(tensor: np.ndarray, axes: ArrayLike) -> np.ndarray:
    """First axis along ``axes``, second along the image."""
    return np.einsum("ibjd,dc->ibjc", rotate_axes(tensor, axes), np.asarray(axes, dtype=float))


def _local_axes(ax: Axes, centre: np.ndarray, axes: np.ndarray, length: float) -> None:
    """Thin lines along x' and y', with their names."""
    for name, (dy, dx) in (("x′", axes[1]), ("y′", axes[0])):
        y, x = centre[0] + length * dy, centre[1] + length * dx
        ax.plot([centre[1], x], [centre[0], y], color="0.35", linewidth=0.9, linestyle=":", zorder=1)
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 1}
        ax.text(x, y, name, ha="center", va="center", bbox=box, zorder=3)


def _legend(ax: Axes, prime: str) -> None:
    star = Line2D([], [], linestyle="", marker="*", markersize=11, color=_STAR, markeredgecolor="black")
    entries = [star, *(FancyArrow(0, 0, 1, 0, **style) for style in (_FILLED, _HOLLOW))]
    ax.legend(
        entries,
        ["reference", f"follows its x{prime}", f"follows its y{prime}"],
        handler_map={FancyArrow: HandlerPatch(patch_func=_legend_arrow)},
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=3,
        frameon=False,
        fontsize="small",
        columnspacing=1.2,
        borderaxespad=0.2,
    )


def _legend_arrow(**space: Any) -> FancyArrow:
    middle = 0.5 * space["height"] - space["ydescent"]
    return FancyArrow(
        -space["xdescent"],
        middle,
        space["width"],
        0,
        width=3.2,
        head_width=9,
        head_length=9,
        length_includes_head=True,
    )


def _key(ax: Axes, scale: float, longest: float) -> None:
    """One arrow of a round length in the lower right corner."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 2}
    if longest <= 0:
        ax.text(0.97, 0.03, "no correlation", transform=ax.transAxes, ha="right", bbox=box, zorder=6)
        return
    size = round_length(longest)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    y, x = bottom + 0.05 * (top - bottom), right - 0.04 * (right - left) - scale * size
    label = f"{size:g} pm²"
    ax.text(x - 0.02 * (right - left), y, label, ha="right", va="center", bbox=box, zorder=6)
    key = {"facecolor": "black", "edgecolor": "white", "linewidth": 0.6}
    _arrows(ax, np.array([[y, x]]), np.array([[0, scale * size]]), key)
