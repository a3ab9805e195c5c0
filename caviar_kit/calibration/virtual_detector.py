"""Images that a ring-shaped detector would have recorded."""

from __future__ import annotations

from typing import Any

import numpy as np

from caviar_kit import validation

__all__ = ["annulus", "virtual_image"]


def annulus(shape: tuple[int, int], centre: tuple[float, float], inner: float, outer: float) -> np.ndarray:
    """Detector pixels whose middle is at least ``inner`` and less than ``outer`` away from ``centre``.

    Parameters
    ----------
    shape : (y, x)
        Pixels of a pattern.
    centre : (y, x)
        Of the rings [pixel].
    inner, outer : float
        Radii [pixel]; ``inner=0`` gives a disc.

    Returns
    -------
    (y, x) bool

    Raises
    ------
    TypeError, ValueError
        If a value is no number, the radii are negative or in the wrong order, or no pixel is inside.
    """
    height, width = (validation.integer("shape", n) for n in shape)
    y, x = validation.as_array("centre", centre, shape=(2,)).astype(float)
    inner = validation.number("inner", inner, minimum=0, unit="pixel")
    outer = validation.number(
        "outer", outer, minimum=inner, open_minimum=True, unit="pixel", hint="it must be larger than inner"
    )
    distance = np.hypot(np.arange(height)[:, None] - y, np.arange(width) - x)
    inside: np.ndarray = (distance >= inner) & (distance < outer)
    if not inside.any():
        raise ValueError(
            f"no detector pixel lies between inner={inner:g} and outer={outer:g} pixels "
            f"around ({y:g}, {x:g}) of {height} × {width}: enlarge outer, or move the centre"
        )
    return inside


def virtual_image(patterns: Any, centre: tuple[float, float], inner: float, outer: float) -> np.ndarray:
    """Sum of every pattern over an `annulus`, (Ry, Rx) float64.

    As py4DSTEM's ``datacube.get_virtual_image``, without a loop over patterns and without adding the image to
    the data cube's tree.

    Parameters
    ----------
    patterns : (Ry, Rx, Qy, Qx)
        Array, ``h5py.Dataset`` or memmap, read row by row.
    centre, inner, outer
        As for `annulus` [pixel].

    Raises
    ------
    TypeError, ValueError
        As `annulus`, or if ``patterns`` has not four axes.
    """
    check_four_axes(patterns)
    mask = annulus(patterns.shape[-2:], centre, inner, outer)
    return np.stack([np.asarray(row)[:, mask].sum(axis=1, dtype=np.float64) for row in patterns])


def check_four_axes(patterns: Any) -> None:
    """Refuse what has not the axes (Ry, Rx, Qy, Qx).

    Raises
    ------
    TypeError, ValueError
        Then.
    """
    if not hasattr(patterns, "shape"):
        raise TypeError(f"patterns must be an array (Ry, Rx, Qy, Qx), got {type(patterns).__name__}")
    if len(patterns.shape) != 4 or 0 in patterns.shape:
        raise ValueError(f"patterns must have 4 axes (Ry, Rx, Qy, Qx), got shape {tuple(patterns.shape)}")
