"""Probes that are not where the scan wanted them: drift, distortion, a rotated scan."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from caviar_kit.simulation import Snapshots, scan, silicon_sigma9_snapshots, true_positions
from caviar_kit.simulation.source_size import SourcePoints
from tests.simulation.tiny import TINY

NOMINAL = TINY.scan_positions_angstrom


@pytest.fixture(scope="module")
def silicon() -> Snapshots:
    return silicon_sigma9_snapshots().subset(2)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest L1 difference of two patterns, fraction of the beam."""
    return float(np.abs(a - b).sum(axis=(-2, -1)).max())


def test_nominal_positions_give_the_same_bits(silicon):
    np.testing.assert_array_equal(
        scan(silicon, TINY, positions_angstrom=NOMINAL.tolist()).data, scan(silicon, TINY).data
    )


def test_positions_are_remembered_with_the_data(silicon, tmp_path):
    moved = NOMINAL + np.arange(12).reshape(6, 2) / 100
    for path in (None, tmp_path / "scan.h5"):
        cube = scan(silicon, TINY, positions_angstrom=moved, path=path)
        np.testing.assert_array_equal(true_positions(cube), moved)
    np.testing.assert_allclose(true_positions(scan(silicon, TINY)), NOMINAL)


def test_a_moved_probe_meets_what_a_moved_specimen_brings(silicon):
    """By whole pixels of the wave, each position by another shift, along y and x."""
    pixel = TINY.window_angstrom / TINY.grid_points
    shifts = pixel * np.array([[0, 0], [1, 0], [0, 2], [-3, 1], [2, -2], [0, -1]])
    moved = scan(silicon, TINY, positions_angstrom=NOMINAL + shifts).data.reshape(6, 40, 40)
    rest = scan(silicon, TINY).data.reshape(6, 40, 40)
    for position, (y, x) in enumerate(shifts):
        specimen = replace(silicon, positions=silicon.positions - [x, y, 0])
        wanted = scan(specimen, TINY).data.reshape(6, 40, 40)[position]
        assert distance(moved[position], wanted) < 1e-5
        if position:
            assert distance(moved[position], rest[position]) > 1e-3


@pytest.mark.parametrize("fwhm", [0.2, 0.47])
def test_source_lies_around_each_actual_position(silicon, fwhm):
    """Against the shared grid of points, which is another cubature."""
    wide = replace(TINY, source_fwhm_angstrom=fwhm)
    one = silicon.subset(1)
    around = scan(one, wide, positions_angstrom=NOMINAL).data
    assert distance(around, scan(one, wide).data) < 2e-5
    assert distance(around, scan(one, TINY).data) > 5e-3
    off = NOMINAL + np.random.default_rng(2).normal(0, 0.3, NOMINAL.shape)
    points = SourcePoints.around(off, wide)
    np.testing.assert_allclose(points.weights.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(points.weights @ points.positions_angstrom, off, atol=1e-12)


@pytest.mark.parametrize(
    ("positions", "error", "message"),
    [
        (NOMINAL[:5], ValueError, r"positions_angstrom must have shape \(6, 2\), got \(5, 2\)"),
        (NOMINAL.reshape(2, 3, 2), ValueError, "positions_angstrom must have shape"),
        (np.full((6, 2), np.nan), ValueError, "positions_angstrom must be finite"),
        ([["a", "b"]] * 6, TypeError, "positions_angstrom must hold real numbers"),
        (NOMINAL * 1j, TypeError, "positions_angstrom must hold real numbers"),
        (NOMINAL + [0, 5], ValueError, "position 2 at .* leaves it by"),
    ],
)
def test_bad_positions_are_refused(silicon, positions, error, message):
    with pytest.raises(error, match=message):
        scan(silicon, TINY, positions_angstrom=positions)


def test_positions_near_the_edge_are_warned_of(silicon):
    room = 10 / 2 - 0.35 - 40 * 0.025  # the first row stands 0.35 Å above the centre
    with pytest.warns(UserWarning, match="leaves 0.20 Å around the outermost probes.*tails wrap"):
        scan(silicon.subset(1), TINY, positions_angstrom=NOMINAL - [room - 0.2, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scan(silicon.subset(1), TINY, positions_angstrom=NOMINAL - [room - 0.6, 0])
