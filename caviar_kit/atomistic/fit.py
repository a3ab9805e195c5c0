"""The atomistic fit as a generator of snapshots; NumPy or CuPy, without py4DSTEM."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from caviar_kit.atomistic.atomic_object import AtomicObject, Atoms
from caviar_kit.atomistic.objective import AtomicScene, AtomisticObjective, AtomisticUnknowns
from caviar_kit.atomistic.settings import AtomisticSettings
from caviar_kit.atomistic.sites import Sites
from caviar_kit.multislice.aberrations import AberratedModes
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.instrument import QUANTITIES, Instrument, InstrumentModel
from caviar_kit.multislice.optimizers import LBFGS
from caviar_kit.multislice.probe_model import FreeModes, ProbeModel
from caviar_kit.multislice.problem import ABERRATIONS

__all__ = ["AtomisticSnapshot", "run_atomistic"]

Array = Any
_FIRST_STEP = 1.0  # units of the vector


@dataclass(frozen=True, eq=False)
class AtomisticSnapshot:
    """Where an atomistic fit stands after an iteration."""

    iteration: int  # from 1
    total_iterations: int
    loss: float  # misfit and priors per pattern
    seconds: float  # since the start of the fit
    losses: tuple[float, ...]  # of all snapshots up to this one
    objective: AtomisticObjective
    vector: np.ndarray
    stage: str = "atoms"

    @property
    def scene(self) -> AtomicScene:
        """Atoms, probe and instrument."""
        return self.objective.scene(self.vector)


def run_atomistic(
    evaluator: Evaluator,
    probe: Array,
    sites: Sites,
    form_factors: Callable[[np.ndarray], np.ndarray],
    settings: AtomisticSettings,
    *,
    occupancies: np.ndarray,
    refine_occupancies: bool,
    instrument: Instrument | None = None,
    start: Atoms | None = None,
) -> Iterator[AtomisticSnapshot]:
    """Fit displacements, mean positions and strengths of atoms to the patterns.

    Parameters
    ----------
    evaluator : Evaluator
        Model and data.
    probe : (modes, y, x) complex
        Σ|probe|² = 1, centred in the window.
    sites : Sites
        Where atoms are, roughly.
    form_factors : callable
        From q² [1/Å²] to the phase of one atom [rad Å²], (species, *q².shape).
    settings : AtomisticSettings
        What to do.
    occupancies : (sites, slices)
        Atoms of each site in each slice, to begin with.
    refine_occupancies : bool
        Whether they are unknown; if not, a factor for each species is.
    instrument : Instrument, optional
        Where to begin; the model's nominal one by default.
    start : Atoms, optional
        Atoms to begin with, those of an earlier fit of the same sites with as many states.

    Raises
    ------
    ValueError
        If ``start`` is of other states or sites.

    Yields
    ------
    AtomisticSnapshot
        After every iteration.
    """
    model = evaluator.model
    atomic_object = AtomicObject(
        sites,
        form_factors,
        model.object_shape,
        model.sampling,
        xp=evaluator.xp,
        dtype=evaluator.real_dtype,
        threads=evaluator.threads,
    )
    instrument = (instrument or evaluator.nominal).on(evaluator.xp, evaluator.real_dtype)
    probe = evaluator.xp.asarray(probe, evaluator.dtype)
    species = len(sites.species)
    atoms = Atoms(sites.positions[None], occupancies.astype(float), np.ones(species), np.zeros(species))
    ensemble = settings.ensemble()
    rng = np.random.default_rng(settings.seed)
    unknowns = AtomisticUnknowns(
        ensemble,
        "occupancies" if refine_occupancies else "scales",
        tuple(settings.priors),
        _probe_model(settings, evaluator, probe),
        _instrument_model(settings, evaluator, instrument),
    )
    begin = ensemble.start(len(sites), settings.thermal_rms_angstrom, rng)
    if start is not None:
        expected = (settings.num_states, len(sites), 2)
        if start.positions.shape != expected:
            raise ValueError(f"start must have positions of shape {expected}, got {start.positions.shape}")
        begin = ensemble.unknowns(start.positions - sites.positions)
        atoms = replace(start, positions=atoms.positions)
    scene = AtomicScene(atoms, probe, instrument)
    return _iterate(AtomisticObjective(evaluator, atomic_object, unknowns, scene, begin), settings)


def _iterate(objective: AtomisticObjective, settings: AtomisticSettings) -> Iterator[AtomisticSnapshot]:
    optimizer = LBFGS(objective, objective.start, history=settings.history, first_step=_FIRST_STEP)
    losses: list[float] = []
    seconds = 0.0
    for iteration in range(1, settings.max_iter + 1):
        begin = time.perf_counter()
        step = next(optimizer)
        seconds += time.perf_counter() - begin
        losses.append(objective.per_pattern(step.loss))
        yield AtomisticSnapshot(
            iteration, settings.max_iter, losses[-1], seconds, tuple(losses), objective, step.vector
        )
        if step.converged:
            return


def _probe_model(settings: AtomisticSettings, evaluator: Evaluator, probe: Array) -> ProbeModel | None:
    if "aberrations" in settings.refine:
        return AberratedModes(probe, evaluator.model.sampling, evaluator.model.wavelength, ABERRATIONS)
    return FreeModes() if "probe" in settings.refine else None


def _instrument_model(
    settings: AtomisticSettings, evaluator: Evaluator, instrument: Instrument
) -> InstrumentModel | None:
    quantities = tuple(name for name in settings.refine if name in QUANTITIES)
    return InstrumentModel(instrument, quantities, evaluator.mean_pixel) if quantities else None
