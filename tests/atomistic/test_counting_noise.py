"""The loss of counted patterns is what draws from the model have."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.atomistic.counting_noise import expected_noise_loss
from caviar_kit.multislice.loss import AmplitudeLoss, PoissonLoss

ELECTRONS = 3e3
LOSSES = [PoissonLoss(), AmplitudeLoss()]


def patterns():
    """Three patterns, from empty pixels to hundreds of electrons."""
    intensities = np.random.default_rng(0).random((3, 12, 10)) ** 8
    intensities[:, :2] = 0
    return intensities / intensities.sum(axis=(1, 2), keepdims=True)


def drawn(loss, weights=None, draws=4000):
    rng, expected = np.random.default_rng(1), patterns()
    counted = rng.poisson(expected * ELECTRONS, size=(draws, *expected.shape)) / ELECTRONS
    losses = loss.value(expected, counted)
    return (losses if weights is None else losses * weights).sum(axis=(2, 3))


@pytest.mark.parametrize("loss", LOSSES)
def test_mean_and_variance_are_those_of_draws(loss):
    losses = drawn(loss)
    mean, variance = expected_noise_loss(loss, patterns(), ELECTRONS)
    error = losses.std(axis=0) / np.sqrt(len(losses))
    assert np.all(abs(losses.mean(axis=0) - mean) < 4 * error)
    np.testing.assert_allclose(variance, losses.var(axis=0), rtol=0.15)


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_count(loss):
    weights = np.random.default_rng(2).random((12, 10)).round(1)
    weights[:, 5] = 0
    mean, _ = expected_noise_loss(loss, patterns(), ELECTRONS, weights)
    losses = drawn(loss, weights)
    assert np.all(abs(losses.mean(axis=0) - mean) < 4 * losses.std(axis=0) / np.sqrt(len(losses)))


@pytest.mark.parametrize(("loss", "share"), [(LOSSES[0], 1 / 2), (LOSSES[1], 1 / 4)])
def test_many_electrons_leave_the_same_in_every_pixel(loss, share):
    mean, _ = expected_noise_loss(loss, np.full((1, 4, 5), 0.05), 1e7)
    np.testing.assert_allclose(mean, 20 * share / 1e7, rtol=2e-3)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="electrons_per_pattern"):
        expected_noise_loss(LOSSES[0], patterns(), 0)
    with pytest.raises(ValueError, match="intensities must not be negative"):
        expected_noise_loss(LOSSES[0], -patterns(), 1e4)
    with pytest.raises(ValueError, match="intensities must have shape"):
        expected_noise_loss(LOSSES[0], patterns()[0], 1e4)
