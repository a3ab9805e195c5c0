"""The mixed-object fit as a generator of snapshots: first one state, then the ensemble.

Progress bars, plots, checkpoints and cancelling are consumers of the generator: stop
asking and it stops.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.multislice.ensemble import thermal_states
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.object_model import make_object_model
from caviar_kit.multislice.objective import Objective
from caviar_kit.multislice.optimizers import Step, adam, lbfgs

__all__ = ["FitSettings", "Snapshot", "run"]

Array = Any


@dataclass(frozen=True)
class FitSettings:
    """What the fit does; validated on construction.

    Parameters
    ----------
    num_states : int
        States of the object.
    max_iter : int
        Iterations of the ensemble fit.
    one_state_iter : int
        Iterations of the one-state fit before it, each ``num_states`` times cheaper; 0 to go
        on from a given object with ``num_states`` states.
    object_type : {"phase", "complex"}
        Unknowns of the object, see :mod:`caviar_kit.multislice.object_model`.
    optimizer : {"lbfgs", "adam"}
        L-BFGS over all positions, or Adam over random batches of ``batch_size``.
    batch_size : int
        Positions per update of Adam.
    step_size : float
        Step of Adam [rad, for a phase object].
    history : int
        Pairs kept by L-BFGS.
    fit_probe : bool
        Whether the probe is refined along with the object.
    thermal_rms_angstrom, thermal_correlation_angstrom : float
        Random warps that split one state into many, see
        :func:`caviar_kit.multislice.ensemble.thermal_states`.
    seed : int
        Seed of everything random.

    Raises
    ------
    TypeError, ValueError
        If a value is not usable.
    """

    num_states: int = 12
    max_iter: int = 100
    one_state_iter: int = 20
    object_type: str = "phase"
    optimizer: str = "lbfgs"
    batch_size: int = 32
    step_size: float = 0.01
    history: int = 20
    fit_probe: bool = False
    thermal_rms_angstrom: float = 0.07
    thermal_correlation_angstrom: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("num_states", "batch_size", "history"):
            validation.integer(name, getattr(self, name))
        for name in ("max_iter", "one_state_iter", "seed"):
            validation.integer(name, getattr(self, name), minimum=0)
        for name in ("step_size", "thermal_correlation_angstrom"):
            validation.number(name, getattr(self, name), minimum=0, open_minimum=True)
        validation.number(
            "thermal_rms_angstrom",
            self.thermal_rms_angstrom,
            minimum=0,
            maximum=1,
            unit="Å",
            hint="atoms vibrate by some 0.05 to 0.15 Å",
        )
        validation.choice("object_type", self.object_type, ("complex", "phase"))
        validation.choice("optimizer", self.optimizer, ("adam", "lbfgs"))
        if not isinstance(self.fit_probe, bool):
            raise TypeError(f"fit_probe must be True or False, got {self.fit_probe!r}")

    @property
    def stages(self) -> list[tuple[str, int, int]]:
        """(name, states, iterations) of each stage, in order."""
        ensemble = ("states" if self.num_states > 1 else "one state", self.num_states, self.max_iter)
        if self.num_states == 1 or self.one_state_iter == 0:
            return [ensemble]
        return [("one state", 1, self.one_state_iter), ensemble]

    @property
    def total_iterations(self) -> int:
        """Iterations of all stages."""
        return sum(iterations for _, _, iterations in self.stages)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Where the fit stands after an iteration.

    ``object`` and ``probe`` are computed when asked for; a snapshot stays valid after the
    generator has moved on.
    """

    stage: str
    iteration: int  # over all stages, from 1
    total_iterations: int
    loss: float
    seconds: float  # since the start of the fit
    _objective: Objective
    _vector: Array

    @property
    def object(self) -> Array:
        """Transmission functions, complex (states, slices, y, x)."""
        return self._objective.transmission(self._vector)

    @property
    def probe(self) -> Array:
        """Probe modes, complex (modes, y, x), centred in the window."""
        return self._objective.probe(self._vector)


def run(
    evaluator: Evaluator, probe: Array, settings: FitSettings, *, initial_object: Array | None = None
) -> Iterator[Snapshot]:
    """Fit the object states (and, if asked for, the probe) to the patterns.

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

    Yields
    ------
    Snapshot
        After every iteration of every stage.

    Raises
    ------
    ValueError
        If ``initial_object`` or ``probe`` do not fit the model or the settings, or are not finite.
    """
    xp, model = evaluator.xp, evaluator.model
    rng = np.random.default_rng(settings.seed)
    object_model = make_object_model(settings.object_type, model.object_limit())
    shape = (model.num_slices, *model.object_shape)
    if initial_object is None:
        current = xp.ones((1, *shape), evaluator.dtype)
    else:
        current = xp.asarray(initial_object, dtype=evaluator.dtype)
        _check_initial_object(current, shape, settings)
    unknowns = object_model.start(current)
    probe = xp.asarray(probe, dtype=evaluator.dtype)
    _check_probe(probe, model.window)
    begin, done = time.perf_counter(), 0
    for stage, states, iterations in settings.stages:
        if len(unknowns) != states:
            unknowns = thermal_states(
                unknowns,
                states,
                model.sampling,
                rms_angstrom=settings.thermal_rms_angstrom,
                correlation_angstrom=settings.thermal_correlation_angstrom,
                rng=rng,
            )
        objective = Objective(evaluator, object_model, unknowns, probe, fit_probe=settings.fit_probe)
        steps = _steps(objective, settings, len(model.positions), rng)
        for _ in range(iterations):
            step = next(steps, None)
            if step is None:
                break
            done += 1
            seconds = time.perf_counter() - begin
            yield Snapshot(stage, done, settings.total_iterations, step.loss, seconds, objective, step.vector)
            unknowns, probe = objective.object_unknowns(step.vector), objective.probe(step.vector)


def _steps(
    objective: Objective, settings: FitSettings, num_positions: int, rng: np.random.Generator
) -> Iterator[Step]:
    if settings.optimizer == "lbfgs":
        return lbfgs(objective, objective.start, history=settings.history)
    return adam(
        objective,
        objective.start,
        num_positions=num_positions,
        batch_size=settings.batch_size,
        rng=rng,
        step_size=settings.step_size,
    )


def _check_initial_object(initial: Array, shape: tuple[int, int, int], settings: FitSettings) -> None:
    allowed = {settings.stages[0][1], 1}
    if initial.ndim != 4 or initial.shape[1:] != shape or len(initial) not in allowed:
        states = " or ".join(map(str, sorted(allowed)))
        raise ValueError(
            f"initial_object must have shape ({states}, {', '.join(map(str, shape))}) "
            f"(states, slices, y, x), got {initial.shape}"
        )
    if not math.isfinite(float(abs(initial).sum())):
        raise ValueError("initial_object must be finite, got NaN or infinity")


def _check_probe(probe: Array, window: tuple[int, int]) -> None:
    if probe.ndim != 3 or probe.shape[1:] != window or not len(probe):
        raise ValueError(f"probe must have shape (modes, {window[0]}, {window[1]}), got {probe.shape}")
    brightness = float((abs(probe) ** 2).sum())
    if not (math.isfinite(brightness) and brightness > 0):
        raise ValueError(f"probe must be finite and not all zero, got Σ|probe|² = {brightness}")
