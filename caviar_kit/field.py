"""The part of an object that was scanned."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation

__all__ = ["scanned_window"]


def scanned_window(
    positions_angstrom: ArrayLike, sampling: ArrayLike, *, margin_angstrom: float = 1.0
) -> tuple[slice, slice]:
    """Rows and columns of the object that hold the scan positions, and a margin around them.

    Parameters
    ----------
    positions_angstrom : (positions, 2)
        y, x [Å]; pixel (0, 0) is the origin.
    sampling : (2,)
        Pixel size (y, x) [Å].
    margin_angstrom : float
        At least as much around them [Å].

    Raises
    ------
    TypeError, ValueError
        If an argument has another shape, or the margin is negative.
    """
    scanned = validation.as_array("positions_angstrom", positions_angstrom, shape=(None, 2))
    pixel = validation.as_array("sampling", sampling, shape=(2,))
    margin = validation.number("margin_angstrom", margin_angstrom, minimum=0, unit="Å")
    first = np.maximum(np.floor((scanned.min(axis=0) - margin) / pixel), 0).astype(int)
    last = np.ceil((scanned.max(axis=0) + margin) / pixel).astype(int) + 1
    return slice(int(first[0]), int(last[0])), slice(int(first[1]), int(last[1]))
