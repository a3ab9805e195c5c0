"""The estimate of a fit's duration: measured on few patterns, scaled to all of them and all iterations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from caviar_kit.multislice import Evaluator, FitSettings
from caviar_kit.multislice.timing import StageTime, TimeEstimate, WorkingTime, measure_time
from tests.multislice.problems import aperture, evaluator, model

FIT = FitSettings(num_states=3, max_iter=20, one_state_iter=8, refine_after=0)
EACH, BESIDES = 0.25, 2.0  # seconds per pattern and state, and per pass, of a machine that does not exist


class Machine:
    """A clock that passes of the evaluator move on."""

    def __init__(self, monkeypatch):
        self.now, self.first = 0.0, True
        evaluate = Evaluator.loss_and_gradient

        def timed(engine, transmission, probe, positions=None, **options):
            self.now += BESIDES + EACH * len(positions) * len(transmission) + 100 * self.first
            self.first = False  # the first pass of all compiles
            return evaluate(engine, transmission, probe, positions, **options)

        monkeypatch.setattr(Evaluator, "loss_and_gradient", timed)

    def __call__(self):
        return self.now


@pytest.fixture
def measure(monkeypatch):
    clock, geometry = Machine(monkeypatch), model()
    engine = evaluator(geometry)
    probe = aperture(geometry.window)
    return lambda fit, count=50: measure_time(engine, probe, fit, num_patterns=count, clock=clock)


def test_an_iteration_is_a_pass_over_all_patterns_and_states(measure):
    one, states = measure(FIT).stages
    assert (one.name, one.iterations) == ("one state", 8)
    assert one.seconds_per_iteration == pytest.approx(50 * EACH + BESIDES)
    assert (states.name, states.iterations) == ("states", 20)
    assert states.seconds_per_iteration == pytest.approx(3 * 50 * EACH + BESIDES)
    assert measure(FIT).seconds == pytest.approx(8 * 14.5 + 20 * 39.5)


def test_adam_passes_once_per_batch(measure):
    found = measure(replace(FIT, optimizer="adam", batch_size=8)).stages[-1]
    assert found.seconds_per_iteration == pytest.approx(3 * 50 * EACH + 7 * BESIDES)


def test_a_thinned_scan_and_held_out_patterns_count_less(measure):
    thinned = measure(replace(FIT, thinned_iter=5)).stages[1]
    assert thinned.seconds_per_iteration == pytest.approx(3 * 25 * EACH + BESIDES)
    held_out = measure(replace(FIT, held_out_fraction=0.2)).stages[0]
    assert held_out.seconds_per_iteration == pytest.approx(40 * EACH + BESIDES)


def test_time_in_the_hook_between_batches_does_not_count(monkeypatch):
    machine, geometry, calls = Machine(monkeypatch), model(), []

    def hold():
        calls.append(1)
        machine.now += 1000 * len(calls)

    clock, engine = WorkingTime(hold, machine), evaluator(geometry)
    engine.between_batches = clock.between_batches
    one, _ = measure_time(engine, aperture(geometry.window), FIT, num_patterns=50, clock=clock).stages
    assert calls and one.seconds_per_iteration == pytest.approx(50 * EACH + BESIDES)


def test_what_is_left_learns_from_what_was_done():
    estimate = TimeEstimate((StageTime("one state", 10, 1.0), StageTime("states", 5, 4.0)))
    assert estimate.seconds == 30
    assert estimate.left(0, 0) == 30
    assert estimate.left(10, 10) == 20
    assert estimate.left(10, 15) == 30  # half as fast again as expected
    assert estimate.left(12, 18) == 12
    assert estimate.left(15, 99) == 0


def test_refuses_too_few_patterns(measure):
    with pytest.raises(ValueError, match="num_patterns must be at least 5"):
        measure(FIT, 4)
    geometry = model(positions=[[7, 8]])
    with pytest.raises(ValueError, match="at least two patterns"):
        measure_time(evaluator(geometry), aperture(geometry.window), FIT, num_patterns=9)
    with pytest.raises(ValueError, match="seconds"):
        TimeEstimate(()).left(1, -1.0)
