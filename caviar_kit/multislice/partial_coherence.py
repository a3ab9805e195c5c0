"""Probe modes of a beam with a Gaussian source and a Gaussian spread of defocus. NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft, linalg

from caviar_kit import validation
from caviar_kit.multislice.operators import frequency_grid
from caviar_kit.multislice.probe_masks import check_optics
from caviar_kit.multislice.probe_modes import as_modes, is_single, like, with_fixed_phase
from caviar_kit.physics import FWHM_PER_RMS

__all__ = ["CoherentModes", "partially_coherent_modes"]

_NEGLIGIBLE = 1e-8  # of the beam, in one mode
_REACH = 7.0  # standard deviations; what is cut off, and aliases of the sum, are below exp(-reach²/2) = 2e-11


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
        1e-8 of the beam.
    """
    values = as_modes("probe", np.asarray(probe)[None] if np.ndim(probe) == 2 else probe)
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
    source, defocus = (fwhm / FWHM_PER_RMS for fwhm in (source_fwhm_angstrom, defocus_fwhm_angstrom))
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
    return CoherentModes(like(probe, with_fixed_phase(fft.ifft2(leading, norm="ortho"))), float(captured))


def _gaussian_mean(vectors: np.ndarray, slope: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Modes of the mean over normally distributed t of the ``vectors`` (modes, k) times exp(i t slope)."""
    span = float(np.ptp(slope[weight > 1e-12 * weight.max()]))
    if not span:
        return _principal(vectors)
    count = 1 + 2 * math.ceil(_REACH * (span + _REACH) / (2 * math.pi))
    points = np.linspace(-_REACH, _REACH, count)
    weights = np.exp(-0.5 * points**2)
    weights /= weights.sum()
    transfers = _principal(np.exp(1j * points[:, None] * slope) * np.sqrt(weights)[:, None])
    return _principal((transfers[:, None] * vectors).reshape(-1, slope.size))


def _principal(vectors: np.ndarray) -> np.ndarray:
    """Orthogonal vectors with the density matrix of ``vectors``, most occupied first, weak ones dropped."""
    matrix = vectors if len(vectors) <= vectors.shape[1] else vectors.T
    gram = matrix.conj() @ matrix.T
    floor = _NEGLIGIBLE * np.trace(gram).real
    values, basis = linalg.eigh(gram, subset_by_value=(floor, np.inf))
    if matrix is vectors:
        return (basis.T @ vectors)[::-1]
    return (np.sqrt(values) * basis.conj()).T[::-1]


def _rounding(source: ArrayLike) -> float:
    """Intensity, relative to the brightest pixel, that is rounding error in ``source``."""
    return float((10 * np.finfo(np.float32 if is_single(source) else np.float64).eps) ** 2)
