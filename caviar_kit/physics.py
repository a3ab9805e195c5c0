"""Relativistic electron optics: the few formulas everything else is built on."""

from __future__ import annotations

import math

from scipy import constants

from caviar_kit import validation

__all__ = ["FWHM_PER_RMS", "electron_wavelength", "interaction_parameter"]

FWHM_PER_RMS = math.sqrt(8 * math.log(2))  # of a Gaussian: full width at half maximum per rms width
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
