"""From a mean square displacement to a frequency, and what classical formulas make of quantum crystals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from caviar_kit.physics import mean_square_amplitude
from caviar_kit.vibrations import frequency_from_mean_square
from caviar_kit.vibrations.occupation import mean_square, mean_square_slope, signed_thz
from tests.vibrations.crystals import mode_spread

TRUE_THZ = np.array([10.0, 20.0, 40.0])


def curvature(thz):
    return (2 * np.pi * np.asarray(thz)) ** 2


def test_classical_inversion_of_quantum_vibrations_lowers_frequencies():
    spread = mode_spread(curvature(TRUE_THZ), 300, "quantum")
    found = frequency_from_mean_square(spread, 300, "classical")
    np.testing.assert_allclose(found, [9.1, 15.2, 22.3], atol=0.05)
    np.testing.assert_allclose(frequency_from_mean_square(spread, 300, "quantum"), TRUE_THZ, rtol=1e-12)


@given(thz=some.floats(0.01, 100), kelvin=some.floats(0.1, 3000), classical=some.booleans())
def test_inversion_undoes_occupation(thz, kelvin, classical):
    statistics = "classical" if classical else "quantum"
    with np.errstate(over="ignore"):  # Bose's n of a frozen mode
        spread = mode_spread(curvature([thz]), kelvin, statistics)
    np.testing.assert_allclose(mean_square(curvature([thz]), kelvin, statistics), spread, rtol=1e-10)
    np.testing.assert_allclose(frequency_from_mean_square(spread, kelvin, statistics), thz, rtol=1e-8)


@pytest.mark.parametrize(("statistics", "kelvin"), [("classical", 300.0), ("quantum", 300.0), ("quantum", 0)])
def test_slope_is_the_derivative(statistics, kelvin):
    at = curvature(TRUE_THZ)
    step = 1e-4 * at
    difference = mean_square(at + step, kelvin, statistics) - mean_square(at - step, kelvin, statistics)
    np.testing.assert_allclose(mean_square_slope(at, kelvin, statistics), difference / (2 * step), rtol=1e-6)


def test_the_package_has_one_occupation():
    for kelvin, statistics in ((300.0, "quantum"), (0.0, "quantum"), (300.0, "classical")):
        expected = mean_square_amplitude(TRUE_THZ, kelvin, statistics)
        np.testing.assert_allclose(mean_square(curvature(TRUE_THZ), kelvin, statistics), expected, rtol=1e-9)


def test_zero_point_motion_at_0_kelvin():
    spread = mean_square(curvature(TRUE_THZ), 0.0, "quantum")
    np.testing.assert_allclose(frequency_from_mean_square(spread, 0.0), TRUE_THZ)
    warm = mean_square(curvature(TRUE_THZ), 20.0, "quantum")
    np.testing.assert_allclose(warm, spread, rtol=1e-9)


@pytest.mark.parametrize("statistics", ["classical", "quantum"])
def test_no_motion_is_infinitely_stiff_and_any_amount_infinitely_soft(statistics):
    np.testing.assert_array_equal(frequency_from_mean_square([0.0, np.inf], 300, statistics), [np.inf, 0])


def test_imaginary_frequencies_are_negative():
    np.testing.assert_allclose(signed_thz(np.array([-1, 0, 4]) * (2 * np.pi) ** 2), [-1, 0, 2])


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "mean_square must be at least 0", lambda: frequency_from_mean_square([-1.0], 300)),
        (ValueError, "mean_square must be finite", lambda: frequency_from_mean_square([np.nan], 300)),
        (ValueError, "at rest at 0 K", lambda: frequency_from_mean_square([1.0], 0, "classical")),
        (ValueError, "temperature_k", lambda: frequency_from_mean_square([1.0], -1)),
        (ValueError, "statistics must be one of", lambda: frequency_from_mean_square([1.0], 300, "bose")),
    ],
)
def test_refusals(error, match, call):
    with pytest.raises(error, match=match):
        call()
