"""Electron optics and thermal vibrations against tabulated values and limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import constants as c

from caviar_kit.physics import (
    electron_wavelength,
    frequency_thz,
    interaction_parameter,
    mean_square_amplitude,
)

# Kirkland, Advanced Computing in Electron Microscopy (2010), table 2.2: E [keV], λ [Å], σ [rad/(V Å)]
TABLE = [(100, 0.0370, 0.9244e-3), (200, 0.0251, 0.7288e-3), (300, 0.0197, 0.6526e-3)]


@pytest.mark.parametrize(("kev", "wavelength", "sigma"), TABLE)
def test_tabulated_values(kev, wavelength, sigma):
    assert electron_wavelength(1e3 * kev) == pytest.approx(wavelength, abs=5e-5)
    assert interaction_parameter(1e3 * kev) == pytest.approx(sigma, rel=2e-4)


def test_wavelength_of_the_paper():
    """arXiv:2309.12017: 60 kV, λ = 4.87 pm."""
    assert electron_wavelength(60e3) == pytest.approx(0.0487, abs=5e-5)


@given(some.floats(1e3, 1e8))
def test_wavelength_is_planck_over_relativistic_momentum(energy_ev):
    total = energy_ev * c.e + c.m_e * c.c**2
    momentum = math.sqrt(max(total**2 - (c.m_e * c.c**2) ** 2, 0)) / c.c
    assert electron_wavelength(energy_ev) == pytest.approx(c.h / momentum * 1e10, rel=1e-6)


@given(some.floats(1e3, 1e8))
def test_interaction_parameter_is_that_of_the_relativistic_mass(energy_ev):
    mass = c.m_e + energy_ev * c.e / c.c**2
    expected = 2 * math.pi * mass * c.e * electron_wavelength(energy_ev) * 1e-20 / c.h**2
    assert interaction_parameter(energy_ev) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("function", [electron_wavelength, interaction_parameter])
@pytest.mark.parametrize(
    ("energy", "error", "match"),
    [
        (200, ValueError, "energy_ev.*keV"),
        (0, ValueError, "energy_ev"),
        (-2e5, ValueError, "energy_ev"),
        (math.nan, ValueError, "finite"),
        (math.inf, ValueError, "finite"),
        ("200e3", TypeError, "energy_ev must be a number"),
        (None, TypeError, "energy_ev must be a number"),
        (True, TypeError, "energy_ev must be a number"),
    ],
)
def test_bad_energy_is_refused(function, energy, error, match):
    with pytest.raises(error, match=match):
        function(energy)


@given(some.floats(0.01, 100), some.floats(0, 3000))
def test_mean_square_amplitude_is_blochs_theorem_and_its_limits(terahertz, kelvin):
    """(ħ/ω)(n + ½) with Bose and Einstein's n; never below the zero point, nor below k_BT/ω²."""
    omega = 2e12 * math.pi * terahertz
    quantum, classical, cold = (
        float(mean_square_amplitude(terahertz, t, s))
        for t, s in ((kelvin, "quantum"), (kelvin, "classical"), (0, "quantum"))
    )
    unit = c.atomic_mass * 1e-20  # u Å²
    energy = c.hbar * omega
    quanta = 1 / math.expm1(energy / (c.k * kelvin)) if kelvin > energy / (600 * c.k) else 0.0
    assert quantum == pytest.approx(c.hbar / omega * (quanta + 0.5) / unit, rel=1e-9)
    assert classical == pytest.approx(c.k * kelvin / omega**2 / unit, rel=1e-12)
    assert quantum >= max(cold, classical) * (1 - 1e-12)


def test_frequency_of_a_curvature():
    """√(1 eV/Å²/u) / 2π is 15.6333 THz, phonopy's factor; negative curvatures are imaginary frequencies."""
    np.testing.assert_allclose(frequency_thz([1.0, -4.0, 0.0]), [15.6333, -31.2666, 0], rtol=1e-6)
