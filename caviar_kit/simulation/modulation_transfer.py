"""Blur by the detector: its modulation transfer function (MTF).

An electron is counted in a pixel near the one it hits. The pattern is convolved with the point spread
function, whose Fourier transform is the MTF; frequencies are those of the pattern, in cycles per detector
pixel, and the highest, Nyquist's, is 1/2. The detective quantum efficiency is left out: counting is ideal
(``apply_dose``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.simulation.effects import check_order, each_pattern, patterns_of, record

__all__ = ["apply_mtf"]


def apply_mtf(
    patterns: Any,
    *,
    gaussian_rms_pixels: float | None = None,
    pixel_width: float | None = None,
    curve: ArrayLike | None = None,
) -> Any:
    """Blur patterns by the product of the modulation transfer functions given.

    Each pattern is continued beyond the detector's edge by its mirror image (a cosine transform): no electron
    is lost or comes round from the other side. Negative ringing at sharp edges is set to zero and the rest
    scaled, so that the sum of the pattern stays.

    Parameters
    ----------
    patterns : py4DSTEM.DataCube or (Qy, Qx) array
        Ideal patterns; treat the vacuum pattern alike. Left as they are.
    gaussian_rms_pixels : float, optional
        Gaussian point spread: MTF exp(-2π²σ²f²) with this rms width σ [pixel] per axis.
    pixel_width : float, optional
        Pixels that integrate over a square of this side [pixel]: MTF sinc(w f_y) sinc(w f_x), 1 for pixels
        without gaps. Simulated patterns are samples at pixel centres; detectors integrate.
    curve : array, shape (n,), optional
        A measured MTF, isotropic, at n equally spaced frequencies from 0, where it is 1, to Nyquist's;
        interpolated linearly, and constant beyond (in the corners of the frequency plane).

    Returns
    -------
    py4DSTEM.DataCube or (Qy, Qx) array
        float32, with calibration and metadata of the input.

    Raises
    ------
    TypeError, ValueError
        If no MTF is given, an argument is of the wrong type or out of range, or the patterns are noisy.
    """
    check_order(patterns, "modulation transfer")
    factors, record_of = _factors(gaussian_rms_pixels, pixel_width, curve)
    shape = patterns_of(patterns).shape[2:]
    y, x = (np.arange(n) / (2 * n) for n in shape)
    transfer = np.ones(shape)
    for factor in factors:
        transfer *= factor(y[:, None], x[None, :])

    def blurred(pattern: np.ndarray, index: int) -> np.ndarray:
        spectrum = scipy.fft.dctn(pattern, norm="ortho")
        smooth: np.ndarray = scipy.fft.idctn(transfer * spectrum, norm="ortho").clip(0)
        total = smooth.sum()
        return smooth * (pattern.sum() / total) if total > 0 else smooth

    result = each_pattern(patterns, blurred)
    return result if isinstance(result, np.ndarray) else record(result, "modulation transfer", **record_of)


Transfer = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _factors(sigma: Any, width: Any, curve: Any) -> tuple[list[Transfer], dict[str, Any]]:
    """Functions of f_y, f_x [cycles per pixel], and the checked parameters."""
    factors: list[Transfer] = []
    given: dict[str, Any] = {}
    if sigma is not None:
        given["gaussian_rms_pixels"] = rms = validation.number(
            "gaussian_rms_pixels", sigma, minimum=0, maximum=100
        )
        factors.append(lambda y, x: np.exp(-2 * np.pi**2 * rms**2 * (y**2 + x**2)))
    if width is not None:
        given["pixel_width"] = side = validation.number("pixel_width", width, minimum=0, maximum=100)
        factors.append(lambda y, x: np.sinc(side * y) * np.sinc(side * x))
    if curve is not None:
        given["curve"] = values = _checked_curve(curve)
        at = np.linspace(0, 0.5, len(values))
        factors.append(lambda y, x: np.interp(np.hypot(y, x), at, values))
    if not factors:
        raise ValueError("apply_mtf needs gaussian_rms_pixels, pixel_width or curve, got none")
    return factors, given


def _checked_curve(curve: ArrayLike) -> np.ndarray:
    values = validation.as_array("curve", curve, shape=(None,)).astype(float)
    if len(values) < 2 or abs(values[0] - 1) > 1e-6:
        raise ValueError(
            "curve must have two values or more, from frequency 0, where it is 1, to Nyquist's, got "
            f"{values[:3]}"
        )
    if values.min() < -1 or values.max() > 1 + 1e-6:
        raise ValueError(f"curve must lie between -1 and 1, got {values.min():g} to {values.max():g}")
    return values
