"""Calibrations that are wrong by a known amount."""

from __future__ import annotations

from typing import Any

from caviar_kit import validation
from caviar_kit.simulation.effects import check_cube, each_pattern, record

__all__ = ["apply_calibration_error"]


def apply_calibration_error(
    datacube: Any, *, scan_step: float = 1.0, detector_pixel: float = 1.0, rotation_degrees: float = 0.0
) -> Any:
    """State wrong pixel sizes and a wrong rotation; the data stay what they are.

    Parameters
    ----------
    datacube : py4DSTEM.DataCube
        Left as it is.
    scan_step, detector_pixel : float
        Stated over true size, 0.5 to 2: 1.02 for 2 % too large.
    rotation_degrees : float
        Stated less true rotation of the scan against the detector [degree].

    Returns
    -------
    py4DSTEM.DataCube
        float32 copy with the other calibration. What was done stands in ``applied_effects``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or the rotation is not calibrated.
    """
    check_cube(datacube)
    factors = {
        name: validation.number(
            name, value, minimum=0.5, maximum=2, hint="it is the stated over the true size, such as 1.02"
        )
        for name, value in (("scan_step", scan_step), ("detector_pixel", detector_pixel))
    }
    angle = validation.number("rotation_degrees", rotation_degrees, minimum=-180, maximum=180, unit="degree")
    old = datacube.calibration
    if angle and old.get_QR_rotation_degrees() is None:
        raise ValueError(
            "rotation_degrees needs a calibrated rotation: use calibration.set_QR_rotation_degrees"
        )
    result = each_pattern(datacube, lambda pattern, _: pattern, dtype=datacube.data.dtype)
    new = result.calibration
    new.set_R_pixel_size(factors["scan_step"] * old.get_R_pixel_size())
    new.set_Q_pixel_size(factors["detector_pixel"] * old.get_Q_pixel_size())
    if angle:
        new.set_QR_rotation_degrees(old.get_QR_rotation_degrees() + angle)
    return record(result, "calibration error", **factors, rotation_degrees=angle)
