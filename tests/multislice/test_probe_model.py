"""Probe models: masks, exact adjoints, aberrations with py4DSTEM's signs, gradients of the whole fit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.optimize import minimize

from caviar_kit._py4dstem import import_py4dstem
from caviar_kit.multislice import AmplitudeLoss, Evaluator
from caviar_kit.multislice.operators import FourierFilter, frequency_grid
from caviar_kit.multislice.probe_model import AberratedModes, FreeModes, aperture_mask, window_mask
from caviar_kit.physics import electron_wavelength
from tests.multislice.problems import WAVELENGTH, aperture, evaluator, model, random_complex, states
from tests.multislice.test_gradient import slope_error

SHAPE, SAMPLING = (12, 15), (0.21, 0.18)  # the window of the small problem
ALL = ("C10", "C12", "C21", "C23", "C30", "C32", "C34")
SIDES = some.integers(2, 12)


def masks(shape: tuple[int, int], which: str, seed: int = 3) -> dict[str, np.ndarray]:
    """Masks without symmetry, so that a mirrored or transposed one is another one."""
    values = np.random.default_rng(seed).uniform(size=(2, *shape))
    return {name: values[n] for n, name in enumerate(("aperture", "window")) if name in which}


def transmission(engine: Evaluator) -> np.ndarray:
    return states((2, engine.model.num_slices, *engine.model.object_shape))


# Free modes --------------------------------------------------------------------------------


@given(
    some.tuples(SIDES, SIDES),
    some.sampled_from(["", "aperture", "window", "aperture window"]),
    some.integers(1, 3),
)
def test_free_modes_pass_the_dot_test(shape, which, count):
    free = FreeModes(**masks(shape, which))
    unknowns, gradient = random_complex((count, *shape)), random_complex((count, *shape), 1)
    error = np.vdot(free.modes(unknowns), gradient) - np.vdot(unknowns, free.gradient(unknowns, gradient))
    assert abs(error) <= 1e-12 * np.linalg.norm(unknowns) * np.linalg.norm(gradient)


def test_free_modes_without_masks_are_the_unknowns():
    probe = aperture(SHAPE, 2)
    free = FreeModes()
    np.testing.assert_array_equal(free.modes(free.start(probe)), probe)
    assert free.unit(probe) == pytest.approx(1 / math.sqrt(probe.size))


def test_modes_stay_inside_aperture_and_window():
    aperture_only = aperture_mask(SHAPE, SAMPLING, WAVELENGTH, 40)
    window_only = window_mask(SHAPE, 0.6, 0.1)
    noise = random_complex((2, *SHAPE))
    spectrum = np.fft.fft2(FreeModes(aperture=aperture_only).modes(noise))
    assert abs(spectrum[:, aperture_only == 0]).max() < 1e-12 < abs(spectrum[:, aperture_only == 1]).min()
    inside = FreeModes(window=window_only).modes(noise)
    assert not inside[:, window_only == 0].any()
    np.testing.assert_array_equal(inside[:, window_only == 1], noise[:, window_only == 1])


@pytest.mark.parametrize("which", ["aperture", "window", "aperture window"])
def test_start_keeps_the_beam(which):
    probe = aperture(SHAPE, 2)
    free = FreeModes(**masks(SHAPE, which))
    unknowns = free.start(probe)
    assert (abs(free.modes(unknowns)) ** 2).sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(unknowns / unknowns[0, 0, 0], probe / probe[0, 0, 0], rtol=1e-12)


def test_masks_are_one_inside_and_half_in_the_middle_of_the_edge():
    ky, kx = frequency_grid((40, 30), (0.1, 0.2))
    angle = 1e3 * WAVELENGTH * np.hypot(ky, kx)
    mask = aperture_mask((40, 30), (0.1, 0.2), WAVELENGTH, 20, 10)
    assert (mask[angle <= 20] == 1).all() and (mask[angle >= 30] == 0).all()
    assert angle[4, 0] == pytest.approx(25) and mask[4, 0] == pytest.approx(0.5)
    window = window_mask((40, 30), 0.5, 0.2)
    assert window[20, 15] == window[30, 15] == window[20, 8] == 1  # half of half the side
    assert window[34, 15] == pytest.approx(0, abs=1e-12) and window[32, 15] == pytest.approx(0.5)


def test_single_precision_stays_single():
    probe = aperture(SHAPE, 2, np.complex64)
    free = FreeModes(**masks(SHAPE, "aperture window"))
    lens = AberratedModes(probe, SAMPLING, WAVELENGTH, ALL)
    for kind, real in ((free, np.complex64), (lens, np.float32)):
        unknowns = kind.start(probe)
        assert unknowns.dtype == kind.gradient(unknowns, probe).dtype == real
        assert kind.modes(unknowns).dtype == np.complex64


# Aberrations -------------------------------------------------------------------------------

COEFFICIENTS = {
    "C10": -80.0,
    "C12": 25.0,
    "phi12": 0.4,
    "C21": 900.0,
    "phi21": -2.1,
    "C23": 700.0,
    "phi23": 0.9,
    "C30": 4e4,
    "C32": 2e4,
    "phi32": 1.1,
    "C34": 3e4,
    "phi34": -0.5,
}


def py4dstem_probe(energy: float, shape, sampling, **parameters: float) -> np.ndarray:
    """Probe of an aperture of 25 mrad in the middle of its window, Σ|P|² = 1."""
    import_py4dstem()
    from py4DSTEM.process.phase.utils import ComplexProbe

    probe = ComplexProbe(energy, shape, sampling, semiangle_cutoff=25.0, parameters=parameters).build()
    return np.fft.fftshift(probe._array)[None]


@pytest.mark.parametrize("names", [ALL, *((name,) for name in ALL)])
def test_aberrations_agree_with_py4dstem(names):
    energy, shape, sampling = 200e3, (48, 40), (0.25, 0.3)
    flat = py4dstem_probe(energy, shape, sampling).astype(complex)
    chosen = {key: value for key, value in COEFFICIENTS.items() if "C" + key[-2:] in names}
    expected = py4dstem_probe(energy, shape, sampling, **chosen)
    lens = AberratedModes(flat, sampling, electron_wavelength(energy), names, semiangle_mrad=25.0)
    found = lens.modes(lens.unknowns(chosen))
    scale = abs(expected).max()
    assert abs(expected - flat).max() > 0.05 * scale  # the aberrations matter
    np.testing.assert_allclose(found, expected, atol=3e-5 * scale)  # py4DSTEM's angles are float32


@pytest.mark.parametrize("defocus", [-70.0, 120.0])
def test_c10_is_minus_the_defocus(defocus):
    """Positive defocus is exp(+iπλ·defocus·k²)."""
    probe = aperture(SHAPE, 2)
    lens = AberratedModes(probe, SAMPLING, WAVELENGTH, ("C10",))
    ky, kx = frequency_grid(SHAPE, SAMPLING)
    lens_transfer = np.exp(1j * math.pi * WAVELENGTH * defocus * (ky**2 + kx**2))
    expected = FourierFilter(lens_transfer).forward(probe)
    np.testing.assert_allclose(lens.modes(lens.unknowns({"C10": -defocus})), expected, atol=1e-13)


def test_coefficients_return_in_polar_form():
    lens = AberratedModes(aperture(SHAPE), SAMPLING, WAVELENGTH, ALL)
    found = lens.coefficients(lens.unknowns(COEFFICIENTS))
    assert found == pytest.approx(COEFFICIENTS, rel=1e-12)
    assert len(lens.components) == len(lens.start(lens.start_modes)) == 12


def test_unknowns_are_phases_at_the_rim():
    """A unit of C30 puts 1 rad at the rim of a filled disc; a pair puts it there at its azimuth."""
    mask = aperture_mask((64, 64), (0.1, 0.1), WAVELENGTH, 40)
    disc = np.fft.fftshift(np.fft.ifft2(mask))[None] + 0j
    lens = AberratedModes(disc, (0.1, 0.1), WAVELENGTH, ("C30", "C12"))
    assert lens.rim_radian == pytest.approx(0.040, rel=0.02)
    row = round(lens.rim_radian / WAVELENGTH * 6.4)  # pixels from the centre to the rim
    for vector, pixel, expected in (
        ([1.0, 0, 0], (row, 0), 1),
        ([0, 1.0, 0], (row, 0), 1),
        ([0, 1.0, 0], (0, row), -1),
    ):
        spectrum = np.fft.fft2(lens.modes(np.array(vector)))[0] / np.fft.fft2(disc)[0]
        radius = row / (lens.rim_radian / WAVELENGTH * 6.4)
        power = 4 if vector[0] else 2
        assert -np.angle(spectrum[pixel]) == pytest.approx(expected * radius**power, rel=1e-6)


def test_start_is_the_start_modes():
    probe = aperture(SHAPE, 2)
    lens = AberratedModes(probe, SAMPLING, WAVELENGTH, ALL)
    np.testing.assert_allclose(lens.modes(lens.start(probe)), probe, atol=1e-15)
    assert lens.unit(lens.start(probe)) == 1
    with pytest.raises(ValueError, match="start_modes"):
        lens.start(1.01 * probe)
    with pytest.raises(ValueError, match="start_modes"):
        lens.start(probe[:1])


# The whole chain ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["free", "aperture", "window", "aperture window", "aberrations"])
def test_gradient_in_the_unknowns_agrees_with_finite_differences(kind):
    engine = evaluator(model())
    objects, probe = transmission(engine), aperture(SHAPE, 2)
    if kind == "aberrations":
        modes = AberratedModes(probe, SAMPLING, WAVELENGTH, ALL)
        unknowns = modes.start(probe) + np.random.default_rng(8).normal(size=12)
    else:
        modes = FreeModes(**masks(SHAPE, kind))
        unknowns = modes.start(probe)
    _, _, by_probe, _ = engine.loss_and_gradient(objects, modes.modes(unknowns))
    gradient = modes.gradient(unknowns, by_probe)
    assert gradient.shape == unknowns.shape and gradient.dtype == unknowns.dtype
    assert slope_error(lambda u: engine.loss(objects, modes.modes(u)), gradient, unknowns) <= 1e-7


def test_aberrations_are_recovered_from_patterns():
    geometry = model()
    probe = aperture(SHAPE, 2)
    lens = AberratedModes(probe, SAMPLING, WAVELENGTH, ("C10", "C12", "C21"))
    truth = {"C10": 15.0, "C12": 9.0, "phi12": -0.7, "C21": 120.0, "phi21": 2.0}
    objects = states((2, geometry.num_slices, *geometry.object_shape))
    patterns = evaluator(geometry).intensities(objects, lens.modes(lens.unknowns(truth)))
    engine = Evaluator(geometry, patterns, AmplitudeLoss(), threads=1)

    def objective(unknowns: np.ndarray) -> tuple[float, np.ndarray]:
        value, _, by_probe, _ = engine.loss_and_gradient(objects, lens.modes(unknowns))
        return value, lens.gradient(unknowns, by_probe)

    start = lens.start(probe)
    assert objective(start)[0] > 1e-3
    result = minimize(objective, start, jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-10})
    assert lens.coefficients(result.x) == pytest.approx(truth, rel=1e-4)


# Refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"aperture": np.full(SHAPE, 1.5)}, ValueError, "aperture must have values from 0 to 1"),
        ({"window": np.zeros(SHAPE)}, ValueError, "window must have values from 0 to 1"),
        ({"window": np.ones(5)}, ValueError, "window must have shape"),
        ({"aperture": np.full(SHAPE, np.nan)}, ValueError, "aperture must be finite"),
        ({"aperture": np.ones(SHAPE, complex)}, TypeError, "aperture must hold real"),
    ],
)
def test_masks_of_the_wrong_kind_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        FreeModes(**settings)


@pytest.mark.parametrize(
    ("free", "probe", "error", "message"),
    [
        (FreeModes(), np.ones(SHAPE, complex), ValueError, "probe must have shape"),
        (FreeModes(), np.ones((1, *SHAPE)), TypeError, "probe must be complex"),
        (FreeModes(), np.full((1, *SHAPE), np.nan + 0j), ValueError, "probe must be finite"),
        (FreeModes(window=np.ones((3, 3))), aperture(SHAPE), ValueError, "window must have shape"),
        (
            FreeModes(aperture=np.fft.fftshift(aperture_mask(SHAPE, SAMPLING, WAVELENGTH, 15))),
            aperture(SHAPE),
            ValueError,
            "FFT order",
        ),
    ],
)
def test_probes_that_do_not_fit_are_refused(free, probe, error, message):
    with pytest.raises(error, match=message):
        free.start(probe)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"names": ("C12", "C11")}, ValueError, "names must be one of"),
        ({"names": ("C10", "C10")}, ValueError, "must not repeat"),
        ({"names": "C10"}, TypeError, "names must be a tuple"),
        ({"names": ()}, TypeError, "names must be a tuple"),
        ({"sampling": (0.2, 0.0)}, ValueError, "sampling"),
        ({"wavelength": -1.0}, ValueError, "wavelength"),
        ({"semiangle_mrad": 0}, ValueError, "semiangle_mrad"),
        ({"start_modes": np.ones(SHAPE, complex)}, ValueError, "start_modes must have shape"),
    ],
)
def test_lenses_of_the_wrong_kind_are_refused(changes, error, message):
    good = {"start_modes": aperture(SHAPE), "sampling": SAMPLING, "wavelength": WAVELENGTH, "names": ("C10",)}
    with pytest.raises(error, match=message):
        AberratedModes(**{**good, **changes})


def test_unknown_coefficients_and_bad_masks_are_refused():
    lens = AberratedModes(aperture(SHAPE), SAMPLING, WAVELENGTH, ("C10", "C30"))
    for coefficients, error in (
        ({"C12": 3.0}, ValueError),
        ({"phi30": 0.1}, ValueError),
        ({"C10": "3"}, TypeError),
    ):
        with pytest.raises(error, match="coefficients"):
            lens.unknowns(coefficients)
    with pytest.raises(ValueError, match="semiangle_mrad"):
        aperture_mask(SHAPE, SAMPLING, WAVELENGTH, 0)
    with pytest.raises(ValueError, match="soft"):
        window_mask(SHAPE, 0.5, -0.1)
    with pytest.raises(ValueError, match="shape"):
        window_mask((3, 4, 5))
