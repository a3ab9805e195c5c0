"""Losses of whole patterns: compiled against per pixel, in both precisions."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from caviar_kit.multislice import AmplitudeLoss, PoissonLoss
from caviar_kit.multislice.misfit import misfit

LOSSES = [AmplitudeLoss(1e-6), PoissonLoss(1e-6)]


def patterns(shape, spread, seed, dtype):
    """Modelled and measured ones, alike to within ``spread``, with dark pixels."""
    rng = np.random.default_rng(seed)
    measured = rng.uniform(0, 1, shape) * (rng.uniform(size=shape) > 0.3)
    model = np.maximum(measured * (1 + spread * rng.normal(size=shape)), 0)
    return model.astype(dtype), measured.astype(dtype)


@pytest.mark.parametrize("loss", LOSSES, ids=["amplitude", "poisson"])
@given(
    shape=some.tuples(some.integers(1, 4), some.integers(2, 9), some.integers(2, 9)),
    spread=some.sampled_from([1e-3, 0.1, 1.0]),
    weighted=some.booleans(),
    seed=some.integers(0, 99),
    dtype=some.sampled_from([np.float32, np.float64]),
)
def test_sum_over_pixels_and_derivative(loss, shape, spread, weighted, seed, dtype):
    model, measured = patterns(shape, spread, seed, dtype)
    weights = np.random.default_rng(seed).integers(0, 3, shape[1:]).astype(dtype) if weighted else None
    residual = np.full(shape, np.nan, dtype)
    losses = misfit(loss, model, measured, weights, residual)
    exact = model.astype(float), measured.astype(float)
    factor = 1 if weights is None else weights
    single = dtype == np.float32
    rounding = 1e-6 * measured.sum(axis=(1, 2)) if single else 0  # of √I, squared, or of I - D
    expected = (loss.value(*exact) * factor).sum(axis=(1, 2))
    assert losses.dtype == np.float64
    assert (abs(losses - expected) <= (1e-4 if single else 1e-12) * expected + rounding + 1e-15).all()
    np.testing.assert_allclose(
        residual,
        loss.derivative(*exact) * factor,
        rtol=1e-4 if single else 1e-9,
        atol=2e-6 if single else 1e-13,
    )
    np.testing.assert_array_equal(misfit(loss, model, measured, weights, None), losses)


@pytest.mark.parametrize("loss", LOSSES, ids=["amplitude", "poisson"])
def test_without_numba_the_result_is_the_same(loss, monkeypatch):
    model, measured = patterns((3, 7, 5), 0.3, 1, float)
    residuals = np.empty((2, 3, 7, 5))
    weights = np.random.default_rng(2).uniform(size=(7, 5))
    compiled = misfit(loss, model, measured, weights, residuals[0])
    monkeypatch.setitem(sys.modules, "caviar_kit.multislice.compiled_loss", None)
    plain = misfit(loss, model, measured, weights, residuals[1])
    np.testing.assert_allclose(compiled, plain, rtol=1e-12)
    np.testing.assert_allclose(*residuals, rtol=1e-9, atol=1e-14)


@dataclass(frozen=True)
class LeastSquares:
    """A loss of the user's own."""

    def value(self, model, data):
        return (model - data) ** 2

    def derivative(self, model, data):
        return 2 * (model - data)


def test_any_loss_will_do():
    model, measured = patterns((2, 4, 3), 0.5, 0, np.float32)
    residual = np.empty_like(model)
    losses = misfit(LeastSquares(), model, measured, None, residual)
    np.testing.assert_allclose(losses, ((model - measured) ** 2).sum(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(residual, 2 * (model - measured))
