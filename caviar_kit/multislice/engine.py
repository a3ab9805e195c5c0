"""The mixed-object fit as a generator of snapshots: first one state, then the ensemble.

Progress bars, plots, checkpoints and cancelling are consumers of the generator: stop
asking and it stops.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from caviar_kit.backend import to_numpy
from caviar_kit.multislice.checkpoint import Checkpoint
from caviar_kit.multislice.ensemble import thermal_states
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.object_model import make_object_model
from caviar_kit.multislice.objective import Objective, Scene
from caviar_kit.multislice.optimizers import LBFGS, Adam, Optimizer, Step
from caviar_kit.multislice.problem import check_start, fingerprint, make_unknowns, split_positions, thinned
from caviar_kit.multislice.settings import FitSettings, Stage

__all__ = ["Snapshot", "run"]

Array = Any


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Where the fit stands after an iteration.

    ``object``, ``probe`` and ``instrument`` are computed when asked for; they stay valid after the
    generator has moved on, but :meth:`checkpoint` is only to be had before.
    """

    stage: str
    iteration: int  # over all stages, from 1
    total_iterations: int
    loss: float  # misfit and penalties
    held_out_loss: float | None  # misfit of the patterns that the fit does not see
    seconds: float  # since the start of the fit
    _objective: Objective
    _vector: Array
    _fit: _Fit

    @property
    def object(self) -> Array:
        """Transmission functions, complex (states, slices, y, x)."""
        return self._objective.transmission(self._vector)

    @property
    def probe(self) -> Array:
        """Probe modes, complex (modes, y, x), centred in the window."""
        return self._objective.scene(self._vector).probe

    @property
    def instrument(self) -> Instrument:
        """Positions, tilts, thicknesses, beam and background."""
        return self._objective.scene(self._vector).instrument

    def checkpoint(self) -> Checkpoint:
        """What :func:`run` needs to go on from here.

        Raises
        ------
        RuntimeError
            If the generator has moved on.
        """
        if self._fit.done != self.iteration:
            raise RuntimeError(f"the fit has gone on to iteration {self._fit.done}, this is {self.iteration}")
        return self._fit.checkpoint()


def run(
    evaluator: Evaluator,
    probe: Array,
    settings: FitSettings,
    *,
    initial_object: Array | None = None,
    instrument: Instrument | None = None,
    resume: Checkpoint | None = None,
) -> Iterator[Snapshot]:
    """Fit the object states, and what else ``settings.refine`` names, to the patterns.

    Parameters
    ----------
    evaluator : Evaluator
        Model and data.
    probe : (modes, y, x) complex
        Σ|probe|² = 1, centred in the window.
    settings : FitSettings
        What to do.
    initial_object : (states, slices, y, x) complex, optional
        Where to start: one state, or ``num_states`` of them with ``one_state_iter=0``. Vacuum
        by default.
    instrument : Instrument, optional
        Where to start; the model's nominal one by default.
    resume : Checkpoint, optional
        Go on from there instead: the rest is what it would have been, to the last bit on a CPU with
        the same number of threads.

    Yields
    ------
    Snapshot
        After every iteration of every stage. With ``patience``, a stage that did not end with its
        best iteration yields that once more.

    Raises
    ------
    ValueError
        If ``initial_object`` or ``probe`` do not fit the model or the settings, or are not finite, or
        ``resume`` belongs to another fit.
    """
    fit = _Fit(evaluator, settings)
    if resume is None:
        fit.begin(probe, initial_object, instrument)
    else:
        fit.restore(resume)
    return fit.iterate()


class _Fit:
    """The state of a fit: between two iterations, :meth:`checkpoint` holds all of it."""

    def __init__(self, evaluator: Evaluator, settings: FitSettings) -> None:
        self.evaluator, self.settings = evaluator, settings
        self.rng = np.random.default_rng(settings.seed)
        self.training, self.held_out = split_positions(
            len(evaluator.model.positions), settings.held_out_fraction, self.rng
        )
        self.stage, self.in_stage, self.done, self.seconds = 0, 0, 0, 0.0
        self.best_loss, self.best_at, self.best_vector, self.ended = np.inf, 0, None, False
        self.scene: Scene
        self.objective: Objective
        self.optimizer: Optimizer

    def begin(self, probe: Array, initial_object: Array | None, instrument: Instrument | None) -> None:
        """Start from the beginning."""
        evaluator, model = self.evaluator, self.evaluator.model
        shape = (model.num_slices, *model.object_shape)
        if initial_object is None:
            initial_object = evaluator.xp.ones((1, *shape), evaluator.dtype)
        current = evaluator.xp.asarray(initial_object, dtype=evaluator.dtype)
        probe = evaluator.xp.asarray(probe, dtype=evaluator.dtype)
        check_start(current, probe, model, self.settings)
        object_model = make_object_model(self.settings.object_type, model.object_limit())
        instrument = (instrument or evaluator.nominal).on(evaluator.xp, evaluator.real_dtype)
        self.scene = Scene(object_model.start(current), probe, instrument)
        self._enter(self.settings.stages[0])

    def iterate(self) -> Iterator[Snapshot]:
        """Yield a snapshot after each iteration, through all stages."""
        stages = self.settings.stages
        while True:
            yield from self._iterate_stage(stages[self.stage])
            if self.stage + 1 == len(stages):
                return
            self.stage += 1
            self._enter(stages[self.stage])

    def _enter(self, stage: Stage) -> None:
        """From the scene of the last stage to the first vector of this one."""
        if len(self.scene.field) != stage.states:
            states = thermal_states(
                self.scene.field,
                stage.states,
                self.evaluator.model.sampling,
                rms_angstrom=self.settings.thermal_rms_angstrom,
                correlation_angstrom=self.settings.thermal_correlation_angstrom,
                rng=self.rng,
            )
            self.scene = Scene(states, self.scene.probe, self.scene.instrument)
        self.in_stage, self.ended, self.best_loss, self.best_vector = 0, False, np.inf, None
        self.objective = self._make_objective(stage)
        self.optimizer = self._make_optimizer()

    def _iterate_stage(self, stage: Stage) -> Iterator[Snapshot]:
        while not self.ended:
            if self._overfits(stage):
                self.ended = True
                best = self.best_vector
                yield self._snapshot(stage, self.objective.loss(best), self.best_loss, best)
                break
            if self.in_stage >= stage.iterations:
                break
            begin = time.perf_counter()
            step = next(self.optimizer, None)
            if step is None or (step.converged and self.in_stage):
                break
            self.in_stage, self.done = self.in_stage + 1, self.done + 1
            held_out_loss = self._watch(step)
            self.seconds += time.perf_counter() - begin
            yield self._snapshot(stage, step.loss, held_out_loss, step.vector)
        if self.in_stage:
            vector = self.best_vector if self.ended else self.optimizer.state()["vector"]
            self.scene = self.objective.scene(vector)

    def _snapshot(self, stage: Stage, loss: float, held_out: float | None, vector: Array) -> Snapshot:
        total = self.settings.total_iterations
        return Snapshot(
            stage.name, self.done, total, loss, held_out, self.seconds, self.objective, vector, self
        )

    def _watch(self, step: Step) -> float | None:
        """Loss of the patterns that the fit does not see, with a note of the best."""
        if not len(self.held_out):
            return None
        loss = self.objective.misfit(self.objective.scene(step.vector), self.held_out)
        if loss < self.best_loss:
            self.best_loss, self.best_at, self.best_vector = loss, self.in_stage, step.vector
        return loss

    def _overfits(self, stage: Stage) -> bool:
        """Whether to go back to the best iteration: it lies ``patience`` back, or the stage is over."""
        since = self.in_stage - self.best_at
        over = since >= self.settings.patience or self.in_stage >= stage.iterations
        return self.settings.patience > 0 and self.best_vector is not None and since > 0 and over

    def _make_objective(self, stage: Stage, scales: dict[str, float] | None = None) -> Objective:
        unknowns = make_unknowns(
            self.settings, self.evaluator, stage, self.scene.probe, self.scene.instrument
        )
        positions = self.training
        if stage.thinned:
            positions = thinned(self.evaluator.model.positions, self.training)
        return Objective(self.evaluator, unknowns, self.scene, positions=positions, scales=scales)

    def _make_optimizer(self, state: dict[str, Array] | None = None) -> Optimizer:
        settings, objective = self.settings, self.objective
        if settings.optimizer == "lbfgs":
            return LBFGS(objective, objective.start, history=settings.history, state=state)
        return Adam(
            objective,
            objective.start,
            positions=objective.positions,
            batch_size=settings.batch_size,
            rng=self.rng,
            step_size=settings.step_size,
            state=state,
        )

    # Checkpoints ---------------------------------------------------------------------------

    def checkpoint(self) -> Checkpoint:
        """Everything, as it is between two iterations."""
        reference = self.objective.reference
        return Checkpoint(
            fingerprint=fingerprint(self.settings, self.evaluator.model),
            progress={
                "stage": self.stage,
                "in_stage": self.in_stage,
                "done": self.done,
                "seconds": self.seconds,
                "best_loss": self.best_loss,
                "best_at": self.best_at,
                "ended": self.ended,
                "random": self.rng.bit_generator.state,
                "scales": self.objective.packing.scales,
            },
            probe=to_numpy(reference.probe),
            instrument=reference.instrument,
            optimizer={name: to_numpy(array) for name, array in self.optimizer.state().items()},
            best=None if self.best_vector is None else to_numpy(self.best_vector),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to what :meth:`checkpoint` held."""
        if checkpoint.fingerprint != fingerprint(self.settings, self.evaluator.model):
            raise ValueError(
                "resume: this checkpoint belongs to a fit with other settings, scan or optics; "
                "give the ones it was made with, or start without it"
            )
        xp, progress = self.evaluator.xp, checkpoint.progress
        self.stage, self.in_stage, self.done = (int(progress[n]) for n in ("stage", "in_stage", "done"))
        self.seconds, self.best_loss = float(progress["seconds"]), float(progress["best_loss"])
        self.best_at, self.ended = int(progress["best_at"]), bool(progress["ended"])
        self.best_vector = None if checkpoint.best is None else xp.asarray(checkpoint.best)
        self.rng.bit_generator.state = progress["random"]
        stage = self.settings.stages[self.stage]
        self.scene = self._blank_scene(checkpoint, stage)
        self.objective = self._make_objective(stage, progress["scales"])
        self.optimizer = self._make_optimizer(checkpoint.optimizer)

    def _blank_scene(self, checkpoint: Checkpoint, stage: Stage) -> Scene:
        """Probe and instrument of the stage's start; the field itself is in the optimiser's vector."""
        evaluator, model = self.evaluator, self.evaluator.model
        ones = evaluator.xp.ones((stage.states, model.num_slices, *model.object_shape), evaluator.dtype)
        object_model = make_object_model(self.settings.object_type, model.object_limit())
        instrument = checkpoint.instrument.on(evaluator.xp, evaluator.real_dtype)
        return Scene(object_model.start(ones), evaluator.xp.asarray(checkpoint.probe), instrument)
