"""Single pictures of a state or a probe mode, fit to be frames of a movie."""

from __future__ import annotations

from functools import cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.plotting._common import image_extent, new_axes, scale_bar
from caviar_kit.vibrations._inputs import pixel_size, positions_2d

__all__ = ["column_displacements", "complex_wave", "phase_map"]


def phase_map(
    image: ArrayLike,
    sampling: float | ArrayLike,
    *,
    limits: tuple[float, float] | None = None,
    signed: bool = False,
    label: str = "phase (rad)",
    extend: str = "neither",
    cax: Axes | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a phase, or another real picture, with scale bar and colour bar.

    Parameters
    ----------
    image : (y, x) real
    sampling : float or (y, x) pair, Å per pixel
    limits : (low, high), optional
        Of the colours; those of the image by default.
    signed : bool
        A diverging map, for differences.
    label : str
        Beside the colour bar, with the unit.
    extend : {"neither", "min", "max", "both"}
        Where the colour bar says that pixels may lie beyond it.
    cax : matplotlib Axes, optional
        For the colour bar; beside the picture by default.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If the image is not real, finite and 2-D, or the limits are not in order.
    """
    picture = validation.as_array("image", image, shape=(None, None))
    pixel = pixel_size(sampling)
    validation.choice("extend", extend, ("neither", "min", "max", "both"))
    if limits is None:
        low, high = float(picture.min()), float(picture.max())
        low, high = (low, high) if low < high else (low - 0.5, high + 0.5)
    else:
        low, high = validation.as_array("limits", limits, shape=(2,)).astype(float).tolist()
    if not low < high:
        raise ValueError(f"limits must be (low, high) with low < high, got ({low:g}, {high:g})")
    ax = new_axes(ax)
    extent = image_extent(picture.shape, pixel)
    colours = "RdBu_r" if signed else "viridis"
    shown = ax.imshow(picture, cmap=colours, vmin=low, vmax=high, extent=extent, interpolation="nearest")
    ax.figure.colorbar(shown, label=label, extend=extend, cax=cax, ax=ax if cax is None else None)
    ax.set(xticks=[], yticks=[])
    scale_bar(ax, color="black" if signed else "white")
    return ax


def complex_wave(
    wave: ArrayLike,
    sampling: float | ArrayLike,
    *,
    largest: float | None = None,
    cax: Axes | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a complex wave: its phase as hue, its amplitude as brightness.

    Hues of the cyclic map are equally bright in CIECAM02 (py4DSTEM's ``Complex2RGB``), so brightness is
    amplitude alone.

    Parameters
    ----------
    wave : (y, x) complex
    sampling : float or (y, x) pair, Å per pixel
    largest : float, optional
        Amplitude drawn at full brightness; the largest of ``wave`` by default.
    cax : matplotlib Axes, optional
        For the colour bar of the phase; beside the picture by default.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If the wave is not finite and 2-D, or ``largest`` not positive.
    """
    values = validation.as_array("wave", wave, shape=(None, None), complex_allowed=True)
    pixel = pixel_size(sampling)
    amplitude = abs(values)
    if largest is None:
        largest = float(amplitude.max()) or 1.0
    largest = validation.number("largest", largest, minimum=0, open_minimum=True)
    ax = new_axes(ax)
    ax.set_facecolor("black")
    shown = ax.imshow(
        np.angle(values),
        cmap=_cyclic(),
        vmin=-np.pi,
        vmax=np.pi,
        alpha=np.clip(amplitude / largest, 0, 1),
        extent=image_extent(values.shape, pixel),
        interpolation="nearest",  # between +π and -π there is no zero
    )
    bright = ScalarMappable(shown.norm, shown.cmap)  # the map at full brightness
    text, place = "phase (rad), brightness: amplitude", ax if cax is None else None
    bar = ax.figure.colorbar(bright, label=text, cax=cax, ax=place)
    bar.set_ticks([-np.pi, 0, np.pi], labels=["−π", "0", "π"])
    ax.set(xticks=[], yticks=[])
    scale_bar(ax)
    return ax


def column_displacements(
    positions: ArrayLike, displacements: ArrayLike, *, magnify: float = 10.0, ax: Axes | None = None
) -> Axes:
    """Draw how far columns are from their mean positions, as magnified arrows on a picture in Å.

    Parameters
    ----------
    positions : (atoms, 2)
        Mean positions, y then x [Å].
    displacements : (atoms, 2)
        y, x [Å].
    magnify : float
        Factor on the length of the arrows.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If shapes differ, numbers are not finite, or ``magnify`` is not positive.
    """
    where = positions_2d(positions)
    moved = validation.as_array("displacements", displacements, shape=where.shape).astype(float)
    magnify = validation.number("magnify", magnify, minimum=0, open_minimum=True)
    ax = new_axes(ax)
    outline = [withStroke(linewidth=2, foreground="black")]
    (y, x), (down, right) = where.T, moved.T
    ax.plot(x, y, "o", color="white", markersize=3, path_effects=outline, scalex=False, scaley=False)
    arrows = ax.quiver(
        x, y, right, down, angles="xy", scale_units="xy", scale=1 / magnify, color="white", width=0.006
    )
    arrows.set(edgecolor="black", linewidth=0.8, path_effects=outline)
    return ax


@cache
def _cyclic() -> ListedColormap:
    from caviar_kit._py4dstem import import_py4dstem

    import_py4dstem()
    from py4DSTEM.visualize.vis_special import Complex2RGB

    angles = np.linspace(-np.pi, np.pi, 256)
    return ListedColormap(Complex2RGB(np.exp(1j * angles)), name="cyclic phase")
