"""Few electrons: the fit goes on to explain noise, the held-out patterns tell when, and patience stops it."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.multislice import PoissonLoss
from tests.multislice.specimen import ATOMS, SCAN, Geometry, counted, fit, patterns, phases, rms

GEOMETRY, ELECTRONS = Geometry(), 1e4  # per pattern of 32 × 32 pixels
STILL = phases()
WATCHED = {"loss": PoissonLoss(), "held_out_fraction": 0.15}


@pytest.fixture(scope="module")
def data():
    return counted(patterns(GEOMETRY, STILL), ELECTRONS)


@pytest.fixture(scope="module")
def unstopped(data):
    return fit(GEOMETRY, data, 60, **WATCHED)


def losses(snapshots):
    return np.array([(s.loss, s.held_out_loss) for s in snapshots]).T


def phase_error(snapshot):
    """Of the slices where the scan was, a constant of each aside [rad rms]."""
    scanned = slice(int(SCAN[0]), int(SCAN[-1]) + 1)
    difference = (np.angle(snapshot.object[0]) - STILL[0])[:, scanned, scanned]
    return rms(difference - difference.mean(axis=(1, 2), keepdims=True))


def test_held_out_loss_turns_while_the_other_falls(unstopped):
    training, held_out = losses(unstopped)
    best = int(held_out.argmin())
    assert 3 < best < 30
    assert (np.diff(training) <= 0).all()
    assert training[-1] < 0.97 * training[best]
    assert held_out[-1] > 1.03 * held_out[best]


def test_held_out_minimum_is_the_better_object(unstopped):
    """The truth, which no fit knows, agrees: near the minimum the slices are nearly as good as ever."""
    _, held_out = losses(unstopped)
    errors = np.array([phase_error(s) for s in unstopped])
    best = errors[held_out.argmin()]
    assert best < 1.4 * errors.min()
    assert errors[-1] > 3 * best


def test_patience_stops_and_returns_the_best_iteration(data, unstopped):
    _, held_out = losses(unstopped)
    stopped = fit(GEOMETRY, data, 60, patience=8, **WATCHED)
    best = int(held_out.argmin())
    assert len(stopped) == best + 1 + 8 + 1  # the best, eight more, and the best once more
    assert stopped[-1].held_out_loss == held_out[best]
    np.testing.assert_array_equal(stopped[-1].object, unstopped[best].object)


def test_every_stage_begins_with_the_best_of_the_one_before(data):
    moved = np.random.default_rng(1).normal(scale=0.4, size=(6, len(ATOMS), 2))
    vibrating = counted(patterns(GEOMETRY, phases(displacements=moved)), ELECTRONS)
    settings = {"num_states": 3, "one_state_iter": 60, "patience": 5, **WATCHED}
    snapshots = fit(GEOMETRY, vibrating, 60, thermal_rms_angstrom=0.0, **settings)
    first = [s for s in snapshots if s.stage == "one state"]
    assert first[-1].held_out_loss == min(s.held_out_loss for s in first)
    assert len(first) < 60
    assert len(snapshots) < 120
    assert snapshots[len(first)].loss <= first[-1].loss * (1 + 1e-6)


def test_held_out_patterns_change_nothing_in_the_fit(data):
    """Noise put into them alone leaves every bit of the object as it is."""
    clean = fit(GEOMETRY, data, 5, **WATCHED)[-1]
    held_out = clean._fit.held_out
    spoilt = data.copy()
    spoilt[held_out] = spoilt[held_out][:, ::-1]
    other = fit(GEOMETRY, spoilt, 5, **WATCHED)[-1]
    assert len(held_out) == round(0.15 * len(data))
    assert other.held_out_loss != clean.held_out_loss
    np.testing.assert_array_equal(other.object, clean.object)


def test_positions_of_held_out_patterns_stay():
    """Nothing in the fit moves them, up to the common shift that keeps the mean of all positions."""
    shifts = np.random.default_rng(2).normal(scale=0.3, size=GEOMETRY.scan.shape)
    data = patterns(GEOMETRY, STILL, positions=GEOMETRY.scan + shifts)
    end = fit(GEOMETRY, data, 15, "positions", held_out_fraction=0.15)[-1]
    moved = end.instrument.positions - GEOMETRY.scan
    held_out = moved[end._fit.held_out]
    np.testing.assert_allclose(held_out, held_out[:1].repeat(len(held_out), axis=0), atol=1e-5)
    assert moved[end._fit.training].std() > 0.1
