"""What the fit took for granted, tested: by how much the misfit would fall if the instrument were refined."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from caviar_kit.atomistic.objective import AtomicScene, AtomisticObjective
from caviar_kit.backend import to_numpy
from caviar_kit.multislice.aberrations import AberratedModes
from caviar_kit.multislice.instrument import Instrument, InstrumentModel
from caviar_kit.multislice.object_model import PhaseObject
from caviar_kit.multislice.problem import ABERRATIONS

__all__ = ["TESTED_PATTERNS", "Suspect", "suspects"]

TESTED_PATTERNS = 49  # one in four of a scan of 14 × 14
_QUANTITIES = ("tilt", "thickness")
_STEPS = {"aberration": 0.02, "tilt": 1e-4, "thickness": 0.01, "pixel": 2e-3}  # rad, rad, 1, 1


@dataclass(frozen=True)
class Suspect:
    """One quantity of the instrument, and what its refinement alone would do, atoms kept.

    Attributes
    ----------
    name : str
        Aberration as C10, C12a ...; "tilt y", "tilt x", "thickness", or "pixel", the size of the
        object's pixel.
    gain : float
        Fall of the misfit per pattern, to second order; a lower bound of what a fit would gain.
    change : float
        Where the misfit is least: phase at the rim of the aperture [rad], slope [rad], or logarithm of a
        factor.
    """

    name: str
    gain: float
    change: float


def suspects(
    objective: AtomisticObjective, scene: AtomicScene, *, most_patterns: int = TESTED_PATTERNS
) -> list[Suspect]:
    """Quantities of the instrument whose change would lower the misfit, the greatest gain first.

    From the gradient g at the fit and its differences along each quantity q, gain = g²/2h.

    Parameters
    ----------
    objective : AtomisticObjective
        Of a finished fit.
    scene : AtomicScene
        Where it ended.
    most_patterns : int
        So many patterns at most are used, evenly spread over the scan.
    """
    trial = _Trial(objective, scene, most_patterns)
    begin = trial.gradient(np.zeros(len(trial.names)))
    found = []
    for number, (name, step) in enumerate(zip(trial.names, trial.steps, strict=True)):
        moved = np.zeros(len(trial.names))
        moved[number] = step
        slope, curvature = begin[number], (trial.gradient(moved)[number] - begin[number]) / step
        gain = slope**2 / (2 * curvature) if curvature > 0 else 0.0
        found.append(Suspect(name, float(gain), float(-slope / curvature) if curvature > 0 else 0.0))
    return sorted(found, key=lambda suspect: -suspect.gain)


class _Trial:
    """The misfit of some patterns as a function of a few numbers that change the instrument."""

    def __init__(self, objective: AtomisticObjective, scene: AtomicScene, most_patterns: int) -> None:
        self.objective, self.scene, self.evaluator = objective, scene, objective.evaluator
        model, count = self.evaluator.model, len(self.evaluator.patterns)
        self.chosen = np.unique(np.linspace(0, count - 1, min(count, most_patterns)).round().astype(int))
        self.probe_model = AberratedModes(scene.probe, model.sampling, model.wavelength, ABERRATIONS)
        self.instrument_model = InstrumentModel(scene.instrument, _QUANTITIES)
        self.names = (*self.probe_model.components, "tilt y", "tilt x", "thickness", "pixel")
        self.aberrations = len(self.probe_model.components)
        kinds = (*("aberration",) * self.aberrations, "tilt", "tilt", "thickness", "pixel")
        self.steps = [_STEPS[kind] for kind in kinds]
        self._phases = PhaseObject(model.object_limit())
        self._centre = scene.instrument.positions.mean(axis=0)  # pixel

    def gradient(self, numbers: np.ndarray) -> np.ndarray:
        """Derivatives of the misfit per pattern in all numbers."""
        waves, tilt, thickness, scale = np.split(numbers, np.cumsum([self.aberrations, 2, 1]))
        evaluator, factor = self.evaluator, math.exp(scale[0])
        aberrations = evaluator.xp.asarray(waves, evaluator.real_dtype)
        changes = {"tilt": tilt[None], "thickness": thickness}
        instrument = self._scaled(self.instrument_model.instrument(changes), factor)
        atoms = self._atoms(factor)
        phases = self.objective.object.phases(atoms)
        found = evaluator.loss_and_gradient(
            self._phases.transmission(phases),
            self.probe_model.modes(aberrations).astype(evaluator.dtype),
            self.chosen,
            instrument=instrument,
            wanted=("positions", "slopes", "thicknesses"),
        )
        pulled = self.objective.object.pull_back(atoms, self._phases.gradient(phases, found.object))
        by_instrument = self.instrument_model.gradient(changes, found.instrument)
        places = np.asarray(found.instrument.positions)
        by_scale = (places * (instrument.positions - self._centre)).sum()
        by_scale += (pulled.positions * (atoms.positions - self._centre_angstrom)).sum()
        return np.concatenate(
            [
                to_numpy(self.probe_model.gradient(aberrations, found.probe)),
                by_instrument["tilt"].ravel(),
                by_instrument["thickness"],
                [by_scale],
            ]
        )

    @property
    def _centre_angstrom(self) -> np.ndarray:
        return np.asarray(self._centre * self.evaluator.model.sampling)

    def _scaled(self, instrument: Instrument, factor: float) -> Instrument:
        """Scan positions farther apart in pixels, as smaller pixels make them."""
        spread = self._centre + factor * (instrument.positions - self._centre)
        return replace(instrument, positions=spread)

    def _atoms(self, factor: float) -> Any:
        """Atoms that go with the scan."""
        atoms = self.scene.atoms
        places = self._centre_angstrom + factor * (atoms.positions - self._centre_angstrom)
        return replace(atoms, positions=places)
