"""The fit as a function of one real vector: what an optimiser sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from caviar_kit.backend import to_numpy
from caviar_kit.multislice.conditioning import StateGain
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.instrument import LARGEST_UNITS, Instrument, InstrumentModel
from caviar_kit.multislice.object_model import ObjectModel
from caviar_kit.multislice.packing import Packing
from caviar_kit.multislice.probe_model import ProbeModel

__all__ = ["Objective", "Scene", "Unknowns"]

Array = Any
Indices = Sequence[int] | np.ndarray


@dataclass(frozen=True, eq=False)
class Scene:
    """What the patterns are computed from.

    Attributes
    ----------
    field : (states, slices, y, x) real or complex
        The object as its object model keeps it: phases [rad] or transmission functions.
    probe : (modes, y, x) complex
        Centred in the window.
    instrument : Instrument
        Scan, tilt, thicknesses, beam, background.
    """

    field: Array
    probe: Array
    instrument: Instrument


@dataclass(frozen=True)
class Unknowns:
    """Which parts of a scene are unknown, and in which form.

    Attributes
    ----------
    object_model : ObjectModel
        From the field to transmission functions.
    projections : sequence
        Hard constraints on the field: linear maps with ``forward`` and ``adjoint``.
    penalties : sequence
        Soft constraints on the field: ``value_and_gradient``.
    gain : StateGain
        Conditioning of the differences between states.
    probe_model : ProbeModel or None
        None keeps the probe.
    instrument_model : InstrumentModel or None
        None keeps the instrument.
    """

    object_model: ObjectModel
    projections: Sequence[Any] = ()
    penalties: Sequence[Any] = ()
    gain: StateGain = field(default_factory=StateGain)
    probe_model: ProbeModel | None = None
    instrument_model: InstrumentModel | None = None


class Objective:
    """Loss and gradient as functions of the vector of all unknowns.

    Parameters
    ----------
    evaluator : Evaluator
        The multislice model and its data.
    unknowns : Unknowns
        What is fitted, and how.
    scene : Scene
        Where to start, and what is kept.
    positions : sequence of int, optional
        Scan positions that count unless others are asked for; all by default.
    scales : dict, optional
        Unit of each block of unknowns in the vector; found from their effect on the patterns by default.

    Notes
    -----
    The loss is the misfit to the patterns plus the penalties.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        unknowns: Unknowns,
        scene: Scene,
        *,
        positions: Indices | None = None,
        scales: dict[str, float] | None = None,
    ) -> None:
        self.evaluator, self.unknowns, self.reference, self.positions = evaluator, unknowns, scene, positions
        blocks = {"object": unknowns.gain.inverse(scene.field)}
        if unknowns.probe_model is not None:
            blocks["probe"] = unknowns.probe_model.start(scene.probe)
        if unknowns.instrument_model is not None:
            blocks |= unknowns.instrument_model.start(evaluator.xp, evaluator.model.window)
        if scales is None:
            scales = self._natural_scales(blocks)
        self.packing = Packing.of(blocks, evaluator.real_dtype, scales)
        self.start = self.packing.pack(blocks, evaluator.xp)

    def scene(self, vector: Array) -> Scene:
        """Field, probe and instrument that ``vector`` stands for."""
        return self._scene(self.packing.unpack(vector))

    def transmission(self, vector: Array) -> Array:
        """Transmission functions (states, slices, y, x)."""
        return self.unknowns.object_model.transmission(self.scene(vector).field)

    def loss(self, vector: Array, positions: Indices | None = None) -> float:
        """Mean loss per pattern."""
        scene = self.scene(vector)
        return self.misfit(scene, positions) + sum(
            penalty.value_and_gradient(scene.field)[0] for penalty in self.unknowns.penalties
        )

    def misfit(self, scene: Scene, positions: Indices | None = None) -> float:
        """The part of the loss that compares with the patterns."""
        transmission = self.unknowns.object_model.transmission(scene.field)
        chosen = self.positions if positions is None else positions
        return self.evaluator.loss(transmission, scene.probe, chosen, instrument=scene.instrument)

    def loss_and_gradient(self, vector: Array, positions: Indices | None = None) -> tuple[float, Array]:
        """Mean loss per pattern and its gradient, a vector like ``vector``."""
        value, gradients = self._differentiate(self.packing.unpack(vector), positions)
        return value, self.packing.pack(gradients, self.evaluator.xp, gradient=True)

    def _scene(self, blocks: dict[str, Array]) -> Scene:
        models = self.unknowns
        current = models.gain.forward(blocks["object"])
        for projection in models.projections:
            current = projection.forward(current)
        probe = self.reference.probe
        if models.probe_model is not None:
            probe = models.probe_model.modes(blocks["probe"])
        instrument = self.reference.instrument
        if models.instrument_model is not None:
            instrument = models.instrument_model.instrument(self._instrument_blocks(blocks))
        return Scene(current, probe, instrument)

    def _instrument_blocks(self, blocks: dict[str, Array]) -> dict[str, Array]:
        """Unknowns of the instrument: few numbers as float64 on the host, the background where it is."""
        return {
            name: block if name == "background" else to_numpy(block).astype(float)
            for name, block in blocks.items()
            if name not in ("object", "probe")
        }

    def _differentiate(
        self, blocks: dict[str, Array], positions: Indices | None
    ) -> tuple[float, dict[str, Array]]:
        models, scene = self.unknowns, self._scene(blocks)
        instrument_model = models.instrument_model
        found = self.evaluator.loss_and_gradient(
            models.object_model.transmission(scene.field),
            scene.probe,
            self.positions if positions is None else positions,
            instrument=scene.instrument,
            wanted=() if instrument_model is None else instrument_model.attributes,
        )
        value, by_field = found.loss, models.object_model.gradient(scene.field, found.object)
        for penalty in models.penalties:
            more, gradient = penalty.value_and_gradient(scene.field)
            value, by_field = value + more, by_field + gradient
        for projection in reversed(models.projections):
            by_field = projection.adjoint(by_field)
        gradients = {"object": models.gain.adjoint(by_field)}
        if models.probe_model is not None:
            gradients["probe"] = models.probe_model.gradient(blocks["probe"], found.probe)
        if instrument_model is not None:
            gradients |= instrument_model.gradient(self._instrument_blocks(blocks), found.instrument)
        return value, gradients

    def _natural_scales(self, blocks: dict[str, Array]) -> dict[str, float]:
        """Units in which every block of unknowns changes the patterns as much as the object's do.

        How much is measured at some positions, along the gradient of each block. An object without
        structure hides most of them; their units then stay within reason.
        """
        if len(blocks) == 1:
            return {}
        _, gradients = self._differentiate(blocks, None)
        patterns = self._patterns(blocks)
        responses = {name: self._response(blocks, gradients[name], name, patterns) for name in blocks}
        if responses["object"] == 0:
            return {}
        largest = {"object": 1.0, **LARGEST_UNITS}
        if self.unknowns.probe_model is not None:
            largest["probe"] = 10 * self.unknowns.probe_model.unit(blocks["probe"])
        scales = {}
        for name, response in responses.items():
            wanted = responses["object"] / response if response > 0 else math.inf
            scales[name] = _EASE.get(name, 1.0) * min(wanted, largest[name])
        return scales

    def _response(self, blocks: dict[str, Array], gradient: Array, name: str, patterns: Array) -> float:
        """√(Σ ΔI² / I) per unit length of a small step down the gradient of one block."""
        length = math.sqrt(float((abs(gradient) ** 2).sum()))
        if length == 0:
            return 0.0
        size = _TRIAL * (math.sqrt(float((abs(blocks[name]) ** 2).mean())) or 1.0)
        step = gradient * (-size * math.sqrt(gradient.size) / length)
        moved = {**blocks, name: (blocks[name] + step).astype(blocks[name].dtype)}
        change = (self._patterns(moved) - patterns) ** 2 / (patterns + self.evaluator.mean_pixel)
        return math.sqrt(float(change.sum())) / (size * math.sqrt(gradient.size))

    def _patterns(self, blocks: dict[str, Array]) -> Array:
        """Modelled patterns at some positions, spread over the scan."""
        scene, count = self._scene(blocks), len(self.evaluator.patterns)
        transmission = self.unknowns.object_model.transmission(scene.field)
        some = range(0, count, max(1, count // 16))
        return self.evaluator.intensities(transmission, scene.probe, some, instrument=scene.instrument)


# A probe is wrong in a few broad ways, for which the response along its gradient is a poor guide, and
# a background grows from a low level, where it responds least: measured rates of convergence.
_EASE = {"probe": 3.0, "background": 0.3}
_TRIAL = 1e-2  # step of the trial, of a block's root-mean-square, or itself for one that starts at zero
