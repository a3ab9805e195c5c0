"""What a worker adds up over its scan positions: the loss, or the loss and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from caviar_kit.backend import to_numpy
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.waves import Waves

__all__ = ["GradientSums", "LossSums"]

Array = Any


class LossSums:
    """What one worker adds up: the loss alone."""

    differentiates = False

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.loss: Any = 0.0  # a number, on a GPU while the pass goes on
        self._real = dtype.type

    def add(self, other: Any) -> None:
        """Take in what another worker summed."""
        self.loss += other.loss

    def divide(self, count: int) -> None:
        """From the sum over positions to the mean."""
        self.loss = float(self.loss) / count


class GradientSums(LossSums):
    """What one worker adds up: the loss and its gradients."""

    differentiates = True

    def __init__(self, waves: Waves, wanted: frozenset[str]) -> None:
        super().__init__(waves.transmission.real.dtype)
        self._waves, self._wanted = waves, wanted
        self.object = waves.xp.zeros_like(waves.transmission)
        self.spectrum = waves.xp.zeros_like(waves.spectrum)
        now, xp = waves.instrument, waves.xp
        self._sums = {
            "positions": xp.zeros(now.positions.shape),
            "slopes": xp.zeros(now.slopes.shape),
            "thicknesses": xp.zeros(now.thicknesses.shape),
            "beam": xp.zeros(now.beam.shape),
            "background": xp.zeros(waves.model.window, self._real) if "background" in wanted else None,
        }

    @property
    def instrument(self) -> Instrument:
        """Derivatives in place of values; the background's where the patterns are."""
        background = self._sums["background"]
        others = {name: to_numpy(array) for name, array in self._sums.items() if name != "background"}
        return Instrument(**others, background=background)

    def differentiate(self, workspace: Any, positions: Array, intensity: Array, residual: Array) -> None:
        """Add the gradient of a batch.

        Parameters
        ----------
        workspace : of the waves
            As :meth:`Waves.to_detector` left it.
        positions : (n,) int
        intensity : (n, y, x) real
            Of a full beam, without background.
        residual : (n, y, x) real
            ∂L/∂pattern.
        """
        waves, sums, wanted = self._waves, self._sums, self._wanted
        if "background" in wanted:
            sums["background"] += residual.sum(axis=0)
        if "beam" in wanted:
            sums["beam"][positions] += (residual * intensity).sum(axis=(1, 2), dtype=np.float64)
        if waves.beam is not None:
            residual = residual * waves.beam[positions]
        shifted, phases = waves.to_probe(
            workspace,
            positions,
            residual,
            self.object,
            self.spectrum,
            phases=bool(wanted & {"slopes", "thicknesses"}),
        )
        if "positions" in wanted:
            sums["positions"][positions] += waves.position_gradient(shifted, positions)
        if phases is not None:
            by_slope, by_thickness = waves.propagation.derivatives(positions, phases)
            if len(sums["slopes"]) > 1:
                sums["slopes"][positions] += by_slope
            else:
                sums["slopes"][0] += by_slope.sum(axis=0)
            sums["thicknesses"] += by_thickness

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
        return [self.object, self.spectrum, *(part for part in self._sums.values() if part is not None)]
