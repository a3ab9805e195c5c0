"""Criticism sees errors of the instrument and missing correlations, and passes a right model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caviar_kit.atomistic.criticism import criticise
from caviar_kit.atomistic.held_out import HeldOutSignal
from caviar_kit.atomistic.suspects import Suspect, suspects
from caviar_kit.atomistic.verdict import Evidence, verdict
from tests.atomistic.small_crystal import (
    COLUMNS,
    STATES,
    assumed_fit,
    finished,
    patterns_of,
    shared_motion,
)

ELECTRONS = 1e5


@pytest.fixture(scope="module")
def motion():
    """In which neighbours move together and distant columns do not."""
    rng = np.random.default_rng(3)
    wave = np.cos(np.pi * COLUMNS[:, 1] / 2.6)[None, :, None] * rng.standard_normal((STATES, 1, 2))
    u = 0.12 * wave + 0.02 * rng.standard_normal((STATES, len(COLUMNS), 2))
    return u - u.mean(axis=0)


@pytest.fixture(scope="module")
def patterns(motion):
    return patterns_of(assumed_fit(), motion)


@pytest.fixture(scope="module")
def right(patterns, motion):
    return criticise(finished(assumed_fit(), patterns, motion))


def counted(patterns, seed=0):
    return np.random.default_rng(seed).poisson(patterns * ELECTRONS) / ELECTRONS


def test_the_truth_leaves_nothing_and_is_supported(right):
    assert abs(right.excess) < 1e-12 < right.signal
    assert right.supported
    right.require_support()
    np.testing.assert_allclose(right.misfit, 0, atol=1e-12)
    assert abs(right.residual).max() < 1e-6


def test_the_signal_is_the_misfit_of_independent_columns(patterns, motion, right):
    """Many shuffles put together in one ensemble have no correlation but by chance."""
    rng = np.random.default_rng(5)
    many = np.concatenate([motion] * 25)
    for column in range(many.shape[1]):
        many[:, column] = many[rng.permutation(len(many)), column]
    fit = finished(assumed_fit(num_states=len(many)), patterns, many)
    expected = float(fit.result.misfit.mean())
    found = criticise(finished(assumed_fit(), patterns, motion), shuffles=60).signal
    assert found == pytest.approx(expected, rel=0.15)


def test_a_fit_of_independent_columns_is_refused_for_lack_of_signal(motion):
    alone = motion.copy()
    alone[:, 1:] = 0  # one column moves: nothing to correlate
    fit = assumed_fit(loss="poisson")
    criticism = criticise(
        finished(fit, counted(patterns_of(fit, alone)), alone), electrons_per_pattern=ELECTRONS
    )
    assert not criticism.supported
    with pytest.raises(ValueError, match="without correlations"):
        criticism.require_support()


def test_counting_noise_is_told_from_misfit(patterns, motion):
    fit = finished(assumed_fit(loss="poisson"), counted(patterns), motion)
    criticism = criticise(fit, electrons_per_pattern=ELECTRONS)
    assert abs(criticism.excess) < 4 * criticism.noise_deviation
    assert criticism.loss > 100 * criticism.noise_deviation
    inside = criticism.residual != 0
    assert 0.9 < criticism.residual[inside].std() < 1.1


@pytest.mark.slow
def test_noise_of_the_signal_is_that_of_repeated_counts(patterns, motion):
    criticised = [
        criticise(
            finished(assumed_fit(loss="poisson"), counted(patterns, seed), motion),
            electrons_per_pattern=ELECTRONS,
            shuffles=2,
        )
        for seed in range(8)
    ]
    spread = np.std([c.signal for c in criticised], ddof=1)
    assert 0.5 < spread / criticised[0].signal_noise < 1.8


def test_a_wrong_defocus_is_named_and_refused(patterns, motion):
    fit = finished(assumed_fit(defocus=62.0), patterns, motion)
    criticism = criticise(fit)
    assert criticism.suspects[0].name == "C10"
    assert not criticism.supported
    assert "C10" in criticism.reason
    phase = np.pi / 0.02508 * 2 * 0.03**2  # of 2 Å at the rim: C10 is minus the defocus
    assert criticism.suspects[0].change == pytest.approx(phase, rel=0.15)


def test_a_gain_is_kept_when_the_quantity_is_changed(patterns, motion):
    fit = finished(assumed_fit(), patterns, motion)
    objective, scene = fit.snapshot.objective, fit.snapshot.scene
    thick = replace(scene.instrument, thicknesses=scene.instrument.thicknesses * 1.005)
    wrong = replace(scene, instrument=thick)
    found = {s.name: s for s in suspects(objective, wrong)}["thickness"]
    gained = objective.misfit(wrong) - objective.misfit(scene)
    assert found.gain == pytest.approx(gained, rel=0.05)
    assert found.change == pytest.approx(-np.log(1.005), rel=0.05)


def test_a_common_motion_is_refused(patterns):
    u = shared_motion()
    fit = assumed_fit()
    criticism = criticise(finished(fit, patterns_of(fit, u), u))
    assert not criticism.supported
    assert "distant columns" in criticism.reason


def test_the_table_says_what_was_found(right):
    text = str(right)
    assert f"{right.signal:10.2e}" in text
    assert text.splitlines()[-1].startswith("supported: ")


EVIDENCE = Evidence(1e-5, 0.0, 0.0, 2e-6, 0.0, None, 0.0, (Suspect("C10", 1e-9, 0.1),), 0.0, 0.1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"suspects": (Suspect("tilt y", 1e-6, 0.1),)}, "tilt y"),
        ({"suspects": (Suspect("tilt y", 1e-6, 0.1),), "gain_noise": 1e-6}, None),
        ({"loss": 1e-3}, "nothing explains"),
        ({"loss": 1e-3, "expected_noise_loss": 1e-3 - 1e-5, "noise_deviation": 1e-6}, None),
        ({"signal": -1e-8}, "without correlations"),
        ({"signal_noise": 1e-6}, "without correlations"),
        ({"overfit": 1e-5}, "held_out"),
        ({"overfit": 1e-5, "held_out": HeldOutSignal(1e-6, 1e-7, None)}, None),
        ({"held_out": HeldOutSignal(1e-6, 1e-6, None)}, "noise"),
        ({"offset": 0.5}, "distant columns"),
    ],
)
def test_verdicts(changes, reason):
    supported, text = verdict(replace(EVIDENCE, **changes))
    assert supported == (reason is None)
    assert reason is None or reason in text


def test_nonsense_is_refused(patterns, motion):
    with pytest.raises(TypeError, match="fit must be an AtomisticFit"):
        criticise("fit")
    with pytest.raises(ValueError, match="iterated"):
        criticise(assumed_fit())
    fit = finished(assumed_fit(), patterns, motion)
    with pytest.raises(ValueError, match="shuffles"):
        criticise(fit, shuffles=0)
    with pytest.raises(ValueError, match="electrons_per_pattern"):
        criticise(fit, electrons_per_pattern=-1)
    alone = finished(assumed_fit(num_states=1), patterns, np.zeros((1, len(COLUMNS), 2)))
    with pytest.raises(ValueError, match="several states"):
        criticise(alone)
