"""Every linear operator: adjoint, energy, inverse, and analytic physics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from caviar_kit._py4dstem import import_py4dstem
from caviar_kit.multislice.operators import (
    BandLimit,
    FarField,
    FourierFilter,
    FourierShift,
    FresnelPropagator,
    PatchSampler,
    frequency_grid,
)
from caviar_kit.physics import electron_wavelength
from tests.multislice.problems import dot_test, random_complex

SIDES = some.integers(2, 24)
SHAPES = some.tuples(SIDES, SIDES)
PIXELS = some.tuples(some.floats(0.05, 0.5), some.floats(0.05, 0.5))


@some.composite
def field_operators(draw):
    """An operator from fields to fields of the same shape, and that shape."""
    shape, sampling = draw(SHAPES), draw(PIXELS)
    kind = draw(some.sampled_from(["fresnel", "band", "shift", "far", "filter"]))
    if kind == "fresnel":
        tilt = draw(some.tuples(some.floats(-50, 50), some.floats(-50, 50)))
        return FresnelPropagator(shape, sampling, 0.025, draw(some.floats(-50, 50)), tilt), shape
    if kind == "band":
        return BandLimit(shape, sampling, draw(some.floats(0.1, 10))), shape
    if kind == "shift":
        return FourierShift(shape, draw(some.tuples(some.floats(-5, 5), some.floats(-5, 5)))), shape
    if kind == "filter":
        noise = random_complex(shape, draw(some.integers(0, 9)))
        return FourierFilter(noise / abs(noise)), shape
    return FarField(), shape


@given(field_operators(), some.integers(1, 3))
def test_adjoints_pass_the_dot_test(case, count):
    operator, shape = case
    wave, result = (random_complex((count, *shape), seed) for seed in (0, 1))
    # relative to the operands: a narrow band may leave next to nothing of the image
    error = np.vdot(operator.forward(wave), result) - np.vdot(wave, operator.adjoint(result))
    assert abs(error) <= 1e-12 * np.linalg.norm(wave) * np.linalg.norm(result)


@given(field_operators())
def test_energy_is_conserved_or_lost_to_the_band_limit_only(case):
    operator, shape = case
    wave = random_complex(shape)
    before, after = (np.linalg.norm(w) for w in (wave, operator.forward(wave)))
    if isinstance(operator, BandLimit):
        assert after <= before * (1 + 1e-13)
    else:
        assert after == pytest.approx(before, rel=1e-12)
        np.testing.assert_allclose(operator.adjoint(operator.forward(wave)), wave, atol=1e-12)


@given(field_operators())
def test_single_precision_stays_single(case):
    operator, shape = case
    wave = random_complex(shape, dtype=np.complex64)
    for result in (operator.forward(wave), operator.adjoint(wave)):
        assert result.dtype == np.complex64
    np.testing.assert_allclose(
        operator.forward(wave), operator.forward(wave.astype(complex)), atol=1e-5 * abs(wave).sum()
    )


@given(
    window=some.tuples(some.integers(1, 6), some.integers(1, 6)),
    extra=some.tuples(some.integers(0, 5), some.integers(0, 5)),
    count=some.integers(1, 7),
    seed=some.integers(0, 1000),
)
def test_patches_pass_the_dot_test(window, extra, count, seed):
    corners = np.random.default_rng(seed).integers(0, np.array(extra) + 1, (count, 2))
    field = (window[0] + extra[0], window[1] + extra[1])
    sampler = PatchSampler(corners, window, field)
    assert dot_test(sampler, random_complex((2, *field)), random_complex((count, 2, *window), 1)) <= 1e-12


def test_patch_is_a_view_at_its_corner():
    field = np.arange(30.0).reshape(5, 6)
    sampler = PatchSampler(np.array([[1, 2]]), (3, 4), (5, 6))
    assert np.shares_memory(sampler.view(field, 0), field)
    np.testing.assert_array_equal(sampler.forward(field), [field[1:4, 2:6]])


@pytest.mark.parametrize("corner", [[-1, 0], [0, -1], [3, 0], [0, 3]])
def test_patches_outside_the_field_are_refused(corner):
    with pytest.raises(ValueError, match="do not fit the field"):
        PatchSampler(np.array([[0, 0], corner]), (3, 4), (5, 6))


@pytest.mark.parametrize("corners", [np.zeros((0, 2)), np.zeros(2), np.full((1, 2), np.nan)])
def test_corners_of_the_wrong_kind_are_refused(corners):
    with pytest.raises(ValueError, match="corners"):
        PatchSampler(corners, (3, 4), (5, 6))


@given(SHAPES, PIXELS, some.floats(0.1, 10))
def test_band_limit_is_a_projection(shape, sampling, cutoff):
    limit = BandLimit(shape, sampling, cutoff)
    once = limit.forward(random_complex(shape))
    np.testing.assert_allclose(limit.forward(once), once, atol=1e-13)
    ky, kx = frequency_grid(shape, sampling)
    assert (abs(np.fft.fft2(once))[np.hypot(ky, kx) >= cutoff] < 1e-12).all()


def test_propagators_compose_and_invert():
    wave = random_complex((16, 21))

    def step(thickness):
        return FresnelPropagator((16, 21), (0.2, 0.15), 0.025, thickness, (5, -3))

    np.testing.assert_allclose(step(3).forward(step(4).forward(wave)), step(7).forward(wave), atol=1e-12)
    np.testing.assert_allclose(step(-3).forward(step(3).forward(wave)), wave, atol=1e-12)
    np.testing.assert_allclose(step(3).adjoint(wave), step(-3).forward(wave), atol=1e-12)


def gaussian_beam(y, x, waist, wavelength, distance):
    """exp(-r²/w0²) after ``distance``, less exp(+ikz): conjugate of Saleh & Teich (2019), eq. 3.1-7."""
    rayleigh = math.pi * waist**2 / wavelength
    q = 1 + 1j * distance / rayleigh
    return np.exp(-(y**2 + x**2) / (waist**2 * q)) / q


@pytest.mark.parametrize("distance", [-60.0, 25.0, 80.0])
def test_gaussian_beam_spreads_as_the_formula_says(distance):
    shape, sampling, wavelength, waist = (128, 120), (0.15, 0.16), 0.025, 0.9
    y, x = (
        ((np.arange(n) - n // 2) * d).reshape(axis)
        for n, d, axis in zip(shape, sampling, ((-1, 1), (1, -1)), strict=True)
    )
    start = gaussian_beam(y, x, waist, wavelength, 0)
    found = FresnelPropagator(shape, sampling, wavelength, distance).forward(start)
    np.testing.assert_allclose(found, gaussian_beam(y, x, waist, wavelength, distance), atol=1e-9)


def centre(intensity: np.ndarray) -> np.ndarray:
    return np.array([np.average(index, weights=intensity) for index in np.indices(intensity.shape)])


def test_tilted_beam_moves_along_its_tilt():
    sampling, thickness, tilt = np.array([0.2, 0.15]), 40.0, np.array([10.0, -20.0])
    y, x = np.indices((64, 64)) - 32
    packet = np.exp(-((y * 0.2) ** 2 + (x * 0.15) ** 2) / 1.2**2).astype(complex)
    moved = FresnelPropagator((64, 64), tuple(sampling), 0.025, thickness, tuple(tilt)).forward(packet)
    shift = (centre(abs(moved) ** 2) - centre(abs(packet) ** 2)) * sampling
    np.testing.assert_allclose(shift, thickness * np.tan(1e-3 * tilt), rtol=1e-6)


def test_tilt_is_that_of_a_wave_with_a_slope():
    """A plane wave exp(2πi k₀·r) under the packet moves it by dz·λk₀, the way the tilt does."""
    n, dx, wavelength, thickness = 64, 0.2, 0.025, 40.0
    y = (np.arange(n) - n // 2) * dx
    packet = np.exp(-(y[:, None] ** 2 + y[None] ** 2) / 1.5**2).astype(complex)
    k0 = 4 / (n * dx)
    carried = packet * np.exp(2j * np.pi * k0 * y)[:, None]
    straight = FresnelPropagator((n, n), (dx, dx), wavelength, thickness)
    tilted = FresnelPropagator(
        (n, n), (dx, dx), wavelength, thickness, (1e3 * math.atan(wavelength * k0), 0.0)
    )
    np.testing.assert_allclose(abs(straight.forward(carried)), abs(tilted.forward(packet)), atol=1e-9)


@given(SHAPES, some.tuples(some.integers(-3, 3), some.integers(-3, 3)))
def test_whole_pixel_shift_is_a_roll(shape, shift):
    wave = random_complex(shape)
    np.testing.assert_allclose(
        FourierShift(shape, shift).forward(wave), np.roll(wave, shift, axis=(0, 1)), atol=1e-12
    )


def test_propagator_agrees_with_py4dstem():
    methods = import_py4dstem().process.phase.ptychographic_methods
    gpts, sampling, energy, gaps, tilt = (12, 15), (0.2, 0.17), 80e3, np.array([3.0, 8.0]), (6.0, -11.0)

    class Host(methods.Object2p5DMethodsMixin):
        _xp = np

    theirs = Host()._precompute_propagator_arrays(gpts, sampling, energy, gaps, *tilt)
    for dz, expected in zip(gaps, theirs, strict=True):
        ours = FresnelPropagator(gpts, sampling, electron_wavelength(energy), dz, tilt).transfer
        np.testing.assert_allclose(ours, expected, atol=2e-5)  # theirs is complex64
