"""The waves of one scan position: to the detector and, for the gradient, back to the probe."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.fft

from caviar_kit.backend import array_module
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.kernels import add_intensity, adjoint_transmit
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.propagation import Propagation
from caviar_kit.multislice.workspace import Workspace

__all__ = ["Waves", "fft2", "ifft2"]

Array = Any


class Waves:
    """One object, probe and instrument, ready to be evaluated position by position.

    Parameters
    ----------
    model : MultisliceModel
        Geometry.
    transmission : (states, slices, y, x) complex
    probe : (modes, y, x) complex
        Centred in its window.
    instrument : Instrument
        Positions, tilts, thicknesses, beam and background.
    """

    def __init__(
        self, model: MultisliceModel, transmission: Array, probe: Array, instrument: Instrument
    ) -> None:
        self.xp, self.dtype = array_module(transmission), transmission.dtype
        self.model, self.transmission, self.instrument = model, transmission, instrument
        self.spectrum = fft2(probe)
        self.propagation = Propagation(model, instrument, self.xp, self.dtype)
        self._real = transmission.real.dtype.type
        self._pixels = math.prod(model.window)
        self._fractions = instrument.positions - np.rint(model.positions)
        self._frequencies = [np.fft.fftfreq(n) for n in model.window]
        limit = model.detector_limit()
        self.detector_limit = None if limit is None else self.xp.asarray(limit, self._real)

    def to_detector(self, workspace: Workspace, position: int) -> Array:
        """Intensity (y, x) of a full beam without background; ``workspace`` keeps the waves."""
        workspace.probe[:, 0] = ifft2(self.spectrum * self._ramp(position))
        patch = self.model.sampler.view(self.transmission, position)
        transfers = self.propagation.at(position)
        workspace.intensity[...] = 0
        for chunk in workspace.chunks:
            for z, incident in enumerate(chunk.incident):
                if z:
                    chunk.to_reciprocal()
                    self.xp.multiply(chunk.exit, transfers[z - 1][0], out=incident)
                    chunk.incident_to_real[z]()
                self.xp.multiply(incident, patch[chunk.states, z], out=chunk.exit)
            chunk.to_detector()
            add_intensity(chunk.far, workspace.intensity)
        workspace.intensity *= self._real(1 / (len(self.transmission) * self._pixels))
        if self.detector_limit is not None:
            workspace.intensity *= self.detector_limit
        return workspace.intensity

    def to_probe(
        self,
        workspace: Workspace,
        position: int,
        residual: Array,
        object_gradient: Array,
        phase_gradients: list[Array] | None = None,
    ) -> Array:
        """Pull ∂L/∂intensity back through the waves that ``to_detector`` left.

        Parameters
        ----------
        workspace : Workspace
        position : int
        residual : (y, x) real
            ∂L/∂intensity.
        object_gradient : (states, slices, y, x) complex
            Receives the gradient in the transmission functions.
        phase_gradients : list of (y, x) real, optional
            Receive, for every gap, the gradient in the phase of its transfer function.

        Returns
        -------
        (modes, y, x) complex: gradient in the spectrum of the shifted probe, times pixels.
        """
        patch = self.model.sampler.view(self.transmission, position)
        target = self.model.sampler.view(object_gradient, position)
        transfers = self.propagation.at(position)
        residual = residual * self._real(2 / (len(self.transmission) * self._pixels))
        if self.detector_limit is not None:
            residual = residual * self.detector_limit
        waves = self.xp.zeros(workspace.probe.shape, self.dtype)
        for chunk in workspace.chunks:
            self.xp.multiply(chunk.far, residual, out=chunk.exit)
            for z in range(self.model.num_slices - 1, -1, -1):
                chunk.to_real()
                adjoint_transmit(
                    chunk.exit, patch[chunk.states, z], chunk.incident[z], target[chunk.states, z]
                )
                if z:
                    chunk.to_reciprocal()
                    if phase_gradients is not None:
                        phase_gradients[z - 1] -= self._imaginary_overlap(chunk.exit, chunk.incident[z])
                    chunk.exit *= transfers[z - 1][1]
            waves += chunk.exit.sum(axis=1, keepdims=True)
        return fft2(waves[:, 0])

    def unshifted(self, gradient: Array, position: int) -> Array:
        """Gradient in the spectrum of the centred probe from that at a position."""
        return gradient * self._ramp(position).conj()

    def position_gradient(self, gradient: Array, position: int) -> np.ndarray:
        """Derivative (y, x) in the position [1/pixel] from the gradient in the shifted spectrum."""
        overlap = (gradient.conj() * self.spectrum * self._ramp(position)).sum(axis=0).imag
        ky, kx = (self.xp.asarray(k) for k in self._frequencies)
        along = float((ky * overlap.sum(axis=1)).sum()), float((kx * overlap.sum(axis=0)).sum())
        return 2 * math.pi / self._pixels * np.array(along)

    def _imaginary_overlap(self, gradient: Array, incident: Array) -> Array:
        """Im Σ conj(gradient) · F incident per frequency, divided by the pixels."""
        overlap = (gradient.conj() * fft2(incident)).imag
        return overlap.reshape(-1, *self.model.window).sum(axis=0) * self._real(1 / self._pixels)

    def _ramp(self, position: int) -> Array:
        """exp(-2πi k·f): moves the probe by the part of a pixel that the window does not."""
        fraction = self._fractions[position]
        if not fraction.any():
            return self.xp.ones((1, 1), self.dtype)
        y, x = (np.exp(-2j * math.pi * k * f) for k, f in zip(self._frequencies, fraction, strict=True))
        return self.xp.asarray(y[:, None] * x[None, :], dtype=self.dtype)


def fft2(array: Array) -> Array:
    """Small transforms outside the inner loop: unnormalised forward."""
    return scipy.fft.fft2(array) if array_module(array) is np else array_module(array).fft.fft2(array)


def ifft2(array: Array) -> Array:
    """The inverse of :func:`fft2`."""
    return scipy.fft.ifft2(array) if array_module(array) is np else array_module(array).fft.ifft2(array)
