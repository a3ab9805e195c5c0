"""The atomistic fit as a function of one real vector on the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from caviar_kit.atomistic.atomic_object import AtomicObject, Atoms
from caviar_kit.atomistic.ensembles import Ensemble
from caviar_kit.backend import to_numpy
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.instrument import Instrument, InstrumentModel
from caviar_kit.multislice.object_model import PhaseObject
from caviar_kit.multislice.packing import Packing
from caviar_kit.multislice.probe_model import ProbeModel

__all__ = ["AtomicScene", "AtomisticObjective", "AtomisticUnknowns", "Prior"]

Array = Any
Blocks = dict[str, np.ndarray]
_UNITS = {  # what an optimiser may take for a typical change
    "states": 0.02,
    "mean": 0.02,
    "factor": 0.02,
    "occupancies": 0.05,
    "scales": 0.01,
    "widths": 0.001,
    "positions": 0.05,
    "tilt": 1e-3,
    "position tilt": 1e-3,
    "thickness": 0.02,
    "beam": 0.01,
    "background": 0.1,
}
_PER_PATTERN = 1e-4  # losses are of this order; the optimiser sees numbers of order one


class Prior(Protocol):
    """A penalty on displacements from their mean over the states."""

    def value_and_gradient(self, displacements: np.ndarray) -> tuple[float, np.ndarray]:
        """Penalty, as loss per pattern, and its gradient in (states, sites, 2) [Å]."""


@dataclass(frozen=True, eq=False)
class AtomicScene:
    """What the patterns are computed from.

    Attributes
    ----------
    atoms : Atoms
        Of all states.
    probe : (modes, y, x) complex
        Centred in the window, on the device.
    instrument : Instrument
        Scan, tilt, thicknesses, beam, background.
    """

    atoms: Atoms
    probe: Array
    instrument: Instrument


@dataclass(frozen=True)
class AtomisticUnknowns:
    """Which parts of a scene are unknown.

    Attributes
    ----------
    ensemble : Ensemble
        Of the displacements.
    numbers : {"occupancies", "scales"}
        How strong atoms are: a number of atoms for every site and slice, or a factor for every species.
    priors : sequence of Prior
        Penalties on the displacements.
    probe_model, instrument_model : optional
        As in the engine; None keeps them.
    """

    ensemble: Ensemble
    numbers: str = "occupancies"
    priors: Sequence[Prior] = ()
    probe_model: ProbeModel | None = None
    instrument_model: InstrumentModel | None = None


class AtomisticObjective:
    """Loss and gradient as functions of the vector of all unknowns, float64 on the host.

    Parameters
    ----------
    evaluator : Evaluator
        The multislice model and its data.
    atomic_object : AtomicObject
        From atoms to phases.
    unknowns : AtomisticUnknowns
        What is fitted.
    scene : AtomicScene
        Occupancies, scales, widths, probe and instrument to begin with, and positions (1, sites, 2)
        from which displacements count.
    start : dict
        Unknowns of the ensemble to begin with.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        atomic_object: AtomicObject,
        unknowns: AtomisticUnknowns,
        scene: AtomicScene,
        start: Blocks,
    ) -> None:
        self.evaluator, self.object, self.unknowns, self.reference = evaluator, atomic_object, unknowns, scene
        self._model = PhaseObject(evaluator.model.object_limit())
        self._ensemble_blocks = tuple(start)
        units = dict(_UNITS)
        blocks: Blocks = {**start, unknowns.numbers: getattr(scene.atoms, unknowns.numbers)}
        blocks["widths"] = scene.atoms.widths
        if unknowns.probe_model is not None:
            blocks["probe"] = to_numpy(unknowns.probe_model.start(scene.probe)).astype(complex)
            units["probe"] = unknowns.probe_model.unit(blocks["probe"])
        if unknowns.instrument_model is not None:
            blocks |= unknowns.instrument_model.start(np, evaluator.model.window)
        self.packing = Packing.of(blocks, np.dtype(float), units)
        self.start = self.packing.pack(blocks, np)

    def scene(self, vector: np.ndarray) -> AtomicScene:
        """Atoms, probe and instrument that ``vector`` stands for."""
        return self._scene(self.packing.unpack(vector))

    def displacements(self, vector: np.ndarray) -> np.ndarray:
        """(states, sites, 2) [Å] from the positions to begin with; their mean is the shift of the site."""
        return self.unknowns.ensemble.displacements(self.packing.unpack(vector))

    def transmission(self, scene: AtomicScene) -> Array:
        """Transmission functions (states, slices, y, x) of ``scene``."""
        return self._model.transmission(self.object.phases(scene.atoms))

    def loss(self, vector: np.ndarray, positions: Any = None) -> float:
        """Mean loss per pattern, in units of 1e-4."""
        scene = self.scene(vector)
        value = self.misfit(scene, positions)
        return (value + sum(v for v, _ in self._priors(scene))) / _PER_PATTERN

    @staticmethod
    def per_pattern(loss: float) -> float:
        """What :meth:`loss` gives, as a fraction of the beam."""
        return loss * _PER_PATTERN

    def misfit(self, scene: AtomicScene, positions: Any = None) -> float:
        """Mean loss per pattern without priors."""
        return self.evaluator.loss(
            self.transmission(scene), scene.probe, positions, instrument=scene.instrument
        )

    def misfit_per_pattern(self, scene: AtomicScene) -> np.ndarray:
        """Loss of every pattern, (positions,)."""
        transmission, count = self.transmission(scene), len(self.evaluator.patterns)
        return np.array(
            [
                self.evaluator.loss(transmission, scene.probe, [n], instrument=scene.instrument)
                for n in range(count)
            ]
        )

    def loss_and_gradient(self, vector: np.ndarray, positions: Any = None) -> tuple[float, np.ndarray]:
        """Mean loss per pattern, in units of 1e-4, and its gradient."""
        blocks = self.packing.unpack(vector)
        scene, models = self._scene(blocks), self.unknowns
        phases = self.object.phases(scene.atoms)
        wanted = () if models.instrument_model is None else models.instrument_model.attributes
        found = self.evaluator.loss_and_gradient(
            self._model.transmission(phases),
            scene.probe,
            positions,
            instrument=scene.instrument,
            wanted=wanted,
        )
        pulled = self.object.pull_back(scene.atoms, self._model.gradient(phases, found.object))
        value, by_displacement = found.loss, pulled.positions
        for more, gradient in self._priors(scene):
            value, by_displacement = value + more, by_displacement + gradient
        gradients = models.ensemble.pull_back(by_displacement)
        gradients[models.numbers] = getattr(pulled, models.numbers)
        gradients["widths"] = pulled.widths
        if models.probe_model is not None:
            by_probe = models.probe_model.gradient(self._on_device(blocks["probe"]), found.probe)
            gradients["probe"] = to_numpy(by_probe)
        if models.instrument_model is not None:
            derivative = found.instrument
            if derivative.background is not None:
                derivative = replace(derivative, background=to_numpy(derivative.background).astype(float))
            gradients |= models.instrument_model.gradient(self._of_instrument(blocks), derivative)
        return value / _PER_PATTERN, self.packing.pack(gradients, np, gradient=True) / _PER_PATTERN

    def _priors(self, scene: AtomicScene) -> list[tuple[float, np.ndarray]]:
        """Values, and gradients in the displacements."""
        if not self.unknowns.priors:
            return []
        moved = scene.atoms.positions - scene.atoms.positions.mean(axis=0)
        found = [prior.value_and_gradient(moved) for prior in self.unknowns.priors]
        return [(value, gradient - gradient.mean(axis=0)) for value, gradient in found]

    def _scene(self, blocks: Blocks) -> AtomicScene:
        models, was = self.unknowns, self.reference
        moved = models.ensemble.displacements({name: blocks[name] for name in self._ensemble_blocks})
        changed = {models.numbers: blocks[models.numbers], "widths": blocks["widths"]}
        atoms = replace(was.atoms, positions=was.atoms.positions + moved, **changed)
        probe, instrument = was.probe, was.instrument
        if models.probe_model is not None:
            probe = models.probe_model.modes(self._on_device(blocks["probe"]))
        if models.instrument_model is not None:
            instrument = models.instrument_model.instrument(self._of_instrument(blocks))
        return AtomicScene(atoms, probe, instrument)

    def _of_instrument(self, blocks: Blocks) -> Blocks:
        model = self.unknowns.instrument_model
        return {name: blocks[name] for name in (model.quantities if model is not None else ())}

    def _on_device(self, probe: np.ndarray) -> Array:
        return self.evaluator.xp.asarray(probe, self.evaluator.dtype)
