"""The problem on which codes are compared: the kit solves the same one as everybody else."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from benchmarks.fixed_problem import Problem
from caviar_kit.multislice import AmplitudeLoss, Evaluator

SMALL = Problem(positions_per_side=3, window=32, states=2, slices=3, modes=2)


def test_the_kit_sees_the_patterns_of_the_true_object():
    patterns = SMALL.patterns()
    evaluator = Evaluator(SMALL.model(), patterns, AmplitudeLoss(), threads=1)
    got = evaluator.intensities(SMALL.transmission(), SMALL.probe())
    assert abs(got - patterns).max() < 1e-5 * patterns.max()


def test_no_electron_is_lost():
    np.testing.assert_allclose(SMALL.patterns().sum(axis=(1, 2)), 1, rtol=1e-5)


def test_the_guess_is_wrong():
    evaluator = Evaluator(SMALL.model(), SMALL.patterns(), AmplitudeLoss(), threads=1)
    right, wrong = (evaluator.loss(o, SMALL.probe()) for o in (SMALL.transmission(), SMALL.guess()))
    assert wrong > 1000 * right


def test_transforms_are_counted_as_the_plain_forward_pass_does_them(monkeypatch):
    done = []

    def counted(function):
        def call(array, *args, **options):
            done.append(array.size // SMALL.window**2)
            return function(array, *args, **options)

        return call

    for name in ("fft2", "ifft2"):
        monkeypatch.setattr(scipy.fft, name, counted(getattr(scipy.fft, name)))
    SMALL.patterns()
    assert SMALL.ffts == 2 * sum(done)  # there and back


@pytest.mark.parametrize("name", ["positions_per_side", "window", "states", "slices", "modes"])
def test_nonsense_is_refused(name):
    with pytest.raises(ValueError, match=name):
        Problem(**{name: 0})
