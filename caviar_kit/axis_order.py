"""Whether scan and detector axes are where they should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.detector import mean_pattern

__all__ = ["AxisOrder", "check_axes"]


@dataclass(frozen=True)
class AxisOrder:
    """How strongly the two mean images of a 4-D array vary.

    Attributes
    ----------
    scan_contrast : float
        Standard deviation over mean of the image over the first two axes, the virtual image of all counts.
    detector_contrast : float
        The same of the image over the last two axes, the mean pattern.
    """

    scan_contrast: float
    detector_contrast: float

    @property
    def swapped(self) -> bool:
        """Whether scan and detector look exchanged."""
        return self.scan_contrast > self.detector_contrast

    def __str__(self) -> str:
        verdict = "they look exchanged: use detector_first=True" if self.swapped else "as they should be"
        return (
            f"contrast of the first two axes {self.scan_contrast:.2g}, "
            f"of the last two {self.detector_contrast:.2g}: {verdict}"
        )


def check_axes(datacube: Any) -> AxisOrder:
    """Say whether the first two axes of 4D-STEM data are the scan's.

    Every pattern of a thin specimen holds nearly all electrons of the beam, so their number hardly changes
    along the scan, while the bright-field disc stands out on the detector. Exchanged axes show it the other
    way round. That fails for a detector smaller than the disc and for a specimen that blocks the beam, and
    it cannot tell mirrored or transposed axes: those show in the centre of mass (``preprocess``) and in the
    loss.

    Parameters
    ----------
    datacube : DataCube or array, 4-D
        Array, ``h5py.Dataset`` or memmap: read row by row.

    Returns
    -------
    AxisOrder

    Raises
    ------
    TypeError, ValueError
        If it is not 4-D, not real and finite, or has no counts.
    """
    array: Any = datacube.data if hasattr(datacube, "calibration") else datacube
    if not hasattr(array, "dtype"):
        array = validation.as_array("datacube", array)
    if len(array.shape) != 4 or 0 in array.shape:
        raise ValueError(f"datacube must have 4 axes (Ry, Rx, Qy, Qx), got shape {tuple(array.shape)}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"datacube must hold real numbers, got dtype {array.dtype}")
    scan = np.array([np.sum(row, axis=(-2, -1), dtype=np.float64) for row in array])
    return AxisOrder(_contrast(scan), _contrast(mean_pattern(array)))


def _contrast(image: np.ndarray) -> float:
    validation.as_array("datacube", image)
    if (mean := float(image.mean())) <= 0:
        raise ValueError("datacube must hold counts, got a mean that is not above zero")
    return float(image.std()) / mean
