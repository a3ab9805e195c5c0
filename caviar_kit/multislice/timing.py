"""How long a fit takes, measured on a few patterns before it starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from caviar_kit import validation
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.object_model import make_object_model
from caviar_kit.multislice.objective import Objective, Scene
from caviar_kit.multislice.problem import make_unknowns
from caviar_kit.multislice.settings import FitSettings, Stage

__all__ = ["StageTime", "TimeEstimate", "WorkingTime", "measure_time"]

Array = Any
Clock = Callable[[], float]
_BATCHES = 2  # sizes of which two are timed: what each pattern takes, and what each pass takes besides


@dataclass(frozen=True)
class StageTime:
    """A stage of a fit, its iterations, and what one of them takes [s]."""

    name: str
    iterations: int
    seconds_per_iteration: float


@dataclass(frozen=True)
class TimeEstimate:
    """What a fit is going to take.

    Attributes
    ----------
    stages : tuple of StageTime
        In the order of the fit.
    """

    stages: tuple[StageTime, ...]

    @property
    def seconds(self) -> float:
        """Of all iterations, if no stage ends early."""
        return self._of(sum(stage.iterations for stage in self.stages))

    def left(self, iteration: int, seconds: float) -> float:
        """Seconds that remain after ``iteration`` iterations took ``seconds``.

        What is expected of the others, times the ratio of what these took to what was expected of them.

        Raises
        ------
        TypeError, ValueError
            If ``iteration`` is no integer from 0, or ``seconds`` is negative.
        """
        validation.integer("iteration", iteration, minimum=0)
        validation.number("seconds", seconds, minimum=0, unit="s")
        expected = self._of(iteration)
        return (self.seconds - expected) * (seconds / expected if expected > 0 else 1.0)

    def _of(self, iterations: int) -> float:
        """Of the first iterations."""
        seconds = 0.0
        for stage in self.stages:
            done = min(iterations, stage.iterations)
            seconds, iterations = seconds + done * stage.seconds_per_iteration, iterations - done
        return seconds


class WorkingTime:
    """A clock that stands still while a hook between batches runs, which may hold the work.

    Parameters
    ----------
    hook : callable, optional
        What is called between batches.
    clock : callable
        Seconds from any moment.
    """

    def __init__(self, hook: Callable[[], None] | None, clock: Clock = time.perf_counter) -> None:
        self._hook, self._clock, self._held = hook, clock, 0.0

    def __call__(self) -> float:
        """Seconds from any moment, without those in the hook."""
        return self._clock() - self._held

    def between_batches(self) -> None:
        """Call the hook."""
        if self._hook is not None:
            begin = self._clock()
            try:
                self._hook()
            finally:
                self._held += self._clock() - begin


def measure_time(
    evaluator: Evaluator,
    probe: Array,
    settings: FitSettings,
    *,
    num_patterns: int,
    clock: Clock = time.perf_counter,
) -> TimeEstimate:
    """Time one evaluation of loss and gradient per kind of stage on some patterns, and scale it up.

    An iteration of L-BFGS counts as one evaluation over all patterns, one of Adam as one per batch; the
    optimiser's own arithmetic, shorter trial steps and held-out patterns come on top.

    Parameters
    ----------
    evaluator : Evaluator
        Of some patterns, at least two.
    probe : (modes, y, x) complex
    settings : FitSettings
        The fit.
    num_patterns : int
        How many patterns it is going to have.
    clock : callable
        Seconds from any moment.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two patterns, or ``num_patterns`` is less than those.
    """
    measured = len(evaluator.patterns)
    if measured < 2:
        raise ValueError(f"evaluator must have at least two patterns to be timed, got {measured}")
    validation.integer("num_patterns", num_patterns, minimum=measured)
    fitted = num_patterns - round(settings.held_out_fraction * num_patterns)
    costs: dict[tuple[int, tuple[str, ...]], tuple[float, float]] = {}
    stages = []
    for stage in settings.stages:
        kind = stage.states, tuple(stage.refine)
        if kind not in costs:
            costs[kind] = _cost(_objective(evaluator, probe, settings, stage), measured, clock)
        each, besides = costs[kind]
        patterns = -(-fitted // 2) if stage.thinned else fitted
        stochastic = stage.stochastic or settings.optimizer == "adam"
        passes = -(-patterns // settings.batch(patterns)) if stochastic else 1
        stages.append(StageTime(stage.name, stage.iterations, patterns * each + passes * besides))
    return TimeEstimate(tuple(stages))


def _objective(evaluator: Evaluator, probe: Array, settings: FitSettings, stage: Stage) -> Objective:
    """That of a stage with an empty object: what it holds makes no difference to the time."""
    model, xp = evaluator.model, evaluator.xp
    shape = (stage.states, model.num_slices, *model.object_shape)
    field = make_object_model(settings.object_type, model.object_limit()).start(
        xp.ones(shape, evaluator.dtype)
    )
    probe = xp.asarray(probe, dtype=evaluator.dtype)
    instrument: Instrument = evaluator.nominal.on(xp, evaluator.real_dtype)
    unknowns = make_unknowns(settings, evaluator, stage, probe, instrument)
    return Objective(evaluator, unknowns, Scene(field, probe, instrument), scales={})


def _cost(objective: Objective, measured: int, clock: Clock) -> tuple[float, float]:
    """Seconds that each pattern takes, and that a pass takes besides."""
    few = max(1, measured // _BATCHES)

    def seconds(positions: Sequence[int]) -> float:
        begin = clock()
        objective.loss_and_gradient(objective.start, positions)
        return clock() - begin

    seconds(range(few))  # compiles, plans transforms, takes memory
    short, long = seconds(range(few)), seconds(range(measured))
    each = (long - short) / (measured - few)
    if not 0 < each <= long / measured:  # lost in the noise: all of it counts as the patterns'
        each = long / measured
    return each, max(0.0, long - measured * each)
