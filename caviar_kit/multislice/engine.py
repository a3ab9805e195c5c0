"""The mixed-object fit as a generator of snapshots: first one state, then the ensemble.

Progress bars, plots, checkpoints and cancelling are consumers of the generator: stop
asking and it stops.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from caviar_kit.backend import to_numpy
from caviar_kit.multislice.checkpoint import Checkpoint
from caviar_kit.multislice.ensemble import thermal_states
from caviar_kit.multislice.fingerprint import fingerprint
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.object_model import make_object_model
from caviar_kit.multislice.objective import Objective, Scene
from caviar_kit.multislice.optimizers import LBFGS, Adam, Optimizer, Step
from caviar_kit.multislice.problem import check_start, make_unknowns, split_positions, thinned
from caviar_kit.multislice.settings import FitSettings, Stage
from caviar_kit.multislice.snapshot import Snapshot

__all__ = ["Snapshot", "run"]

Array = Any
_SHRINK = 0.1  # of the step, over a stochastic start
_Outcome = tuple[float, float | None, Array]  # loss, loss of the held-out patterns, vector


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
        Where to start: one state, or ``num_states`` of them with ``one_state_iter=0`` and no stochastic
        start. Vacuum by default.
    instrument : Instrument, optional
        Where to start; the model's nominal one by default.
    resume : Checkpoint, optional
        Go on from there, all other arguments being those of the fit that it was taken from: the rest
        is what it would have been, to the last bit on a CPU with the same number of threads.

    Yields
    ------
    Snapshot
        After every iteration of every stage; first of all the one resumed from, if any. With
        ``patience``, a stage that did not end with its best iteration yields that once more.

    Raises
    ------
    ValueError
        If ``initial_object`` or ``probe`` do not fit the model or the settings, or are not finite, or
        ``resume`` belongs to another fit.
    """
    start = {"probe": probe, "initial_object": initial_object, "instrument": instrument}
    fit = _Fit(evaluator, settings, fingerprint(settings, evaluator, **start))
    if resume is None:
        fit.begin(probe, initial_object, instrument)
    else:
        fit.restore(resume)
    return fit.iterate()


class _Fit:
    """The state of a fit: between two iterations, :meth:`checkpoint` holds all of it."""

    def __init__(self, evaluator: Evaluator, settings: FitSettings, identity: str) -> None:
        self.evaluator, self.settings, self.fingerprint = evaluator, settings, identity
        self.rng = np.random.default_rng(settings.seed)
        self.training, self.held_out = split_positions(
            len(evaluator.model.positions), settings.held_out_fraction, self.rng
        )
        self.stage, self.in_stage, self.done, self.seconds = 0, 0, 0, 0.0
        self.losses: list[float] = []
        self.held_out_losses: list[float | None] = []
        self.turn = 0  # which snapshot is the latest
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
        """Yield a snapshot after each iteration; first the present one, if there is one."""
        if self.losses:
            yield self._snapshot(self._vector())
            self.turn += 1
        for loss, held_out_loss, vector in self._iterations():
            self.losses.append(loss)
            self.held_out_losses.append(held_out_loss)
            yield self._snapshot(vector)
            self.turn += 1

    def _iterations(self) -> Iterator[_Outcome]:
        """Go through all stages."""
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
                slices_together=self.settings.warp_slices_together,
                rng=self.rng,
            )
            self.scene = Scene(states, self.scene.probe, self.scene.instrument)
        self.in_stage, self.ended, self.best_loss, self.best_vector = 0, False, np.inf, None
        self.objective = self._make_objective(stage)
        self.optimizer = self._make_optimizer()

    def _iterate_stage(self, stage: Stage) -> Iterator[_Outcome]:
        while not self.ended:
            if self._overfits(stage):
                self.ended = True
                yield self.objective.loss(self.best_vector), self.best_loss, self.best_vector
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
            yield step.loss, held_out_loss, step.vector
        if self.in_stage:
            self.scene = self.objective.scene(self._vector())

    def _vector(self) -> Array:
        """Where the stage stands: the best iteration once it has ended with that."""
        return self.best_vector if self.ended else self.optimizer.vector

    def _snapshot(self, vector: Array) -> Snapshot:
        return Snapshot(
            stage=self.settings.stages[self.stage].name,
            iteration=self.done,
            total_iterations=self.settings.total_iterations,
            loss=self.losses[-1],
            held_out_loss=self.held_out_losses[-1],
            seconds=self.seconds,
            losses=tuple(self.losses),
            held_out_losses=tuple(self.held_out_losses),
            _objective=self.objective,
            _vector=vector,
            _fit=self,
            _turn=self.turn,
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
        stage = settings.stages[self.stage]
        if settings.optimizer == "lbfgs" and not stage.stochastic:
            return LBFGS(objective, objective.start, history=settings.history, state=state)
        positions = self.training if objective.positions is None else objective.positions
        return Adam(
            objective,
            objective.start,
            positions=positions,
            batch_size=settings.batch(len(positions)),
            rng=self.rng,
            step_size=settings.step_size,
            shrink=_SHRINK ** (1 / max(stage.iterations - 1, 1)) if stage.stochastic else 1.0,
            state=state,
        )

    # Checkpoints ---------------------------------------------------------------------------

    def checkpoint(self) -> Checkpoint:
        """Everything, as it is between two iterations."""
        reference = self.objective.reference
        return Checkpoint(
            fingerprint=self.fingerprint,
            progress={
                "stage": self.stage,
                "in_stage": self.in_stage,
                "done": self.done,
                "seconds": self.seconds,
                "losses": list(self.losses),
                "held_out_losses": list(self.held_out_losses),
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
        if checkpoint.fingerprint != self.fingerprint:
            raise ValueError(
                "resume: this checkpoint belongs to a fit of other data, or with other settings, optics, "
                "probe or starting object; give those it was made with, or start without it"
            )
        xp, progress = self.evaluator.xp, checkpoint.progress
        self.stage, self.in_stage, self.done = (int(progress[n]) for n in ("stage", "in_stage", "done"))
        self.seconds, self.best_loss = float(progress["seconds"]), float(progress["best_loss"])
        self.best_at, self.ended = int(progress["best_at"]), bool(progress["ended"])
        self.losses, self.held_out_losses = list(progress["losses"]), list(progress["held_out_losses"])
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
