"""Relativistic electron optics and thermal vibrations: the few formulas everything else is built on."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import constants

from caviar_kit import validation

__all__ = [
    "FWHM_PER_RMS",
    "STATISTICS",
    "electron_wavelength",
    "frequency_thz",
    "interaction_parameter",
    "mean_square_amplitude",
]

FWHM_PER_RMS = math.sqrt(8 * math.log(2))  # of a Gaussian: full width at half maximum per rms width
STATISTICS = ("quantum", "classical")
_REST_ENERGY_EV = constants.m_e * constants.c**2 / constants.e


def electron_wavelength(energy_ev: float) -> float:
    """De Broglie wavelength [Å] of an electron with kinetic energy ``energy_ev`` [eV].

    λ = h c / √(E (E + 2 m c²)); Kirkland, *Advanced Computing in Electron Microscopy*
    (2010), eq. 2.5, doi:10.1007/978-1-4419-6533-2.

    Raises
    ------
    ValueError
        If the energy is not above 0, or looks as if it was given in keV (below 1000).
    """
    energy = validation.number(
        "energy_ev", energy_ev, minimum=1e3, maximum=1e8, unit="eV", hint="was the energy given in keV?"
    )
    hc_ev_angstrom = constants.h * constants.c / constants.e * 1e10
    return hc_ev_angstrom / math.sqrt(energy * (energy + 2 * _REST_ENERGY_EV))


def interaction_parameter(energy_ev: float) -> float:
    """Phase per projected potential, σ [rad / (V Å)]: a thin object transmits exp(iσV).

    σ = 2π m e λ / h² with the relativistic mass; Kirkland (2010), eq. 5.6.
    """
    wavelength = electron_wavelength(energy_ev)
    return (
        2
        * math.pi
        / (wavelength * energy_ev)
        * (_REST_ENERGY_EV + energy_ev)
        / (2 * _REST_ENERGY_EV + energy_ev)
    )


def frequency_thz(curvature: ArrayLike) -> np.ndarray:
    """Frequency √λ / 2π [THz] of eigenvalues λ [eV / (Å² u)] of a dynamical matrix.

    Negative eigenvalues, unstable modes, give negative numbers that stand for imaginary frequencies.
    """
    values = validation.as_array("curvature", curvature, nonempty=False)
    angular = np.sqrt(np.abs(values) * constants.e / constants.atomic_mass) * 1e10  # rad/s
    return np.sign(values) * angular / (2e12 * math.pi)


def mean_square_amplitude(
    frequencies_thz: ArrayLike, temperature_k: float, statistics: str = "quantum"
) -> np.ndarray:
    """Mean square of a harmonic normal coordinate, ⟨Q²⟩ [u Å²], with Q = √mass × displacement.

    "quantum": (ħ/2ω) coth(ħω / 2 k_B T), with the zero-point motion, ħ/2ω, at 0 K (Bloch's theorem; Born and
    Huang, *Dynamical Theory of Crystal Lattices*, 1954). "classical": its limit at high temperature,
    k_B T / ω².

    Parameters
    ----------
    frequencies_thz : array of any shape
        ω / 2π [THz], above 0.
    temperature_k : float
        [K], from 0.
    statistics : {"quantum", "classical"}

    Raises
    ------
    TypeError, ValueError
        If a frequency is not above 0, the temperature is below 0, or ``statistics`` is unknown.
    """
    frequencies = validation.as_array("frequencies_thz", frequencies_thz, nonempty=False).astype(np.float64)
    if (frequencies <= 0).any():
        raise ValueError(f"frequencies_thz must be above 0 [THz], got {frequencies.min():g}")
    kelvin = validation.number("temperature_k", temperature_k, minimum=0.0, unit="K")
    angular = 2e12 * math.pi * frequencies
    if validation.choice("statistics", statistics, STATISTICS) == "classical":
        square = constants.k * kelvin / angular**2
    else:
        square = constants.hbar / (2 * angular)
        if kelvin > 0:
            square = square / np.tanh(constants.hbar * angular / (2 * constants.k * kelvin))
    return square / constants.atomic_mass * 1e20
