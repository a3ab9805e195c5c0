"""The point-wise work on batches of waves, with NumPy: what :mod:`caviar_kit.multislice.cuda` does on a GPU.

Waves are complex (positions, modes, states, y, x), ``corners`` (positions, 2) int the first pixels
of the windows in ``transmission`` and ``object_gradient`` (states, slices, Y, X). The wave that
enters the first slice is the same for all states: (positions, modes, 1, y, x).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["add_intensity", "adjoint_transmit", "propagate", "residual_wave", "sum_states", "transmit"]


def transmit(
    incident: np.ndarray, transmission: np.ndarray, corners: np.ndarray, z: int, out: np.ndarray
) -> None:
    """``out = incident · patch`` of slice ``z``."""
    for p, patch in _patches(transmission, corners, z, out):
        np.multiply(incident[p], patch, out=out[p])


def propagate(wave: np.ndarray, transfer: np.ndarray, out: np.ndarray, conjugate: bool = False) -> None:
    """``out = wave · transfer``, or its conjugate; ``transfer`` is (1 or positions, y, x)."""
    transfer = transfer[:, None, None]
    np.multiply(wave, transfer.conj() if conjugate else transfer, out=out)


def add_intensity(far: np.ndarray, out: np.ndarray) -> None:
    """Add Σ |far|² over modes and states to ``out`` (positions, y, x)."""
    out += (far.real**2 + far.imag**2).sum(axis=(1, 2))


def residual_wave(far: np.ndarray, residual: np.ndarray, out: np.ndarray) -> None:
    """``out = far · residual`` with a real residual (positions, y, x)."""
    np.multiply(far, residual[:, None, None], out=out)


def adjoint_transmit(
    wave: np.ndarray,
    transmission: np.ndarray,
    corners: np.ndarray,
    z: int,
    incident: np.ndarray,
    object_gradient: np.ndarray,
) -> None:
    """Pull a gradient through ``exit = incident · patch``, both ways at once.

    ``object_gradient += Σ_modes wave · conj(incident)`` in every window, then ``wave *= conj(patch)``.
    """
    for p, target in _patches(object_gradient, corners, z, wave):
        target += (wave[p] * incident[p].conj()).sum(axis=0)
    for p, patch in _patches(transmission, corners, z, wave):
        wave[p] *= patch.conj()


def sum_states(wave: np.ndarray, out: np.ndarray) -> None:
    """``out = Σ wave`` over states, (positions, modes, y, x)."""
    np.sum(wave, axis=2, out=out)


def _patches(
    field: np.ndarray, corners: np.ndarray, z: int, wave: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Positions and their windows in slice ``z`` of ``field``, views (states, y, x)."""
    height, width = wave.shape[-2:]
    for p, (y, x) in enumerate(corners):
        yield p, field[:, z, y : y + height, x : x + width]
