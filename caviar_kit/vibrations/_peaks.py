"""Local maxima of an image."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

__all__ = ["local_maxima"]


def local_maxima(
    image: np.ndarray, footprint: np.ndarray, *, threshold: float, border: int = 0, spacing: int = 0
) -> np.ndarray:
    """Pixels that nothing under the footprint around them exceeds, the highest first; int (peaks, 2).

    Parameters
    ----------
    image : array, real, (y, x)
        A constant one has no maxima.
    footprint : array of bool, odd numbers of pixels
        What belongs to the surroundings of its middle.
    threshold : float
        Maxima are above it.
    border : int
        Maxima closer than this to an edge are left out [pixel].
    spacing : int
        Of maxima closer to each other than this along both axes, as on a plateau, the first is kept [pixel].
    """
    highest = image == ndimage.maximum_filter(image, footprint=footprint, mode="nearest")
    if highest.all():
        return np.empty((0, 2), dtype=int)
    inner = np.zeros_like(highest)
    inner[border : len(image) - border, border : image.shape[1] - border] = True
    places = np.argwhere(highest & inner & (image > threshold))
    places = places[np.argsort(-image[tuple(places.T)], kind="stable")]
    if spacing == 0 or len(places) == 0:
        return places
    kept = np.ones(len(places), dtype=bool)
    for first, second in sorted(KDTree(places).query_pairs(spacing - 0.5, p=np.inf)):
        kept[second] &= not kept[first]
    return places[kept]
