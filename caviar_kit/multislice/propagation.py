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
        self._thicknesses, self._slopes = instrument.thicknesses, instrument.slopes
        self._ky, self._kx = frequency_grid(model.window, model.sampling)
        self._curvature = -math.pi * model.wavelength * (self._ky**2 + self._kx**2)
        limit = model.detector_limit()
        scale = (1.0 if limit is None else limit) / math.prod(model.window)
        self._untilted = [scale * np.exp(1j * dz * self._curvature) for dz in self._thicknesses]
        self._common = self._tilted(self._slopes[0]) if len(self._slopes) == 1 else None

    def at(self, position: int) -> list[tuple[Array, Array]]:
        """(H, conj H) of every gap at a scan position."""
        return self._tilted(self._slopes[position]) if self._common is None else self._common

    def _tilted(self, slope: np.ndarray) -> list[tuple[Array, Array]]:
        transfers = []
        for dz, untilted in zip(self._thicknesses, self._untilted, strict=True):
            y, x = (
                np.exp(-2j * math.pi * dz * k * s) for k, s in zip((self._ky, self._kx), slope, strict=True)
            )
            transfer = self._xp.asarray(untilted * (y * x), dtype=self._dtype)
            transfers.append((transfer, transfer.conj()))
        return transfers

    def derivatives(self, position: int, phase_gradients: list[Array]) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives in the slopes (2,) and thicknesses (gaps,) at a scan position.

        Parameters
        ----------
        position : int
            Scan position.
        phase_gradients : list of (y, x) real
            ∂L/∂(phase of H) for every gap.
        """
        xp, slope = self._xp, self._slopes[0 if self._common is not None else position]
        by_slope, by_thickness = np.zeros(2), np.zeros(len(self._thicknesses))
        ky, kx, curvature = (xp.asarray(a) for a in (self._ky, self._kx, self._curvature))
        for z, (dz, change) in enumerate(zip(self._thicknesses, phase_gradients, strict=True)):
            along = np.array([float((ky * change).sum()), float((kx * change).sum())])
            by_slope -= 2 * math.pi * dz * along
            by_thickness[z] = float((curvature * change).sum()) - 2 * math.pi * float(slope @ along)
        return by_slope, by_thickness
