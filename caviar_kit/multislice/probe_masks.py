"""Masks that hold a probe inside its aperture and its window, and checks that probe models share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.multislice.operators import frequency_grid

__all__ = ["aperture_mask", "beam", "check_modes", "check_optics", "window_mask"]

Array = Any


def aperture_mask(
    shape: tuple[int, int],
    sampling: tuple[float, float],
    wavelength: float,
    semiangle_mrad: float,
    soft_mrad: float = 0.0,
) -> np.ndarray:
    """Disc in reciprocal space: 1 up to ``semiangle_mrad``, falling to 0 over ``soft_mrad`` beyond.

    Parameters
    ----------
    shape, sampling : (y, x)
        Pixels and pixel size [Å] of the probe's window.
    wavelength : float
        [Å].
    semiangle_mrad, soft_mrad : float
        Radius, and width of the raised-cosine edge outside it [mrad].

    Returns
    -------
    (y, x) float64, FFT order.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.
    """
    _check_shape(shape)
    check_optics(sampling, wavelength)
    validation.number("semiangle_mrad", semiangle_mrad, minimum=0, open_minimum=True, unit="mrad")
    validation.number("soft_mrad", soft_mrad, minimum=0, unit="mrad")
    ky, kx = frequency_grid(shape, sampling)
    return _soft_disc(1e3 * wavelength * np.hypot(ky, kx), semiangle_mrad, soft_mrad)


def window_mask(shape: tuple[int, int], radius: float = 0.8, soft: float = 0.2) -> np.ndarray:
    """Ellipse in real space, centred in the window: 1 up to ``radius``, falling to 0 over ``soft`` beyond.

    Parameters
    ----------
    shape : (y, x)
        Pixels.
    radius, soft : float
        Semi-axes, and width of the raised-cosine edge outside them, as fractions of half the sides.

    Returns
    -------
    (y, x) float64, centre at pixel (y // 2, x // 2).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.
    """
    _check_shape(shape)
    validation.number("radius", radius, minimum=0, open_minimum=True)
    validation.number("soft", soft, minimum=0)
    y, x = ((np.arange(n) - n // 2) / (n / 2) for n in shape)
    return _soft_disc(np.hypot(y[:, None], x[None, :]), radius, soft)


def beam(modes: Array) -> float:
    """Σ|P|² over modes and pixels, summed in float64."""
    return float((abs(modes) ** 2).sum(dtype=np.float64))


def check_modes(name: str, modes: Array) -> None:
    """Refuse what is not a finite complex array (modes, y, x) with some beam in it; NumPy or CuPy."""
    if getattr(modes, "ndim", 0) != 3 or not modes.size:
        raise ValueError(f"{name} must have shape (modes, y, x), got {np.shape(modes)}")
    if modes.dtype.kind != "c":
        raise TypeError(f"{name} must be complex, got {modes.dtype}")
    total = beam(modes)
    if not (math.isfinite(total) and total > 0):
        raise ValueError(f"{name} must be finite and not all zero, got Σ|{name}|² = {total:g}")


def check_optics(sampling: tuple[float, float], wavelength: float) -> None:
    """Refuse a pixel size or a wavelength [Å] that is not positive."""
    pixels = validation.as_array("sampling", sampling, shape=(2,))
    validation.number("sampling", float(pixels.min()), minimum=0, open_minimum=True, unit="Å")
    validation.number("wavelength", wavelength, minimum=0, open_minimum=True, unit="Å")


def _soft_disc(distance: np.ndarray, radius: float, soft: float) -> np.ndarray:
    if soft == 0:
        return (distance <= radius).astype(float)
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((distance - radius) / soft, 0, 1))


def _check_shape(shape: tuple[int, int]) -> None:
    if len(shape) != 2:
        raise ValueError(f"shape must be (y, x), got {shape}")
    for side in shape:
        validation.integer("shape", side)
