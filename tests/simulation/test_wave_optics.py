"""Simulated waves against closed forms, and ``scan`` against a multislice made of the kit's own operators."""

import math
from dataclasses import replace
from types import SimpleNamespace

import abtem
import numpy as np
import pytest
from abtem.multislice import FresnelPropagator as AbtemPropagator
from scipy import constants

from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.loss import AmplitudeLoss
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.operators import FarField, FourierShift, FresnelPropagator, frequency_grid
from caviar_kit.simulation import (
    Experiment,
    Snapshots,
    runs,
    scan,
    silicon_sigma9_snapshots,
    vacuum_probe_intensity,
)
from caviar_kit.simulation.runs import Runner
from tests.simulation.tiny import TINY

FINE = replace(TINY, grid_points=120, detector_pixels=60)
WAVELENGTH = FINE.wavelength_angstrom


@pytest.fixture(scope="module")
def silicon() -> Snapshots:
    return silicon_sigma9_snapshots().subset(1)


def l1(a: np.ndarray, b: np.ndarray) -> float:
    """Largest L1 difference of two patterns, fraction of the beam."""
    return float(np.abs(a - b).sum(axis=(-2, -1)).max())


def interaction(energy_ev: float) -> float:
    """σ = 2π m e λ / h² [rad / (V Å)] with the relativistic mass and wavelength (Kirkland 2010, ch. 5)."""
    c = constants
    mass = c.m_e + energy_ev * c.e / c.c**2
    wavelength = c.h / math.sqrt(energy_ev * c.e * (2 * c.m_e + energy_ev * c.e / c.c**2))
    return 2 * math.pi * mass * c.e * wavelength * 1e-10 / c.h**2


def aperture(experiment: Experiment) -> np.ndarray:
    """Amplitude of the probe's spectrum (n, n), FFT order, Σ|a|² = 1: a disc with an edge of one pixel."""
    n, side = experiment.grid_points, experiment.window_angstrom
    ky, kx = frequency_grid((n, n), (side / n,) * 2)
    edge = (experiment.semiangle_mrad * 1e-3 / experiment.wavelength_angstrom - np.hypot(ky, kx)) * side + 0.5
    spectrum = np.clip(edge, 0, 1) * np.exp(
        1j * math.pi * experiment.wavelength_angstrom * experiment.defocus_angstrom * (ky**2 + kx**2)
    )
    return spectrum / np.linalg.norm(spectrum)


def detected(patterns: np.ndarray, experiment: Experiment) -> np.ndarray:
    """(..., n, n) in FFT order to the detector's centred square, as a scan."""
    first = experiment.grid_points // 2 - experiment.detector_pixels // 2
    kept = slice(first, first + experiment.detector_pixels)
    centred = np.fft.fftshift(patterns, axes=(-2, -1))[..., kept, kept]
    return centred.reshape(*experiment.scan_shape, *centred.shape[-2:])


def scan_through(potential: np.ndarray, thickness: float, experiment: Experiment, monkeypatch) -> np.ndarray:
    """``scan`` of a prescribed projected potential (slices, y, x) [V Å] in place of atoms."""
    array = abtem.PotentialArray(
        potential.swapaxes(1, 2).astype(np.float32),
        slice_thickness=thickness / len(potential),
        extent=experiment.window_angstrom,
    )
    monkeypatch.setattr(Runner, "potential", lambda runner, frame: SimpleNamespace(build=lambda lazy: array))
    atom = np.array([[[experiment.centre_angstrom[1], experiment.centre_angstrom[0], 1.0]]])
    anything = Snapshots(atom, [1], np.diag([40.0, 40.0, 2.0]), atom[0], 0.0)
    return scan(anything, replace(experiment, num_slices=len(potential))).data


# Vacuum ------------------------------------------------------------------------------------


def test_vacuum_pattern_is_the_aperture():
    pattern = vacuum_probe_intensity(FINE)
    assert pattern.sum() == pytest.approx(1, abs=1e-6)
    pixels = np.arange(60) - 30
    angle = np.hypot(pixels[:, None], pixels) * FINE.detector_pixel_mrad
    inside, outside = (angle < 25 - FINE.detector_pixel_mrad, angle > 25 + FINE.detector_pixel_mrad)
    assert np.ptp(pattern[inside]) < 1e-6 * pattern.max()
    assert pattern[outside].max() < 1e-12
    wanted = detected(abs(aperture(replace(FINE, scan_shape=(1, 1)))) ** 2, replace(FINE, scan_shape=(1, 1)))
    assert l1(pattern, wanted[0, 0]) < 1e-5


def test_a_hundred_angstrom_of_vacuum_change_no_pattern(monkeypatch):
    patterns = scan_through(np.zeros((10, 120, 120)), 100.0, FINE, monkeypatch)
    assert l1(patterns, vacuum_probe_intensity(FINE)) < 2e-6


# One Gaussian phase object -----------------------------------------------------------------


def gaussian_series(height: float, width: float, orders: int, side: float, reach: int) -> np.ndarray:
    """Fourier coefficients (2 reach + 1)² of exp(iφ), φ = height · exp(-r²/2 width²), k in units of 1/side.

    exp(iφ) = Σ (i height)ⁿ/n! exp(-n r²/2 width²); each Gaussian's transform is known.
    """
    k2 = (np.arange(-reach, reach + 1) / side)[:, None] ** 2 + (np.arange(-reach, reach + 1) / side) ** 2
    series = np.zeros(k2.shape, complex)
    series[reach, reach] = 1
    for n in range(1, orders):
        area = 2 * math.pi * width**2 / n / side**2
        series += (1j * height) ** n / math.factorial(n) * area * np.exp(-2 * math.pi**2 * width**2 * k2 / n)
    return series


def closed_form(height: float, width: float, orders: int, experiment: Experiment) -> np.ndarray:
    """Patterns of a probe behind that phase at the middle of the window, by the sum over its plane waves."""
    half, side = experiment.detector_pixels // 2, experiment.window_angstrom
    n = experiment.grid_points
    spectrum = aperture(experiment)
    waves = np.argwhere(abs(spectrum) > 0)
    indices = (waves + n // 2) % n - n // 2
    series = gaussian_series(height, width, orders, side, 2 * half)
    centre = np.full(2, side / 2)
    patterns = []
    places = experiment.scan_positions_angstrom + experiment.first_position_in_window_angstrom - centre
    for place in places:  # of the probe from the object
        wave = np.zeros((2 * half, 2 * half), complex)
        for (row, column), (ky, kx) in zip(waves, indices, strict=True):
            phase = np.exp(-2j * math.pi * np.dot((ky, kx), place) / side)
            shifted = series[half - ky : 3 * half - ky, half - kx : 3 * half - kx]
            wave += spectrum[row, column] * phase * shifted
        patterns.append(abs(wave) ** 2)
    return np.array(patterns).reshape(*experiment.scan_shape, 2 * half, 2 * half)


def gaussian_phase(height: float, width: float, experiment: Experiment) -> np.ndarray:
    n, side = experiment.grid_points, experiment.window_angstrom
    r = (np.arange(n) - n / 2) * side / n
    return height * np.exp(-(r[:, None] ** 2 + r**2) / (2 * width**2))


@pytest.mark.parametrize("height", [0.01, 0.5, 4.0])
def test_a_gaussian_phase_diffracts_as_its_series_says(height, monkeypatch):
    """Weak and strong: no approximation in either, only plane waves added up."""
    phase = gaussian_phase(height, 0.5, FINE)
    got = scan_through(phase[None] / interaction(200e3), 2.0, FINE, monkeypatch)
    wanted = closed_form(height, 0.5, 40, FINE)
    assert l1(got, wanted) < 5e-6
    assert l1(got, vacuum_probe_intensity(FINE)) > height / 5
    assert got.sum(axis=(2, 3)).min() > 1 - 5e-6


def test_a_weak_phase_scatters_once(monkeypatch):
    """The first two terms of the series suffice to the square of the phase, and no better."""
    errors = []
    for height in (0.02, 0.04):
        phase = gaussian_phase(height, 0.5, FINE)
        got = scan_through(phase[None] / interaction(200e3), 2.0, FINE, monkeypatch)
        errors.append(l1(got, closed_form(height, 0.5, 2, FINE)))
    assert errors[1] / errors[0] == pytest.approx(4, rel=0.1)


# Fresnel propagation -----------------------------------------------------------------------

WAISTS, SIDE, POINTS = (0.9, 1.3), 24.0, (144, 144)


def gaussian_beam(depth: float) -> np.ndarray:
    """ψ (y, x) of a beam with two waists w [Å]: Π (1 + iz/z_R)^(-½) exp(-r²/w²(1 + iz/z_R)), z_R = πw²/λ.

    Solution of the paraxial equation (Saleh & Teich, *Fundamentals of Photonics*, ch. 3), without the
    carrier exp(2πiz/λ).
    """
    axes = []
    for waist, points in zip(WAISTS, POINTS, strict=True):
        r = (np.arange(points) - points // 2) * SIDE / points
        q = 1 + 1j * depth * WAVELENGTH / (math.pi * waist**2)
        axes.append(np.exp(-(r**2) / (waist**2 * q)) / np.sqrt(q))
    return axes[0][:, None] * axes[1]


@pytest.mark.parametrize("depth", [20.0, 60.0, -40.0])
def test_the_kits_propagator_makes_a_gaussian_beam(depth):
    sampling = (SIDE / POINTS[0], SIDE / POINTS[1])
    propagate = FresnelPropagator(POINTS, sampling, WAVELENGTH, depth)
    np.testing.assert_allclose(propagate.forward(gaussian_beam(0)), gaussian_beam(depth), atol=1e-9)
    np.testing.assert_allclose(propagate.adjoint(gaussian_beam(depth)), gaussian_beam(0), atol=1e-9)


@pytest.mark.parametrize("depth", [20.0, 60.0, -40.0])
def test_abtems_propagator_makes_the_same_beam(depth):
    start = np.ascontiguousarray(gaussian_beam(0).T, np.complex64)
    waves = abtem.Waves(start, energy=200e3, extent=SIDE)
    got = AbtemPropagator().propagate(waves, thickness=depth).array.T
    np.testing.assert_allclose(got, gaussian_beam(depth), atol=3e-6)


@pytest.mark.parametrize("depth", [20.0, 60.0])
def test_width_and_curvature_of_the_beam(depth):
    """RMS radius (w/2)√(1 + z²/z_R²); phase at the rim πr²/λR, R = z(1 + z_R²/z²)."""
    sampling = (SIDE / POINTS[0], SIDE / POINTS[1])
    wave = FresnelPropagator(POINTS, sampling, WAVELENGTH, depth).forward(gaussian_beam(0))
    y = (np.arange(POINTS[0]) - POINTS[0] // 2) * sampling[0]
    rayleigh = math.pi * WAISTS[0] ** 2 / WAVELENGTH
    profile = (abs(wave) ** 2).sum(axis=1)
    rms = math.sqrt(profile @ y**2 / profile.sum())
    assert rms == pytest.approx(WAISTS[0] / 2 * math.sqrt(1 + (depth / rayleigh) ** 2), rel=1e-6)
    middle, rim = POINTS[0] // 2, 8
    phase = np.angle(wave[middle + rim, middle] / wave[middle, middle])
    radius = depth * (1 + (rayleigh / depth) ** 2)
    assert phase == pytest.approx(math.pi * y[middle + rim] ** 2 / (WAVELENGTH * radius), rel=1e-6)


def test_positive_defocus_has_its_crossover_below_the_entrance():
    """The kit's propagator brings a probe of defocus +d into focus after d."""
    with runs._configured("cpu"):
        defocused, focused = (
            np.asarray(runs._probe(replace(FINE, defocus_angstrom=d)).build(lazy=False).array).T
            for d in (60, 0)
        )
    shape, sampling = (120, 120), (10 / 120, 10 / 120)
    error = [
        np.abs(FresnelPropagator(shape, sampling, WAVELENGTH, z).forward(defocused) - focused).max()
        for z in (60, -60)
    ]
    assert error[0] < 1e-4 * abs(focused).max() < 0.5 * abs(focused).max() < error[1]


# An independent multislice -----------------------------------------------------------------


def transmissions(snapshots: Snapshots, experiment: Experiment) -> np.ndarray:
    """exp(iσV) (slices, y, x) of the first snapshot, limited as abTEM limits it: 2/3 of Nyquist."""
    runner = Runner.of(snapshots, experiment, "cpu", 1)
    potential = runs.built_potential(runner, snapshots.positions[0]).astype(float)
    phase = interaction(experiment.energy_ev) * potential
    n, side = experiment.grid_points, experiment.window_angstrom
    radius = np.hypot(*frequency_grid((n, n), (side / n,) * 2))
    cutoff, taper = n / (3 * side), 0.01 * n / side
    band = 0.5 - 0.5 * np.cos(math.pi * np.clip((cutoff - radius) / taper, 0, 1))
    return np.fft.ifft2(np.fft.fft2(np.exp(1j * phase)) * band)


def by_operators(snapshots: Snapshots, experiment: Experiment) -> np.ndarray:
    """One operator after the other, as docs/theory writes the model."""
    n, pixel = experiment.grid_points, experiment.window_angstrom / experiment.grid_points
    gap = snapshots.thickness_angstrom / experiment.num_slices
    propagate = FresnelPropagator((n, n), (pixel, pixel), experiment.wavelength_angstrom, gap)
    patterns = []
    for place in experiment.scan_positions_angstrom + experiment.first_position_in_window_angstrom:
        corner = np.fft.ifft2(aperture(experiment), norm="ortho")  # a probe about pixel (0, 0)
        wave = FourierShift((n, n), tuple(place / pixel)).forward(corner)
        for number, transmission in enumerate(transmissions(snapshots, experiment)):
            wave = transmission * (propagate.forward(wave) if number else wave)
        patterns.append(abs(FarField().forward(wave)) ** 2)
    return detected(np.array(patterns), experiment)


def by_the_engine(snapshots: Snapshots, experiment: Experiment) -> np.ndarray:
    """The model that the reconstruction fits, on an object that repeats the window."""
    n, pixel = experiment.grid_points, experiment.window_angstrom / experiment.grid_points
    gaps = (snapshots.thickness_angstrom / experiment.num_slices,) * (experiment.num_slices - 1)
    places = experiment.scan_positions_angstrom + experiment.first_position_in_window_angstrom
    model = MultisliceModel(
        (n, n), (pixel, pixel), experiment.wavelength_angstrom, gaps, n + places / pixel, (3 * n, 3 * n)
    )
    engine = Evaluator(model, np.zeros((len(places), n, n)), AmplitudeLoss(), threads=1)
    probe = np.fft.fftshift(np.fft.ifft2(aperture(experiment), norm="ortho"))
    repeated = np.tile(transmissions(snapshots, experiment), (1, 3, 3))
    return detected(engine.intensities(repeated[None], probe[None]), experiment)


@pytest.mark.parametrize("independent", [by_operators, by_the_engine])
@pytest.mark.parametrize("changes", [{}, {"defocus_angstrom": -30}, {"energy_ev": 200e3, "num_slices": 2}])
def test_scan_agrees_with_the_kits_own_operators(silicon, independent, changes):
    """To 1e-4 of the beam; what is left is abTEM's limit on the waves and single precision."""
    experiment = replace(FINE, **changes)
    got = scan(silicon, experiment).data
    assert l1(got, independent(silicon, experiment)) < 1e-4
    assert l1(got, scan(silicon, replace(experiment, num_slices=1)).data) > 1e-3


def test_only_what_leaves_the_band_is_lost(silicon):
    """Silicon on ever finer grids; the whole detector, so that nothing else is cut."""
    losses = []
    for points in (60, 120, 240):
        whole = replace(FINE, grid_points=points, detector_pixels=points)
        losses.append(1 - scan(silicon, whole).data.sum(axis=(2, 3), dtype=float))
    assert all((loss > -1e-5).all() for loss in losses)
    assert losses[0].max() > 3 * losses[1].max() > 9 * losses[2].max()
    assert losses[2].max() < 1e-4
