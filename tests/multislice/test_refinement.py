"""Errors of the instrument are planted and found again; without the refinement the fit is much worse."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.multislice import PoissonLoss
from caviar_kit.multislice.probe_masks import window_mask
from caviar_kit.multislice.projections import IdenticalSlices
from tests.multislice.specimen import (
    SAMPLING,
    WAVELENGTH,
    WINDOW,
    Geometry,
    centred,
    counted,
    fit,
    layer,
    patterns,
    phases,
    probe,
    rms,
)

THIN, THICK = Geometry(), Geometry(thicknesses=(8.0,) * 5)
SCAN = THIN.scan
SHIFTS = centred(np.random.default_rng(0).normal(scale=0.3, size=SCAN.shape))  # pixel: 0.075 Å
COUPLED = {"constraints": IdenticalSlices()}


def improvement(geometry, data, iterations, refine, **settings):
    """The last snapshot, and how many times larger the loss is without the refinement."""
    without = fit(geometry, data, iterations, **settings)[-1]
    refined = fit(geometry, data, iterations, refine, **settings)[-1]
    return refined, without.loss / refined.loss


def test_positions():
    """Random errors of 0.3 pixel rms are found to 0.005 pixel; no trend over the scan is left."""
    data = patterns(THIN, phases(), positions=SCAN + SHIFTS)
    end, gain = improvement(THIN, data, 60, "positions")
    error = end.instrument.positions - SCAN - SHIFTS
    assert rms(error) < 0.005
    trend, *_ = np.linalg.lstsq(np.c_[centred(SCAN), np.ones(len(SCAN))], error, rcond=None)
    assert abs(trend[:2]).max() * np.ptp(SCAN) < 0.005  # strain and rotation, across the scan [pixel]
    assert gain > 100


@pytest.mark.parametrize(("electrons", "accuracy"), [(1e5, 0.06), (1e6, 0.02)])
def test_positions_from_counted_electrons(electrons, accuracy):
    """Poisson counts: 0.06 pixel from 1e5 electrons per pattern, 0.02 pixel from 1e6."""
    data = counted(patterns(THIN, phases(), positions=SCAN + SHIFTS), electrons)
    end = fit(THIN, data, 30, "positions", loss=PoissonLoss())[-1]
    assert rms(end.instrument.positions - SCAN - SHIFTS) < accuracy


def test_drift_of_the_scan():
    """A smooth drift by about 2 pixels, without its linear part, is found to 0.03 pixel."""
    time, linear = np.linspace(-1, 1, len(SCAN))[:, None], np.c_[SCAN, np.ones(len(SCAN))]
    drift = np.array([4.0, -3.0]) * (time**2 - time**4) * 2
    drift -= linear @ np.linalg.lstsq(linear, drift, rcond=None)[0]
    end, gain = improvement(THIN, patterns(THIN, phases(), positions=SCAN + drift), 80, "positions")
    assert np.ptp(drift, axis=0).min() > 1.4
    assert rms(end.instrument.positions - SCAN - drift) < 0.03
    assert gain > 30


def test_tilt():
    """(3, -5) mrad are found to 0.1 mrad where the slices are coupled."""
    data = patterns(THICK, phases(6), slopes=np.tan(1e-3 * np.array([[3.0, -5.0]])))
    end, gain = improvement(THICK, data, 50, "tilt", **COUPLED)
    np.testing.assert_allclose(end.instrument.tilt_mrad, [[3, -5]], atol=0.1)
    assert gain > 50


def test_tilt_is_a_shear_of_free_slices():
    """Free slices can take up a tilt: with slice z moved back by z·dz·tan θ the patterns are the same.

    Up to what the edge of the window cuts elsewhere: 5 % of what the tilt changes.
    """
    slope, dz, pixel = 0.005, THICK.thicknesses[0], SAMPLING[1]
    upright = phases(6)
    sheared = np.stack([layer(np.array([0, -z * dz * slope / pixel])) for z in range(6)])[None]
    tilted = patterns(THICK, upright, slopes=np.array([[0.0, slope]]))
    left, change = (rms(patterns(THICK, phase) - tilted) for phase in (sheared, upright))
    assert left < 0.05 * change


def test_position_tilt():
    """A tilt that varies by some 3 mrad over the scan is found to 0.1 mrad."""
    y, x = (centred(SCAN) / 10).T
    slopes = 1e-3 * centred(np.stack([3 * x + 2 * y, -4 * x * y], axis=1))
    data = patterns(THICK, phases(6), slopes=slopes)
    end, gain = improvement(THICK, data, 50, "position tilt", **COUPLED)
    assert rms(slopes) > 1.9e-3
    assert rms(end.instrument.slopes - slopes) < 1e-4
    assert gain > 25


def test_thickness():
    """Slices 10 % thicker than assumed are found to 0.5 % where they are coupled."""
    data = patterns(THICK, phases(6), thicknesses=np.array(THICK.thicknesses) * 1.1)
    end, gain = improvement(THICK, data, 50, "thickness", **COUPLED)
    np.testing.assert_allclose(end.instrument.thicknesses, 8.8, rtol=0.005)
    assert gain > 25


def test_beam():
    """Fluctuations of 5 % rms are found to 0.1 %."""
    beam = np.exp(centred(np.random.default_rng(1).normal(scale=0.05, size=len(SCAN))))
    end, gain = improvement(THIN, patterns(THIN, phases(), beam=beam), 50, "beam")
    assert rms(end.instrument.beam / beam - 1) < 1e-3
    assert gain > 100


def flat():
    return np.ones(WINDOW)


def diffuse():
    """A broad maximum beside the centre of the pattern, FFT order."""
    ky, kx = (np.fft.fftfreq(n) for n in WINDOW)
    away = (ky[:, None] - 0.1) ** 2 + kx**2
    return 4 * np.exp(-away / 0.05)


@pytest.mark.parametrize("shape", [flat, diffuse])
def test_background(shape):
    """A tenth of the beam, flat or diffuse, is found to 5 % rms of itself."""
    background = (0.1 / np.prod(WINDOW) * shape()).astype(np.float32)
    end, gain = improvement(THIN, patterns(THIN, phases(), background=background), 60, "background")
    assert rms(end.instrument.background - background) < 0.05 * rms(background)
    assert gain > 100


def test_no_background_is_found_where_there_is_none():
    end = fit(THIN, patterns(THIN, phases()), 60, "background")[-1]
    assert end.instrument.background.sum() < 1e-3  # of the beam


def infidelity(found, true):
    return 1 - abs(np.vdot(true, found)) ** 2 / (np.linalg.norm(true) * np.linalg.norm(found)) ** 2


def test_aberrations():
    """Defocus wrong by 15 Å, 20 Å of astigmatism, 0.08 µm of coma: the probe is found to 2e-4."""
    true = probe(95, astigmatism=20, coma=800)
    assert infidelity(probe(), true) > 0.7
    end, gain = improvement(THIN, patterns(THIN, phases(), true), 50, "aberrations")
    assert infidelity(end.probe, true) < 2e-4
    assert gain > 100


@pytest.mark.parametrize("constraints", [{}, {"probe_aperture_mrad": 31.0}])
def test_free_probe(constraints):
    """Defocus wrong by 15 Å: a free probe brings its infidelity from 0.22 below 0.01."""
    true = probe(95)
    assert infidelity(probe(), true) > 0.2
    data = patterns(THIN, phases(), true)
    without = fit(THIN, data, 60)[-1]
    end = fit(THIN, data, 60, "probe", **constraints)[-1]
    assert infidelity(end.probe, true) < 0.01
    assert without.loss > 10 * end.loss


def test_probe_constraints_hold():
    """Nothing outside the window; beyond the aperture only what the window's edge scatters there."""
    data = patterns(THIN, phases(), probe(95))
    end = fit(THIN, data, 20, "probe", probe_aperture_mrad=31.0, probe_window=0.9)[-1]
    assert not end.probe[0][window_mask(WINDOW, 0.9) == 0].any()
    ky, kx = (np.fft.fftfreq(n, d) for n, d in zip(WINDOW, SAMPLING, strict=True))
    beyond = WAVELENGTH * np.hypot(ky[:, None], kx) > 0.04
    spectrum = abs(np.fft.fft2(end.probe[0])) ** 2
    assert (window_mask(WINDOW, 0.9) == 0).any()
    assert spectrum[beyond].sum() < 0.01 * spectrum.sum()


def test_a_window_that_cuts_the_probe_harms():
    """What it cuts off the tails of a defocused probe, the fit cannot have: the loss stays higher."""
    data = patterns(THIN, phases(), probe(95))
    free = fit(THIN, data, 60, "probe")[-1]
    cut = fit(THIN, data, 60, "probe", probe_window=0.9)[-1]
    assert cut.loss > 10 * free.loss


def test_all_at_once():
    """Positions, beam and aberrations are told apart."""
    true, beam = probe(90, astigmatism=8), np.exp(0.03 * np.sin(np.arange(len(SCAN))))
    beam /= np.exp(np.log(beam).mean())
    data = patterns(THIN, phases(), true, positions=SCAN + SHIFTS, beam=beam)
    end, gain = improvement(THIN, data, 80, ("positions", "beam", "aberrations"))
    assert rms(end.instrument.positions - SCAN - SHIFTS) < 0.01
    assert rms(end.instrument.beam / beam - 1) < 2e-3
    assert infidelity(end.probe, true) < 1e-3
    assert gain > 100
