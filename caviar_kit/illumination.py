"""The probe before the fit: made from an ideal aperture, and held against window and scan."""

from __future__ import annotations

import math
import warnings

import numpy as np

from caviar_kit.multislice.partial_coherence import partially_coherent_modes
from caviar_kit.multislice.probe_modes import hermite_modes

__all__ = ["check_illumination", "ideal_aperture", "probe_modes", "unit_probe"]

_ENOUGH_OF_THE_BEAM = 0.9


def ideal_aperture(
    shape: tuple[int, int], angular_sampling: tuple[float, float], cutoff_mrad: float
) -> np.ndarray:
    """Amplitude of a round aperture (y, x), centred at (y // 2, x // 2), its rim one pixel wide."""
    y, x = (np.arange(n) - n // 2 for n in shape)
    angle = np.hypot(y[:, None] * angular_sampling[0], x[None, :] * angular_sampling[1])
    return np.clip((cutoff_mrad - angle) / math.sqrt(math.prod(angular_sampling)) + 0.5, 0, 1).astype(
        np.float32
    )


def unit_probe(corner_centred: np.ndarray) -> np.ndarray:
    """Probe modes (modes, y, x) moved to the middle of the window, Σ|probe|² = 1, complex64."""
    probe = np.fft.fftshift(corner_centred, axes=(-2, -1))
    return (probe / np.sqrt((abs(probe) ** 2).sum())).astype(np.complex64)


def probe_modes(
    probe: np.ndarray,
    num_modes: int,
    sampling: tuple[float, float],
    wavelength: float,
    *,
    source_fwhm_angstrom: float = 0.0,
    defocus_fwhm_angstrom: float = 0.0,
) -> np.ndarray:
    """Orthogonal probe modes whose occupations sum to the beam, complex64 (modes, y, x).

    From the physics, if the width of the source or the spread of defocus is given, else
    Hermite modes that a fit has to make sense of.

    Parameters
    ----------
    probe : (1, y, x) complex
        Σ|probe|² = 1, centred in its window.
    num_modes : int
        Modes to make; 1 returns the probe.
    sampling, wavelength
        Pixel (y, x) and wavelength [Å].
    source_fwhm_angstrom, defocus_fwhm_angstrom : float
        Full widths at half maximum of the Gaussian source, at the specimen, and of the defocus [Å].

    Warns
    -----
    UserWarning
        If the modes hold less than 90 % of the beam.
    """
    widths = {
        "source_fwhm_angstrom": source_fwhm_angstrom,
        "defocus_fwhm_angstrom": defocus_fwhm_angstrom,
    }
    if num_modes == 1:
        return probe
    if max(widths.values()) == 0:
        return hermite_modes(probe, num_modes).astype(np.complex64)
    found = partially_coherent_modes(probe, sampling, wavelength, num_modes, **widths)
    if found.captured < _ENOUGH_OF_THE_BEAM:
        warnings.warn(
            f"{num_modes} probe modes hold {found.captured:.0%} of the partially coherent beam: "
            "increase num_probes",
            UserWarning,
            stacklevel=2,
        )
    return found.modes.astype(np.complex64)


def check_illumination(probe: np.ndarray, sampling: tuple[float, float], positions: np.ndarray) -> None:
    """The probe must fit its window and overlap with its neighbours.

    Parameters
    ----------
    probe : (y, x) complex
        Centred in its window.
    sampling : (y, x)
        Pixel size [Å].
    positions : (positions, 2)
        Scan positions [Å].

    Raises
    ------
    ValueError
        If more than a fifth of the probe lies in the outer eighth of the window, or the nearest
        neighbour of the middle position is 1.5 probe diameters (twice the rms radius) away.
    """
    intensity = abs(probe) ** 2
    intensity = intensity / intensity.sum()
    inner = tuple(slice(n // 8, n - n // 8) for n in intensity.shape)
    outside = 1 - intensity[inner].sum()
    if outside > 0.2:
        height, width = (n * d for n, d in zip(intensity.shape, sampling, strict=True))
        raise ValueError(
            f"the probe does not fit its window of {height:.1f} × {width:.1f} Å "
            f"({outside:.0%} of it in the outer eighth): reduce defocus, or bin the detector less"
        )
    grid = np.indices(intensity.shape)
    centre = [(axis * intensity).sum() for axis in grid]
    spread = sum(((a - c) * d) ** 2 for a, c, d in zip(grid, centre, sampling, strict=True))
    diameter = 2 * math.sqrt(2 * float((spread * intensity)[inner].sum()))
    if len(positions) < 2:
        return
    distances = np.linalg.norm(positions - positions[len(positions) // 2], axis=1)
    nearest = float(np.sort(distances)[1])
    if nearest > 1.5 * diameter:
        raise ValueError(
            f"neighbouring probes do not overlap: they are {nearest:.2f} Å apart and about "
            f"{diameter:.2f} Å wide; check the scan step's unit, or use more defocus"
        )
