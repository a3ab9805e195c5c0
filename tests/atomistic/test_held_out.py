"""Counts held out tell correlations from noise that states have followed."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.atomistic import criticise, held_out_signal
from caviar_kit.atomistic.held_out import _halves, share_in
from tests.atomistic.small_crystal import assumed_fit, finished, patterns_of, shared_motion

ELECTRONS = 3e5
MOVING = shared_motion()


def fit_of(motion, electrons=ELECTRONS, loss="poisson", **settings):
    fit = assumed_fit(loss=loss, **{"max_iter": 12, **settings})
    patterns = patterns_of(assumed_fit(num_states=len(motion)), motion)
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
    assert found.significance > 5
    assert found.share == pytest.approx(1.0, abs=0.25)
    criticism = criticise(moving, electrons_per_pattern=ELECTRONS, held_out=found, shuffles=2)
    assert "in counts held out" in str(criticism)


def test_weak_correlations_between_many_noisy_pairs_are_seen_again():
    """The columns share a part of their motion; what states make of noise besides must not hide it."""
    fit = fit_of(shared_motion(8, sway=0.06, own=0.05), num_states=8)
    found = held_out_signal(fit, ELECTRONS, shuffles=4)
    assert found.significance > 5


def test_correlations_of_noise_are_not():
    """Many independent states, so that nothing is left of their chance correlations."""
    fit = fit_of(shared_motion(400, sway=0.0, own=0.06), num_states=8)
    found = held_out_signal(fit, ELECTRONS, shuffles=6)
    criticism = criticise(fit, electrons_per_pattern=ELECTRONS, held_out=found, shuffles=4)
    assert criticism.signal > 0  # in the counts that were fitted
    assert found.significance < 5 and found.share < 0.5
    assert not criticism.supported


def test_the_share_has_the_scatter_it_names():
    """Of counts drawn again and again from one model, at the truth: mean 1."""
    fit = fit_of(MOVING)
    drawn = np.random.default_rng(5)
    exact, found = patterns_of(assumed_fit(), MOVING), []
    for _ in range(10):
        counted = finished(assumed_fit(loss="poisson"), drawn.poisson(exact * 1e4) / 1e4, MOVING)
        one = drawn.poisson(exact * 5e3) / 5e3
        found.append(share_in(counted, one, 5e3, shuffles=6, rng=np.random.default_rng(7)))
    shares, deviations = np.array(found).T
    assert fit.loss_name == "poisson"
    assert shares.mean() == pytest.approx(1, abs=4 * deviations.mean() / np.sqrt(10))
    assert 0.5 < shares.std(ddof=1) / deviations.mean() < 1.7


def test_counted_data_need_counts_held_out():
    fit = fit_of(MOVING, electrons=5e4, num_states=6, max_iter=8)
    with pytest.raises(ValueError, match="held_out_signal"):
        criticise(fit, electrons_per_pattern=5e4, shuffles=2).require_support()


def test_a_wrong_number_of_electrons_is_seen(moving):
    for wrong in (1.03 * ELECTRONS, ELECTRONS / 100):
        with pytest.raises(ValueError, match="whole numbers"):
            held_out_signal(moving, wrong)


def test_nonsense_is_refused(moving):
    with pytest.raises(ValueError, match="loss='poisson'"):
        held_out_signal(fit_of(MOVING, loss="amplitude", max_iter=1), ELECTRONS)
    with pytest.raises(ValueError, match="electrons_per_pattern"):
        held_out_signal(moving, 0)
    with pytest.raises(ValueError, match="shuffles"):
        held_out_signal(moving, ELECTRONS, shuffles=0)
    with pytest.raises(TypeError, match="AtomisticFit"):
        held_out_signal("fit", ELECTRONS)
