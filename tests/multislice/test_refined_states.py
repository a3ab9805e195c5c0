"""Refinement beside several states: vibration is neither destroyed nor made up."""

from __future__ import annotations

import numpy as np
import pytest

from tests.multislice.specimen import (
    ATOMS,
    SCAN,
    WINDOW,
    Geometry,
    centred,
    fit,
    patterns,
    phases,
    probe,
    rms,
)

GEOMETRY = Geometry()
SHIFTS = centred(np.random.default_rng(0).normal(scale=0.3, size=GEOMETRY.scan.shape))  # pixel
TRUE_PROBE = probe(90)  # assumed: 80 Å
BEAM = np.exp(centred(np.random.default_rng(2).normal(scale=0.05, size=len(GEOMETRY.scan))))
BACKGROUND = np.full(WINDOW, 0.1 / np.prod(WINDOW), np.float32)  # a tenth of the beam
VIBRATING = phases(displacements=np.random.default_rng(1).normal(scale=0.4, size=(6, len(ATOMS), 2)))  # 0.1 Å
SETTINGS = {"num_states": 4, "one_state_iter": 30}


def spread(phase: np.ndarray) -> float:
    """Deviation of projected phases from their mean over the states, where the scan was [rad rms]."""
    scanned = slice(int(SCAN[0]), int(SCAN[-1]) + 1)
    projected = phase.sum(axis=1)[:, scanned, scanned]
    projected = projected - projected.mean(axis=(1, 2), keepdims=True)
    return rms(centred(projected))


def end_of_fit(true_phase, refine, true_probe=None, **truth):
    return fit(GEOMETRY, patterns(GEOMETRY, true_phase, true_probe, **truth), 40, refine, **SETTINGS)[-1]


def made_up(refine, true_probe=None, **truth):
    """Spread of the states fitted to data without vibration, in units of that of real vibration."""
    end = end_of_fit(phases(), refine, true_probe, **truth)
    return spread(np.angle(end.object)) / spread(VIBRATING)


def test_refining_probe_and_positions_leaves_the_vibration():
    end = end_of_fit(VIBRATING, ("probe", "positions"), TRUE_PROBE, positions=GEOMETRY.scan + SHIFTS)
    assert 0.8 < spread(np.angle(end.object)) / spread(VIBRATING) < 1.1
    assert rms(end.instrument.positions - GEOMETRY.scan - SHIFTS) < 0.02


def test_an_exact_instrument_makes_no_vibration_up():
    assert made_up(()) < 0.15


@pytest.mark.parametrize(
    ("refine", "errors", "without", "with_it"),
    [
        ("positions", {"positions": GEOMETRY.scan + SHIFTS}, 0.6, 0.15),
        ("aberrations", {"true_probe": TRUE_PROBE}, 0.6, 0.15),
        ("background", {"background": BACKGROUND}, 3, 0.7),
    ],
)
def test_errors_left_out_look_like_vibration(refine, errors, without, with_it):
    """Without vibration, an error drives the states as far apart as vibration would; refinement helps."""
    assert made_up((), **errors) > without
    assert made_up((refine,), **errors) < with_it


def test_beam_fluctuations_do_not_look_like_vibration():
    """A phase object cannot change the sum of a pattern, so the states take no part of them up."""
    assert made_up((), beam=BEAM) < 0.15
