"""Waves as whole arrays: on a GPU with CUDA kernels, and wherever Numba or FFTW are missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from caviar_kit.multislice import kernels as plain
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.waves import Waves, fft2, ifft2
from caviar_kit.multislice.workspace import BatchedWorkspace, positions_at_once

__all__ = ["BatchedWaves"]

Array = Any


class BatchedWaves(Waves):
    """NumPy or CuPy arrays; see :class:`caviar_kit.multislice.waves.Waves`."""

    def __init__(
        self, model: MultisliceModel, transmission: Array, probe: Array, instrument: Instrument
    ) -> None:
        super().__init__(model, transmission, probe, instrument)
        self.transmission = self.xp.ascontiguousarray(transmission)
        self._kernels: Any = plain
        if self.xp is not np:
            from caviar_kit.multislice import cuda

            self._kernels = cuda
            self.corners = self.corners.astype(np.int32)

    def workspace(self, positions: int) -> BatchedWorkspace:
        """Buffers for a batch: one position on a CPU, on a GPU enough to keep it busy."""
        batch = 1 if self.xp is np else positions_at_once(self.shape, positions, gpu=True)
        return BatchedWorkspace(self.xp, batch, self.shape)

    def to_detector(self, workspace: BatchedWorkspace, positions: Array) -> Array:
        """See the base class."""
        view, kernels = workspace.first(len(positions)), self._kernels
        corners, transfers = self.corners[positions], self.propagation.at(positions)
        y, x = self.ramps(positions)
        view.probe[:, :, 0] = ifft2(self.spectrum * (y[:, None, :, None] * x[:, None, None, :]))
        incident, last = view.probe, len(view.waves) - 1
        for z, wave in enumerate(view.waves):
            kernels.transmit(incident, self.transmission, corners, z, wave)
            view.to_reciprocal[z]()
            if z < last:
                kernels.propagate(wave, transfers[z], wave)
                view.to_real[z]()
            incident = wave
        view.intensity[...] = 0
        kernels.add_intensity(view.waves[-1], view.intensity)
        view.intensity *= self.response
        return view.intensity

    def to_probe(
        self,
        workspace: BatchedWorkspace,
        positions: Array,
        residual: Array,
        object_gradient: Array,
        spectrum_gradient: Array,
        *,
        phases: bool = False,
    ) -> tuple[Array, Array | None]:
        """See the base class."""
        view, kernels = workspace.first(len(positions)), self._kernels
        corners, transfers = self.corners[positions], self.propagation.at(positions)
        wave, back, forth = view.waves[-1], view.to_real[-1], view.to_reciprocal[-1]
        phase_gradients: list[Array] = []
        kernels.residual_wave(wave, residual * (self.real(2) * self.response), wave)
        for z in range(len(view.waves) - 1, 0, -1):
            back()
            kernels.adjoint_transmit(wave, self.transmission, corners, z, view.waves[z - 1], object_gradient)
            forth()
            if phases:
                view.to_reciprocal[z - 1]()
                phase_gradients.insert(0, self._overlap(wave, view.waves[z - 1]))
            kernels.propagate(wave, transfers[z - 1], wave, conjugate=True)
        back()
        kernels.adjoint_transmit(wave, self.transmission, corners, 0, view.probe, object_gradient)
        kernels.sum_states(wave, view.probe[:, :, 0])
        shifted = fft2(view.probe[:, :, 0])
        y, x = self.ramps(positions)
        spectrum_gradient += (shifted * (y[:, None, :, None] * x[:, None, None, :]).conj()).sum(axis=0)
        return shifted, self._stacked(phase_gradients, len(positions)) if phases else None

    def _overlap(self, gradient: Array, incident: Array) -> Array:
        """-Im Σ conj(gradient) · incident over modes and states, (positions, y, x), divided by pixels."""
        return (gradient.conj() * incident).imag.sum(axis=(1, 2)) * self.real(-1 / self.pixels)

    def _stacked(self, maps: list[Array], count: int) -> Array:
        if not maps:
            return self.xp.zeros((count, 0, *self.model.window), self.real)
        return self.xp.stack(maps, axis=1)
