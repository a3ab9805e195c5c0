"""Loss of the multislice model and its exact gradient in object and probe.

For a real loss L of complex variables, "gradient" means G = 2 ∂L/∂conj(z), so that
dL = Re Σ conj(G) dz. One scan position at a time keeps its waves in the processor's
cache; positions are shared among threads in fixed blocks, so results are reproducible
for a given number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.fft

from caviar_kit import validation
from caviar_kit.backend import array_module, default_threads
from caviar_kit.multislice.kernels import add_intensity, adjoint_transmit
from caviar_kit.multislice.loss import Loss
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.workspace import Workspace

__all__ = ["Evaluator"]

Array = Any


class Evaluator:
    """Evaluate loss and gradient over scan positions.

    Parameters
    ----------
    model : MultisliceModel
        Geometry and optics.
    patterns : (positions, y, x) real array
        Measured intensities as fractions of the beam, FFT order (zero frequency at pixel
        (0, 0)). NumPy or CuPy: the array module of ``patterns`` is used throughout.
    loss : Loss
        Misfit per detector pixel.
    weights : (y, x) array or None
        Weight per detector pixel in FFT order, 0 to ignore it.
    threads : int or None
        CPU threads; None for :func:`caviar_kit.backend.default_threads`.

    Raises
    ------
    TypeError, ValueError
        If patterns or weights have the wrong shape, are negative or not finite, or ``threads``
        is not a positive integer.

    Notes
    -----
    The loss is the mean over the positions asked for of the sum over detector pixels.
    """

    def __init__(
        self,
        model: MultisliceModel,
        patterns: Array,
        loss: Loss,
        *,
        weights: Array | None = None,
        threads: int | None = None,
    ) -> None:
        self.model, self.loss_function = model, loss
        self.xp = array_module(patterns)
        self.patterns = self._checked("patterns", patterns, (len(model.positions), *model.window))
        self.real_dtype = np.dtype(patterns.dtype)
        if self.real_dtype not in (np.float32, np.float64):
            raise TypeError(f"patterns must be float32 or float64, got {self.real_dtype}")
        self.dtype = np.result_type(self.real_dtype, np.complex64)
        self.weights = None
        if weights is not None:
            weights = self._checked("weights", self.xp.asarray(weights), model.window)
            self.weights = weights.astype(self.real_dtype)
        threads = default_threads() if threads is None else validation.integer("threads", threads)
        self.threads = threads if self.xp is np else 1
        pixels = math.prod(model.window)
        self._transfers = [self._constant(h / pixels) for h in model.transfers()]  # FFTs are unnormalised
        self._conjugates = [h.conj() for h in self._transfers]
        limit = model.detector_limit()
        self._detector_limit = None if limit is None else self.xp.asarray(limit, self.real_dtype)
        self._fractions = model.fractions
        self._frequencies = [np.fft.fftfreq(n) for n in model.window]
        self._workspaces: dict[tuple[int, int, int], Workspace] = {}

    def loss(self, transmission: Array, probe: Array, positions: Sequence[int] | None = None) -> float:
        """Loss only: about a third of the work of :meth:`loss_and_gradient`.

        Parameters
        ----------
        transmission : (states, slices, y, x) complex
        probe : (modes, y, x) complex
            Centred in its window, Σ|probe|² = beam.
        positions : indices, optional
            Scan positions to include; all by default.

        Raises
        ------
        TypeError, ValueError
            If an array has another shape or precision than model and data ask for.
        """
        return self._run(transmission, probe, positions, gradient=False)[0]

    def loss_and_gradient(
        self, transmission: Array, probe: Array, positions: Sequence[int] | None = None
    ) -> tuple[float, Array, Array]:
        """Loss, gradient in ``transmission`` and gradient in ``probe`` (same shapes)."""
        value, object_gradient, spectrum = self._run(transmission, probe, positions, gradient=True)
        return value, object_gradient, self._fft(spectrum, inverse=True)

    def intensities(self, transmission: Array, probe: Array) -> Array:
        """Modelled patterns (positions, y, x), FFT order, in units of the probe's Σ|P|²."""
        self._check_unknowns(transmission, probe)
        workspace = self._workspace(0, len(probe), transmission)
        spectrum = self._fft(probe)
        rows = []
        for position in range(len(self.patterns)):
            workspace.probe[:, 0] = self._shifted(spectrum, position)
            rows.append(self._forward(workspace, transmission, position).copy())
        return self.xp.stack(rows)

    # One pass ------------------------------------------------------------------------------

    def _run(
        self, transmission: Array, probe: Array, positions: Sequence[int] | None, *, gradient: bool
    ) -> tuple[float, Array, Array]:
        self._check_unknowns(transmission, probe)
        indices = np.arange(len(self.patterns)) if positions is None else self._indices(positions)
        spectrum = self._fft(probe)
        blocks = [block for block in np.array_split(indices, self.threads) if len(block)]
        jobs = [
            self._job(self._workspace(n, len(probe), transmission), transmission, spectrum, block, gradient)
            for n, block in enumerate(blocks)
        ]
        if len(jobs) == 1:
            results = [jobs[0]()]
        else:
            with ThreadPoolExecutor(len(jobs)) as pool:
                results = [future.result() for future in [pool.submit(job) for job in jobs]]
        value = sum(result[0] for result in results) / len(indices)
        if not gradient:
            return value, None, None
        _, object_gradient, spectrum_gradient = results[0]
        for _, other_object, other_spectrum in results[1:]:
            object_gradient += other_object
            spectrum_gradient += other_spectrum
        scale = self.real_dtype.type(1 / len(indices))
        object_gradient *= scale
        spectrum_gradient *= scale
        return value, object_gradient, spectrum_gradient

    def _job(
        self, workspace: Workspace, transmission: Array, spectrum: Array, block: np.ndarray, gradient: bool
    ) -> Callable[[], tuple[float, Array, Array]]:
        def run() -> tuple[float, Array, Array]:
            total = 0.0
            object_gradient = self.xp.zeros_like(transmission) if gradient else None
            spectrum_gradient = self.xp.zeros_like(spectrum) if gradient else None
            for position in block:
                workspace.probe[:, 0] = self._shifted(spectrum, position)
                model = self._forward(workspace, transmission, position)
                value, residual = self._misfit(model, position, gradient)
                total += value
                if gradient:
                    waves = self._backward(workspace, transmission, residual, object_gradient, position)
                    spectrum_gradient += self._shifted(self._fft(waves), position, adjoint=True)
            return total, object_gradient, spectrum_gradient

        return run

    def _forward(self, workspace: Workspace, transmission: Array, position: int) -> Array:
        """Waves of every chunk of states to the detector; returns the intensity (y, x)."""
        patch = self.model.sampler.view(transmission, position)
        workspace.intensity[...] = 0
        for chunk in workspace.chunks:
            for z, incident in enumerate(chunk.incident):
                if z:
                    chunk.to_reciprocal()
                    self.xp.multiply(chunk.exit, self._transfers[z - 1], out=incident)
                    chunk.incident_to_real[z]()
                self.xp.multiply(incident, patch[chunk.states, z], out=chunk.exit)
            chunk.to_detector()
            add_intensity(chunk.far, workspace.intensity)
        workspace.intensity *= self.real_dtype.type(
            1 / (transmission.shape[0] * math.prod(self.model.window))
        )
        if self._detector_limit is not None:
            workspace.intensity *= self._detector_limit
        return workspace.intensity

    def _misfit(self, model: Array, position: int, gradient: bool) -> tuple[float, Array]:
        data = self.patterns[position]
        value = self.loss_function.value(model, data)
        if self.weights is not None:
            value = value * self.weights
        total = float(value.sum(dtype=np.float64))
        if not gradient:
            return total, None
        residual = self.loss_function.derivative(model, data)
        if self.weights is not None:
            residual = residual * self.weights
        return total, residual if self._detector_limit is None else residual * self._detector_limit

    def _backward(
        self,
        workspace: Workspace,
        transmission: Array,
        residual: Array,
        object_gradient: Array,
        position: int,
    ) -> Array:
        """Pull the residual back to the probe; returns Σ_states of its gradient (modes, y, x)."""
        patch = self.model.sampler.view(transmission, position)
        target = self.model.sampler.view(object_gradient, position)
        factor = self.real_dtype.type(2 / (transmission.shape[0] * math.prod(self.model.window)))
        residual = residual * factor
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
                    chunk.exit *= self._conjugates[z - 1]
            waves += chunk.exit.sum(axis=1, keepdims=True)
        return waves[:, 0]

    # Checks --------------------------------------------------------------------------------

    def _checked(self, name: str, array: Array, shape: tuple[int, ...]) -> Array:
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape} (…, y, x), got {array.shape}")
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
        low, high = float(array.min()), float(array.max())  # NaN and infinity show in one or the other
        if not (low >= 0 and math.isfinite(high)):
            raise ValueError(f"{name} must be finite and not negative, got values from {low:g} to {high:g}")
        return array

    def _check_unknowns(self, transmission: Array, probe: Array) -> None:
        model = self.model
        for name, array, ndim, shape in (
            ("transmission", transmission, 4, (model.num_slices, *model.object_shape)),
            ("probe", probe, 3, model.window),
        ):
            if array.ndim != ndim or array.shape[1:] != shape or not len(array):
                first = "states" if ndim == 4 else "modes"
                raise ValueError(
                    f"{name} must have shape ({first}, {', '.join(map(str, shape))}), got {array.shape}"
                )
            if array.dtype != self.dtype:
                raise TypeError(f"{name} must be {self.dtype} like the patterns, got {array.dtype}")

    def _indices(self, positions: Sequence[int]) -> np.ndarray:
        indices, count = np.asarray(positions), len(self.patterns)
        if indices.ndim != 1 or indices.dtype.kind not in "iu" or not indices.size:
            raise ValueError(
                "positions must be a sequence of at least one index, "
                f"got dtype {indices.dtype} of shape {indices.shape}"
            )
        if indices.min() < 0 or indices.max() >= count:
            raise ValueError(
                f"positions must be indices from 0 to {count - 1}, got {indices.min()} to {indices.max()}"
            )
        return indices

    # Probe and constants -------------------------------------------------------------------

    def _shifted(self, spectrum: Array, position: int, *, adjoint: bool = False) -> Array:
        """Probe at the sub-pixel position: waves from the spectrum, or spectra back (adjoint)."""
        fraction = self._fractions[position]
        sign = 1 if adjoint else -1
        ramp: Array = 1
        if fraction.any():
            y, x = (
                np.exp(sign * 2j * math.pi * k * f) for k, f in zip(self._frequencies, fraction, strict=True)
            )
            ramp = self._constant(y[:, None] * x[None, :])
        return spectrum * ramp if adjoint else self._fft(spectrum * ramp, inverse=True)

    def _fft(self, array: Array, *, inverse: bool = False) -> Array:
        """Small transforms outside the inner loop: unnormalised forward, normalised inverse."""
        if self.xp is np:
            return scipy.fft.ifft2(array) if inverse else scipy.fft.fft2(array)
        return self.xp.fft.ifft2(array) if inverse else self.xp.fft.fft2(array)

    def _constant(self, array: np.ndarray) -> Array:
        return self.xp.asarray(array, dtype=self.dtype)

    def _workspace(self, worker: int, modes: int, transmission: Array) -> Workspace:
        key = (worker, modes, transmission.shape[0])
        if key not in self._workspaces:
            self._workspaces[key] = Workspace(
                self.xp, modes, transmission.shape[0], self.model.num_slices, self.model.window, self.dtype
            )
        return self._workspaces[key]
