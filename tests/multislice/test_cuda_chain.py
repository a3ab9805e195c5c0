"""The CUDA kernels put together: loss and gradient of a whole multislice, as the engine has them."""

from __future__ import annotations

import math

import numpy as np

from caviar_kit.multislice import AmplitudeLoss, Evaluator, cuda
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.propagation import Propagation
from tests.multislice.cuda_on_host import Host
from tests.multislice.problems import MODES, STATES, aperture, model, states


def fft(waves):
    return np.ascontiguousarray(np.fft.fft2(waves))


def ifft(waves):
    """Unnormalised, like the inverse of cuFFT."""
    return np.ascontiguousarray(np.fft.ifft2(waves, norm="forward"))


def test_chain_has_the_loss_and_the_gradient_of_the_engine(tmp_path):
    """Five windows at whole pixels, so that the probe needs no shift; tilted, four slices."""
    run = Host(tmp_path)
    geometry = model(positions=[[6, 7], [8, 9], [7, 11], [10, 7], [9, 12]])
    transmission = states((STATES, geometry.num_slices, *geometry.object_shape))
    probe = aperture(geometry.window, MODES)
    data = np.random.default_rng(2).uniform(0, 0.02, (5, *geometry.window))
    expected = Evaluator(geometry, data, AmplitudeLoss(), threads=1).loss_and_gradient(transmission, probe)

    gaps = Propagation(geometry, Instrument.nominal(geometry), np, np.dtype(complex)).at(0)
    corners = np.asarray(geometry.sampler.corners, np.int32)
    wave = np.empty((5, MODES, STATES, *geometry.window), complex)
    incident = [np.ascontiguousarray(np.broadcast_to(probe[:, None], (5, MODES, 1, *geometry.window)))]
    run(cuda.transmit, incident[0], transmission, corners, 0, wave)
    for z, (transfer, _) in enumerate(gaps, start=1):
        spectrum = fft(wave)
        run(cuda.propagate, spectrum, transfer[None], spectrum)
        incident.append(ifft(spectrum))
        run(cuda.transmit, incident[z], transmission, corners, z, wave)
    far, intensity = fft(wave), np.zeros(data.shape)
    run(cuda.add_intensity, far, intensity)
    intensity /= STATES * math.prod(geometry.window)

    losses, residual = np.empty(5), np.empty(data.shape)
    run(cuda.amplitude_loss, intensity, data, None, AmplitudeLoss().epsilon, losses, residual)
    np.testing.assert_allclose(losses.mean(), expected.loss, rtol=1e-12)

    residual *= 2 / (STATES * math.prod(geometry.window) * 5)  # of the mean over positions
    run(cuda.residual_wave, far, residual, far)
    gradient = np.zeros_like(transmission)
    for z in reversed(range(geometry.num_slices)):
        wave = ifft(far)
        run(cuda.adjoint_transmit, wave, transmission, corners, z, incident[z], gradient)
        if z:
            far = fft(wave)
            run(cuda.propagate, far, gaps[z - 1][0][None], far, conjugate=True)
    by_mode = np.empty((5, MODES, *geometry.window), complex)
    run(cuda.sum_states, wave, by_mode)

    for found, wanted in ((gradient, expected.object), (by_mode.sum(axis=0), expected.probe)):
        np.testing.assert_allclose(found, wanted, atol=1e-11 * abs(wanted).max(), rtol=0)
