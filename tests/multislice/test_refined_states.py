"""Refinement beside several states: vibration is neither destroyed nor made up."""

from __future__ import annotations

import numpy as np

from tests.multislice.specimen import ATOMS, SCAN, Geometry, centred, fit, patterns, phases, probe, rms

GEOMETRY = Geometry()
SHIFTS = centred(np.random.default_rng(0).normal(scale=0.3, size=GEOMETRY.scan.shape))  # pixel
TRUE_PROBE = probe(90)  # assumed: 80 Å
VIBRATING = phases(displacements=np.random.default_rng(1).normal(scale=0.4, size=(6, len(ATOMS), 2)))  # 0.1 Å
SETTINGS = {"num_states": 4, "one_state_iter": 30}


def spread(phase: np.ndarray) -> float:
    """Deviation of projected phases from their mean over the states, where the scan was [rad rms]."""
    scanned = slice(int(SCAN[0]), int(SCAN[-1]) + 1)
    projected = phase.sum(axis=1)[:, scanned, scanned]
    projected = projected - projected.mean(axis=(1, 2), keepdims=True)
    return rms(centred(projected))


def end_of_fit(true_phase: np.ndarray, refine: tuple[str, ...]):
    data = patterns(GEOMETRY, true_phase, TRUE_PROBE, positions=GEOMETRY.scan + SHIFTS)
    return fit(GEOMETRY, data, 40, refine, **SETTINGS)[-1]


def test_refining_probe_and_positions_leaves_the_vibration():
    end = end_of_fit(VIBRATING, ("probe", "positions"))
    assert 0.8 < spread(np.angle(end.object)) / spread(VIBRATING) < 1.1
    assert rms(end.instrument.positions - GEOMETRY.scan - SHIFTS) < 0.02


def test_errors_left_out_look_like_vibration():
    """Without vibration, errors of probe and scan alone drive the states as far apart as it would."""
    still = phases()
    kept, refined = (spread(np.angle(end_of_fit(still, r).object)) for r in ((), ("probe", "positions")))
    assert kept > 0.7 * spread(VIBRATING)
    assert refined < 0.2 * spread(VIBRATING)
