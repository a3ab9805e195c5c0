"""Modes of one beam: orthogonal, of the same density matrix, Hermite–Gauss for a Gaussian probe."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.special import eval_hermite

from caviar_kit.multislice.operators import FourierShift
from caviar_kit.multislice.partial_coherence import partially_coherent_modes
from caviar_kit.multislice.probe_modes import hermite_modes, occupations, orthogonalise
from tests.multislice.problems import WAVELENGTH, aperture, evaluator, model, random_complex, states


def density_matrix(modes: np.ndarray) -> np.ndarray:
    """ρ(r, r') = Σ_m P_m(r) conj(P_m(r')), pixels × pixels."""
    flat = modes.reshape(len(modes), -1)
    return flat.T @ flat.conj()


def gram_matrix(modes: np.ndarray) -> np.ndarray:
    flat = modes.reshape(len(modes), -1)
    return flat.conj() @ flat.T


def gaussian(shape=(40, 44), centre=(20, 22), rms=(3.0, 3.5)) -> np.ndarray:
    """Gaussian probe, |P|² of these rms widths [pixel], curved wavefront, Σ|P|² = 1."""
    y, x = (np.arange(n) - c for n, c in zip(shape, centre, strict=True))
    amplitude = np.exp(-(y[:, None] ** 2) / (4 * rms[0] ** 2) - x[None] ** 2 / (4 * rms[1] ** 2))
    return amplitude * np.exp(0.05j * (y[:, None] ** 2 + x[None] ** 2)) / np.linalg.norm(amplitude)


# Orthogonal modes --------------------------------------------------------------------------


@given(count=some.integers(1, 5), seed=some.integers(0, 99), low_rank=some.booleans())
def test_orthogonal_modes_have_the_same_density_matrix(count, seed, low_rank):
    modes = random_complex((count, 5, 6), seed)
    if low_rank:
        modes[-1] = modes[0]
    found = orthogonalise(modes)
    np.testing.assert_allclose(density_matrix(found), density_matrix(modes), atol=1e-13 * count * 30)
    gram = gram_matrix(found)
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-12 * gram.real.max())
    shares = occupations(found)
    assert (np.diff(shares) <= 1e-15).all() and shares.sum() == pytest.approx(1, rel=1e-14)


def test_sum_of_intensities_and_patterns_stay():
    engine = evaluator(model())
    objects = states((2, engine.model.num_slices, *engine.model.object_shape))
    modes = aperture(engine.model.window, 3)
    found = orthogonalise(modes)
    assert abs(gram_matrix(modes)[0, 1]) > 0.01
    np.testing.assert_allclose((abs(found) ** 2).sum(0), (abs(modes) ** 2).sum(0), atol=1e-16)
    np.testing.assert_allclose(
        engine.intensities(objects, found), engine.intensities(objects, modes), atol=1e-15
    )


def test_two_points_of_a_source_have_known_occupations():
    """Two probes of equal weight and overlap γ: the eigenvalues are (1 ± |γ|) / 2."""
    probe = aperture((12, 15))[0]
    pair = np.stack([probe, FourierShift((12, 15), (0.6, -0.9)).forward(probe)])
    overlap = abs(np.vdot(*pair))
    assert 0.1 < overlap < 0.9
    np.testing.assert_allclose(occupations(pair), [0.5, 0.5], rtol=1e-12)
    np.testing.assert_allclose(
        occupations(orthogonalise(pair)), [(1 + overlap) / 2, (1 - overlap) / 2], rtol=1e-12
    )


def test_phase_is_fixed_by_the_brightest_pixel():
    """Whatever unitary mixture of the modes comes in, the same bits of modes come out, to rounding."""
    modes = random_complex((3, 8, 9))
    unitary = np.linalg.qr(random_complex((3, 3), 1))[0]
    found = orthogonalise(modes)
    np.testing.assert_allclose(orthogonalise(np.tensordot(unitary, modes, axes=1)), found, atol=1e-12)
    for mode in found:
        brightest = mode.ravel()[abs(mode).argmax()]
        assert brightest.real > 0 and abs(brightest.imag) < 1e-13 * brightest.real


# Hermite modes -----------------------------------------------------------------------------


def test_gaussian_probe_gives_hermite_gauss_modes():
    rms = (3.0, 3.5)
    probe = gaussian(rms=rms)
    y, x = (np.indices(probe.shape) - np.array([20, 22])[:, None, None]) / (
        math.sqrt(2) * np.array(rms)[:, None, None]
    )
    for mode, (i, j) in zip(
        hermite_modes(probe, 6), [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)], strict=True
    ):
        expected = probe * eval_hermite(i, y) * eval_hermite(j, x)
        expected /= np.linalg.norm(expected)
        overlap = np.vdot(expected, mode) / np.linalg.norm(mode)
        assert overlap == pytest.approx(
            1, abs=1e-6
        )  # the Gaussian is cut off by the window at 1e-9 of its peak


@pytest.mark.parametrize("reciprocal", [False, True])
def test_hermite_modes_are_orthogonal_with_the_occupations_asked_for(reciprocal):
    probe = 0.7 * aperture((24, 30))[0]
    shares = [0.6, 0.25, 0.1, 0.05]
    modes = hermite_modes(probe, 4, shares, reciprocal=reciprocal)
    np.testing.assert_allclose(gram_matrix(modes), 0.49 * np.diag(shares), atol=1e-14)
    np.testing.assert_allclose(modes[0], math.sqrt(0.6) * probe, atol=1e-15)
    np.testing.assert_allclose(occupations(hermite_modes(probe, 5)), [0.9] + [0.025] * 4, rtol=1e-12)
    assert occupations(hermite_modes(probe, 1)) == pytest.approx(1)


def test_reciprocal_hermite_modes_stay_inside_the_aperture():
    probe = aperture((24, 30))
    dark = abs(np.fft.fft2(probe[0])) < 1e-9
    assert dark.any()
    assert abs(np.fft.fft2(hermite_modes(probe, 6, reciprocal=True)))[:, dark].max() < 1e-12
    assert abs(np.fft.fft2(hermite_modes(probe, 6)))[:, dark].max() > 1e-3


def test_reciprocal_hermite_modes_are_what_a_small_source_adds():
    """P(r - s) = P - s·∇P: the leading modes span P and its two derivatives."""
    probe = aperture((24, 30))
    small = partially_coherent_modes(probe, (0.2, 0.2), WAVELENGTH, 3, source_fwhm_angstrom=0.02).modes
    basis = hermite_modes(probe, 3, reciprocal=True)
    projections = basis.reshape(3, -1).conj() @ small.reshape(3, -1).T
    projections /= np.linalg.norm(basis, axis=(1, 2))[:, None] * np.linalg.norm(small, axis=(1, 2))
    np.testing.assert_allclose(np.linalg.svd(projections)[1], 1, atol=1e-4)


def test_precision_follows_the_probe():
    probe = aperture((12, 15), dtype=np.complex64)
    for modes in (hermite_modes(probe, 3), orthogonalise(probe)):
        assert modes.dtype == np.complex64
    assert hermite_modes(probe.astype(complex), 3).dtype == complex
    assert occupations(probe).dtype == float


# Refusals ----------------------------------------------------------------------------------

PROBE = aperture((12, 15))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: occupations(PROBE[0]), ValueError, "modes must have shape"),
        (lambda: occupations(0 * PROBE), ValueError, "modes must not be all zero"),
        (lambda: orthogonalise(PROBE * np.nan), ValueError, "modes must be finite"),
        (lambda: orthogonalise(np.ones((7, 2, 3))), ValueError, "must not outnumber"),
        (lambda: orthogonalise([["a"]]), TypeError, "modes must hold numbers"),
        (lambda: hermite_modes(np.concatenate([PROBE, PROBE]), 3), ValueError, "probe must have one mode"),
        (lambda: hermite_modes(PROBE, 0), ValueError, "num_modes must be at least 1"),
        (lambda: hermite_modes(PROBE, 2.0), TypeError, "num_modes must be an integer"),
        (lambda: hermite_modes(PROBE, 2, [0.9, 0.2]), ValueError, "sum to 1"),
        (lambda: hermite_modes(PROBE, 2, [1.1, -0.1]), ValueError, "not be negative"),
        (lambda: hermite_modes(PROBE, 2, [1.0]), ValueError, "occupations must have shape"),
        (lambda: hermite_modes(np.eye(3)[None, :1], 3), ValueError, "independent modes"),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
