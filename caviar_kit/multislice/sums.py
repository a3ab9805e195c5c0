"""What a worker adds up over its scan positions: the loss, or the loss and its gradients."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.waves import Waves
from caviar_kit.multislice.workspace import Workspace

__all__ = ["GradientSums", "LossSums"]

Array = Any


class LossSums:
    """What one worker adds up: the loss alone."""

    differentiates = False

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.loss, self._real = 0.0, dtype.type

    def add(self, other: Any) -> None:
        """Take in what another worker summed."""
        self.loss += other.loss

    def divide(self, count: int) -> None:
        """From the sum over positions to the mean."""
        self.loss /= count


class GradientSums(LossSums):
    """What one worker adds up: the loss and its gradients."""

    differentiates = True

    def __init__(self, waves: Waves, wanted: frozenset[str]) -> None:
        super().__init__(waves.transmission.real.dtype)
        self._waves, self._wanted = waves, wanted
        self.object = waves.xp.zeros_like(waves.transmission)
        self.spectrum = waves.xp.zeros_like(waves.spectrum)
        now = waves.instrument
        self.instrument = Instrument(
            np.zeros_like(now.positions),
            np.zeros_like(now.slopes),
            np.zeros_like(now.thicknesses),
            np.zeros_like(now.beam),
            waves.xp.zeros(waves.model.window, self._real) if "background" in wanted else None,
        )

    def differentiate(self, workspace: Workspace, position: int, residual: Array) -> None:
        """Add the gradient at a position, whose waves are in ``workspace``, from ∂L/∂pattern (y, x)."""
        waves, gradient = self._waves, self.instrument
        if gradient.background is not None:
            gradient.background[...] += residual
        beam = waves.instrument.beam[position]
        if "beam" in self._wanted:
            gradient.beam[position] += float((residual * workspace.intensity).sum(dtype=np.float64))
        maps = None
        if self._wanted & {"slopes", "thicknesses"}:
            maps = [waves.xp.zeros_like(residual) for _ in gradient.thicknesses]
        if beam != 1:
            residual = residual * self._real(beam)
        shifted = waves.to_probe(workspace, position, residual, self.object, maps)
        self.spectrum += waves.unshifted(shifted, position)
        if "positions" in self._wanted:
            gradient.positions[position] += waves.position_gradient(shifted, position)
        if maps is not None:
            by_slope, by_thickness = waves.propagation.derivatives(position, maps)
            gradient.slopes[position if len(gradient.slopes) > 1 else 0] += by_slope
            gradient.thicknesses[...] += by_thickness

    def add(self, other: Any) -> None:
        """Take in what another worker summed."""
        super().add(other)
        for mine, others in zip(self._arrays(), other._arrays(), strict=True):
            mine += others

    def divide(self, count: int) -> None:
        """From the sum over positions to the mean."""
        super().divide(count)
        for array in self._arrays():
            array *= array.real.dtype.type(1 / count)

    def _arrays(self) -> list[Array]:
        parts = [getattr(self.instrument, f.name) for f in fields(Instrument)]
        return [self.object, self.spectrum, *(part for part in parts if part is not None)]
