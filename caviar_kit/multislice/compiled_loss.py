"""The losses of :mod:`caviar_kit.multislice.loss`, summed over patterns by Numba in one sweep."""

from __future__ import annotations

import math

import numpy as np

from caviar_kit.multislice.jit import compiled
from caviar_kit.multislice.loss import AmplitudeLoss, PoissonLoss

__all__ = ["misfit"]


def misfit(
    loss: AmplitudeLoss | PoissonLoss,
    model: np.ndarray,
    data: np.ndarray,
    weights: np.ndarray | None,
    residual: np.ndarray | None,
) -> np.ndarray:
    """As :func:`caviar_kit.multislice.misfit.misfit`."""
    kernel = _amplitude if isinstance(loss, AmplitudeLoss) else _poisson
    real = model.dtype.type
    weights = np.ones((1, 1), model.dtype) if weights is None else weights
    residual = np.empty_like(model) if residual is None else residual
    losses = np.empty(len(model))
    kernel(model, data, weights, real(loss.epsilon), real(1), residual, losses)
    return losses


# ``one`` carries the precision: literals would make double precision of single.


@compiled
def _amplitude(model, data, weights, epsilon, one, residual, losses):  # type: ignore[no-untyped-def]
    weighted = weights.shape[0] > 1
    for p in range(model.shape[0]):
        total = 0.0
        for y in range(model.shape[1]):
            modelled, measured, out = model[p, y], data[p, y], residual[p, y]
            part = one - one
            for x in range(modelled.size):
                root, wanted = math.sqrt(modelled[x] + epsilon), math.sqrt(measured[x] + epsilon)
                weight = weights[y, x] if weighted else one
                difference = (modelled[x] - measured[x]) / (root + wanted)  # which does not cancel
                out[x] = weight * (difference / root)
                part += weight * (difference * difference)
            total += part
        losses[p] = total


@compiled
def _poisson(model, data, weights, epsilon, one, residual, losses):  # type: ignore[no-untyped-def]
    weighted = weights.shape[0] > 1
    half = one / (one + one)
    for p in range(model.shape[0]):
        total = 0.0
        for y in range(model.shape[1]):
            modelled, measured, out = model[p, y], data[p, y], residual[p, y]
            part = one - one
            for x in range(modelled.size):
                counted, expected = measured[x] + epsilon, modelled[x] + epsilon
                excess = modelled[x] - measured[x]
                weight = weights[y, x] if weighted else one
                # log1p does not cancel near I = D; log stays finite where I / D is below the precision
                ratio = expected / counted
                logarithm = math.log(ratio) if ratio < half else math.log1p(excess / counted)
                out[x] = weight * (excess / expected)
                part += weight * (excess - counted * logarithm)
            total += part
        losses[p] = total
