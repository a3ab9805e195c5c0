"""Loss of the multislice model and its exact gradient in object, probe and instrument.

For a real loss L of complex variables, "gradient" means G = 2 ∂L/∂conj(z), so that
dL = Re Σ conj(G) dz. Positions are evaluated in batches, on a CPU so small that their waves
stay in cache, and shared among threads in fixed blocks, so results on a CPU are reproducible for a
given number of threads. On a GPU sums are atomic, and their last digits vary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from caviar_kit import validation
from caviar_kit.backend import array_module, default_threads
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.loss import Loss
from caviar_kit.multislice.misfit import misfit
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.patterns import StreamedPatterns
from caviar_kit.multislice.shares import Hook, in_threads
from caviar_kit.multislice.sums import GradientSums, LossSums
from caviar_kit.multislice.waves import Waves, ifft2, waves_for

__all__ = ["Evaluation", "Evaluator"]

Array = Any
Indices = Sequence[int] | np.ndarray


class Evaluation(NamedTuple):
    """Loss and gradients of one pass over scan positions."""

    loss: float
    object: Array  # (states, slices, y, x) complex
    probe: Array  # (modes, y, x) complex
    instrument: Instrument  # derivatives in place of values; zero (a background: None) where not wanted


class Evaluator:
    """Evaluate loss and gradient over scan positions.

    Parameters
    ----------
    model : MultisliceModel
        Geometry and optics.
    patterns : (positions, y, x) real array, or StreamedPatterns
        Measured intensities as fractions of the beam, FFT order (zero frequency at pixel
        (0, 0)). NumPy or CuPy: the array module of ``patterns`` is used throughout. Those of
        :class:`caviar_kit.multislice.StreamedPatterns` stay on disk; all are read once here, to be checked.
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

    ``between_batches``, if set, is called before each batch of the thread that asked for the pass. While it
    waits, the others at most end their part, so a process can always exit; what it raises ends the pass.
    """

    between_batches: Hook | None = None

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
        self.xp = getattr(patterns, "xp", None) or array_module(patterns)
        if not isinstance(patterns, StreamedPatterns):
            patterns = self.xp.ascontiguousarray(patterns)
        self.patterns = self._checked_patterns(patterns, (len(model.positions), *model.window))
        self.real_dtype = np.dtype(patterns.dtype)
        if self.real_dtype not in (np.float32, np.float64):
            raise TypeError(f"patterns must be float32 or float64, got {self.real_dtype}")
        self.dtype = np.result_type(self.real_dtype, np.complex64)
        self.weights = None
        if weights is not None:
            weights = self._checked("weights", self.xp.asarray(weights), model.window)
            self.weights = self.xp.ascontiguousarray(weights, self.real_dtype)
        threads = default_threads() if threads is None else validation.integer("threads", threads)
        self.threads = threads if self.xp is np else 1
        self.nominal = Instrument.nominal(model)
        self.mean_pixel = float(self.patterns[0].mean())  # a scale, for the background
        self._workspaces: dict[int, tuple[Any, Any]] = {}

    def loss(
        self,
        transmission: Array,
        probe: Array,
        positions: Indices | None = None,
        *,
        instrument: Instrument | None = None,
    ) -> float:
        """Loss only: about half the work of :meth:`loss_and_gradient`.

        Parameters
        ----------
        transmission : (states, slices, y, x) complex
        probe : (modes, y, x) complex
            Centred in its window, Σ|probe|² = beam.
        positions : indices, optional
            Scan positions to include; all by default.
        instrument : Instrument, optional
            The model's nominal one by default.

        Raises
        ------
        TypeError, ValueError
            If an array has another shape or precision than model and data ask for.
        """
        waves = self._waves(transmission, probe, instrument)
        return self._run(waves, positions, lambda: LossSums(self.real_dtype)).loss

    def loss_and_gradient(
        self,
        transmission: Array,
        probe: Array,
        positions: Indices | None = None,
        *,
        instrument: Instrument | None = None,
        wanted: Collection[str] = (),
    ) -> Evaluation:
        """Loss and its gradient in transmission functions and probe, and in the instrument if wanted.

        Parameters as for :meth:`loss`, and

        Parameters
        ----------
        wanted : names of attributes of Instrument
            Where to differentiate besides; "slopes" and "thicknesses" need more Fourier transforms.
        """
        waves = self._waves(transmission, probe, instrument)
        sums = self._run(waves, positions, lambda: GradientSums(waves, frozenset(wanted)))
        return Evaluation(sums.loss, sums.object, ifft2(sums.spectrum), sums.instrument)

    def intensities(
        self,
        transmission: Array,
        probe: Array,
        positions: Indices | None = None,
        *,
        instrument: Instrument | None = None,
    ) -> Array:
        """Modelled patterns (positions, y, x), FFT order, in units of the probe's Σ|P|²."""
        indices = self.xp.asarray(self._indices(positions))
        waves = self._waves(transmission, probe, instrument)
        workspace = self._workspace(0, waves)
        return self.xp.concatenate(
            [
                _patterns(waves, waves.to_detector(workspace, batch), batch).copy()
                for batch in _batches(indices, workspace.batch)
            ]
        )

    # One pass ------------------------------------------------------------------------------

    def _waves(self, transmission: Array, probe: Array, instrument: Instrument | None) -> Waves:
        self._check_unknowns(transmission, probe)
        instrument = (instrument or self.nominal).on(self.xp, self.real_dtype)
        return waves_for(self.model, transmission, probe, instrument)

    def _run(self, waves: Waves, positions: Indices | None, new_sums: Callable[[], Any]) -> Any:
        indices = self._indices(positions)
        blocks = [block for block in np.array_split(indices, self.threads) if len(block)]
        workspaces = [self._workspace(n, waves) for n in range(len(blocks))]
        parts = [
            partial(self._sum, waves, workspace, block, new_sums())
            for workspace, block in zip(workspaces, blocks, strict=True)
        ]
        results = in_threads(parts, self.between_batches)
        for other in results[1:]:
            results[0].add(other)
        results[0].divide(len(indices))
        return results[0]

    def _sum(self, waves: Waves, workspace: Any, block: np.ndarray, sums: Any, between: Hook | None) -> Any:
        """Add up ``block``, in batches that the workspace holds."""
        indices = _batches(self.xp.asarray(block), workspace.batch)
        for positions, data in zip(indices, self._measured(block, indices), strict=True):
            if between is not None:
                between()
            intensity = waves.to_detector(workspace, positions)
            model = _patterns(waves, intensity, positions)
            residual = workspace.residual[: len(positions)] if sums.differentiates else None
            sums.loss += misfit(self.loss_function, model, data, self.weights, residual).sum()
            if sums.differentiates:
                sums.differentiate(workspace, positions, intensity, residual)
        return sums

    def _measured(self, block: np.ndarray, indices: list[Array]) -> Iterator[Array]:
        """Measured patterns (n, y, x) of each batch of ``indices``, which make up ``block``."""
        if isinstance(self.patterns, StreamedPatterns):
            yield from self.patterns.batches(_batches(block, len(indices[0])))
        elif len(indices[0]) == 1:
            yield from (self.patterns[n : n + 1] for n in block)
        else:
            yield from (self.patterns[batch] for batch in indices)

    # Checks --------------------------------------------------------------------------------

    def _checked_patterns(self, patterns: Any, shape: tuple[int, ...]) -> Any:
        if not isinstance(patterns, StreamedPatterns):
            return self._checked("patterns", patterns, shape)
        if patterns.shape != shape:
            raise ValueError(f"patterns must have shape {shape} (…, y, x), got {patterns.shape}")
        for position in range(len(patterns)):
            self._checked(f"patterns[{position}]", patterns.on_host(position), shape[1:])
        return patterns

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

    def _indices(self, positions: Indices | None) -> np.ndarray:
        count = len(self.patterns)
        if positions is None:
            return np.arange(count)
        indices = np.asarray(positions)
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

    def _workspace(self, worker: int, waves: Waves) -> Any:
        """The worker's buffers; those for other numbers of states or modes are given up first."""
        kind = type(waves), waves.shape
        if worker not in self._workspaces or self._workspaces[worker][0] != kind:
            self._workspaces.pop(worker, None)
            self._workspaces[worker] = kind, waves.workspace(len(self.patterns))
        return self._workspaces[worker][1]


def _batches(indices: Array, most: int) -> list[Array]:
    """Parts of ``indices`` of ``most`` at most, of equal length except for the last."""
    size = math.ceil(len(indices) / math.ceil(len(indices) / most))
    return [indices[begin : begin + size] for begin in range(0, len(indices), size)]


def _patterns(waves: Waves, intensity: Array, positions: Array) -> Array:
    """Modelled patterns with beam current and background."""
    if waves.beam is not None:
        intensity = intensity * waves.beam[positions]
    return intensity if waves.background is None else intensity + waves.background
