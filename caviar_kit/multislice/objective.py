"""The fit as a function of one real vector: what an optimiser sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.object_model import ObjectModel

__all__ = ["Objective"]

Array = Any


class Objective:
    """Loss and gradient as functions of the vector of all unknowns.

    Parameters
    ----------
    evaluator : Evaluator
        The multislice model and its data.
    object_model : ObjectModel
        Unknowns of the object and how they make transmission functions.
    object_start : (states, slices, y, x) array
        Unknowns of the object to start from.
    probe_start : (modes, y, x) complex
        Probe, Σ|probe|² = 1.
    fit_probe : bool
        Whether the probe is among the unknowns.

    Notes
    -----
    The probe's unknowns are scaled by its root-mean-square amplitude, so that both kinds of
    unknown are of the order of one.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        object_model: ObjectModel,
        object_start: Array,
        probe_start: Array,
        *,
        fit_probe: bool = False,
    ) -> None:
        self.evaluator, self.object_model, self.fit_probe = evaluator, object_model, fit_probe
        self._object_shape, self._object_dtype = object_start.shape, object_start.dtype
        self._probe = probe_start
        self._real = evaluator.real_dtype
        xp = evaluator.xp
        object_start, probe_start = xp.ascontiguousarray(object_start), xp.ascontiguousarray(probe_start)
        self._probe_scale = self._real.type(float(xp.sqrt((abs(probe_start) ** 2).mean())))
        self._split = object_start.size * (2 if object_start.dtype.kind == "c" else 1)
        parts = [object_start.view(self._real).ravel()]
        if fit_probe:
            parts.append((probe_start / self._probe_scale).view(self._real).ravel())
        self.start = xp.concatenate(parts)

    def object_unknowns(self, vector: Array) -> Array:
        """The object's part of ``vector`` in its own shape (a view)."""
        return vector[: self._split].view(self._object_dtype).reshape(self._object_shape)

    def transmission(self, vector: Array) -> Array:
        """Transmission functions (states, slices, y, x)."""
        return self.object_model.transmission(self.object_unknowns(vector))

    def probe(self, vector: Array) -> Array:
        """Probe modes (modes, y, x)."""
        if not self.fit_probe:
            return self._probe
        return vector[self._split :].view(self.evaluator.dtype).reshape(self._probe.shape) * self._probe_scale

    def loss(self, vector: Array, positions: Sequence[int] | None = None) -> float:
        """Mean loss per pattern."""
        return self.evaluator.loss(self.transmission(vector), self.probe(vector), positions)

    def loss_and_gradient(self, vector: Array, positions: Sequence[int] | None = None) -> tuple[float, Array]:
        """Mean loss per pattern and its gradient, a vector like ``vector``."""
        value, by_object, by_probe = self.evaluator.loss_and_gradient(
            self.transmission(vector), self.probe(vector), positions
        )
        gradient = self.evaluator.xp.empty_like(vector)
        pulled = self.object_model.gradient(self.object_unknowns(vector), by_object)
        gradient[: self._split] = self.evaluator.xp.ascontiguousarray(pulled).view(self._real).ravel()
        if self.fit_probe:
            gradient[self._split :] = (by_probe * self._probe_scale).view(self._real).ravel()
        return value, gradient
