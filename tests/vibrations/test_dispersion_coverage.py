"""Path means of crystals whose spectrum is known, and how often their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.vibrations import phonon_dispersion
from tests.vibrations.crystals import CRYSTALS, draw, made, patch


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "statistics"),
    [
        ("chain", "classical"),
        ("square", "quantum"),
        ("honeycomb", "classical"),
        ("honeycomb", "quantum"),
        ("hbn-phonopy", "classical"),
        ("hbn-phonopy", "quantum"),
    ],
)
def test_path_means_within_2_percent_with_400_states(name, statistics):
    crystal, path = made(name), CRYSTALS[name][1]
    atoms, lattice = patch(crystal)
    u = draw(crystal, atoms, 400, np.random.default_rng(0), statistics)
    result = phonon_dispersion(u, lattice, crystal.masses, 300, path, statistics, points=61)
    truth = crystal.path_means(path)
    np.testing.assert_allclose(result.path_mean_thz, truth, rtol=0.02)
    assert (result.interval_thz[:, 0] <= truth).all()
    assert (truth <= result.interval_thz[:, 1]).all()
    assert (np.ptp(result.interval_thz, axis=1) < 0.05 * truth).all()


@pytest.mark.slow
@pytest.mark.parametrize("statistics", ["classical", "quantum"])
@pytest.mark.parametrize("name", ["square", "hbn-phonopy"])
def test_intervals_of_ten_states_hold_the_truth_and_those_of_equation_6_do_not(name, statistics):
    """The small copy of benchmarks/dispersion_coverage.py."""
    crystal, path = made(name), CRYSTALS[name][1]
    atoms, lattice = patch(crystal)
    truth = crystal.path_means(path)
    inside = {"likelihood": np.zeros(len(truth), int), "direct": np.zeros(len(truth), int)}
    trials = 10
    for seed in range(trials):
        u = draw(crystal, atoms, 10, np.random.default_rng(seed), statistics)
        for method, count in inside.items():
            result = phonon_dispersion(
                u, lattice, crystal.masses, 300, path, statistics, method=method, points=31, draws=100
            )
            low, high = result.interval_thz.T
            count += (low <= truth) & (truth <= high)
    assert (inside["likelihood"] >= 0.9 * trials).all()
    assert inside["direct"][-1] < 0.5 * trials
