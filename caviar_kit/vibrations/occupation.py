"""How far a mode of given frequency swings, and back: classical and quantum.

The mean square of a harmonic normal coordinate Q = √m u is k_B T / ω² classically and (ħ / 2ω) coth(ħω / 2
k_B T) with zero-point motion (Born and Huang, *Dynamical Theory of Crystal Lattices*, 1954). Vibrations of
stiff crystals are not classical at room temperature: at 300 K the classical formula turns 40 THz into 22
THz.

Inside this package a dynamical matrix has the unit rad²/ps² and ⟨Q²⟩ the unit u Å².
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import constants

from caviar_kit import validation
from caviar_kit.physics import STATISTICS

__all__ = ["frequency_from_mean_square", "mean_square", "mean_square_slope", "signed_thz"]

_UNIT_ENERGY = constants.atomic_mass * 1e4  # u Å²/ps² in J
_KELVIN = constants.k / _UNIT_ENERGY  # k_B [u Å²/ps²/K]
_HBAR = constants.hbar / _UNIT_ENERGY * 1e12  # ħ [u Å²/ps]
_NEWTON_STEPS = 12


def frequency_from_mean_square(
    mean_square: ArrayLike, temperature_k: float, statistics: str = "quantum"
) -> np.ndarray:
    """Frequency ω / 2π [THz] of modes whose normal coordinate has this mean square.

    Parameters
    ----------
    mean_square : array of any shape, u Å²
        ⟨Q²⟩, an eigenvalue of M^½ G M^½; 0 gives an infinite frequency, infinity gives 0.
    temperature_k : float, K
        Above 0 for "classical", from 0 for "quantum".
    statistics : {"quantum", "classical"}
        "quantum" solves ⟨Q²⟩ = (ħ/2ω) coth(ħω / 2 k_B T); "classical" is ω = √(k_B T / ⟨Q²⟩), eq. 6 of
        arXiv:2309.12017.

    Returns
    -------
    array, float64, same shape, THz

    Raises
    ------
    TypeError, ValueError
        If a mean square is negative or NaN, the temperature out of range, or ``statistics`` unknown.
    """
    square = np.asarray(mean_square)
    validation.as_array("mean_square", np.where(square == np.inf, 0, square), nonempty=False)
    if (square < 0).any():
        raise ValueError(f"mean_square must be at least 0 [u Å²], got {square.min():g}")
    kelvin = temperature(temperature_k, statistics)
    with np.errstate(divide="ignore"):
        if statistics == "classical":
            angular = np.sqrt(_KELVIN * kelvin / square)
        elif kelvin == 0:
            angular = _HBAR / (2 * square)
        else:
            # with x = ħω / 2kT: x tanh x = ħ² / (4 kT ⟨Q²⟩)
            wanted = _HBAR**2 / (4 * _KELVIN * kelvin * square)
            angular = 2 * _KELVIN * kelvin / _HBAR * _solve_x_tanh_x(wanted)
    return np.asarray(angular / (2 * math.pi))


def mean_square(curvature: np.ndarray, temperature_k: float, statistics: str) -> np.ndarray:
    """⟨Q²⟩ [u Å²] of modes with ω² = ``curvature`` [rad²/ps²], above 0."""
    if statistics == "classical":
        return _KELVIN * temperature_k / curvature
    angular = np.sqrt(curvature)
    return _HBAR / (2 * angular) * _coth(angular, temperature_k)


def mean_square_slope(curvature: np.ndarray, temperature_k: float, statistics: str) -> np.ndarray:
    """d⟨Q²⟩ / dω² [u Å² ps²/rad²]."""
    if statistics == "classical":
        return -_KELVIN * temperature_k / curvature**2
    angular = np.sqrt(curvature)
    coth = _coth(angular, temperature_k)
    bend = 0.0 if temperature_k == 0 else _HBAR / (2 * _KELVIN * temperature_k) * (coth**2 - 1)
    return -_HBAR / (4 * curvature) * (coth / angular + bend)


def signed_thz(curvature: np.ndarray) -> np.ndarray:
    """ω / 2π [THz]; negative where ω² is negative, the usual sign for imaginary frequencies."""
    return np.sign(curvature) * np.sqrt(np.abs(curvature)) / (2 * math.pi)


def temperature(temperature_k: float, statistics: str) -> float:
    """Check temperature and statistics together.

    Raises
    ------
    TypeError, ValueError
        If either cannot be used; classically nothing moves at 0 K.
    """
    validation.choice("statistics", statistics, STATISTICS)
    still = statistics == "classical"
    hint = "classical crystals are at rest at 0 K" if still else ""
    return validation.number(
        "temperature_k", temperature_k, minimum=0, open_minimum=still, unit="K", hint=hint
    )


def _coth(angular: np.ndarray, temperature_k: float) -> np.ndarray:
    if temperature_k == 0:
        return np.ones_like(angular)
    return 1 / np.tanh(_HBAR * angular / (2 * _KELVIN * temperature_k))


def _solve_x_tanh_x(wanted: np.ndarray) -> np.ndarray:
    """The x ≥ 0 with x tanh x = ``wanted`` ≥ 0, by Newton's method."""
    finite = np.where(np.isfinite(wanted), wanted, 1.0)
    x = np.sqrt(finite) + finite  # at least the root
    for _ in range(_NEWTON_STEPS):
        tanh = np.tanh(x)
        slope = tanh + x * (1 - tanh**2)
        x = x - np.divide(x * tanh - finite, slope, out=np.zeros_like(x), where=slope > 0)
    return np.where(np.isfinite(wanted), x, np.inf)
