"""The waves of scan positions: to the detector and, for the gradient, back to the probe."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import scipy.fft

from caviar_kit import fftw
from caviar_kit.backend import array_module
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.propagation import Propagation
from caviar_kit.multislice.workspace import WaveShape

__all__ = ["Waves", "fft2", "ifft2", "waves_for"]

Array = Any


class Waves(ABC):
    """One object, probe and instrument, ready to be evaluated batch by batch.

    Parameters
    ----------
    model : MultisliceModel
        Geometry.
    transmission : (states, slices, y, x) complex
    probe : (modes, y, x) complex
        Centred in its window.
    instrument : Instrument
        Positions, tilts, thicknesses, beam and background.

    Attributes
    ----------
    spectrum : (modes, y, x) complex
        Of the centred probe.
    corners : (positions, 2) int
        First pixels of the windows.
    fractions : (positions, 2) float64
        What the probe is moved by inside its window [pixel].
    frequencies : pair of (y,), (x,) float64
        [1/pixel].
    beam : (positions, 1, 1) real or None
        Beam current; None if it is 1 everywhere.
    response : (y, x) real, or a number
        From Σ|far|² to an intensity: 1/(states · pixels), 0 beyond the band limit.
    """

    def __init__(
        self, model: MultisliceModel, transmission: Array, probe: Array, instrument: Instrument
    ) -> None:
        xp = array_module(transmission)
        self.xp, self.dtype, self.real = xp, transmission.dtype, transmission.real.dtype.type
        self.model, self.transmission, self.instrument = model, transmission, instrument
        self.spectrum = fft2(probe)
        self.propagation = Propagation(model, instrument, xp, self.dtype)
        self.pixels = math.prod(model.window)
        states, slices = transmission.shape[:2]
        self.shape = WaveShape(len(probe), states, slices, model.window, self.dtype)
        self.background = instrument.background
        self.beam = None
        if (instrument.beam != 1).any():
            self.beam = xp.asarray(instrument.beam, self.real)[:, None, None]
        self.corners = xp.asarray(model.sampler.corners)
        self.fractions = xp.asarray(instrument.positions - np.rint(model.positions))
        self.frequencies = [xp.asarray(np.fft.fftfreq(n)) for n in model.window]
        limit = model.detector_limit()
        scale = (1.0 if limit is None else limit) / (len(transmission) * self.pixels)
        self.response = xp.asarray(scale, self.real)

    @abstractmethod
    def workspace(self, positions: int) -> Any:
        """Buffers that :meth:`to_detector` and :meth:`to_probe` fill, for a scan of ``positions``."""

    @abstractmethod
    def to_detector(self, workspace: Any, positions: Array) -> Array:
        """Intensity (positions, y, x) of a full beam without background; ``workspace`` keeps the waves.

        Parameters
        ----------
        workspace : of :meth:`workspace`
        positions : (n,) int
            At most ``workspace.batch`` of them.
        """

    @abstractmethod
    def to_probe(
        self,
        workspace: Any,
        positions: Array,
        residual: Array,
        object_gradient: Array,
        spectrum_gradient: Array,
        *,
        phases: bool = False,
    ) -> tuple[Array, Array | None]:
        """Pull ∂L/∂intensity back through the waves that ``to_detector`` left, and use them up.

        Parameters
        ----------
        workspace : of :meth:`workspace`
        positions : (n,) int
        residual : (n, y, x) real
            ∂L/∂intensity.
        object_gradient : (states, slices, y, x) complex
            Receives, in addition, the gradient in the transmission functions.
        spectrum_gradient : (modes, y, x) complex
            Receives, in addition, the gradient in the probe's spectrum, times pixels.
        phases : bool
            Whether the gradient in the phases of the transfer functions is wanted.

        Returns
        -------
        shifted : (n, modes, y, x) complex
            Gradient in the spectrum of the shifted probe, times pixels.
        phase_gradients : (n, gaps, y, x) real or None
            Gradient in the phase of each transfer function.
        """

    def position_gradient(self, shifted: Array, positions: Array) -> Array:
        """Derivative (n, 2) in the positions [1/pixel] from the gradient in the shifted spectra."""
        y, x = self.ramps(positions)
        moved = self.spectrum * (y[:, None, :, None] * x[:, None, None, :])
        overlap = (shifted.conj() * moved).sum(axis=1).imag
        ky, kx = self.frequencies
        along = [(overlap.sum(axis=2) * ky).sum(axis=1), (overlap.sum(axis=1) * kx).sum(axis=1)]
        return 2 * math.pi / self.pixels * self.xp.stack(along, axis=1)

    def ramps(self, positions: Array) -> tuple[Array, Array]:
        """exp(-2πi k·f), (n, y) and (n, x): moves the probe by what the window does not."""
        fractions = self.fractions[positions]
        y, x = (
            self.xp.exp(-2j * math.pi * fractions[:, axis, None] * k).astype(self.dtype)
            for axis, k in enumerate(self.frequencies)
        )
        return y, x


def waves_for(model: MultisliceModel, transmission: Array, probe: Array, instrument: Instrument) -> Waves:
    """The fastest kind of waves: compiled on a CPU with Numba and FFTW, whole batches otherwise."""
    if array_module(transmission) is np and fftw.addresses(model.window, str(transmission.dtype)):
        try:
            from caviar_kit.multislice.compiled_waves import CompiledWaves

            return CompiledWaves(model, transmission, probe, instrument)
        except ImportError:  # without Numba
            pass
    from caviar_kit.multislice.batched_waves import BatchedWaves

    return BatchedWaves(model, transmission, probe, instrument)


def fft2(array: Array) -> Array:
    """Small transforms outside the inner loop: unnormalised forward."""
    return scipy.fft.fft2(array) if array_module(array) is np else array_module(array).fft.fft2(array)


def ifft2(array: Array) -> Array:
    """The inverse of :func:`fft2`."""
    return scipy.fft.ifft2(array) if array_module(array) is np else array_module(array).fft.ifft2(array)
