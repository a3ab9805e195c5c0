"""Transfer functions between the slices at the tilts and thicknesses at hand, and their derivatives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.operators import frequency_grid

__all__ = ["Propagation"]

Array = Any


class Propagation:
    """H_z(k) = exp(-iπλ dz k² - 2πi dz k·s) of every gap z, divided by the pixels of the window.

    Unnormalised Fourier transforms need the division; s = tan θ may differ between positions.

    Parameters
    ----------
    model : MultisliceModel
        Window, wavelength and band limit.
    instrument : Instrument
        Tilts and thicknesses.
    xp : module
        NumPy or CuPy.
    dtype : complex dtype
        Precision.
    """

    def __init__(self, model: MultisliceModel, instrument: Instrument, xp: Any, dtype: Any) -> None:
        self._xp, self._dtype = xp, dtype
        ky, kx = frequency_grid(model.window, model.sampling)
        curvature = -math.pi * model.wavelength * (ky**2 + kx**2)
        limit = model.detector_limit()
        scale = (1.0 if limit is None else limit) / math.prod(model.window)
        thicknesses = instrument.thicknesses.reshape(-1, 1, 1, 1)
        self._ky, self._kx, self._curvature = (xp.asarray(a) for a in (ky, kx, curvature))
        self._thicknesses = xp.asarray(thicknesses)
        self._untilted = xp.asarray(scale * np.exp(1j * thicknesses * curvature))
        self._slopes = xp.asarray(instrument.slopes)
        self._common = None
        if len(self._slopes) == 1:
            self._common = self._tilted(self._slopes, complex).astype(dtype)

    def at(self, positions: Array) -> Array:
        """H of every gap (gaps, 1 or positions, y, x) at some scan positions."""
        if self._common is None:
            return self._tilted(self._slopes[positions], self._dtype)
        return self._common

    def _tilted(self, slopes: Array, dtype: Any) -> Array:
        """One for each slope; large arrays are made in the precision of ``dtype``."""
        y, x = (
            self._xp.exp(-2j * math.pi * self._thicknesses * (slopes[:, axis, None, None] * k)).astype(dtype)
            for axis, k in enumerate((self._ky, self._kx))
        )
        transfers = self._untilted.astype(dtype) * y
        transfers *= x
        return transfers

    def derivatives(self, positions: Array, phase_gradients: Array) -> tuple[Array, Array]:
        """Derivatives in the slopes (positions, 2) and in the thicknesses (gaps,), the latter summed.

        Parameters
        ----------
        positions : (n,) int
            Scan positions.
        phase_gradients : (n, gaps, y, x) real
            ∂L/∂(phase of H).
        """
        xp, slopes = self._xp, self._slopes[positions if self._common is None else 0]
        along = xp.stack([(k * phase_gradients).sum(axis=(-2, -1)) for k in (self._ky, self._kx)], axis=-1)
        by_slope = -2 * math.pi * (self._thicknesses[:, 0, 0] * along).sum(axis=1)
        curved = (self._curvature * phase_gradients).sum(axis=(-2, -1))
        tilted = (slopes.reshape(-1, 1, 2) * along).sum(axis=-1)
        return by_slope, (curved - 2 * math.pi * tilted).sum(axis=0)
