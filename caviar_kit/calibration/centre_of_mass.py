"""Centre of mass of the patterns, a gradient of the specimen's phase seen in the detector's axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.calibration.virtual_detector import check_four_axes

__all__ = ["centre_of_mass", "integrate_centre_of_mass", "turn_centre_of_mass", "without_descan"]


def centre_of_mass(patterns: Any, measured: np.ndarray | None = None) -> np.ndarray:
    """Centre of mass of every pattern, (2, Ry, Rx) float64: y, then x [pixel].

    Parameters
    ----------
    patterns : (Ry, Rx, Qy, Qx)
        Array, ``h5py.Dataset`` or memmap, read row by row.
    measured : (Qy, Qx) bool, optional
        False for detector pixels that are left out.

    Raises
    ------
    TypeError, ValueError
        If an axis is missing, values are not finite, or a pattern is empty.
    """
    check_four_axes(patterns)
    height, width = patterns.shape[-2:]
    weights = np.ones((3, height, width))
    weights[1], weights[2] = np.indices((height, width))
    if measured is not None:
        weights *= validation.as_array("measured", measured, shape=(height, width)).astype(bool)
    rows = [np.tensordot(np.asarray(row, np.float64), weights, axes=((1, 2), (1, 2))) for row in patterns]
    sums = np.moveaxis(np.stack(rows), -1, 0)
    if not np.isfinite(sums).all():
        raise ValueError("patterns must be finite, got NaN or infinite values")
    if (empty := int((sums[0] <= 0).sum())) > 0:
        raise ValueError(f"{empty} of {sums[0].size} patterns are empty: crop the scan")
    return sums[1:] / sums[0]


def without_descan(com: np.ndarray) -> np.ndarray:
    """``com`` (2, Ry, Rx) less the plane that fits each component: imperfect descan, and the centre.

    Raises
    ------
    TypeError, ValueError
        If ``com`` has another shape or is not finite.
    """
    com = validation.as_array("com", com, shape=(2, None, None)).astype(float)
    y, x = np.indices(com.shape[1:])
    plane = np.stack([np.ones(y.size), y.ravel(), x.ravel()], axis=1)
    flat = com.reshape(2, -1).T
    return (flat - plane @ np.linalg.lstsq(plane, flat, rcond=None)[0]).T.reshape(com.shape)


def turn_centre_of_mass(com: np.ndarray, degrees: float, transpose: bool = False) -> np.ndarray:
    """The centre of mass (2, Ry, Rx) along the scan's axes, if these are turned by ``degrees``.

    (y cos θ - x sin θ, y sin θ + x cos θ), after swapping y and x if ``transpose``: what py4DSTEM does with
    ``force_com_rotation`` and ``force_com_transpose``, and the inverse of how a scan step (y, x) becomes
    (y cos θ + x sin θ, x cos θ - y sin θ) in the detector's axes.

    Raises
    ------
    TypeError, ValueError
        If ``com`` has another shape, or ``degrees`` is no number.
    """
    com = validation.as_array("com", com, shape=(2, None, None))
    theta = math.radians(validation.number("degrees", degrees, unit="degree"))
    y, x = com[::-1] if transpose else com
    return np.stack([math.cos(theta) * y - math.sin(theta) * x, math.sin(theta) * y + math.cos(theta) * x])


def integrate_centre_of_mass(com: np.ndarray) -> np.ndarray:
    """The image (Ry, Rx) whose gradient is ``com`` (2, Ry, Rx), in the sense of least squares; mean 0.

    φ(k) = (k_y g_y + k_x g_x) / (2πi k²) over the field mirrored at its edges (Lazić, Bosch and Lazar,
    Ultramicroscopy 160, 265 (2016), doi:10.1016/j.ultramic.2015.10.011; the mirror makes no edges). Units
    of ``com`` times scan steps.

    Raises
    ------
    TypeError, ValueError
        If ``com`` has another shape or is not finite.
    """
    y, x = validation.as_array("com", com, shape=(2, None, None)).astype(float)
    spectra = (
        np.fft.rfft2(np.block([[y, y[:, ::-1]], [-y[::-1], -y[::-1, ::-1]]])),
        np.fft.rfft2(np.block([[x, -x[:, ::-1]], [x[::-1], -x[::-1, ::-1]]])),
    )
    height, width = 2 * y.shape[0], 2 * y.shape[1]
    ky, kx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    k2 = ky**2 + kx**2
    k2[0, 0] = 1.0
    spectrum = (ky * spectra[0] + kx * spectra[1]) / (2j * np.pi * k2)
    spectrum[0, 0] = 0
    image: np.ndarray = np.fft.irfft2(spectrum, (height, width))[: y.shape[0], : y.shape[1]]
    return image - image.mean()
