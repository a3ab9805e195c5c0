"""Loss of whole patterns and its derivative per pixel, in one sweep where that is possible."""

from __future__ import annotations

from typing import Any

import numpy as np

from caviar_kit.backend import array_module
from caviar_kit.multislice.loss import AmplitudeLoss, Loss, PoissonLoss

__all__ = ["misfit"]

Array = Any


def misfit(loss: Loss, model: Array, data: Array, weights: Array | None, residual: Array | None) -> Array:
    """Loss of each pattern, summed over its pixels.

    Parameters
    ----------
    loss : Loss
        Misfit per pixel.
    model, data : (positions, y, x) real
        Modelled and measured patterns, contiguous.
    weights : (y, x) real or None
        Of the pixels.
    residual : (positions, y, x) real or None
        Receives, if given, the derivative in ``model``, weighted.

    Returns
    -------
    (positions,) float64
    """
    if type(loss) in (AmplitudeLoss, PoissonLoss):
        fused = _fused(array_module(model))
        if fused is not None:
            return fused(loss, model, data, weights, residual)
    value = loss.value(model, data)
    if residual is not None:
        residual[...] = loss.derivative(model, data)
    if weights is not None:
        value = value * weights
        if residual is not None:
            residual *= weights
    return value.sum(axis=(1, 2), dtype=np.float64)


def _fused(xp: Any) -> Any:
    """Compiled forms of the two losses, if there are any for this array module."""
    if xp is not np:
        return _on_gpu
    try:
        from caviar_kit.multislice.compiled_loss import misfit as compiled
    except ImportError:  # without Numba
        return None
    return compiled


def _on_gpu(
    loss: AmplitudeLoss | PoissonLoss,
    model: Array,
    data: Array,
    weights: Array | None,
    residual: Array | None,
) -> Array:
    from caviar_kit.multislice import cuda

    kernel = cuda.amplitude_loss if isinstance(loss, AmplitudeLoss) else cuda.poisson_loss
    xp = array_module(model)
    losses = xp.zeros(len(model), np.float64)
    residual = xp.empty_like(model) if residual is None else residual
    kernel(model, data, weights, loss.epsilon, losses, residual)
    return losses
