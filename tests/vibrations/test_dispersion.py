"""Dispersion of crystals whose spectrum is known, from irregular patches."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as some

from caviar_kit.vibrations import Lattice, phonon_dispersion
from tests.vibrations.crystals import draw, honeycomb, patch, square


@cache
def small():
    """A square crystal's patch of 25 cells, 8 states."""
    crystal = square()
    atoms, lattice = patch(crystal, 25)
    return crystal, lattice, draw(crystal, atoms, 8, np.random.default_rng(5))


def dispersion(u=None, lattice=None, **options):
    crystal, here, moved = small()
    options = {"points": 31, "draws": 40, "path": "GXMG", "temperature_k": 300, "reach": 4.5} | options
    u, lattice = moved if u is None else u, here if lattice is None else lattice
    return phonon_dispersion(u, lattice, options.pop("masses", crystal.masses), **options)


def test_statistics_matter():
    """Quantum vibrations read as classical ones: the highest branch drops by a third and more."""
    crystal = honeycomb()
    atoms, lattice = patch(crystal, 30)
    u = draw(crystal, atoms, 60, np.random.default_rng(0), "quantum")
    options = {"points": 21, "draws": 20}
    means = [
        phonon_dispersion(u, lattice, crystal.masses, 300, "GKMG", statistics, **options).path_mean_thz
        for statistics in ("quantum", "classical")
    ]
    truth = crystal.path_means("GKMG")
    np.testing.assert_allclose(means[0], truth, rtol=0.08)
    assert means[1][-1] < 0.67 * truth[-1]
    assert means[1][0] > 0.75 * truth[0]


@pytest.mark.parametrize("method", ["likelihood", "direct"])
def test_acoustic_branches_start_at_zero_and_long_waves_are_flagged(method):
    result = dispersion(method=method)
    length = np.linalg.norm(result.q, axis=1)
    gamma = length < 1e-9
    assert gamma.sum() == 2
    if method == "likelihood":
        assert (result.frequencies_thz[gamma] == 0).all()
        assert (result.band_interval_thz[gamma] == 0).all()
        assert (result.flags[gamma] == "sum rule").all()
    long = ~gamma & (length < 2 * np.pi / 20)
    assert long.any()
    assert np.isin(result.flags[long], ["unresolved", "unstable"]).all()
    assert (result.flags[long] == "unresolved").mean() > 0.7
    assert (result.flags[length > 2 * np.pi / 12] == "").all()
    assert np.isfinite(result.frequencies_thz).all()


def test_a_rigid_shift_of_each_state_changes_nothing():
    _, _, u = small()
    shift = np.random.default_rng(1).normal(0, 0.1, (len(u), 1, 2))
    plain, shifted = dispersion(), dispersion(u + shift - shift.mean(axis=0))
    without = dispersion(u - u.mean(axis=1, keepdims=True))
    for other in (shifted, without):
        np.testing.assert_allclose(other.frequencies_thz, plain.frequencies_thz, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(other.interval_thz, plain.interval_thz, rtol=1e-6)


@settings(max_examples=4, phases=[Phase.generate])
@given(angle=some.floats(-math.pi, math.pi), mirror=some.booleans(), seed=some.integers(0, 1000))
def test_turned_mirrored_shifted_and_shuffled_patches_give_the_same(angle, mirror, seed):
    _, lattice, u = small()
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turn = turn @ np.diag([-1, 1]) if mirror else turn
    rng = np.random.default_rng(seed)
    order = rng.permutation(u.shape[1])
    turned = Lattice(
        origin=lattice.origin @ turn.T + rng.normal(0, 5, 2),
        vectors=lattice.vectors @ turn.T,
        basis=lattice.basis @ turn.T,
        cells=lattice.cells[order] + rng.integers(-5, 5, 2),
        sites=lattice.sites[order],
        residual=lattice.residual[order],
    )
    result, plain = dispersion((u @ turn.T)[:, order], turned), dispersion()
    np.testing.assert_allclose(result.frequencies_thz, plain.frequencies_thz, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(result.interval_thz, plain.interval_thz, rtol=1e-2)
    np.testing.assert_allclose(result.uncorrected_thz, plain.uncorrected_thz, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(result.q @ turn, plain.q, atol=1e-9)
    assert result.branches == plain.branches
    direct = [dispersion(*data, method="direct") for data in ((u, None), ((u @ turn.T)[:, order], turned))]
    # at Γ, where eq. 6 has no sum rule, too
    np.testing.assert_allclose(direct[0].frequencies_thz, direct[1].frequencies_thz, rtol=1e-6)


def test_without_symmetry_results_turn_with_the_patch_too():
    _, lattice, u = small()
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    turned = replace(lattice, vectors=lattice.vectors @ turn.T, basis=lattice.basis @ turn.T)
    options = {"symmetry": False, "reach": 3.5}
    result, plain = dispersion(u @ turn.T, turned, **options), dispersion(**options)
    np.testing.assert_allclose(result.uncorrected_thz, plain.uncorrected_thz, rtol=1e-4, atol=1e-4)
    assert plain.operations == 1


def test_missing_atoms_are_as_good_as_left_out():
    _, lattice, u = small()
    holes, outside = u.copy(), replace(lattice, sites=np.where(np.isin(np.arange(25), [3, 11]), -1, 0))
    holes[:, 3] = np.nan
    holes[2, 11] = np.nan  # in one state only
    result, expected = dispersion(holes), dispersion(u, outside)
    np.testing.assert_allclose(result.frequencies_thz, expected.frequencies_thz, rtol=1e-6)
    assert result.cells == 25 - 1 * 2
    changed = u.copy()
    changed[:, [3, 11]] *= 3
    np.testing.assert_allclose(dispersion(changed, outside).path_mean_thz, expected.path_mean_thz, rtol=1e-9)


def test_slices_that_repeat_each_other_do_not_shrink_the_interval():
    """Four equal slices are one sample; four independent ones are four."""
    crystal, lattice, u = small()
    atoms, _ = patch(crystal, 25)
    rng = np.random.default_rng(9)
    fresh = np.stack([draw(crystal, atoms, 8, rng) for _ in range(4)], axis=1)
    one, equal, four = (dispersion(data, draws=400) for data in (u, np.stack([u] * 4, axis=1), fresh))
    np.testing.assert_allclose(equal.uncorrected_thz, one.uncorrected_thz, rtol=1e-3, atol=1e-4)
    widths = [np.ptp(result.interval_thz, axis=1).mean() for result in (one, equal, four)]
    assert widths[1] > 0.6 * widths[0]
    assert widths[2] < 0.6 * widths[0]


def test_slices_may_miss_different_atoms():
    crystal, lattice, u = small()
    atoms, _ = patch(crystal, 25)
    rng = np.random.default_rng(9)
    data = np.stack([draw(crystal, atoms, 8, rng) for _ in range(3)], axis=1)
    whole = dispersion(data)
    data[:, 1, :4] = np.nan
    data[:, 2] = np.nan
    result = dispersion(data)
    assert np.isfinite(result.frequencies_thz).all()
    assert (np.abs(result.path_mean_thz / whole.path_mean_thz - 1) < 0.2).all()
    only = dispersion(data[:, :1])
    assert not np.allclose(only.path_mean_thz, result.path_mean_thz)


def test_branches_are_named_by_polarisation():
    result = dispersion()
    crystal, lattice, _ = small()
    assert result.branches == ("TA", "LA")
    along_x = slice(3, int(np.argmax(result.distance >= np.pi / 3)))  # Γ to X: pure modes of a square
    np.testing.assert_allclose(result.longitudinal[along_x], [[0, 1]] * (along_x.stop - 3), atol=1e-6)
    crystal = honeycomb()
    atoms, lattice = patch(crystal, 20)
    u = draw(crystal, atoms, 10, np.random.default_rng(0))
    found = phonon_dispersion(u, lattice, crystal.masses, 300, points=25, draws=20, reach=2.6).branches
    assert found[:2] == ("TA", "LA")
    assert sorted(found[2:]) == ["LO", "TO"]


def test_one_mean_mass_scales_frequencies():
    for statistics in ("classical", "quantum"):
        light, heavy = (dispersion(masses=m, statistics=statistics).uncorrected_thz for m in (40.0, 160.0))
        if statistics == "classical":
            np.testing.assert_allclose(light, 2 * heavy, rtol=1e-4)
        else:
            assert (light[3:-3] > 1.9 * heavy[3:-3]).all()


def test_wave_vectors_of_your_own_and_repeatable_intervals():
    q = np.array([[0.5, 0.0], [0.5, 0.5]])
    first, again, other = (dispersion(path=q, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.q, q)
    assert first.labels == ()
    np.testing.assert_array_equal(first.interval_thz, again.interval_thz)
    assert (first.interval_thz != other.interval_thz).any()


def test_result_prints_means_intervals_and_flags():
    text = str(dispersion())
    assert "TA" in text
    assert "uncorrected" in text
    assert "wavelength longer than the patch" in text
