"""Import py4DSTEM without its side effects, and build its calibrated DataCube."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

__all__ = ["datacube", "import_py4dstem"]


def import_py4dstem() -> Any:
    """The py4DSTEM module; ``warnings.showwarning``, which its import replaces, is put back.

    CUPY_PYLOPS=0 lets it import where CuPy is installed without the CUDA libraries.
    """
    os.environ.setdefault("CUPY_PYLOPS", "0")
    show = warnings.showwarning
    try:
        import py4DSTEM
    finally:
        warnings.showwarning = show
    return py4DSTEM


def datacube(
    array: np.ndarray,
    *,
    scan_step_angstrom: float,
    detector_pixel_inverse_angstrom: float,
    name: str = "datacube",
) -> Any:
    """Wrap (Ry, Rx, Qy, Qx) ``array`` as a py4DSTEM ``DataCube``.

    Calibrated in R with the scan step [A] and in Q with the detector pixel [A^-1]; scan and detector
    axes are parallel, which the calibration says too, so that nobody has to estimate it.
    """
    cube = import_py4dstem().DataCube(data=array, name=name)
    cube.calibration.set_R_pixel_size(scan_step_angstrom)
    cube.calibration.set_R_pixel_units("A")
    cube.calibration.set_Q_pixel_size(detector_pixel_inverse_angstrom)
    cube.calibration.set_Q_pixel_units("A^-1")
    cube.calibration.set_QR_rotation_degrees(0.0)
    cube.calibration.set_QR_flip(False)
    return cube
