"""A right model leaves the misfit of counting noise, and a wrong one more."""

import numpy as np
import pytest

import caviar_kit as ck
from tests.adapter.problems import SAME_FRAME, SCAN, WINDOW, build, geometry, patterns_of
from tests.adapter.problems import planted_object as specimen

ELECTRONS = 2e3  # per pattern: a few in a pixel of the disc, almost none outside


@pytest.fixture(scope="module")
def fitted():
    """A fit of counted patterns whose object is known."""
    blank = geometry(num_object_states=1)
    truth = specimen(blank, 1)
    patterns = patterns_of(blank, truth).reshape(*SCAN, WINDOW, WINDOW)
    counts = np.random.default_rng(3).poisson(patterns / patterns.sum(axis=(2, 3), keepdims=True) * ELECTRONS)
    ptycho = build(counts, num_object_states=1).preprocess(**SAME_FRAME)
    ptycho.reconstruct(max_iter=3, one_state_iter=0, loss="poisson", progress_bar=False)
    return ptycho, truth


@pytest.mark.parametrize("loss", ["poisson", "amplitude"])
def test_the_truth_is_at_the_level_of_the_noise(fitted, loss):
    ptycho, truth = fitted
    ptycho._object = truth
    level = ck.noise_level(ptycho, loss=loss)
    assert abs(level.loss - level.expected) < 4 * level.deviation
    assert level.deviation < 0.02 * level.expected
    ptycho._object = np.ones_like(truth)
    assert ck.noise_level(ptycho, loss=loss).ratio > 1.1


def test_loss_is_that_of_the_fit(fitted):
    ptycho, _ = fitted
    ptycho.reconstruct(max_iter=4, one_state_iter=0, loss="poisson", progress_bar=False)
    level = ck.noise_level(ptycho)
    assert level.loss == pytest.approx(ptycho.error_iterations[-1], rel=1e-5)
    assert f"{level.ratio:.3f}" in str(level)


def test_bad_input(fitted):
    with pytest.raises(ValueError, match="run reconstruct"):
        ck.noise_level(geometry())
    with pytest.raises(ValueError, match="loss must be"):
        ck.noise_level(fitted[0], loss="gauss")
    with pytest.raises(ValueError, match="electrons_per_pattern"):
        ck.noise_level(fitted[0], electrons_per_pattern=0)


def test_fractions_of_the_beam_are_not_taken_for_counts():
    blank = geometry(num_object_states=1)
    patterns = patterns_of(blank, specimen(blank, 1)).reshape(*SCAN, WINDOW, WINDOW)
    ptycho = build(patterns, num_object_states=1).preprocess(**SAME_FRAME)
    ptycho.reconstruct(max_iter=1, one_state_iter=0, progress_bar=False)
    with pytest.raises(ValueError, match="no counted electrons: give electrons_per_pattern"):
        ck.noise_level(ptycho)
    assert ck.noise_level(ptycho, electrons_per_pattern=1e4).expected > 0
