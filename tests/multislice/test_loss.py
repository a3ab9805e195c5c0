"""Misfits: zero and flat at the data, positive elsewhere, the right derivative, the exact likelihood."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.stats import poisson

from caviar_kit.multislice.loss import AmplitudeLoss, PoissonLoss, make_loss

LOSSES = [AmplitudeLoss(), PoissonLoss(), AmplitudeLoss(1e-3), PoissonLoss(1e-3)]
INTENSITY = some.floats(0, 1).map(lambda value: np.array([value]))


@pytest.mark.parametrize("loss", LOSSES)
@given(model=INTENSITY, data=INTENSITY)
def test_loss_is_not_negative_and_pulls_towards_the_data(loss, model, data):
    rounding = 1e-15
    assert loss.value(model, data)[0] >= -rounding
    assert loss.value(data, data)[0] == 0
    assert loss.derivative(data, data)[0] == 0
    assert loss.derivative(model, data)[0] * (model - data)[0] >= 0


@pytest.mark.parametrize("loss", LOSSES)
@given(model=some.floats(1e-3, 1), data=some.floats(0, 1))
def test_derivative_is_that_of_the_value(loss, model, data):
    at, data, step = np.array([model]), np.array([data]), 1e-5 * model
    near, far = ((loss.value(at + h, data) - loss.value(at - h, data)) / (2 * h) for h in (step, 2 * step))
    slope = (4 * near - far) / 3
    np.testing.assert_allclose(slope, loss.derivative(at, data), atol=1e-7, rtol=1e-6)


def test_poisson_loss_is_the_exact_likelihood_per_electron():
    rng = np.random.default_rng(0)
    electrons, expected = 5000, rng.uniform(0.5, 3, (20, 30))
    expected /= expected.sum()
    counts = rng.poisson(electrons * expected)
    models = [expected * rng.uniform(0.9, 1.1, expected.shape) for _ in range(2)]

    def exact(model):
        return -poisson.logpmf(counts, electrons * model).sum() / electrons

    def ours(model):
        return PoissonLoss(1e-15).value(model, counts / electrons).sum()

    assert ours(models[0]) - ours(models[1]) == pytest.approx(exact(models[0]) - exact(models[1]), rel=1e-9)
    np.testing.assert_allclose(
        PoissonLoss(1e-15).derivative(expected, counts / electrons),
        1 - counts / (electrons * expected),
        atol=1e-9,
    )


def test_amplitude_loss_is_half_the_poisson_loss_near_the_data():
    """(√I - √D)² → (I - D)² / 4D; Poisson → (I - D)² / 2D."""
    data = np.linspace(0.1, 1, 9)
    ratio = AmplitudeLoss().value(data * 1.0001, data) / PoissonLoss().value(data * 1.0001, data)
    np.testing.assert_allclose(ratio, 0.5, rtol=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
def test_single_precision_stays_single_and_finite(loss):
    model = np.array([0, 1e-12, 1e-6, 1e-2, 0.5], np.float32)
    for data in (model, model[::-1], np.zeros_like(model)):
        for result in (loss.value(model, data), loss.derivative(model, data)):
            assert result.dtype == np.float32
            assert np.isfinite(result).all()


def test_losses_have_names():
    assert make_loss("amplitude") == AmplitudeLoss()
    assert make_loss("poisson") == PoissonLoss()
    with pytest.raises(ValueError, match="loss must be one of 'amplitude', 'poisson', got 'l2'"):
        make_loss("l2")


@pytest.mark.parametrize("kind", [AmplitudeLoss, PoissonLoss])
@pytest.mark.parametrize(
    ("epsilon", "error"), [(0, ValueError), (-1, ValueError), (math.nan, ValueError), ("1", TypeError)]
)
def test_bad_epsilon_is_refused(kind, epsilon, error):
    with pytest.raises(error, match="epsilon"):
        kind(epsilon)
