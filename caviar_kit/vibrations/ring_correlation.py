"""Fourier ring correlation: up to which frequency two images agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations._inputs import pixel_size
from caviar_kit.vibrations.phase import projected_phase
from caviar_kit.vibrations.power_spectrum import field_slices, hann_window

__all__ = ["RingCorrelation", "fourier_ring_correlation", "state_halves"]

_FIRST_RING = 3  # rings within have too few pixels, and the window's own spectrum
_HANN_SHARE = (3 / 8) ** 2 / (35 / 128)  # (Σw²)² / (N Σw⁴): independent pixels per pixel and direction


@dataclass(frozen=True, eq=False)
class RingCorrelation:
    """Correlation of two images, ring by ring in Fourier space.

    Attributes
    ----------
    frequency : array, (rings,)
        [1/Å], from the third ring to the Nyquist frequency.
    correlation : array, (rings,)
        Between -1 and 1.
    threshold : array, (rings,)
        What the correlation has to exceed.
    """

    frequency: np.ndarray
    correlation: np.ndarray
    threshold: np.ndarray

    @property
    def limit(self) -> float:
        """Frequency [1/Å] at which the correlation falls below the threshold for two rings in a row.

        NaN if it never does.
        """
        excess = self.correlation - self.threshold
        below = np.flatnonzero((excess < 0) & (np.append(excess[1:], -1) < 0))
        if not len(below):
            return math.nan
        n = below[0]
        if n == 0:
            return 0.0
        share = excess[n - 1] / (excess[n - 1] - excess[n])
        return float(self.frequency[n - 1] + share * (self.frequency[n] - self.frequency[n - 1]))

    @property
    def resolution_angstrom(self) -> float:
        """1 / limit [Å]; NaN if the images agree up to the Nyquist frequency, infinite if nowhere."""
        return 1 / self.limit if self.limit else math.inf


def fourier_ring_correlation(
    first: ArrayLike,
    second: ArrayLike,
    sampling: float | ArrayLike,
    *,
    field: ArrayLike | None = None,
    threshold: str = "half-bit",
) -> RingCorrelation:
    """Correlate two images of the same specimen ring by ring in Fourier space.

    FRC(q) = Re Σ F₁ F₂* / √(Σ|F₁|² Σ|F₂|²) over a ring, under a Hann window [van Heel & Schatz (2005),
    doi:10.1016/j.jsb.2005.05.009]. It measures the resolution of *independent* data, for instance
    reconstructions from either half of the scan positions. Two halves of the states of one fit share their
    data; theirs says how far the states agree.

    Parameters
    ----------
    first, second : real arrays, (y, x)
        Phase images [rad] of the same shape.
    sampling : float or (y, x)
        Pixel [Å].
    field : ((y0, x0), (y1, x1)), optional
        Corners [Å] of the part to use; all by default.
    threshold : {"half-bit", "1/7"}
        Half a bit of information per pixel, which depends on how many pixels a ring has; or the constant 1/7
        = 0.143.

    Raises
    ------
    TypeError, ValueError
        If the images are not real, finite, 2-D and of one shape, one is constant, or an argument is out of
        range.
    """
    pixel = pixel_size(sampling)
    validation.choice("threshold", threshold, ("half-bit", "1/7"))
    one = validation.as_array("first", first, shape=(None, None)).astype(float)
    two = validation.as_array("second", second, shape=one.shape).astype(float)
    rows, columns = field_slices(field, one.shape, pixel)
    spectra = [_spectrum(name, image[rows, columns]) for name, image in (("first", one), ("second", two))]
    shape = spectra[0].shape
    step = 1 / (np.array(shape) * pixel)
    y, x = (scipy.fft.fftfreq(n, d) for n, d in zip(shape, pixel, strict=True))
    rings = np.rint(np.hypot(y[:, None], x[None, :]) / step.max()).astype(int).ravel()

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(rings, values.ravel())

    cross = total((spectra[0] * spectra[1].conj()).real)
    power = [total(np.abs(s) ** 2) for s in spectra]
    kept = slice(_FIRST_RING, int(0.5 / pixel.max() / step.max() + 1e-9) + 1)
    scale = np.sqrt(power[0] * power[1])[kept]
    correlation = np.divide(cross[kept], scale, out=np.zeros_like(scale), where=scale > 0)
    limits = _half_bit(np.bincount(rings)[kept]) if threshold == "half-bit" else np.full(len(scale), 1 / 7)
    return RingCorrelation(np.arange(_FIRST_RING, _FIRST_RING + len(scale)) * step.max(), correlation, limits)


def state_halves(
    obj: ArrayLike, slices: slice | Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean projected phase of the even and of the odd states, two (y, x) [rad].

    Raises
    ------
    TypeError, ValueError
        If ``obj`` is not complex and 4-D, or has a single state.
    """
    phases = projected_phase(obj, slices)
    if len(phases) < 2:
        raise ValueError(f"obj must have at least 2 states, got {len(phases)}")
    return phases[::2].mean(axis=0), phases[1::2].mean(axis=0)


def _spectrum(name: str, image: np.ndarray) -> np.ndarray:
    if np.ptp(image) == 0:
        raise ValueError(f"{name} is constant, it has no structure to compare")
    window = hann_window(image.shape)
    return scipy.fft.fft2((image - np.average(image, weights=window)) * window)


def _half_bit(pixels: np.ndarray) -> np.ndarray:
    """Threshold of half a bit for rings of so many pixels, half of them independent (real images)."""
    root = np.sqrt(np.maximum(pixels / 2 * _HANN_SHARE**2, 1.0))
    return (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root)
