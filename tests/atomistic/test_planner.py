"""Plans of experiments that have not been done, and errors of fits that have."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from caviar_kit.atomistic import (
    AtomisticFit,
    correlation_errors,
    correlation_information,
    guessed_tensor,
    plan_experiment,
    planned_scene,
)
from caviar_kit.simulation import Experiment, Snapshots, columns, ground_truth
from caviar_kit.simulation.runs import probe_wave
from tests.atomistic.moving_atoms import greens_tensor, scene

CELL = np.diag([12.0, 14.0, 4.0])
RELAXED = np.array([[5.6, 6.8, 1.0], [5.6, 6.8, 3.0], [7.0, 7.3, 1.0], [7.0, 7.3, 3.0], [-0.05, 7.0, 1.0]])
EXPERIMENT = Experiment(
    energy_ev=200e3,
    semiangle_mrad=30,
    defocus_angstrom=40,
    scan_step_angstrom=0.7,
    scan_shape=(4, 5),
    centre_angstrom=(7.0, 6.2),
    window_angstrom=9,
    grid_points=64,
    detector_pixels=32,
    num_slices=2,
)


@pytest.fixture(scope="module")
def snapshots():
    """Two columns of two silicon atoms that move together, and a carbon atom at the cell's border."""
    rng = np.random.default_rng(0)
    common, own = rng.normal(0, 0.06, (200, 1, 3)), rng.normal(0, 0.04, (200, 5, 3))
    return Snapshots(RELAXED + common + own, np.array([14, 14, 14, 14, 6]), CELL, RELAXED, 300.0)


@pytest.fixture(scope="module")
def planned(snapshots):
    return plan_experiment(snapshots, EXPERIMENT, 1e7, threads=1)


def test_positions_are_those_of_the_ground_truth(snapshots, planned):
    truth = ground_truth(snapshots, EXPERIMENT)
    distances = np.linalg.norm(planned.positions[:, None] - truth.positions, axis=-1).min(axis=0)
    np.testing.assert_allclose(distances, 0, atol=1e-3)
    expected = planned.expected_similarity(truth.greens_tensor, truth.positions, draws=50)
    assert 0.2 < expected["nearest"].mean[0] < 1


def test_atoms_stand_in_their_slices_and_move_as_the_snapshots_do(snapshots):
    made = planned_scene(snapshots, EXPERIMENT)
    silicon = np.flatnonzero(made.sites.kinds == made.sites.species.index("Si"))
    np.testing.assert_array_equal(made.atoms.occupancies[silicon], 1)
    truth = ground_truth(snapshots, EXPERIMENT)
    np.testing.assert_allclose(made.greens_tensor[silicon][:, :, silicon], truth.greens_tensor, rtol=1e-9)
    apart = snapshots.displacements[:, :2, :2] - snapshots.displacements[:, :2, :2].mean(
        axis=1, keepdims=True
    )
    width = made.atoms.widths[made.sites.species.index("Si")]
    assert width == pytest.approx((apart**2).mean(), rel=0.1)  # of one column of the two


def test_the_probe_is_that_of_the_simulation(snapshots):
    made = planned_scene(snapshots, EXPERIMENT)
    simulated = probe_wave(EXPERIMENT)  # about pixel (0, 0), on a finer grid
    pixels = made.model.window[0]
    spectrum = np.fft.fftshift(np.fft.fft2(simulated))
    first = EXPERIMENT.grid_points // 2 - pixels // 2
    kept = np.fft.ifftshift(spectrum[first : first + pixels, first : first + pixels])
    expected = np.fft.ifft2(kept)
    expected /= np.linalg.norm(expected)
    found = np.fft.ifftshift(made.probe[0])
    assert abs(np.vdot(found, expected)) > 0.999
    assert made.measured.sum() == EXPERIMENT.detector_pixels**2
    assert made.measured[0, 0]


def test_a_source_of_finite_size_costs_information(snapshots, planned):
    blurred = replace(EXPERIMENT, source_fwhm_angstrom=1.0)
    worse = plan_experiment(snapshots, blurred, 1e7, threads=1)
    assert np.nanmedian(worse.standard_error / planned.standard_error) > 1.02


def test_a_specimen_at_rest_needs_a_tensor(snapshots):
    still = snapshots.subset(1)
    with pytest.raises(ValueError, match="greens_tensor"):
        plan_experiment(still, EXPERIMENT, 1e6)
    guess = guessed_tensor(still, 0.06, 8.0)
    apart = np.linalg.norm(np.diff(columns(still).positions[:2], axis=0))
    assert apart == pytest.approx(np.hypot(1.4, 0.5), abs=0.1)  # atoms are where the one snapshot has them
    np.testing.assert_allclose(guess[0, 0, 1, 0], 0.06**2 * np.exp(-apart / 8))
    assert (guess[:, 0, :, 1] == 0).all()
    planned = plan_experiment(still, EXPERIMENT, 1e6, greens_tensor=guess, threads=1)
    assert np.isfinite(planned.standard_error).any()
    with pytest.raises(ValueError, match="3 columns"):
        plan_experiment(still, EXPERIMENT, 1e6, greens_tensor=guess[:2, :, :2])


def test_a_finished_fit_gives_the_errors_of_its_scene():
    tensor, of = greens_tensor(), scene(greens_tensor())
    values, vectors = np.linalg.eigh(tensor.reshape(6, 6))
    states = np.sqrt(6) * (vectors * np.sqrt(np.maximum(values, 0))).T.reshape(6, 3, 2)
    both = np.concatenate([states, -states])  # their covariance is the tensor, their mean zero
    atoms = replace(of.atoms, positions=of.places + both)
    fit = AtomisticFit.__new__(AtomisticFit)
    fit.snapshot = SimpleNamespace(
        scene=SimpleNamespace(atoms=atoms, probe=of.probe, instrument=of.instrument)
    )
    fit.evaluator = SimpleNamespace(model=of.model, weights=of.measured.astype(float))
    fit.movers, fit.form_factors = of.sites, of.form_factors
    expected = correlation_information(of, 1e7, threads=1)
    found = correlation_errors(fit, 1e7, threads=1)
    np.testing.assert_allclose(found.standard_error, expected.standard_error, rtol=1e-3)


def test_bad_arguments_are_refused(snapshots):
    with pytest.raises(TypeError, match="fit must be an AtomisticFit"):
        correlation_errors("fit", 1e6)
    unfinished = AtomisticFit.__new__(AtomisticFit)
    unfinished.snapshot = None
    with pytest.raises(ValueError, match="no result"):
        correlation_errors(unfinished, 1e6)
    with pytest.raises(TypeError, match="experiment"):
        plan_experiment(snapshots, {}, 1e6)
    with pytest.raises(ValueError, match="length_angstrom"):
        guessed_tensor(snapshots, 0.06, 0)
    with pytest.raises(TypeError, match="snapshots"):
        plan_experiment(None, EXPERIMENT, 1e6)
