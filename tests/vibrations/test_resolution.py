"""Spectra, ring correlation and depth of objects whose content is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.special import erf

from caviar_kit import vibrations as vib

PIXEL = 0.2


def waves(frequencies, amplitudes, shape=(96, 96), pixel=PIXEL):
    """Sum of plane cosines (y, x) [rad]."""
    y, x = (np.arange(n) * pixel for n in shape)
    total = np.zeros(shape)
    for (ky, kx), a in zip(frequencies, amplitudes, strict=True):
        total += a * np.cos(2 * np.pi * (ky * y[:, None] + kx * x[None, :]))
    return total


def as_object(phase):
    """Phase (y, x), (slices, y, x) or (states, slices, y, x) as an object of unit modulus."""
    return np.exp(1j * phase.reshape((1,) * (4 - phase.ndim) + phase.shape))


def noise(shape, size, seed=0):
    return np.random.default_rng(seed).normal(0, size, shape)


# Power spectrum ---------------------------------------------------------------------------------


def test_integral_of_the_power_is_the_variance():
    spectrum = vib.power_spectrum(as_object(noise((4, 3, 96, 80), 0.05)), PIXEL)
    assert spectrum.power.sum() * spectrum.step.prod() == pytest.approx(0.05**2, rel=0.02)
    frequency, mean = spectrum.radial_mean()
    np.testing.assert_allclose(mean[10:], 0.05**2 * PIXEL**2, rtol=0.2)  # white, ring by ring
    assert frequency[-1] <= spectrum.nyquist <= 0.5 / PIXEL


def test_a_plane_wave_lights_its_own_frequency():
    spectrum = vib.power_spectrum(as_object(waves([(0.5, -1.25)], [0.1], (160, 200))), PIXEL)
    centre = np.array(spectrum.power.shape) // 2
    brightest = (np.argwhere(spectrum.power == spectrum.power.max())[-1] - centre) * spectrum.step
    np.testing.assert_allclose(np.abs(brightest), [0.5, 1.25])
    assert np.prod(brightest) < 0


def test_slices_and_field_choose_what_is_averaged():
    obj = as_object(np.stack([waves([(1, 0)], [0.1]), noise((96, 96), 0.1)]))
    assert (
        vib.power_spectrum(obj, PIXEL, slices=[0]).power.max()
        > 100 * vib.power_spectrum(obj, PIXEL, slices=[1]).power.max() / 10
    )
    part = vib.power_spectrum(obj, PIXEL, field=((2.0, 4.0), (10.0, 9.0)))
    assert part.power.shape == (41, 26)


# Information limit ------------------------------------------------------------------------------


def test_limit_is_the_highest_frequency_above_the_noise():
    size = 0.02
    lattice = [(0.5, 0.5), (1.0, 1.0), (1.5, 1.5), (-0.5, 0.5), (-1.5, 1.5)]
    phase = waves(lattice, [0.1, 0.05, 0.02, 0.1, 0.0001])
    found = vib.information_limit(as_object(phase + noise((2, 2, 96, 96), size)), PIXEL)
    assert found.frequency == pytest.approx(1.5 * math.sqrt(2), rel=0.01)
    assert found.angstrom == pytest.approx(1 / found.frequency)
    assert not found.at_nyquist
    lengths = np.linalg.norm(found.peaks, axis=1)
    assert (np.diff(lengths) >= 0).all() and len(found.peaks) == 8


def test_noise_has_no_limit():
    alarms = [
        vib.information_limit(as_object(noise((1, 1, 64, 64), 0.05, seed)), PIXEL, false_alarm=0.05)
        for seed in range(60)
    ]
    assert sum(a.frequency > 0 for a in alarms) <= 6  # 3 expected at most
    quiet = next(a for a in alarms if a.frequency == 0)
    assert quiet.angstrom == math.inf and len(quiet.peaks) == 0


def test_information_beyond_the_pixels_is_said_to_be_there():
    phase = waves([(2.44, 0), (1, 0)], [0.1, 0.1]) + noise((96, 96), 0.001)
    assert vib.information_limit(as_object(phase), PIXEL).at_nyquist


def test_distance_over_wavelength_is_the_papers():
    """47.6 pm at 60 kV, λ = 4.87 pm, are 9.78 wavelengths (CAVIAR)."""
    found = vib.information_limit(as_object(waves([(1, 0)], [0.1]) + noise((96, 96), 0.001)), PIXEL)
    assert found.over_wavelength(60e3) == pytest.approx(found.angstrom / 0.04866, rel=1e-3)
    assert 0.476 / 0.04866 == pytest.approx(9.78, abs=0.01)


@settings(max_examples=8, deadline=None)
@given(some.integers(0, 3), some.booleans(), some.floats(-3, 3))
def test_limit_turns_and_moves_with_the_image(turns, mirrored, offset):
    phase = waves([(0.6, 1.1), (1.3, -0.4)], [0.1, 0.03]) + noise((96, 96), 0.01)
    reference = vib.information_limit(as_object(phase), PIXEL)
    other = np.rot90(phase, turns)
    other = other[::-1] if mirrored else other
    found = vib.information_limit(as_object(other + offset), PIXEL)
    assert found.frequency == pytest.approx(reference.frequency, rel=1e-6)


def turned_lattice(degrees, length=2.5):
    """A square lattice of 6 × 6 atoms."""
    turn = np.radians(degrees)
    axes = length * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return vib.fit_lattice(np.stack(np.indices((6, 6)), axis=-1).reshape(-1, 2) @ axes + 3.0)


def test_peaks_beside_the_lattices_can_be_left_out():
    lattices = [turned_lattice(degrees) for degrees in (0, 20)]
    straight, turned = (np.linalg.inv(lattice.vectors).T for lattice in lattices)
    farthest = np.array([4.0, 1.0]) @ turned  # 1.65 / Å, more than 0.1 from the other lattice
    alien = 5.5 * straight[0]
    frequencies = [straight[0], straight[1], 3 * straight[0], farthest, alien]
    phase = waves(frequencies, [0.1, 0.1, 0.05, 0.05, 0.05]) + noise((96, 96), 0.003)
    every = vib.information_limit(as_object(phase), PIXEL)
    assert every.frequency == pytest.approx(np.linalg.norm(alien), rel=0.02)
    both, one = every.on_lattices(*lattices), every.on_lattices(lattices[0])
    assert both.frequency == pytest.approx(np.linalg.norm(farthest), rel=0.02)
    assert one.frequency == pytest.approx(3 / 2.5, rel=0.02) and len(one.peaks) == 6
    assert len(both.peaks) == 8 and len(every.peaks) == 10 and both.spectrum is every.spectrum
    assert every.on_lattices(turned_lattice(45, 0.7)).angstrom == math.inf


def test_few_peaks_lie_on_a_lattice_by_chance():
    """π r² / A of them, as `on_lattices` says."""
    step, places = np.array([0.05, 0.06]), np.random.default_rng(0).uniform(-2, 2, (20000, 2))
    spectrum = vib.PowerSpectrum(np.ones((96, 80)), step)
    limit = vib.InformationLimit(2.0, places, 0.01, False, spectrum).on_lattices(turned_lattice(12))
    expected = math.pi * (np.linalg.norm(step) / 2) ** 2 * 2.5**2
    assert len(limit.peaks) / len(places) == pytest.approx(expected, rel=0.1)


def test_peaks_beyond_a_frequency_can_be_left_out():
    phase = waves([(2.44, 0), (1, 0)], [0.1, 0.1]) + noise((96, 96), 0.001)
    every = vib.information_limit(as_object(phase), PIXEL)
    kept = every.within(1.5)
    assert every.at_nyquist and not kept.at_nyquist
    assert kept.frequency == pytest.approx(1, abs=0.03) and len(kept.peaks) == 2
    assert every.within(0.1).angstrom == math.inf


# Ring correlation -------------------------------------------------------------------------------


def test_correlation_is_signal_over_signal_and_noise():
    """White signal and independent white noise: FRC = S / (S + N) in every ring."""
    signal = noise((256, 256), 1.0)
    pair = [signal + noise(signal.shape, 0.3, seed) for seed in (1, 2)]
    found = vib.fourier_ring_correlation(*pair, PIXEL)
    assert found.correlation[18:].mean() == pytest.approx(1 / 1.09, abs=0.01)
    assert math.isnan(found.limit)


def test_resolution_is_where_the_common_part_ends():
    from scipy import fft

    y, x = (fft.fftfreq(256, PIXEL) for _ in range(2))
    low = np.hypot(y[:, None], x[None, :]) < 1.2
    signal = fft.ifft2(fft.fft2(noise((256, 256), 1.0)) * low).real
    pair = [signal + noise(signal.shape, 0.1, seed) for seed in (1, 2)]
    for threshold in ("half-bit", "1/7"):
        found = vib.fourier_ring_correlation(*pair, PIXEL, threshold=threshold)
        assert found.limit == pytest.approx(1.2, abs=2.5 / 256 / PIXEL)  # window and half a ring
        assert found.resolution_angstrom == pytest.approx(1 / found.limit)


def test_unlike_images_agree_nowhere():
    below = []
    for seed in range(20):
        pair = [noise((96, 96), 1.0, 2 * seed + n) for n in range(2)]
        found = vib.fourier_ring_correlation(*pair, PIXEL)
        below.append((found.correlation < found.threshold)[2:].mean())
    assert np.mean(below) > 0.97


def test_halves_of_the_states_are_even_and_odd():
    phases = np.arange(5.0)[:, None, None, None] * 0.1 * np.ones((5, 2, 8, 8))
    even, odd = vib.state_halves(np.exp(1j * phases))
    np.testing.assert_allclose([even[0, 0], odd[0, 0]], [0.4, 0.4])
    np.testing.assert_allclose(vib.state_halves(np.exp(1j * phases[:4]))[0], 0.2)


# Depth ------------------------------------------------------------------------------------------


def test_modulation_along_the_beam_is_found_at_its_frequency():
    z = np.arange(12)[:, None, None]
    along = np.cos(2 * np.pi * 3 * (z + 0.5) / 12)  # three periods in 12 slices of 5 Å
    phase = waves([(1.0, 0.5)], [0.05]) * (1 + along) + noise((2, 12, 96, 96), 0.002)
    spectrum = vib.depth_spectrum(as_object(phase), PIXEL, 5.0)
    found = np.flatnonzero(spectrum.peaks.any(axis=(1, 2)))
    np.testing.assert_array_equal(found, [0, 6])
    np.testing.assert_allclose(spectrum.k_z[6], 3 / 60)
    assert spectrum.limit == 0  # nothing between


@pytest.mark.parametrize("slices", [15, 16])
def test_depth_of_a_step_is_its_own_blur_and_not_the_slices(slices):
    """The power of a step of Gaussian blur σ falls as exp(-(2πkσ)²) / k²: a sharp one is seen farther."""
    depth = (np.arange(slices) + 0.5) * 4.0
    upper, lower = waves([(1.0, 0.5)], [0.05]), waves([(0.5, 1.2)], [0.05])
    grain = noise((2, slices, 96, 96), 0.01)
    limits = []
    for blur in (3.0, 6.0, 12.0):
        share = ((1 + erf((depth - depth.mean()) / (math.sqrt(2) * blur))) / 2)[:, None, None]
        spectrum = vib.depth_spectrum(as_object((1 - share) * upper + share * lower + grain), PIXEL, 4.0)
        limits.append(spectrum.depth_angstrom / blur)
        assert not spectrum.at_nyquist
    assert all(2 < limit < 6 for limit in limits)
    alone = vib.depth_spectrum(as_object(upper + grain), PIXEL, 4.0)
    assert alone.depth_angstrom == math.inf


def test_power_in_three_dimensions_is_the_variance():
    for slices in (6, 7):
        spectrum = vib.depth_spectrum(as_object(noise((3, slices, 64, 64), 0.05)), PIXEL, 4.0)
        total = spectrum.power.sum() * spectrum.step.prod() * spectrum.k_z[1]
        assert total == pytest.approx(0.05**2, rel=0.03)


def two_lattices(blur=7.0, slices=16, thickness=4.0):
    """Upper and lower columns that hand over in the middle, blurred in depth by ``blur`` [Å] rms."""
    depth = (np.arange(slices) + 0.5) * thickness
    lower = (1 + erf((depth - 30) / (math.sqrt(2) * blur))) / 2
    y, x = (np.arange(n) * PIXEL for n in (96, 96))
    places = {"upper": np.array([[6.0, 6.0], [6.0, 12.0], [12.0, 9.0]])}
    places["lower"] = places["upper"] + [2.6, 1.0]
    images = {
        name: sum(np.exp(-((y[:, None] - a) ** 2 + (x[None, :] - b) ** 2) / 0.18) for a, b in at)
        for name, at in places.items()
    }
    share = {"upper": 1 - lower, "lower": lower}
    phase = sum(0.1 * share[n][:, None, None] * images[n] for n in images)
    return phase, places, depth


def test_profiles_follow_each_lattice_and_give_the_depth_resolution():
    phase, places, depth = two_lattices()
    phase = phase + np.arange(16)[:, None, None]  # every slice's constant is arbitrary
    profiles = {name: vib.column_profiles(as_object(phase), at, PIXEL, 4.0) for name, at in places.items()}
    np.testing.assert_allclose(profiles["upper"].depth_angstrom, depth)
    assert profiles["upper"].phase.shape == (3, 16)
    upper, lower = (profiles[n].phase.mean(axis=0) for n in ("upper", "lower"))
    assert upper[0] > 0.03 > 0.005 > upper[-1] and lower[-1] > 0.03 > 0.005 > lower[0]
    for curve in (upper, lower):
        edge = vib.fit_depth_edge(depth, curve)
        assert edge.depth_angstrom == pytest.approx(30, abs=0.2)
        assert edge.fwhm_angstrom == pytest.approx(7 * 2.3548, rel=0.02)
        assert edge.residual < 0.01


def test_map_falls_off_with_distance():
    phase, places, _ = two_lattices()
    found = vib.column_profiles(as_object(phase), places["upper"], PIXEL, 4.0, map_radius=1.5)
    assert found.depth_map.shape == (16, len(found.radius_angstrom))
    assert (np.diff(found.depth_map[0]) < 0).all() and (np.diff(found.radius_angstrom) > 0).all()


def test_spread_is_that_between_the_states():
    phase, places, _ = two_lattices()
    states = np.array([0.9, 1.0, 1.1])[:, None, None, None] * phase
    found = vib.column_profiles(as_object(states), places["upper"], PIXEL, 4.0)
    np.testing.assert_allclose(found.spread, np.abs(found.phase) * np.std([0.9, 1.0, 1.1]), atol=1e-6)


# Refusals ---------------------------------------------------------------------------------------

OBJ = as_object(noise((2, 3, 32, 32), 0.1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vib.power_spectrum(OBJ.real, PIXEL), "obj must be complex"),
        (lambda: vib.power_spectrum(OBJ, -1), "sampling"),
        (lambda: vib.power_spectrum(OBJ, PIXEL, field=((0, 0), (1, 1))), "field must hold"),
        (lambda: vib.information_limit(OBJ, PIXEL, false_alarm=0), "false_alarm"),
        (lambda: vib.information_limit(OBJ, PIXEL).within(-1), "frequency"),
        (lambda: vib.information_limit(OBJ, PIXEL).on_lattices(), "lattices must be"),
        (lambda: vib.information_limit(OBJ, PIXEL).on_lattices(np.eye(2)), "lattices must be"),
        (lambda: vib.information_limit(OBJ, PIXEL).on_lattices(turned_lattice(0, 9.0)), "tell apart"),
        (lambda: vib.fourier_ring_correlation(np.ones((9, 9)), np.ones((9, 9)), 1), "constant"),
        (lambda: vib.fourier_ring_correlation(np.eye(9), np.eye(8), 1), "second"),
        (lambda: vib.fourier_ring_correlation(np.eye(9), np.eye(9), 1, threshold="1/2"), "threshold"),
        (lambda: vib.state_halves(OBJ[:1]), "at least 2 states"),
        (lambda: vib.depth_spectrum(OBJ[:, :1], PIXEL, 2.0), "at least 2 slices"),
        (lambda: vib.depth_spectrum(OBJ, PIXEL, 0), "slice_thickness_angstrom"),
        (lambda: vib.column_profiles(OBJ, [[0.1, 3.0]], PIXEL, 2.0), "border"),
        (lambda: vib.column_profiles(OBJ, [[3.1, 3.1]], PIXEL, 2.0, radius=0.01), "radius"),
        (lambda: vib.fit_depth_edge([1, 2, 3], [1, 2, 3]), "at least 5"),
        (lambda: vib.fit_depth_edge(np.arange(6), np.ones(6)), "vary"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
