"""Making probe modes from one probe, and describing them. NumPy, double precision inside.

A partially coherent beam is a density matrix ρ(r, r') = Σ_m P_m(r) conj(P_m(r')). Modes that are
orthogonal to each other are its eigenvectors times the roots of its eigenvalues, and these
*occupations* say how much of the beam is in each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.polynomial.hermite_e import hermeval
from numpy.typing import ArrayLike
from scipy import fft

from caviar_kit import validation

__all__ = [
    "as_modes",
    "hermite_modes",
    "is_single",
    "like",
    "occupations",
    "orthogonalise",
    "with_fixed_phase",
]


def occupations(modes: ArrayLike) -> np.ndarray:
    """Fraction of the beam in each mode, float64 (modes,), summing to 1.

    Parameters
    ----------
    modes : (modes, y, x) complex

    Raises
    ------
    TypeError, ValueError
        If ``modes`` has another shape, is not finite or all zero.
    """
    beams = (abs(as_modes("modes", modes)) ** 2).sum(axis=(1, 2))
    return beams / beams.sum()


def orthogonalise(modes: ArrayLike) -> np.ndarray:
    """Orthogonal modes of the same beam, most occupied first.

    The singular value decomposition of the modes leaves their density matrix, hence the sum of
    intensities and every diffraction pattern, as it is [Thibault & Menzel (2013),
    doi:10.1038/nature11806]. Each mode is real and positive in its brightest pixel, the first
    one in reading order if several are equally bright.

    Parameters
    ----------
    modes : (modes, y, x) complex
        At most as many modes as pixels.

    Returns
    -------
    (modes, y, x), complex64 for single-precision input, otherwise complex128.

    Raises
    ------
    TypeError, ValueError
        If ``modes`` has another shape, is not finite or all zero.
    """
    values = as_modes("modes", modes)
    if len(values) > values[0].size:
        raise ValueError(f"modes must not outnumber their {values[0].size} pixels, got {len(values)}")
    _, sizes, vectors = np.linalg.svd(values.reshape(len(values), -1), full_matrices=False)
    return like(modes, with_fixed_phase((sizes[:, None] * vectors).reshape(values.shape)))


def hermite_modes(
    probe: ArrayLike,
    num_modes: int,
    occupations: Sequence[float] | None = None,
    *,
    reciprocal: bool = False,
) -> np.ndarray:
    """The probe times Hermite polynomials of the coordinates, made orthogonal: a start for a mixed probe.

    Mode (i, j) is P(r) He_i(y/σ_y) He_j(x/σ_x), with y and x from the centre of gravity of |P|² and σ
    its rms widths; a Gaussian probe thus gives Hermite–Gauss modes. The order is (0, 0), (1, 0),
    (0, 1), (2, 0), (1, 1), (0, 2) … . In reciprocal space the same is done with the spectrum: these
    modes stay inside the aperture and are derivatives of the probe, which is what a small source,
    or a small spread of defocus, adds to it.

    Parameters
    ----------
    probe : (y, x) or (1, y, x) complex
        Centred in its window.
    num_modes : int
        Modes, the first of which is the probe.
    occupations : sequence of float, optional
        Fraction of the beam in each mode, summing to 1. By default 0.9 in the first, while the others
        share 0.1 equally.
    reciprocal : bool
        Polynomials of the spatial frequencies instead of the coordinates.

    Returns
    -------
    (num_modes, y, x) with the beam Σ|P|² of ``probe``, complex64 for single-precision input,
    otherwise complex128.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range, or the probe has too few pixels for so
        many independent modes.
    """
    field = as_modes("probe", np.asarray(probe)[None] if np.ndim(probe) == 2 else probe)
    if len(field) != 1:
        raise ValueError(f"probe must have one mode, got {len(field)}")
    validation.integer("num_modes", num_modes)
    shares = _shares(occupations, num_modes)
    if reciprocal:
        field = np.fft.fftshift(fft.fft2(field, norm="ortho"), axes=(1, 2))
    polynomials = _polynomials(abs(field[0]) ** 2, num_modes)
    vectors, triangle = np.linalg.qr((field * polynomials).reshape(num_modes, -1).T)
    diagonal = np.diag(triangle)
    if (abs(diagonal) <= 1e-6 * np.linalg.norm(triangle, axis=0)).any():
        raise ValueError(f"num_modes={num_modes} is more than the probe has independent modes for")
    vectors = vectors * (diagonal / abs(diagonal)) * np.sqrt(shares * (abs(field) ** 2).sum())
    modes = vectors.T.reshape(num_modes, *field.shape[1:])
    if reciprocal:
        modes = fft.ifft2(np.fft.ifftshift(modes, axes=(1, 2)), norm="ortho")
    return like(probe, modes)


# Hermite polynomials -----------------------------------------------------------------------


def _polynomials(intensity: np.ndarray, count: int) -> np.ndarray:
    """He_i(y/σ_y) He_j(x/σ_x) around the centre of gravity, by growing i + j, (count, y, x)."""
    axes = []
    for axis in (0, 1):
        profile, position = intensity.sum(axis=1 - axis), np.arange(intensity.shape[axis])
        position = position - np.average(position, weights=profile)
        axes.append(position / max(math.sqrt(np.average(position**2, weights=profile)), 1e-12))
    orders = ((total - j, j) for total in range(count) for j in range(total + 1))
    pairs = [pair for pair, _ in zip(orders, range(count), strict=False)]
    return np.stack([_hermite(axes[0], i)[:, None] * _hermite(axes[1], j)[None] for i, j in pairs])


def _hermite(position: np.ndarray, order: int) -> np.ndarray:
    return hermeval(position, [0.0] * order + [1.0])


def _shares(occupations: Sequence[float] | None, count: int) -> np.ndarray:
    if occupations is None:
        return np.array([1.0]) if count == 1 else np.array([0.9] + [0.1 / (count - 1)] * (count - 1))
    shares = validation.as_array("occupations", occupations, shape=(count,)).astype(float)
    if shares.min() < 0 or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(f"occupations must not be negative and must sum to 1, got {shares.tolist()}")
    return shares / shares.sum()


# Shared with partial_coherence.py ---------------------------------------------------------


def as_modes(name: str, modes: ArrayLike) -> np.ndarray:
    """``modes`` as complex128 (modes, y, x), refused if it has another shape, is not finite or all zero."""
    values = validation.as_array(name, modes, shape=(None, None, None), complex_allowed=True).astype(complex)
    if not values.any():
        raise ValueError(f"{name} must not be all zero")
    return values


def like(source: ArrayLike, modes: np.ndarray) -> np.ndarray:
    """``modes`` in the precision of ``source``."""
    return modes.astype(np.complex64) if is_single(source) else modes


def is_single(source: ArrayLike) -> bool:
    """Whether ``source`` has single precision or less."""
    return np.asarray(source).dtype in (np.complex64, np.float32, np.float16)


def with_fixed_phase(modes: np.ndarray) -> np.ndarray:
    """Each mode real and positive in the first of its brightest pixels."""
    result = modes.copy()
    for mode in result:
        size = abs(mode).ravel()
        if size.any():
            brightest = int(np.argmax(size > (1 - 1e-6) * size.max()))
            mode *= mode.ravel()[brightest].conj() / size[brightest]
    return result
