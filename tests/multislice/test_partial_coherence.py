"""Source size and spread of defocus: closed forms, blur, patterns and convergence."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from caviar_kit.multislice.operators import FourierFilter, frequency_grid
from caviar_kit.multislice.partial_coherence import partially_coherent_modes
from caviar_kit.multislice.probe_modes import occupations
from tests.multislice.problems import WAVELENGTH, aperture, evaluator, model, states
from tests.multislice.test_probe_modes import density_matrix, gaussian, gram_matrix

FWHM = math.sqrt(8 * math.log(2))
SHAPE, SAMPLING = (12, 15), (0.21, 0.18)
ENOUGH = 1e-6  # modes below 1e-8 of the beam are left out


def every_mode(probe, sampling=SAMPLING, **spread) -> np.ndarray:
    """All the modes there are: the refusal of too many says how many."""
    with pytest.raises(ValueError, match="num_modes must be at most") as refusal:
        partially_coherent_modes(probe, sampling, WAVELENGTH, 10**6, **spread)
    count = int(str(refusal.value).split("at most ")[1].split(",")[0])
    return partially_coherent_modes(probe, sampling, WAVELENGTH, count, **spread).modes


def closed_form(probe: np.ndarray, source: float = 0.0, defocus: float = 0.0) -> np.ndarray:
    """ρ(k, k') of a Gaussian source and defocus of these FWHM: a Gaussian of each phase's difference."""
    ky, kx = (k.ravel() for k in np.broadcast_arrays(*frequency_grid(SHAPE, SAMPLING)))
    phases = (
        2 * np.pi * source / FWHM * ky,
        2 * np.pi * source / FWHM * kx,
        np.pi * WAVELENGTH * defocus / FWHM * (ky**2 + kx**2),
    )
    exponent = sum((phase[:, None] - phase[None]) ** 2 for phase in phases)
    return density_matrix(np.fft.fft2(probe, norm="ortho")) * np.exp(-0.5 * exponent)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("source", "defocus"), [(0.3, 0.0), (1.1, 0.0), (0.0, 40.0), (0.0, 300.0), (0.5, 90.0), (0.05, 3.0)]
)
def test_density_matrix_is_the_closed_form(count, source, defocus):
    probe = aperture(SHAPE, count)
    modes = every_mode(probe, source_fwhm_angstrom=source, defocus_fwhm_angstrom=defocus)
    found, expected = density_matrix(np.fft.fft2(modes, norm="ortho")), closed_form(probe, source, defocus)
    largest = np.linalg.eigvalsh(expected)[-1]
    assert np.linalg.norm(density_matrix(np.fft.fft2(probe, norm="ortho")) - expected, 2) > 1e-3 * largest
    assert np.linalg.norm(found - expected, 2) < 1e-7 * largest


def test_gaussian_probe_and_source_have_a_geometric_series_of_occupations():
    """Gaussian Schell-model beam: λ = (1 - ξ)² ξ^(i + j), ξ = (σ - σ_p) / (σ + σ_p), σ² = σ_p² + σ_s²
    [Starikov & Wolf (1982), doi:10.1364/JOSA.72.000923].
    """
    sampling, probe_rms, source_rms = 0.2, 3.0 * 0.2, 0.45
    y, x = np.indices((48, 48)) - 24
    probe = np.exp(-(y**2 + x**2) / (4 * 3.0**2))[None]
    result = partially_coherent_modes(
        probe, (sampling, sampling), WAVELENGTH, 10, source_fwhm_angstrom=source_rms * FWHM
    )
    total = math.hypot(probe_rms, source_rms)
    ratio = (total - probe_rms) / (total + probe_rms)
    series = (1 - ratio) ** 2 * ratio ** np.repeat(np.arange(4), [1, 2, 3, 4])
    assert result.captured == pytest.approx(series.sum(), rel=ENOUGH)
    np.testing.assert_allclose(result.captured * occupations(result.modes), series, rtol=1e-5)


def test_intensity_is_blurred_by_the_source():
    probe, fwhm = gaussian(rms=(2.0, 1.5))[None], 0.7
    ky, kx = frequency_grid(probe.shape[1:], SAMPLING)
    blur = np.exp(-2 * np.pi**2 * (fwhm / FWHM) ** 2 * (ky**2 + kx**2))
    expected = FourierFilter(blur).forward(abs(probe[0]) ** 2 + 0j).real
    modes = every_mode(probe, source_fwhm_angstrom=fwhm)
    found = (abs(modes) ** 2).sum(axis=0)
    assert abs(abs(probe[0]) ** 2 - expected).max() > 0.1 * expected.max()
    np.testing.assert_allclose(found, expected, atol=ENOUGH * expected.max())


@pytest.mark.parametrize("spread", [{"source_fwhm_angstrom": 0.4}, {"defocus_fwhm_angstrom": 200.0}])
def test_modes_are_orthogonal_sorted_and_keep_the_beam(spread):
    probe = 0.3 * aperture(SHAPE, 2)
    result = partially_coherent_modes(probe, SAMPLING, WAVELENGTH, 4, **spread)
    gram = gram_matrix(result.modes)
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-13)
    assert np.trace(gram).real == pytest.approx(0.09, rel=1e-12)
    assert all(a >= b for a, b in pairwise(occupations(result.modes)))
    assert 0.5 < result.captured < 1
    spectra = np.fft.fft2(result.modes)
    dark = (abs(np.fft.fft2(probe)) ** 2).sum(axis=0) < 1e-20
    assert abs(spectra[:, dark]).max() < 1e-12  # still inside the aperture


def test_captured_fraction_grows_to_one():
    probe, spread = aperture(SHAPE), {"source_fwhm_angstrom": 0.5}
    everything = len(every_mode(probe, **spread))
    fractions = [
        partially_coherent_modes(probe, SAMPLING, WAVELENGTH, n, **spread).captured
        for n in (1, 2, 3, 6, 12, everything)
    ]
    assert all(a < b for a, b in pairwise(fractions))
    assert fractions[0] < 0.8 and fractions[-1] == pytest.approx(1, abs=ENOUGH)


def test_point_source_leaves_the_probe():
    probe = gaussian()
    result = partially_coherent_modes(probe, SAMPLING, WAVELENGTH, 1)
    assert result.captured == pytest.approx(1, abs=1e-12)
    assert abs(np.vdot(probe, result.modes[0])) == pytest.approx(1, abs=1e-12)


def test_patterns_are_the_average_over_the_source():
    """The sum over the modes at one position is the mean over displaced scan positions of the sharp probe."""
    geometry = {"window": (32, 30), "object_shape": (46, 46), "thicknesses": (2.0,)}
    noise = np.random.default_rng(4).normal(size=(2, 2, 46, 46))
    smooth = gaussian_filter(noise, (0, 0, 3, 3), mode="wrap")  # next to nothing reaches the window's edge
    objects = np.exp(8j * smooth)
    probe = gaussian((32, 30), (16, 15), (1.6, 1.5))[None]
    rms, middle, line = 0.13, np.array([22, 23]), np.linspace(-5, 5, 17)
    shifts = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    weights = np.exp(-0.5 * (shifts**2).sum(axis=1))
    displaced = evaluator(model(**geometry, positions=middle + shifts * rms / SAMPLING))
    expected = np.average(displaced.intensities(objects, probe), weights=weights, axis=0)
    engine = evaluator(model(**geometry, positions=[middle]))
    (found,) = engine.intensities(objects, every_mode(probe, source_fwhm_angstrom=rms * FWHM))
    (sharp,) = engine.intensities(objects, probe)
    assert abs(sharp - expected).max() > 0.01 * expected.max()
    np.testing.assert_allclose(found, expected, atol=ENOUGH * expected.max())


def test_patterns_are_the_average_over_defocus():
    engine = evaluator(model())
    objects = states((2, engine.model.num_slices, *engine.model.object_shape))
    probe, rms = aperture(SHAPE), 60.0
    ky, kx = frequency_grid(SHAPE, SAMPLING)
    points = np.linspace(-6, 6, 49)
    weights = np.exp(-0.5 * points**2) / np.exp(-0.5 * points**2).sum()
    expected = 0
    for weight, point in zip(weights, points, strict=True):
        defocused = FourierFilter(np.exp(1j * np.pi * WAVELENGTH * point * rms * (ky**2 + kx**2))).forward(
            probe
        )
        expected = expected + weight * engine.intensities(objects, defocused)
    found = engine.intensities(objects, every_mode(probe, defocus_fwhm_angstrom=rms * FWHM))
    assert abs(engine.intensities(objects, probe) - expected).max() > 0.01 * expected.max()
    np.testing.assert_allclose(found, expected, atol=ENOUGH * expected.max())


def test_single_precision_agrees_with_double():
    probe, spread = aperture(SHAPE), {"source_fwhm_angstrom": 0.4, "defocus_fwhm_angstrom": 50.0}
    double = partially_coherent_modes(probe, SAMPLING, WAVELENGTH, 3, **spread)
    single = partially_coherent_modes(probe.astype(np.complex64), SAMPLING, WAVELENGTH, 3, **spread)
    assert single.modes.dtype == np.complex64 and double.modes.dtype == complex
    assert single.captured == pytest.approx(double.captured, rel=1e-5)
    np.testing.assert_allclose(density_matrix(single.modes), density_matrix(double.modes), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"num_modes": 2}, ValueError, "num_modes must be at most 1"),
        ({"num_modes": 0}, ValueError, "num_modes must be at least 1"),
        ({"source_fwhm_angstrom": -0.1}, ValueError, "source_fwhm_angstrom"),
        (
            {"source_fwhm_angstrom": 47.0},
            ValueError,
            "source_fwhm_angstrom must be at least 0 and at most 1.26",
        ),
        ({"defocus_fwhm_angstrom": math.inf}, ValueError, "defocus_fwhm_angstrom"),
        ({"sampling": (0.2,)}, ValueError, "sampling must have shape"),
        ({"wavelength": 0.0}, ValueError, "wavelength"),
        ({"probe": np.zeros(SHAPE)}, ValueError, "probe must not be all zero"),
    ],
)
def test_bad_input_is_refused(changes, error, message):
    good = {"probe": aperture(SHAPE), "sampling": SAMPLING, "wavelength": WAVELENGTH, "num_modes": 1}
    with pytest.raises(error, match=message):
        partially_coherent_modes(**{**good, **changes})
