"""Power spectrum of the phase: which spatial frequencies a reconstruction contains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations._inputs import pixel_size
from caviar_kit.vibrations.phase import slice_phases

__all__ = ["PowerSpectrum", "field_slices", "hann_window", "power_spectrum"]


@dataclass(frozen=True, eq=False)
class PowerSpectrum:
    """Power spectral density of the phase in the plane.

    Attributes
    ----------
    power : array, float64, (y, x)
        [rad² Å²], zero frequency at pixel (N // 2, M // 2). Its integral over frequency is the
        variance of the phase.
    step : array, (2,)
        Frequency step y, x [1/Å].
    """

    power: np.ndarray
    step: np.ndarray

    @property
    def frequencies(self) -> np.ndarray:
        """Length of the spatial frequency at every pixel, (y, x) [1/Å]; no 2π in it."""
        y, x = ((np.arange(n) - n // 2) * step for n, step in zip(self.power.shape, self.step, strict=True))
        return np.hypot(y[:, None], x[None, :])

    @property
    def nyquist(self) -> float:
        """Largest frequency that the pixels carry in every direction [1/Å]."""
        return float(min(n / 2 * step for n, step in zip(self.power.shape, self.step, strict=True)))

    def rings(self) -> np.ndarray:
        """Ring of every pixel, int (y, x): frequency in units of the larger step, rounded."""
        return np.rint(self.frequencies / self.step.max()).astype(int)

    def radial_mean(self) -> tuple[np.ndarray, np.ndarray]:
        """Frequency [1/Å] and mean power [rad² Å²] of the rings up to the Nyquist frequency."""
        rings = self.rings().ravel()
        count = np.bincount(rings)
        mean = np.bincount(rings, self.power.ravel()) / np.maximum(count, 1)
        frequency = np.arange(len(mean)) * self.step.max()
        inside = frequency <= self.nyquist
        return frequency[inside], mean[inside]


def power_spectrum(
    obj: ArrayLike,
    sampling: float | ArrayLike,
    *,
    slices: slice | Sequence[int] | None = None,
    field: ArrayLike | None = None,
) -> PowerSpectrum:
    """Power spectrum of each slice's phase, averaged over slices and states.

    A Hann window suppresses what the borders of the field would add.

    Parameters
    ----------
    obj : complex array, (states, slices, y, x)
        Transmission functions.
    sampling : float or (y, x)
        Pixel [Å].
    slices : slice or sequence of int, optional
        Slices to average; all by default.
    field : ((y0, x0), (y1, x1)), optional
        Corners [Å] of the part to use, best that which was scanned; all by default.

    Raises
    ------
    TypeError, ValueError
        If ``obj`` is not complex and 4-D, ``slices`` selects nothing, or ``field`` holds fewer than 8 × 8
        pixels.
    """
    pixel = pixel_size(sampling)
    phases = slice_phases(obj, slices)
    rows, columns = field_slices(field, phases.shape[-2:], pixel)
    phases = phases[..., rows, columns]
    shape = phases.shape[-2:]
    window = hann_window(shape)
    power = np.zeros(shape)
    for image in phases.reshape(-1, *shape):
        centred = image - np.average(image, weights=window)
        power += np.abs(scipy.fft.fft2(centred * window)) ** 2
    power *= pixel.prod() / (np.sum(window**2) * len(phases) * phases.shape[1])
    return PowerSpectrum(np.fft.fftshift(power), 1 / (np.array(shape) * pixel))


def hann_window(shape: tuple[int, ...]) -> np.ndarray:
    """Product of Hann windows (y, x), positive everywhere."""
    y, x = (np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in shape)
    return y[:, None] * x[None, :]


def field_slices(field: ArrayLike | None, shape: tuple[int, ...], pixel: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the pixels whose centres lie in ``field`` ((y0, x0), (y1, x1)) [Å].

    Raises
    ------
    TypeError, ValueError
        If it is not two corners, or holds fewer than 8 pixels in one direction.
    """
    if field is None:
        corners = np.array([[0, 0], shape], float) * pixel
    else:
        corners = np.sort(validation.as_array("field", field, shape=(2, 2)).astype(float), axis=0)
    first = np.maximum(np.ceil(corners[0] / pixel - 1e-9), 0).astype(int)
    last = np.minimum(np.floor(corners[1] / pixel + 1e-9), np.array(shape) - 1).astype(int)
    if (last - first < 7).any():
        held = np.maximum(last - first + 1, 0)
        raise ValueError(
            f"field must hold at least 8 × 8 pixels of the object of {shape[0]} × {shape[1]} pixels, "
            f"got {held[0]} × {held[1]}; corners are (y, x) in Å"
        )
    return slice(first[0], last[0] + 1), slice(first[1], last[1] + 1)
