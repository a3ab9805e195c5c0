"""Unknowns in which the fit converges faster than in the phases themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from caviar_kit import validation

__all__ = ["StateGain"]

Array = Any


@dataclass(frozen=True)
class StateGain:
    """Scale what tells the states apart: field = mean + gain · (unknowns - mean), mean over the states.

    A change common to all states alters the patterns at first order; a change that differs
    between them only in so far as the states already differ. The misfit is therefore much flatter in
    the differences, and a gain above 1 makes its valleys rounder. It is a symmetric linear map and
    changes no minimum, only the way there.

    Parameters
    ----------
    gain : float
        Above 0; 1 does nothing.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        validation.number("state_gain", self.gain, minimum=0, open_minimum=True)

    def forward(self, unknowns: Array) -> Array:
        """Field (states, slices, y, x) of ``unknowns``."""
        return self._scaled(unknowns, self.gain)

    def adjoint(self, gradient: Array) -> Array:
        """Gradient in the unknowns; the map is symmetric."""
        return self._scaled(gradient, self.gain)

    def inverse(self, field: Array) -> Array:
        """The unknowns of ``field``."""
        return self._scaled(field, 1 / self.gain)

    def _scaled(self, field: Array, factor: float) -> Array:
        if factor == 1 or len(field) == 1:
            return field
        scale = np.dtype(field.dtype).type(0).real.dtype.type(factor)
        mean = field.mean(axis=0)
        scaled = field - mean
        scaled *= scale  # in place: the field is large
        scaled += mean
        return scaled
