"""From unknowns to displacements, exactly as promised; priors and their gradients."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.atomistic import FreeStates, GaussianStates
from caviar_kit.atomistic.priors import EquivalentSites, HarmonicBonds
from tests.atomistic import crystals
from tests.multislice.problems import finite_difference

ENSEMBLES = [FreeStates(5), FreeStates(1), GaussianStates(9, 3), GaussianStates(6, 5, seed=4)]


@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=str)
def test_pull_back_is_the_adjoint(ensemble):
    rng = np.random.default_rng(0)
    unknowns = {n: rng.normal(size=a.shape) for n, a in ensemble.start(4, 0.1, rng).items()}
    gradient = rng.normal(size=(ensemble.num_states, 4, 2))
    pulled = ensemble.pull_back(gradient)
    assert set(pulled) == set(unknowns)
    forward = (ensemble.displacements(unknowns) * gradient).sum()
    assert forward == pytest.approx(sum((unknowns[n] * pulled[n]).sum() for n in unknowns), rel=1e-12)


@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=str)
def test_unknowns_of_displacements_give_them_back(ensemble):
    rng = np.random.default_rng(1)
    moved = ensemble.displacements(
        {n: rng.normal(size=a.shape) for n, a in ensemble.start(4, 0.1, rng).items()}
    )
    assert ensemble.displacements(ensemble.unknowns(moved)) == pytest.approx(moved, abs=1e-12)


@pytest.mark.parametrize("ensemble", ENSEMBLES[::2], ids=str)
def test_states_begin_as_restless_as_asked_for_about_no_shift(ensemble):
    moved = ensemble.displacements(ensemble.start(4000, 0.1, np.random.default_rng(2)))
    assert moved.mean(axis=0) == pytest.approx(np.zeros((4000, 2)), abs=1e-12)
    spread = moved.std(axis=0, ddof=1 if isinstance(ensemble, FreeStates) else 0)
    assert np.sqrt((spread**2).mean()) == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize(("states", "rank"), [(9, 3), (20, 12), (6, 5)])
def test_covariance_of_gaussian_states_is_that_of_the_factor_without_chance(states, rank):
    ensemble, rng = GaussianStates(states, rank), np.random.default_rng(3)
    unknowns = ensemble.start(6, 0.1, rng)
    moved = ensemble.displacements(unknowns).reshape(states, -1)
    factor = unknowns["factor"].reshape(rank, -1)
    covariance = moved.T @ moved / states
    assert covariance / covariance.max() == pytest.approx(
        factor.T @ factor / (factor.T @ factor).max(), abs=1e-12
    )
    assert moved.mean(axis=0) == pytest.approx(np.zeros(12), abs=1e-15)


def test_ensembles_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="more than rank=5 to hold so many motions, got 5"):
        GaussianStates(5, 5)
    with pytest.raises(ValueError, match="num_states"):
        FreeStates(0)


POSITIONS = crystals.square_lattice(3)


def priors():
    turns = np.linspace(0, 2, 9)
    axes = np.stack([np.stack([np.cos(turns), np.sin(turns)]), np.stack([-np.sin(turns), np.cos(turns)])])
    return [
        HarmonicBonds(0.3, POSITIONS, 1.8),
        EquivalentSites(2.0, "aabbaabbc"),
        EquivalentSites(2.0, ["a", None, "a", None, "a", *"bbbb"], axes.transpose(2, 0, 1)),
    ]


@pytest.mark.parametrize("prior", priors(), ids=["bonds", "equal", "turned"])
def test_gradient_of_a_prior_agrees_with_finite_differences(prior):
    rng = np.random.default_rng(5)
    moved, direction = rng.normal(size=(2, 4, 9, 2))
    value, gradient = prior.value_and_gradient(moved)
    assert value > 0
    expected = finite_difference(lambda u: prior.value_and_gradient(u)[0], moved, direction)
    assert (gradient * direction).sum() == pytest.approx(expected, rel=1e-9)


def test_springs_cost_nothing_when_all_move_together():
    prior = HarmonicBonds(1.0, POSITIONS, 1.8)
    together = np.broadcast_to(np.random.default_rng(6).normal(size=(4, 1, 2)), (4, 9, 2))
    value, gradient = prior.value_and_gradient(together)
    assert value == pytest.approx(0, abs=1e-12)
    assert gradient == pytest.approx(np.zeros((4, 9, 2)), abs=1e-12)
    apart = together.copy()
    apart[:, 4] += 0.1
    assert prior.value_and_gradient(apart)[0] > 0.01


def test_a_spring_weighs_what_its_length_says():
    pair = np.array([[0.0, 0.0], [0.0, 1.5]])
    moved = np.zeros((1, 2, 2))
    moved[0, 0, 0] = 0.2
    value, _ = HarmonicBonds(3.0, pair, 1.0).value_and_gradient(moved)
    assert value == pytest.approx(3.0 / 2 * np.exp(-(1.5**2) / 2) * 0.2**2)


def test_sites_with_equal_covariances_in_their_own_axes_cost_nothing():
    turned = np.array([[0.0, 1.0], [-1.0, 0.0]])
    first = np.random.default_rng(7).normal(size=(6, 2)) * [1.0, 0.3]
    moved = np.stack([first, first @ turned], axis=1)  # the second moves along its own axes as the first does
    axes = np.stack([np.eye(2), turned])
    assert EquivalentSites(1.0, "aa", axes).value_and_gradient(moved)[0] == pytest.approx(0, abs=1e-20)
    assert EquivalentSites(1.0, "aa").value_and_gradient(moved)[0] > 0.01


def test_unusable_priors_are_refused():
    with pytest.raises(ValueError, match="no two positions are within 0.3 Å"):
        HarmonicBonds(1.0, POSITIONS, 0.1)
    with pytest.raises(ValueError, match="at least two equivalent sites"):
        EquivalentSites(1.0, "abc")
    with pytest.raises(ValueError, match="orthogonal unit vectors"):
        EquivalentSites(1.0, "aa", np.ones((2, 2, 2)))
    with pytest.raises(ValueError, match="made for 9 sites, the fit moves 4"):
        HarmonicBonds(1.0, POSITIONS, 1.8).value_and_gradient(np.zeros((2, 4, 2)))
