"""What a pattern is made of: each line against what it must be in a known case."""

from dataclasses import replace
from types import SimpleNamespace

import abtem
import matplotlib
import numpy as np
import pytest

from caviar_kit import plotting
from caviar_kit.simulation import (
    Experiment,
    PatternContributions,
    Snapshots,
    coherent,
    pattern_contributions,
    scan,
    silicon_sigma9_snapshots,
    thicken,
)
from caviar_kit.simulation.born import born_patterns
from caviar_kit.simulation.runs import Runner, built_potential

TINY = Experiment(
    energy_ev=200e3,
    semiangle_mrad=25,
    defocus_angstrom=40,
    scan_step_angstrom=0.7,
    scan_shape=(1, 2),
    centre_angstrom=(32.6, 18.0),
    window_angstrom=10,
    grid_points=60,
    detector_pixels=40,
)
NAMES = {
    "single scattering",
    "one slice",
    "atoms at rest",
    "point source",
    "independent columns",
    "chance",
}


@pytest.fixture(scope="module")
def silicon() -> Snapshots:
    return silicon_sigma9_snapshots().subset(4)


@pytest.fixture(scope="module")
def result(silicon) -> PatternContributions:
    return pattern_contributions(silicon, TINY, (1, 3), seed=2)


def l1(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(float) - b).sum(axis=(2, 3)).ravel()


# Thickness ---------------------------------------------------------------------------------


def test_a_thick_specimen_uses_every_snapshot_once_per_cell(silicon):
    thick, atoms, height = thicken(silicon, 3, seed=1), 864, silicon.thickness_angstrom
    assert thick.thickness_angstrom == pytest.approx(3 * height)
    assert thick.positions.shape == (4, 3 * atoms, 3)
    np.testing.assert_array_equal(thick.numbers, np.tile(silicon.numbers, 3))
    for cell in range(3):
        part = thick.positions[:, cell * atoms : (cell + 1) * atoms] - [0, 0, cell * height]
        matches = np.abs(part[:, None] - silicon.positions[None]).max(axis=(2, 3)) < 1e-9
        assert (matches.sum(axis=0) == 1).all() and (matches.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(thick.positions[:, :atoms], silicon.positions)
    np.testing.assert_array_equal(thicken(silicon, 3, seed=1).positions, thick.positions)
    assert np.abs(thicken(silicon, 3, seed=4).positions - thick.positions).max() > 1e-2
    assert thicken(silicon, 1) is silicon
    assert "3 cells" in thick.provenance["stacked"]


def test_bad_thicknesses_are_refused(silicon):
    with pytest.raises(TypeError, match="snapshots must be Snapshots"):
        thicken(silicon.atoms(0), 2)
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        thicken(silicon, 0)
    with pytest.raises(ValueError, match="seed must be at least 0"):
        thicken(silicon, 2, seed=-1)


# Single scattering -------------------------------------------------------------------------


def test_born_is_multislice_to_first_order_in_the_potential(silicon, monkeypatch):
    """Four slices, weak: patterns differ by the square of the potential, its sign and its place."""
    still = coherent(silicon)
    runner = Runner.of(still, TINY, "cpu", 1)
    potential = built_potential(runner, still.positions[0]).swapaxes(1, 2)
    errors = []
    for strength in (0.05, 0.1):
        weak = abtem.PotentialArray(strength * potential, slice_thickness=1.92, extent=10.0)
        monkeypatch.setattr(
            Runner, "potential", lambda *_, weak=weak: SimpleNamespace(build=lambda lazy: weak)
        )
        born = born_patterns(Runner.of(still, TINY, "cpu", 1)).reshape(1, 2, 40, 40)
        full = scan(still, TINY).data
        errors.append(l1(born, full).max())
    assert errors[1] / errors[0] == pytest.approx(4, rel=0.03)
    assert errors[0] < 1e-4


# The study ---------------------------------------------------------------------------------


def test_lines_are_differences_of_whole_simulations(silicon, result):
    """Two of them, recomputed with ``scan``."""
    assert set(result.differences) == NAMES
    np.testing.assert_allclose(result.thickness_angstrom, silicon.thickness_angstrom * np.array([1, 3]))
    full, rest = scan(silicon, TINY).data, scan(coherent(silicon), TINY).data
    np.testing.assert_allclose(result.differences["atoms at rest"][0], l1(rest, full), rtol=1e-3)
    blurred = scan(coherent(silicon), replace(TINY, source_fwhm_angstrom=0.47)).data
    np.testing.assert_allclose(result.differences["point source"][0], l1(blurred, rest), rtol=1e-3)
    thick, optics = thicken(silicon, 3, seed=2), replace(TINY, num_slices=12)
    middle = 5.5 * thick.thickness_angstrom / 12
    with pytest.warns(UserWarning, match="raise num_slices"):
        flat = scan(thick, replace(optics, num_slices=1, defocus_angstrom=40 - middle)).data
    np.testing.assert_allclose(
        result.differences["one slice"][1], l1(flat, scan(thick, optics).data), rtol=1e-3
    )
    for name, values in result.differences.items():
        np.testing.assert_allclose(result.mean[name], values.mean(axis=1))
        np.testing.assert_allclose(result.spread[name], values.std(axis=1))


def test_multiple_scattering_outweighs_vibration_even_in_thin_silicon(result):
    """CAVIAR, supplement S1. Propagation alone is as small as vibration there, and overtakes it in depth."""
    mean = result.mean
    assert (mean["single scattering"] > 3 * mean["atoms at rest"]).all()
    assert mean["one slice"][0] < 2 * mean["atoms at rest"][0]
    assert mean["one slice"][1] > 1.5 * mean["atoms at rest"][1]


def test_the_middle_is_the_best_place_for_one_slice(silicon, result):
    thick, optics = thicken(silicon, 3, seed=2), replace(TINY, num_slices=12)
    full, depth = scan(thick, optics).data, thick.thickness_angstrom
    with pytest.warns(UserWarning, match="raise num_slices"):
        others = [
            l1(scan(thick, replace(optics, num_slices=1, defocus_angstrom=d)).data, full)
            for d in (40, 40 - depth)
        ]
    assert all(result.mean["one slice"][1] < 0.8 * other.mean() for other in others)


def test_same_seed_same_result_and_progress_counts(silicon, result):
    seen = []
    again = pattern_contributions(
        silicon, TINY, [1], seed=2, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(n, 6) for n in range(1, 7)]
    for name, values in again.differences.items():
        np.testing.assert_array_equal(values[0], result.differences[name][0])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"snapshots": None}, TypeError, "snapshots must be Snapshots"),
        ({"experiment": "paper"}, TypeError, "experiment must be an Experiment"),
        ({"experiment": replace(TINY, source_fwhm_angstrom=0.3)}, ValueError, "must have a point source"),
        ({"repeats": ()}, ValueError, "repeats is empty"),
        ({"repeats": (1, 0)}, ValueError, "repeats must be at least 1"),
        ({"repeats": (1.5,)}, TypeError, "repeats must be an integer"),
        ({"source_fwhm_angstrom": 0}, ValueError, "source_fwhm_angstrom must be above 0"),
        ({"source_fwhm_angstrom": 47e-12}, ValueError, "given in metres"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"progress": True}, TypeError, "progress must be callable"),
    ],
)
def test_bad_arguments_are_refused(silicon, changes, error, message):
    arguments = {"snapshots": silicon, "experiment": TINY, **changes}
    with pytest.raises(error, match=message):
        pattern_contributions(**arguments)


def test_too_few_snapshots_are_refused(silicon):
    with pytest.raises(ValueError, match="number of snapshots must be at least 3"):
        pattern_contributions(silicon.subset(2), TINY)


# The figure --------------------------------------------------------------------------------


def test_figure_shows_every_line_in_per_cent(result):
    matplotlib.use("Agg")
    ax = plotting.pattern_contributions(result)
    lines = {line.get_label(): line for line in ax.lines}
    assert len(lines) == len(NAMES)
    vibration = next(line for text, line in lines.items() if text.startswith("vibration"))
    np.testing.assert_allclose(vibration.get_ydata(), 100 * result.mean["atoms at rest"])
    np.testing.assert_allclose(vibration.get_xdata(), result.thickness_angstrom)
    bars = ax.collections[2].get_segments()[1]  # of vibration at the second thickness
    factor = 1 + result.spread["atoms at rest"][1] / result.mean["atoms at rest"][1]
    wanted = 100 * result.mean["atoms at rest"][1] * np.array([1 / factor, factor])
    np.testing.assert_allclose(bars[:, 1], wanted)
    assert plotting.pattern_contributions(result, ax=ax) is ax
    matplotlib.pyplot.close(ax.figure)
    with pytest.raises(TypeError, match="contributions must be PatternContributions, got dict"):
        plotting.pattern_contributions({})
