"""The point-wise work of one pass over a batch of scan positions, in CUDA.

Every function writes into arrays it is given: no allocation, no copy to the host, the current
CuPy stream. Arrays are C-contiguous CuPy arrays of one precision; they may hold more than 2³¹
elements. The letters of their shapes:

``P`` positions, ``M`` probe modes, ``S`` object states, ``I`` = ``S`` or 1 where all states share
a wave, ``T`` = ``P`` or 1 where all positions share a transfer function, ``y, x`` pixels of a
window, ``Z`` slices, ``Y, X`` pixels of the object.

What a function launches is ``function.plan(…)``, which needs no GPU.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.multislice.cuda_launch import (
    Kernel,
    Launch,
    expect,
    expect_waves,
    integers,
    over_waves,
    real_dtype,
)

__all__ = [
    "add_intensity",
    "adjoint_transmit",
    "amplitude_loss",
    "poisson_loss",
    "propagate",
    "residual_wave",
    "sum_states",
    "transmit",
]

Array = Any  # cupy.ndarray


# Waves ---------------------------------------------------------------------------------------


@Kernel
def transmit(incident: Array, transmission: Array, corners: Array, z: int, out: Array) -> Launch:
    """``out[p, m, s] = incident[p, m, s] · transmission[s, z, window p]``.

    Parameters
    ----------
    incident : (P, M, I, y, x) complex
        Waves that enter slice ``z``.
    transmission : (S, Z, Y, X) complex
    corners : (P, 2) int32
        Row and column of the first pixel of each window. The windows must lie inside the object:
        they are on the GPU, so this is not checked.
    z : int
        Slice, from 0.
    out : (P, M, S, y, x) complex
        May be ``incident`` if that is not shared by the states.

    Raises
    ------
    TypeError, ValueError
        If an array has another shape, precision or memory layout, or there is no slice ``z``.
    """
    expect_waves("out", out)
    sizes = _through_object(out, incident, transmission, corners, z)
    arrays = (incident, transmission, corners, out)
    return over_waves("transmit", out.shape, out.shape[2], (*arrays, *integers(*sizes)))


@Kernel
def adjoint_transmit(
    wave: Array, transmission: Array, corners: Array, z: int, incident: Array, object_gradient: Array
) -> Launch:
    """Pull a gradient through :func:`transmit`, both ways at once.

    ``object_gradient[s, z, window p] += Σ_m wave[p, m, s] · conj(incident[p, m, s])`` for all p, and then
    ``wave[p, m, s] *= conj(transmission[s, z, window p])``. Windows overlap: the order of the sum, so
    its last digits, may change from run to run.

    Parameters
    ----------
    wave : (P, M, S, y, x) complex
        Gradient in the exit wave of slice ``z``, overwritten by that in the incident wave.
    transmission, object_gradient : (S, Z, Y, X) complex
    corners, z, incident
        As for :func:`transmit`.

    Raises
    ------
    TypeError, ValueError
        If an array has another shape, precision or memory layout, or there is no slice ``z``.
    """
    expect_waves("wave", wave)
    sizes = _through_object(wave, incident, transmission, corners, z)
    expect("object_gradient", object_gradient, transmission.shape, wave.dtype)
    arrays = (wave, transmission, corners, incident, object_gradient)
    return over_waves("adjoint_transmit", wave.shape, wave.shape[2], (*arrays, *integers(*sizes)))


@Kernel
def propagate(wave: Array, transfer: Array, out: Array, conjugate: bool = False) -> Launch:
    """``out[p, m, s] = wave[p, m, s] · transfer[p]``, or its conjugate.

    Parameters
    ----------
    wave, out : (P, M, S, y, x) complex
        May be the same array.
    transfer : (T, y, x) complex
        Of the gap to the next slice.
    conjugate : bool
        Use conj(transfer), for the way back.

    Raises
    ------
    TypeError, ValueError
        If an array has another shape, precision or memory layout.
    """
    positions, modes, states, *window = expect_waves("wave", wave)
    transfers = 1 if transfer.shape[:1] == (1,) else positions
    expect("transfer", transfer, (transfers, *window), wave.dtype)
    expect("out", out, wave.shape, wave.dtype)
    rows = modes * states
    sizes = integers(positions, rows, transfers, math.prod(window), bool(conjugate))
    return over_waves("propagate", wave.shape, rows, (wave, transfer, out, *sizes))


@Kernel
def add_intensity(far: Array, out: Array) -> Launch:
    """``out[p] += Σ_ms |far[p, m, s]|²``.

    Parameters
    ----------
    far : (P, M, S, y, x) complex
    out : (P, y, x) real

    Raises
    ------
    TypeError, ValueError
        If an array has another shape, precision or memory layout.
    """
    positions, modes, states, *window = expect_waves("far", far)
    expect("out", out, (positions, *window), real_dtype(far))
    return over_waves(
        "add_intensity", far.shape, 1, (far, out, *integers(positions, modes * states, math.prod(window)))
    )


@Kernel
def residual_wave(far: Array, residual: Array, out: Array) -> Launch:
    """``out[p, m, s] = far[p, m, s] · residual[p]``.

    Parameters
    ----------
    far, out : (P, M, S, y, x) complex
        May be the same array.
    residual : (P, y, x) real

    Raises
    ------
    TypeError, ValueError
        If an array has another shape, precision or memory layout.
    """
    positions, modes, states, *window = expect_waves("far", far)
    expect("residual", residual, (positions, *window), real_dtype(far))
    expect("out", out, far.shape, far.dtype)
    rows = modes * states
    sizes = integers(positions, rows, math.prod(window))
    return over_waves("residual_wave", far.shape, rows, (far, residual, out, *sizes))


@Kernel
def sum_states(wave: Array, out: Array) -> Launch:
    """``out[p, m] = Σ_s wave[p, m, s]``.

    Parameters
    ----------
    wave : (P, M, S, y, x) complex
    out : (P, M, y, x) complex

    Raises
    ------
    TypeError, ValueError
        If an array has another shape, precision or memory layout.
    """
    positions, modes, states, *window = expect_waves("wave", wave)
    expect("out", out, (positions, modes, *window), wave.dtype)
    sizes = integers(positions, modes, states, math.prod(window))
    return over_waves("sum_states", wave.shape, modes, (wave, out, *sizes))


# Losses --------------------------------------------------------------------------------------


@Kernel
def amplitude_loss(
    model: Array, data: Array, weights: Array | None, epsilon: float, losses: Array, residual: Array
) -> Launch:
    """:class:`caviar_kit.multislice.loss.AmplitudeLoss`, summed over each pattern, and its derivative.

    Parameters
    ----------
    model, data : (P, y, x) real
        Intensities.
    weights : (y, x) real or None
        Weight of each detector pixel.
    epsilon : float
        Of the loss.
    losses : (P,) float64
        Receives the weighted sum over the pixels.
    residual : (P, y, x) real
        Receives the weighted derivative in ``model``; may be ``model``.

    Raises
    ------
    TypeError, ValueError
        If an array has another shape, precision or memory layout, or ``epsilon`` is not positive.
    """
    return _loss("amplitude_loss", model, data, weights, epsilon, losses, residual)


@Kernel
def poisson_loss(
    model: Array, data: Array, weights: Array | None, epsilon: float, losses: Array, residual: Array
) -> Launch:
    """:class:`caviar_kit.multislice.loss.PoissonLoss`; parameters as for :func:`amplitude_loss`."""
    return _loss("poisson_loss", model, data, weights, epsilon, losses, residual)


def _loss(
    kernel: str,
    model: Array,
    data: Array,
    weights: Array | None,
    epsilon: float,
    losses: Array,
    residual: Array,
) -> Launch:
    if model.ndim != 3 or not model.size:
        raise ValueError(f"model must be (P, y, x) and not empty, got shape {model.shape}")
    if model.dtype not in (np.float32, np.float64):
        raise TypeError(f"model must be float32 or float64, got {model.dtype}")
    for name, array in (("data", data), ("model", model), ("residual", residual)):
        expect(name, array, model.shape, model.dtype)
    expect("losses", losses, model.shape[:1], np.float64)
    if weights is not None:
        expect("weights", weights, model.shape[1:], model.dtype)
    real = np.dtype(model.dtype)
    epsilon = real.type(validation.number("epsilon", epsilon, minimum=0, open_minimum=True))
    (pixels,) = integers(math.prod(model.shape[1:]))
    null = np.uintp(0)
    arguments = (model, data, null if weights is None else weights, epsilon, losses, residual, pixels)
    return Launch(kernel, real, (len(model), 1, 1), arguments)


def _through_object(
    wave: Array, incident: Array, transmission: Array, corners: Array, z: int
) -> tuple[int, ...]:
    """Check what meets in a slice; return the sizes that its kernels ask for."""
    positions, modes, states, *window = wave.shape
    shared = 1 if incident.ndim == 5 and incident.shape[2] == 1 else states
    expect("incident", incident, (positions, modes, shared, *window), wave.dtype)
    expect("corners", corners, (positions, 2), np.int32)
    if transmission.ndim != 4:
        raise ValueError(f"transmission must be (S, Z, Y, X), got shape {transmission.shape}")
    _, slices, rows, columns = transmission.shape
    expect("transmission", transmission, (states, slices, rows, columns), wave.dtype)
    if rows < window[0] or columns < window[1]:
        raise ValueError(f"windows of {window} pixels do not fit into an object of {(rows, columns)}")
    z = validation.integer("z", z, minimum=0, maximum=slices - 1)
    return positions, modes, states, shared, slices, rows, columns, z, math.prod(window), window[1]
