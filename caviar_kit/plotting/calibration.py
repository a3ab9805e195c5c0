"""What is looked at before a fit: pattern and detector, scan images, rotation, probes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.calibration.centre_of_mass import integrate_centre_of_mass
from caviar_kit.calibration.rotation import RotationFit
from caviar_kit.plotting._common import BLUE, VERMILION, image_extent, new_axes, scale_bar

__all__ = [
    "centre_of_mass",
    "detector_rings",
    "mean_pattern",
    "probe_overlap",
    "rotation_curves",
    "scan_image",
]

_ARROWS = 24  # along the longer side
_ORANGE, _SKY = "#E69F00", "#56B4E9"  # readable on viridis, and apart for colour-blind readers


def mean_pattern(pattern: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw a diffraction pattern (y, x) with the fourth root of its counts; axes in pixels.

    Raises
    ------
    TypeError, ValueError
        If the pattern is not two-dimensional and finite.
    """
    image = validation.as_array("pattern", pattern, shape=(None, None))
    ax = new_axes(ax)
    ax.imshow(np.maximum(image, 0) ** 0.25, cmap="viridis")
    ax.set(xlabel="x (pixel)", ylabel="y (pixel)", title="mean pattern (fourth root)")
    return ax


def detector_rings(
    ax: Axes,
    centre: tuple[float, float],
    inner: float,
    outer: float,
    *,
    beam: tuple[float, float] | None = None,
    aperture: float | None = None,
) -> list[Any]:
    """Draw a virtual detector (inner dashed, outer solid) and the aperture's rim (dotted) on a pattern.

    Parameters
    ----------
    ax : Axes
        From `mean_pattern`.
    centre, inner, outer
        Of the detector (y, x) [pixel].
    beam, aperture
        Centre (y, x) and radius of the bright-field disc [pixel].

    Returns
    -------
    list of artists
        Outer ring, inner ring, centre, and the aperture's rim if given.
    """
    y, x = centre
    outline = [patheffects.withStroke(linewidth=4, foreground="black")]  # readable on any brightness
    style: dict[str, Any] = {"fill": False, "linewidth": 2, "path_effects": outline}
    rings: list[Any] = [
        Circle((x, y), outer, edgecolor=_ORANGE, label="detector", **style),
        Circle((x, y), inner, edgecolor=_ORANGE, linestyle="--", visible=inner > 0, **style),
    ]
    if beam is not None and aperture is not None:
        rim = Circle(beam[::-1], aperture, edgecolor="white", linestyle=":", label="aperture", **style)
        rings.append(rim)
    for ring in rings:
        ax.add_patch(ring)
    rings.insert(
        2, ax.plot([x], [y], "+", color=_ORANGE, markersize=12, markeredgewidth=2, path_effects=outline)[0]
    )
    ax.legend(loc="upper right", fontsize="small")
    return rings


def scan_image(
    image: ArrayLike, scan_step: float, *, title: str = "virtual image", ax: Axes | None = None
) -> Axes:
    """Draw an image (Ry, Rx) of the scan with its scale [Å].

    Raises
    ------
    TypeError, ValueError
        If the image is not two-dimensional and finite, or the step not above 0.
    """
    array = validation.as_array("image", image, shape=(None, None))
    ax = new_axes(ax)
    ax.imshow(array, cmap="cividis", extent=_extent(array.shape, scan_step))
    ax.set(xticks=[], yticks=[], xlabel="x of the scan", ylabel="y of the scan", title=title)
    scale_bar(ax)
    return ax


def centre_of_mass(com: ArrayLike, scan_step: float, *, ax: Axes | None = None) -> Axes:
    """Draw the centre of mass (2, Ry, Rx), along the scan's axes, as arrows on the image it integrates to.

    With the right rotation the arrows run uphill, to bright atoms.

    Raises
    ------
    TypeError, ValueError
        If ``com`` has another shape or is not finite, or the step is not above 0.
    """
    field = validation.as_array("com", com, shape=(2, None, None))
    ax = scan_image(
        integrate_centre_of_mass(field), scan_step, title="centre of mass, and its integral", ax=ax
    )
    every = max(1, int(np.ceil(max(field.shape[1:]) / _ARROWS)))
    rows, cols = (np.arange(0, n, every) for n in field.shape[1:])
    y, x = field[:, ::every, ::every]
    x_to, y_to = np.meshgrid(cols * scan_step, rows * scan_step)
    ax.quiver(
        x_to,
        y_to,
        x,
        y,
        color="white",
        edgecolor="black",
        linewidth=0.6,
        angles="xy",
        width=0.007,
        pivot="mid",
    )
    return ax


def rotation_curves(fit: RotationFit, degrees: float, transpose: bool, *, ax: Axes | None = None) -> Axes:
    """Draw curl and divergence against the angle, for both choices of axes, minima and choice marked.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind.
    """
    if not isinstance(fit, RotationFit):
        raise TypeError(f"fit must be a RotationFit, from find_rotation, got {type(fit).__name__}")
    ax, angles = new_axes(ax), np.arange(-180.0, 180.5)
    for flip, color, marker in ((False, BLUE, "o"), (True, VERMILION, "s")):
        width = 2.2 if flip == transpose else 1.0
        name = "axes swapped" if flip else "axes as recorded"
        ax.plot(angles, fit.curl(angles, flip), color=color, linewidth=width, label=f"curl, {name}")
        least = np.array([fit.least_curl(flip) - 180, fit.least_curl(flip)])
        ax.plot(least, fit.curl(least, flip), marker, color=color, label=f"least: {least[1]:.1f}° ± 180°")
    ax.plot(angles, fit.divergence(angles, transpose), ":", color="black", label="divergence")
    ax.axvline(
        validation.number("degrees", degrees), color="black", linewidth=1, label=f"chosen: {degrees:.1f}°"
    )
    ax.set(xlim=(-180, 180), ylim=(0, None), xticks=np.arange(-180, 181, 60))
    ax.set(xlabel="rotation of the scan (°)", ylabel="rms (pixel / step)")
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)
    return ax


def probe_overlap(
    intensity: ArrayLike, sampling: float, scan_step: float, diameter: float, *, ax: Axes | None = None
) -> Axes:
    """Draw a probe (y, x) with its eight neighbours in the scan and the outlines of the central and the next.

    Parameters
    ----------
    intensity : (y, x)
        Centred at (y // 2, x // 2).
    sampling, scan_step, diameter : float
        [Å].

    Raises
    ------
    TypeError, ValueError
        If a value is not usable.
    """
    image = validation.as_array("intensity", intensity, shape=(None, None))
    step = validation.number("scan_step", scan_step, minimum=0, open_minimum=True, unit="Å")
    ax, (height, width) = new_axes(ax), image.shape
    left, right, bottom, top = image_extent(image.shape, np.array([sampling, sampling]))
    y, x = height // 2 * sampling, width // 2 * sampling
    ax.imshow(np.sqrt(image), cmap="viridis", extent=(left - x, right - x, bottom - y, top - y))
    for at, color, line in ((0.0, _ORANGE, "-"), (step, _SKY, "--")):
        ax.add_patch(Circle((at, 0), diameter / 2, fill=False, edgecolor=color, linestyle=line, linewidth=2))
    places = np.stack(np.meshgrid(*[step * np.arange(-1, 2)] * 2)).reshape(2, -1)
    ax.plot(*places, "+", color="white", markersize=7)
    reach = 0.75 * diameter + step
    ax.set(xlim=(-reach, reach), ylim=(reach, -reach), xticks=[], yticks=[], facecolor="black")
    ax.set_title("probe (amplitude), and the next")
    scale_bar(ax)
    return ax


def _extent(shape: tuple[int, ...], step: float) -> tuple[float, float, float, float]:
    step = validation.number("scan_step", step, minimum=0, open_minimum=True, unit="Å")
    return image_extent(shape, np.array([step, step]))
