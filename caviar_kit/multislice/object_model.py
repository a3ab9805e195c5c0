"""From the unknowns of a fit to transmission functions, and gradients back.

A transmission function is exp(iφ) for a pure phase object, or any complex number; either
may be band-limited like the waves, so that sampled products are alias-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.backend import array_module
from caviar_kit.multislice.operators import BandLimit

__all__ = ["ComplexObject", "ObjectModel", "PhaseObject", "make_object_model"]

Array = Any


@dataclass(frozen=True)
class PhaseObject:
    """Transmission exp(iφ) with real unknowns φ [rad]: no absorption, half the unknowns."""

    band_limit: BandLimit | None = None

    def start(self, transmission: Array) -> Array:
        """Unknowns φ closest to ``transmission`` (states, slices, y, x)."""
        return array_module(transmission).angle(transmission)

    def transmission(self, unknowns: Array) -> Array:
        """exp(iφ), band-limited if asked for."""
        field = _exp_i(unknowns)
        return field if self.band_limit is None else self.band_limit.forward(field)

    def gradient(self, unknowns: Array, gradient: Array) -> Array:
        """dL/dφ from the gradient in the transmission."""
        if self.band_limit is not None:
            gradient = self.band_limit.adjoint(gradient)
        field = _exp_i(unknowns)
        return gradient.imag * field.real - gradient.real * field.imag


@dataclass(frozen=True)
class ComplexObject:
    """Transmission with free real and imaginary part: the unknowns are the transmission itself."""

    band_limit: BandLimit | None = None

    def start(self, transmission: Array) -> Array:
        """A copy of ``transmission``."""
        return transmission.copy()

    def transmission(self, unknowns: Array) -> Array:
        """The unknowns, band-limited if asked for."""
        return unknowns if self.band_limit is None else self.band_limit.forward(unknowns)

    def gradient(self, unknowns: Array, gradient: Array) -> Array:
        """Gradient in the unknowns from the gradient in the transmission."""
        return gradient if self.band_limit is None else self.band_limit.adjoint(gradient)


ObjectModel = PhaseObject | ComplexObject


def make_object_model(object_type: str, band_limit: BandLimit | None = None) -> ObjectModel:
    """Return the object model called "phase" or "complex"."""
    validation.choice("object_type", object_type, ("complex", "phase"))
    return PhaseObject(band_limit) if object_type == "phase" else ComplexObject(band_limit)


def _exp_i(phase: Array) -> Array:
    xp = array_module(phase)
    field = xp.empty(phase.shape, np.result_type(phase.dtype, np.complex64))
    xp.cos(phase, out=field.real)
    xp.sin(phase, out=field.imag)
    return field
