"""Waves on a CPU: one compiled call per direction, with FFTW inside."""

from __future__ import annotations

import numpy as np

from caviar_kit import fftw
from caviar_kit.multislice import compiled
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.waves import Waves
from caviar_kit.multislice.workspace import CompiledWorkspace, positions_at_once

__all__ = ["CompiledWaves"]


class CompiledWaves(Waves):
    """NumPy arrays, Numba, FFTW; see :class:`caviar_kit.multislice.waves.Waves`."""

    def __init__(
        self, model: MultisliceModel, transmission: np.ndarray, probe: np.ndarray, instrument: Instrument
    ) -> None:
        super().__init__(model, transmission, probe, instrument)
        self.transmission = np.ascontiguousarray(transmission)
        self._scaled = self.spectrum * self.real(1 / self.pixels)
        self._fftw = np.array(fftw.addresses(model.window, str(self.dtype)), np.intp)

    def workspace(self, positions: int) -> CompiledWorkspace:
        """Buffers for as many positions as fit into a core's cache."""
        return CompiledWorkspace(positions_at_once(self.shape, positions, gpu=False), self.shape)

    def to_detector(self, workspace: CompiledWorkspace, positions: np.ndarray) -> np.ndarray:
        """See the base class."""
        compiled.forward(
            self._fftw,
            self._scaled,
            self.fractions[positions],
            *self.frequencies,
            workspace.ramp_y,
            workspace.ramp_x,
            self.transmission,
            self.corners[positions],
            self.propagation.at(positions),
            workspace.probe,
            workspace.inner,
            workspace.far,
            workspace.intensity,
        )
        intensity = workspace.intensity[: len(positions)]
        intensity *= self.response
        return intensity

    def to_probe(
        self,
        workspace: CompiledWorkspace,
        positions: np.ndarray,
        residual: np.ndarray,
        object_gradient: np.ndarray,
        spectrum_gradient: np.ndarray,
        *,
        phases: bool = False,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """See the base class."""
        gaps = self.model.num_slices - 1
        phase_gradients = np.zeros((len(positions) * phases, gaps, *self.model.window), self.real)
        compiled.backward(
            self._fftw,
            residual * (self.real(2) * self.response),
            workspace.ramp_y,
            workspace.ramp_x,
            self.transmission,
            self.corners[positions],
            self.propagation.at(positions),
            workspace.probe,
            workspace.inner,
            workspace.far,
            object_gradient,
            phase_gradients,
            workspace.shifted,
            spectrum_gradient,
        )
        phase_gradients *= self.real(1 / self.pixels)
        return workspace.shifted[: len(positions)], phase_gradients if phases else None
