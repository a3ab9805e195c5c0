"""A detector turned against the scan."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import ndimage

from caviar_kit import validation
from caviar_kit.simulation.binning import beam_pixel
from caviar_kit.simulation.effects import check_cube, check_order, each_pattern, record

__all__ = ["apply_rotation"]

_LINEAR = 1  # cubic splines fit hardly better and ring below zero at the rim, which looks like dead pixels


def apply_rotation(datacube: Any, degrees: float) -> Any:
    """Turn the patterns of a data set about the beam, and say so in its calibration.

    A scan step (y, x) becomes (y cos θ + x sin θ, x cos θ - y sin θ) along the detector's axes, py4DSTEM's
    sense of rotation, and the specimen in a reconstruction turns with it. Quarter turns are exact; others
    are interpolated linearly, which cannot follow the sharp rim of the bright-field disc: amplitude losses
    of some 1e-3 of the beam, hundreds of times what correlated vibrations change. Good for trying out how a
    rotation is found. To reconstruct, simulate the turned scan, where nothing is interpolated:
    ``scan(..., positions_angstrom=distorted_positions(experiment, rotation_degrees=...))``.

    Parameters
    ----------
    datacube : py4DSTEM.DataCube
        Left as it is. The vacuum pattern of a round aperture without lens aberrations need not be turned.
    degrees : float
        θ [degree], added to the calibrated rotation.

    Returns
    -------
    py4DSTEM.DataCube
        float32; nothing comes in from beyond the detector's corners, and what leaves them is lost.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, or the patterns are noisy.
    """
    check_cube(datacube)
    check_order(datacube, "rotation")
    theta = validation.number("degrees", degrees, minimum=-360, maximum=360, unit="degree")
    cosine, sine = math.cos(math.radians(theta)), math.sin(math.radians(theta))
    back = np.array([[cosine, -sine], [sine, cosine]])  # from the new axes to the old ones
    beam = np.array(beam_pixel(datacube))

    def turned(pattern: np.ndarray, index: int) -> np.ndarray:
        rotated: np.ndarray = ndimage.affine_transform(
            pattern, back, offset=beam - back @ beam, order=_LINEAR
        )
        return rotated

    result = each_pattern(datacube, turned)
    known = datacube.calibration.get_QR_rotation_degrees()
    if known is not None:  # a flip comes after the scan's rotation and before the detector's, and reverses it
        flipped = bool(datacube.calibration.get_QR_flip())
        result.calibration.set_QR_rotation_degrees(known - theta if flipped else known + theta)
    return record(result, "rotation", degrees=theta)
