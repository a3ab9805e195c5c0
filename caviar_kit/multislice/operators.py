"""Linear operators of the multislice model, each with ``forward`` and ``adjoint``.

Fields are complex arrays whose last two axes are (y, x); reciprocal fields keep the FFT
order, zero frequency at pixel (0, 0). The inner product is ⟨a, b⟩ = Σ conj(a) b.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from scipy import fft as scipy_fft

from caviar_kit import validation
from caviar_kit.backend import array_module

__all__ = [
    "BandLimit",
    "FarField",
    "FourierFilter",
    "FourierShift",
    "FresnelPropagator",
    "PatchSampler",
    "frequency_grid",
]

Array = Any


def frequency_grid(shape: tuple[int, int], sampling: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Spatial frequencies k_y (y, 1) and k_x (1, x) [1/Å], float64, FFT order."""
    return np.fft.fftfreq(shape[0], sampling[0])[:, None], np.fft.fftfreq(shape[1], sampling[1])[None, :]


@dataclass(frozen=True)
class FresnelPropagator:
    """Free-space propagation, F⁻¹ H F with H(k) = exp(-iπλ dz k²) [Kirkland (2010), eq. 6.66].

    A beam tilted by θ = (θ_y, θ_x) moves the wave by +dz·tan θ: H(k) is multiplied by
    exp(-2πi dz k·tan θ) (*ibid.*, eq. 6.99, whose Fourier transform has the other sign). This is
    py4DSTEM's sign of ``theta_x`` (rows) and ``theta_y`` (columns).

    Parameters
    ----------
    shape : (y, x)
        Pixels.
    sampling : (y, x)
        Pixel size [Å].
    wavelength : float
        [Å].
    thickness : float
        Distance dz [Å]; negative values propagate backwards.
    tilt_mrad : (y, x)
        Beam tilt [mrad].
    """

    shape: tuple[int, int]
    sampling: tuple[float, float]
    wavelength: float
    thickness: float
    tilt_mrad: tuple[float, float] = (0.0, 0.0)

    @property
    def transfer(self) -> np.ndarray:
        """H(k), complex128 (y, x), FFT order."""
        ky, kx = frequency_grid(self.shape, self.sampling)
        slope = [math.tan(1e-3 * tilt) for tilt in self.tilt_mrad]
        phase = -math.pi * self.wavelength * (ky**2 + kx**2) - 2 * math.pi * (ky * slope[0] + kx * slope[1])
        return np.exp(1j * self.thickness * phase)

    def forward(self, wave: Array) -> Array:
        """Propagate ``wave`` (..., y, x) by ``thickness``."""
        return _filter(wave, self.transfer)

    def adjoint(self, wave: Array) -> Array:
        """Propagate back; as |H| = 1, the adjoint is the inverse."""
        return _filter(wave, self.transfer.conj())


@dataclass(frozen=True)
class BandLimit:
    """Keep spatial frequencies |k| below ``cutoff`` [1/Å]; an orthogonal projection, hence self-adjoint."""

    shape: tuple[int, int]
    sampling: tuple[float, float]
    cutoff: float

    @property
    def transfer(self) -> np.ndarray:
        """1.0 inside, 0.0 outside, float64 (y, x), FFT order."""
        ky, kx = frequency_grid(self.shape, self.sampling)
        return (ky**2 + kx**2 < self.cutoff**2).astype(float)

    def forward(self, field: Array) -> Array:
        """Remove what lies outside the band."""
        return _filter(field, self.transfer)

    adjoint = forward


@dataclass(frozen=True, eq=False)
class FourierFilter:
    """F⁻¹ T F with any ``transfer`` T, real or complex NumPy array (y, x), FFT order."""

    transfer: np.ndarray

    def forward(self, field: Array) -> Array:
        """Multiply the spectrum by T."""
        return _filter(field, self.transfer)

    def adjoint(self, field: Array) -> Array:
        """Multiply the spectrum by conj(T)."""
        return _filter(field, self.transfer.conj())


@dataclass(frozen=True)
class FourierShift:
    """Translate a periodic field by a fraction of a pixel, f(r) → f(r - shift), as a phase ramp.

    Parameters
    ----------
    shape : (y, x)
        Pixels.
    shift : (y, x)
        [pixel].
    """

    shape: tuple[int, int]
    shift: tuple[float, float]

    @property
    def transfer(self) -> np.ndarray:
        """exp(-2πi k·shift), complex128 (y, x), FFT order."""
        ky, kx = frequency_grid(self.shape, (1.0, 1.0))
        return np.exp(-2j * math.pi * (ky * self.shift[0] + kx * self.shift[1]))

    def forward(self, field: Array) -> Array:
        """Shift by +``shift``."""
        return _filter(field, self.transfer)

    def adjoint(self, field: Array) -> Array:
        """Shift by -``shift``."""
        return _filter(field, self.transfer.conj())


@dataclass(frozen=True)
class FarField:
    """Fraunhofer diffraction as a unitary discrete Fourier transform: Σ|Ψ|² = Σ|ψ|²."""

    def forward(self, wave: Array) -> Array:
        """Exit wave (..., y, x) to diffraction amplitude, FFT order."""
        return _fft(wave).fft2(wave, norm="ortho")

    def adjoint(self, wave: Array) -> Array:
        """Inverse transform, equal to the adjoint."""
        return _fft(wave).ifft2(wave, norm="ortho")


@dataclass(frozen=True)
class PatchSampler:
    """Cut the illuminated window out of a large field, and add windows back (the adjoint).

    Parameters
    ----------
    corners : (positions, 2) int
        Pixel of the field on which pixel (0, 0) of each window falls.
    window, field : (y, x)
        Shapes [pixel]; every window must lie inside the field.
    """

    corners: np.ndarray
    window: tuple[int, int]
    field: tuple[int, int]

    def __post_init__(self) -> None:
        corners = validation.as_array("corners", self.corners, shape=(None, 2))
        last = corners + np.array(self.window)
        if (corners < 0).any() or (last > np.array(self.field)).any():
            raise ValueError(
                f"windows of {self.window} pixels at corners {corners.min(0)} … {corners.max(0)} "
                f"do not fit the field of {self.field} pixels"
            )

    def view(self, field: Array, position: int) -> Array:
        """The window of ``position`` in ``field`` (..., y, x), a view without a copy."""
        y, x = self.corners[position]
        return field[..., y : y + self.window[0], x : x + self.window[1]]

    def forward(self, field: Array) -> Array:
        """All windows, (positions, ..., y, x)."""
        return array_module(field).stack([self.view(field, p) for p in range(len(self.corners))])

    def adjoint(self, windows: Array) -> Array:
        """Sum of all windows, each at its place, (..., y, x)."""
        total = array_module(windows).zeros((*windows.shape[1:-2], *self.field), windows.dtype)
        for position, window in enumerate(windows):
            self.view(total, position)[...] += window
        return total


def _fft(array: Array) -> ModuleType:
    if array_module(array) is np:
        return scipy_fft
    from cupyx.scipy import fft as cupy_fft

    return cupy_fft


def _filter(field: Array, transfer: np.ndarray) -> Array:
    """F⁻¹ · transfer · F over the last two axes, in the precision of ``field``."""
    transforms = _fft(field)
    spectrum = transforms.fft2(field)
    spectrum *= array_module(field).asarray(transfer, dtype=spectrum.dtype)
    return transforms.ifft2(spectrum, overwrite_x=True)
