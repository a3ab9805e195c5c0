"""Single scattering: the first Born approximation, which multiple scattering is measured against."""

from __future__ import annotations

import numpy as np

from caviar_kit.multislice.operators import BandLimit, FarField, FourierShift, FresnelPropagator
from caviar_kit.physics import interaction_parameter
from caviar_kit.simulation.experiment import Experiment
from caviar_kit.simulation.runs import Runner, built_potential, probe_wave

__all__ = ["born_patterns"]


def born_patterns(runner: Runner) -> np.ndarray:
    """Mean patterns over the snapshots if each electron is scattered at most once.

    Of the transmission exp(iσV) of each slice only 1 + iσV is kept, and of their product the terms with at
    most one V: ψ₀ ← P ψ₀, ψ₁ ← P (ψ₁ + iσV ψ₀); I = |F(ψ₀ + ψ₁)|². Free propagation P between the slices
    is kept. The unscattered wave is not weakened: patterns sum to more than 1.

    Returns
    -------
    array float64 (positions, Qy, Qx)
        Of the nominal scan with a point source, on the detector of the experiment.
    """
    experiment = runner.experiment
    shape, pixel = 2 * (experiment.grid_points,), experiment.window_angstrom / experiment.grid_points
    places = experiment.scan_positions_angstrom + experiment.first_position_in_window_angstrom
    probe = probe_wave(experiment)  # about pixel (0, 0)
    probes = np.stack([FourierShift(shape, (y / pixel, x / pixel)).forward(probe) for y, x in places])
    limit = BandLimit(shape, (pixel, pixel), experiment.grid_points / (3 * experiment.window_angstrom))
    gap = float(runner.window.size[2]) / experiment.num_slices
    propagate = FresnelPropagator(shape, (pixel, pixel), experiment.wavelength_angstrom, gap)
    sigma = interaction_parameter(experiment.energy_ev)
    total = np.zeros((len(places), *2 * (experiment.detector_pixels,)))
    for frame in runner.snapshots.positions:
        direct, scattered = probes, np.zeros_like(probes)
        for number, potential in enumerate(built_potential(runner, frame)):
            if number:
                direct, scattered = (propagate.forward(limit.forward(wave)) for wave in (direct, scattered))
            phase = limit.forward(potential.astype(np.complex64)).real
            scattered = scattered + np.complex64(1j * sigma) * phase * direct
        exit_wave = FarField().forward(limit.forward(direct + scattered))
        total += _on_detector(np.abs(exit_wave) ** 2, experiment)
    return total / len(runner.snapshots)


def _on_detector(patterns: np.ndarray, experiment: Experiment) -> np.ndarray:
    """From FFT order (n, y, x) to the centred square that the detector keeps."""
    first = experiment.grid_points // 2 - experiment.detector_pixels // 2
    kept = slice(first, first + experiment.detector_pixels)
    return np.fft.fftshift(patterns, axes=(-2, -1))[:, kept, kept]
