"""The probe before the fit: modes of a partially coherent beam, and their place in py4DSTEM's arrays."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.illumination import probe_modes
from tests.multislice.problems import aperture
from tests.test_ptychography import data, prepare  # noqa: F401

OPTICS = {"sampling": (0.2, 0.2), "wavelength": 0.025}


@pytest.fixture(scope="module")
def probe():
    return aperture((32, 32), 1, np.complex64)


def occupations(modes):
    return (abs(modes) ** 2).sum(axis=(1, 2))


@pytest.mark.parametrize("widths", [{}, {"source_fwhm_angstrom": 0.4}, {"defocus_fwhm_angstrom": 60.0}])
def test_modes_are_orthogonal_and_share_the_beam(probe, widths):
    modes = probe_modes(probe, 4, **OPTICS, **widths)
    assert modes.shape == (4, 32, 32)
    assert modes.dtype == np.complex64
    flat = modes.reshape(4, -1)
    products = flat.conj() @ flat.T
    np.testing.assert_allclose(products, np.diag(occupations(modes)), atol=1e-6)
    assert occupations(modes).sum() == pytest.approx(1, abs=1e-6)
    assert (np.diff(occupations(modes)) <= 1e-6).all()


def test_a_wider_source_fills_more_modes(probe):
    first = [
        occupations(probe_modes(probe, 6, **OPTICS, source_fwhm_angstrom=width))[0]
        for width in (0.1, 0.3, 0.5)
    ]
    assert first[0] > first[1] > first[2]


def test_one_mode_is_the_probe(probe):
    assert probe_modes(probe, 1, **OPTICS) is probe


def test_too_few_modes_for_the_source_are_told(probe):
    with pytest.warns(UserWarning, match="2 probe modes hold .* of the partially coherent beam: increase"):
        probe_modes(probe, 2, **OPTICS, source_fwhm_angstrom=1.5)


def test_reconstruction_with_modes(data):  # noqa: F811
    ptycho = prepare(data, num_probes=3, source_fwhm_angstrom=0.3)
    start = ptycho.probe_occupations
    assert start.sum() == pytest.approx(1)
    assert ptycho.probe_centered.shape[0] == 3
    ptycho.reconstruct(max_iter=2, one_state_iter=2, refine_first="probe", progress_bar=False)
    assert ptycho.probe.shape[0] == 3
    flat = ptycho.probe.reshape(3, -1)
    products = abs(flat.conj() @ flat.T)
    assert products[0, 1] < 1e-4 * products[0, 0]  # refined modes are handed over orthogonal
    assert abs(ptycho.probe_occupations - start).max() > 1e-6
    assert ptycho.error_iterations[-1] < ptycho.error_iterations[0]
