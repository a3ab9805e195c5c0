"""Making probe modes from one probe, and describing them. NumPy, double precision inside.

A partially coherent beam is a density matrix ρ(r, r') = Σ_m P_m(r) conj(P_m(r')), and its modes
are the eigenvectors times the roots of the eigenvalues, so the *occupations* of modes that are
orthogonal to each other are eigenvalues of ρ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.hermite_e import hermeval
from numpy.typing import ArrayLike
from scipy import fft

from caviar_kit import validation
from caviar_kit.multislice.operators import frequency_grid
from caviar_kit.multislice.probe_masks import check_optics

__all__ = ["CoherentModes", "hermite_modes", "occupations", "orthogonalise", "partially_coherent_modes"]

_FWHM_PER_RMS = math.sqrt(8 * math.log(2))
_NEGLIGIBLE = 1e-11  # of the beam, in one mode


@dataclass(frozen=True, eq=False)
class CoherentModes:
    """Leading modes of a partially coherent beam.

    Attributes
    ----------
    modes : (modes, y, x) complex
        Orthogonal, most occupied first, scaled up to the beam of the probe they were made from.
    captured : float
        Fraction of the beam in these modes before they were scaled up.
    """

    modes: np.ndarray
    captured: float


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
    beams = (abs(_modes("modes", modes)) ** 2).sum(axis=(1, 2))
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
    (modes, y, x), complex64 for complex64 or single-precision input, otherwise complex128.

    Raises
    ------
    TypeError, ValueError
        If ``modes`` has another shape, is not finite or all zero.
    """
    values = _modes("modes", modes)
    if len(values) > values[0].size:
        raise ValueError(f"modes must not outnumber their {values[0].size} pixels, got {len(values)}")
    _, sizes, vectors = np.linalg.svd(values.reshape(len(values), -1), full_matrices=False)
    return _like(modes, _with_fixed_phase((sizes[:, None] * vectors).reshape(values.shape)))


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
    field = _modes("probe", np.asarray(probe)[None] if np.ndim(probe) == 2 else probe)
    if len(field) != 1:
        raise ValueError(f"probe must have one mode, got {len(field)}")
    validation.integer("num_modes", num_modes)
    shares = _shares(occupations, num_modes)
    if reciprocal:
        field = np.fft.fftshift(fft.fft2(field, norm="ortho"), axes=(1, 2))
    polynomials = _polynomials(abs(field[0]) ** 2, num_modes)
    vectors, triangle = np.linalg.qr((field * polynomials).reshape(num_modes, -1).T)
    diagonal = np.diag(triangle)
    if (abs(diagonal) < 1e-6 * np.linalg.norm(triangle, axis=0)).any():
        raise ValueError(f"num_modes={num_modes} is more than the probe has independent modes for")
    vectors = vectors * (diagonal / abs(diagonal)) * np.sqrt(shares * (abs(field) ** 2).sum())
    modes = vectors.T.reshape(num_modes, *field.shape[1:])
    if reciprocal:
        modes = fft.ifft2(np.fft.ifftshift(modes, axes=(1, 2)), norm="ortho")
    return _like(probe, modes)


def partially_coherent_modes(
    probe: ArrayLike,
    sampling: tuple[float, float],
    wavelength: float,
    num_modes: int,
    *,
    source_fwhm_angstrom: float = 0.0,
    defocus_fwhm_angstrom: float = 0.0,
) -> CoherentModes:
    """Leading modes of a probe blurred by a Gaussian source and a Gaussian spread of defocus.

    The density matrix is the mean over probes shifted in the specimen plane, and over probes with
    their defocus changed, ρ = Σ_j w_j P_j conj(P_j)ᵀ. Each mean is a sum over equidistant points,
    which for a Gaussian and a limited band of frequencies converges faster than any power of their
    number [Trefethen & Weideman (2014), doi:10.1137/130932132].

    Parameters
    ----------
    probe : (modes, y, x) or (y, x) complex
        Probe of a point source; if it has several modes, each is blurred.
    sampling : (y, x)
        Pixel size [Å].
    wavelength : float
        [Å].
    num_modes : int
        Modes to keep.
    source_fwhm_angstrom : float
        Full width at half maximum [Å] of the source's image in the specimen plane, at most half the
        window.
    defocus_fwhm_angstrom : float
        Full width at half maximum [Å] of the distribution of defocus.

    Returns
    -------
    CoherentModes
        complex64 for single-precision input, otherwise complex128.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range, or fewer than ``num_modes`` modes carry
        1e-11 of the beam.
    """
    values = _modes("probe", np.asarray(probe)[None] if np.ndim(probe) == 2 else probe)
    check_optics(sampling, wavelength)
    validation.integer("num_modes", num_modes)
    half = 0.5 * min(n * d for n, d in zip(values.shape[1:], sampling, strict=True))
    validation.number("source_fwhm_angstrom", source_fwhm_angstrom, minimum=0, maximum=half, unit="Å")
    validation.number("defocus_fwhm_angstrom", defocus_fwhm_angstrom, minimum=0, unit="Å")
    spectra = fft.fft2(values, norm="ortho")
    total = (abs(spectra) ** 2).sum()
    lit = (abs(spectra) ** 2).sum(axis=0)
    support = lit > _rounding(probe) * lit.max()
    vectors, weight = spectra[:, support], lit[support]
    ky, kx = (np.broadcast_to(k, support.shape)[support] for k in frequency_grid(support.shape, sampling))
    source, defocus = (fwhm / _FWHM_PER_RMS for fwhm in (source_fwhm_angstrom, defocus_fwhm_angstrom))
    for slope in (  # phase per standard deviation
        2 * math.pi * source * ky,
        2 * math.pi * source * kx,
        math.pi * wavelength * defocus * (ky**2 + kx**2),
    ):
        vectors = _gaussian_mean(vectors, slope, weight)
    if len(vectors) < num_modes:
        raise ValueError(
            f"num_modes must be at most {len(vectors)}, as no further mode carries {_NEGLIGIBLE:g} "
            f"of the beam, got {num_modes}"
        )
    captured = (abs(vectors[:num_modes]) ** 2).sum() / total
    leading = np.zeros((num_modes, *support.shape), complex)
    leading[:, support] = vectors[:num_modes] / math.sqrt(captured)
    return CoherentModes(_like(probe, _with_fixed_phase(fft.ifft2(leading, norm="ortho"))), float(captured))


# Density matrices --------------------------------------------------------------------------


def _gaussian_mean(vectors: np.ndarray, slope: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Modes of the mean over normally distributed t of the ``vectors`` (modes, k) times exp(i t slope)."""
    bright = slope[weight > 1e-12 * weight.max()]
    span = float(np.ptp(bright))
    reach = 7.0  # standard deviations: exp(-reach²/2) = 2e-11, for truncation and for aliases
    count = 1 + 2 * math.ceil(reach * (span + reach) / (2 * math.pi)) if span else 1
    points = np.linspace(-reach, reach, count) if span else np.zeros(1)
    weights = np.exp(-0.5 * points**2)
    weights /= weights.sum()
    shifted = np.exp(1j * points[:, None] * slope) * np.sqrt(weights)[:, None]
    return _principal((shifted[:, None] * vectors).reshape(-1, slope.size))


def _principal(vectors: np.ndarray) -> np.ndarray:
    """Orthogonal vectors with the density matrix of ``vectors``, most occupied first, weak ones dropped."""
    values, mixing = np.linalg.eigh(vectors.conj() @ vectors.T)
    strong = values > _NEGLIGIBLE * values.sum()
    return (mixing[:, strong].T @ vectors)[::-1]


def _with_fixed_phase(modes: np.ndarray) -> np.ndarray:
    """Each mode real and positive in the first of its brightest pixels."""
    result = modes.copy()
    for mode in result:
        size = abs(mode).ravel()
        if size.any():
            brightest = int(np.argmax(size > (1 - 1e-6) * size.max()))
            mode *= mode.ravel()[brightest].conj() / size[brightest]
    return result


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


# Input and output --------------------------------------------------------------------------


def _modes(name: str, modes: ArrayLike) -> np.ndarray:
    values = validation.as_array(name, modes, shape=(None, None, None), complex_allowed=True).astype(complex)
    if not values.any():
        raise ValueError(f"{name} must not be all zero")
    return values


def _like(source: ArrayLike, modes: np.ndarray) -> np.ndarray:
    return modes.astype(np.complex64) if _single(source) else modes


def _single(source: ArrayLike) -> bool:
    return np.asarray(source).dtype in (np.complex64, np.float32, np.float16)


def _rounding(source: ArrayLike) -> float:
    """Intensity, relative to the brightest pixel, that is rounding error in ``source``."""
    return float((10 * np.finfo(np.float32 if _single(source) else np.float64).eps) ** 2)
