"""From the unknowns of a fit to probe modes, and gradients back.

Probe modes are complex (modes, y, x), centred at pixel (y // 2, x // 2) of their window, with
Σ|P|² = 1 over modes and pixels when the fit starts. Either every pixel is free, if wanted
inside an aperture and a window, or the modes share a few aberrations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from caviar_kit import validation
from caviar_kit.backend import array_module
from caviar_kit.multislice.aberrations import AberratedModes
from caviar_kit.multislice.operators import FourierFilter
from caviar_kit.multislice.probe_masks import aperture_mask, beam, check_modes, window_mask

__all__ = ["AberratedModes", "FreeModes", "ProbeModel", "aperture_mask", "window_mask"]

Array = Any


class ProbeModel(Protocol):
    """How unknowns make probe modes."""

    def start(self, probe: Array) -> Array:
        """Unknowns of ``probe`` (modes, y, x), Σ|probe|² = 1."""

    def unit(self, unknowns: Array) -> float:
        """Size of the unknowns: divided by it, they are of order one, as an optimiser wants them."""

    def modes(self, unknowns: Array) -> Array:
        """Probe modes, complex (modes, y, x)."""

    def gradient(self, unknowns: Array, gradient: Array) -> Array:
        """Gradient in the unknowns from the ``gradient`` G = 2 ∂L/∂conj(P) in the modes."""


@dataclass(frozen=True, eq=False)
class FreeModes:
    """Every pixel of every mode is free: P = window · F⁻¹[aperture · F u] with unknowns u.

    Parameters
    ----------
    aperture : (y, x) array from 0 to 1, optional
        Mask in reciprocal space, FFT order; see :func:`aperture_mask`.
    window : (y, x) array from 0 to 1, optional
        Mask in real space; see :func:`window_mask`.

    Raises
    ------
    TypeError, ValueError
        If a mask is not a real image with values from 0 to 1, or is all zero.

    Notes
    -----
    Masks are NumPy arrays; unknowns are NumPy or CuPy. The window acts last: with both masks the
    modes vanish outside the window and reach beyond the aperture by about one over its width.
    """

    aperture: np.ndarray | None = None
    window: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name, mask in self._masks():
            values = validation.as_array(name, mask, shape=(None, None))
            if values.min() < 0 or values.max() > 1 or not values.any():
                low, high = values.min(), values.max()
                raise ValueError(f"{name} must have values from 0 to 1, not all 0, got {low:g} to {high:g}")

    def start(self, probe: Array) -> Array:
        """``probe``, scaled so that what the masks leave of it has the whole beam.

        Raises
        ------
        TypeError, ValueError
            If ``probe`` is not complex (modes, y, x), a mask has another shape, or nothing is left.
        """
        check_modes("probe", probe)
        for name, mask in self._masks():
            if np.shape(mask) != probe.shape[1:]:
                raise ValueError(f"{name} must have shape {probe.shape[1:]} (y, x), got {np.shape(mask)}")
        kept = beam(self.modes(probe)) / beam(probe)
        if kept < 0.01:
            raise ValueError(
                f"aperture and window leave {kept:.1e} of the probe's beam; "
                "the aperture is in FFT order, the probe in the middle of its window"
            )
        return probe * probe.real.dtype.type(1 / math.sqrt(kept))

    def unit(self, unknowns: Array) -> float:
        """Root-mean-square of the unknowns."""
        return math.sqrt(beam(unknowns) / unknowns.size)

    def modes(self, unknowns: Array) -> Array:
        """The unknowns, masked."""
        if self.aperture is not None:
            unknowns = FourierFilter(np.asarray(self.aperture)).forward(unknowns)
        return self._windowed(unknowns)

    def gradient(self, unknowns: Array, gradient: Array) -> Array:
        """The adjoint of :meth:`modes`, which is linear."""
        gradient = self._windowed(gradient)
        return (
            gradient if self.aperture is None else FourierFilter(np.asarray(self.aperture)).adjoint(gradient)
        )

    def _masks(self) -> list[tuple[str, np.ndarray]]:
        pairs = (("aperture", self.aperture), ("window", self.window))
        return [(name, mask) for name, mask in pairs if mask is not None]

    def _windowed(self, field: Array) -> Array:
        if self.window is None:
            return field
        return field * array_module(field).asarray(self.window, dtype=field.real.dtype)
