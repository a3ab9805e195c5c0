"""The bootstrap repeats the fit on counts from its model, and knows bias and scatter."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.atomistic.bootstrap import BootstrapCorrelations, bootstrap_correlations, refitted
from tests.atomistic.small_crystal import assumed_fit, finished, patterns_of, shared_motion

MOTION = shared_motion(sway=0.1, own=0.04)


@pytest.fixture(scope="module")
def fit():
    """Ten iterations from white displacements, of counted patterns."""
    fit = assumed_fit(loss="poisson", max_iter=10)
    patterns = np.random.default_rng(0).poisson(patterns_of(fit, MOTION) * 1e6) / 1e6
    return finished(fit, patterns)


def spread(draws: BootstrapCorrelations) -> float:
    return float(np.sqrt((draws.standard_error**2).mean()))


def test_mean_bias_and_scatter():
    tensor = np.arange(16.0).reshape(2, 2, 2, 2)
    draws = np.stack([tensor + 1, tensor + 3, tensor + 2])
    found = BootstrapCorrelations(tensor, draws, 1e5, warm=False)
    np.testing.assert_allclose(found.bias, 2)
    np.testing.assert_allclose(found.standard_error, 1)


def test_patterns_without_noise_give_the_fit_back(fit):
    """A warm start at what the patterns were made from stays there."""
    found = bootstrap_correlations(fit, 1e14, repeats=2, iterations=3, warm=True)
    np.testing.assert_allclose(found.mean, fit.result.greens_tensor, atol=1e-6)
    assert spread(found) < 1e-7


def test_a_warm_start_of_a_gaussian_ensemble_keeps_its_draws():
    fit = assumed_fit(loss="poisson", max_iter=4, num_states=6, rank=3)
    fit = finished(fit, patterns_of(fit, np.concatenate([MOTION, -MOTION[:2]])))
    found = bootstrap_correlations(fit, 1e14, repeats=2, iterations=1, warm=True)
    np.testing.assert_allclose(found.mean, fit.result.greens_tensor, atol=1e-6)


def test_scatter_falls_with_the_root_of_the_electrons(fit):
    few, many = (
        spread(bootstrap_correlations(fit, n, repeats=4, iterations=6, warm=True)) for n in (1e6, 1e8)
    )
    assert 4 < few / many < 25


def test_fresh_starts_differ_and_the_same_seed_repeats_them(fit):
    found = [bootstrap_correlations(fit, 1e8, repeats=2, iterations=4, seed=3).draws for _ in range(2)]
    np.testing.assert_array_equal(*found)
    assert abs(found[0][0] - found[0][1]).max() > 1e-6
    other = bootstrap_correlations(fit, 1e8, repeats=2, iterations=4, seed=4).draws
    assert abs(other - found[0]).max() > 0


def test_the_fit_is_left_as_it_was(fit):
    before = fit.snapshot.vector.copy(), fit.evaluator, fit.settings
    again = refitted(fit, fit.evaluator.patterns, iterations=10)
    assert fit.evaluator is before[1]
    assert fit.settings == before[2]
    np.testing.assert_array_equal(fit.snapshot.vector, before[0])
    np.testing.assert_array_equal(again.snapshot.vector, before[0])  # same data, same start


def test_nonsense_is_refused(fit):
    with pytest.raises(TypeError, match="fit must be an AtomisticFit"):
        bootstrap_correlations(None, 1e5)
    with pytest.raises(ValueError, match="repeats"):
        bootstrap_correlations(fit, 1e5, repeats=1)
    with pytest.raises(ValueError, match="electrons_per_pattern"):
        bootstrap_correlations(fit, 0)
    with pytest.raises(ValueError, match="iterations"):
        bootstrap_correlations(fit, 1e5, iterations=0)
    with pytest.raises(ValueError, match="must have been iterated"):
        bootstrap_correlations(assumed_fit(), 1e5)
    with pytest.raises(ValueError, match="warm start"):
        refitted(assumed_fit(), fit.evaluator.patterns, iterations=1, warm=True)
