"""Counts held out tell correlations from noise that states have followed."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.atomistic import criticise, held_out_signal
from caviar_kit.atomistic.held_out import _halves
from tests.atomistic.small_crystal import assumed_fit, finished, patterns_of, shared_motion

ELECTRONS = 3e5
MOVING, ALONE = shared_motion(), shared_motion(sway=0.0, own=0.06)


def fit_of(motion, electrons=ELECTRONS, loss="poisson", **settings):
    fit = assumed_fit(loss=loss, **{"max_iter": 12, **settings})
    patterns = patterns_of(fit, motion)
    return finished(fit, np.random.default_rng(0).poisson(patterns * electrons) / electrons)


@pytest.fixture(scope="module")
def moving():
    return fit_of(MOVING)


def test_halves_are_counts_that_add_up_and_are_independent(moving):
    one, other = _halves(moving.evaluator, ELECTRONS, np.random.default_rng(1))
    np.testing.assert_allclose((one + other) / 2, moving.evaluator.patterns, atol=1e-12)
    counts = one * ELECTRONS / 2
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-6)
    assert one.sum() == pytest.approx(other.sum(), rel=0.01)
    expected = patterns_of(assumed_fit(), MOVING)
    bright = expected > 1e-3
    noise = [((half - expected) / np.sqrt(expected))[bright] for half in (one, other)]
    assert abs(np.corrcoef(noise)[0, 1]) < 0.05


def test_true_correlations_are_seen_again(moving):
    found = held_out_signal(moving, ELECTRONS, shuffles=4)
    assert found.signal > 5 * found.noise
    criticism = criticise(moving, electrons_per_pattern=ELECTRONS, held_out=found, shuffles=2)
    assert "in counts held out" in str(criticism)


def test_correlations_of_noise_are_not():
    """Independent columns and few electrons: the fitted counts show a signal, the others do not."""
    fit = fit_of(ALONE, electrons=3e3, num_states=8)
    found = held_out_signal(fit, 3e3, shuffles=6)
    criticism = criticise(fit, electrons_per_pattern=3e3, held_out=found)
    assert criticism.signal > 3 * max(found.signal, 0.0)
    assert not criticism.supported


def test_many_states_and_few_electrons_need_counts_held_out():
    fit = fit_of(MOVING, electrons=5e4, num_states=32, max_iter=8)
    with pytest.raises(ValueError, match="held_out_signal"):
        criticise(fit, electrons_per_pattern=5e4, shuffles=2).require_support()


def test_nonsense_is_refused(moving):
    with pytest.raises(ValueError, match="loss='poisson'"):
        held_out_signal(fit_of(MOVING, loss="amplitude", max_iter=1), ELECTRONS)
    with pytest.raises(ValueError, match="electrons_per_pattern"):
        held_out_signal(moving, 0)
    with pytest.raises(ValueError, match="shuffles"):
        held_out_signal(moving, ELECTRONS, shuffles=0)
    with pytest.raises(TypeError, match="AtomisticFit"):
        held_out_signal("fit", ELECTRONS)
