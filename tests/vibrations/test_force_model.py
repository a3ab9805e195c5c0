"""Force constants, symmetry and the likelihood under which they are fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caviar_kit.vibrations.bond_symmetry import equal_force_constants
from caviar_kit.vibrations.crystal_model import crystal_model
from caviar_kit.vibrations.force_fit import fit_force_constants, leave_out_groups
from caviar_kit.vibrations.force_model import bonds_within, default_reach, force_model
from caviar_kit.vibrations.likelihood import likelihood_of
from caviar_kit.vibrations.patch import patches_of
from caviar_kit.vibrations.symmetry import lattice_operations
from tests.vibrations.crystals import CRYSTALS, draw, honeycomb, made, patch


def model_of(crystal, symmetric=True):
    bonds = bonds_within(crystal.vectors, crystal.basis, default_reach(crystal.vectors, crystal.basis))
    operations = list(lattice_operations(patch(crystal, 3)[1]))
    equal = equal_force_constants(operations, *bonds) if symmetric else None
    return force_model(*bonds, crystal.masses, equal)


@pytest.mark.parametrize("name", list(CRYSTALS))
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_model_holds_the_crystal(name, symmetric):
    """Forces of Tersoff's potential, too, end at the second neighbours."""
    crystal = made(name)
    model = model_of(crystal, symmetric)
    fractions = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    truth = crystal.dynamical_matrices(2 * np.pi * fractions @ np.linalg.inv(crystal.vectors).T)
    basis = model.matrices(fractions)
    columns = np.concatenate([basis.real, basis.imag], axis=1).reshape(model.parameters, -1).T
    wanted = np.concatenate([truth.real, truth.imag]).ravel()
    solution, *_ = np.linalg.lstsq(columns, wanted, rcond=None)
    np.testing.assert_allclose(columns @ solution, wanted, atol=1e-8 * np.abs(wanted).max())


def test_any_force_constants_obey_the_sum_rule_and_are_hermitian():
    model = model_of(honeycomb(), symmetric=False)
    gamma, elsewhere = np.moveaxis(model.matrices(np.array([[0.0, 0.0], [0.3, -0.2]])), 1, 0)
    rigid = np.kron(np.sqrt(model.masses)[:, None], np.eye(2))
    np.testing.assert_allclose(gamma @ rigid, 0, atol=1e-12)
    np.testing.assert_allclose(elsewhere, elsewhere.conj().swapaxes(1, 2), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "kinds", "operations"),
    [("chain", [0], 4), ("square", [0], 8), ("honeycomb", [0, 1], 6), ("honeycomb", [0, 0], 12)],
)
def test_only_sites_of_a_kind_are_exchanged(name, kinds, operations):
    crystal = CRYSTALS[name][0]()
    atoms, lattice = patch(crystal, 40)
    noisy = replace(lattice, vectors=lattice.vectors + np.random.default_rng(0).normal(0, 0.01, (2, 2)))
    u = draw(crystal, atoms, 20, np.random.default_rng(0))
    for here in (lattice, noisy):
        found = crystal_model(patches_of(u[:, None], here), here, crystal.masses, np.array(kinds), None, 20)
        assert found.operations == operations


def test_symmetry_leaves_few_force_constants():
    crystal = honeycomb()
    assert model_of(crystal).parameters == 10
    assert model_of(crystal, symmetric=False).parameters > 40


def test_tiles_cover_the_patch_and_holes_are_left_out():
    crystal = honeycomb()
    atoms, lattice = patch(crystal, 160)
    u = draw(crystal, atoms, 4, np.random.default_rng(0))
    tiles = patches_of(u[:, None], lattice)
    assert len(tiles) > 1
    assert sum(len(tile.sites) for tile in tiles) == 320
    u[2, 7] = np.nan
    assert sum(len(tile.sites) for tile in patches_of(u[:, None], lattice)) == 319
    outside = replace(lattice, sites=np.where(np.arange(320) < 20, -1, lattice.sites))
    assert sum(len(tile.sites) for tile in patches_of(u[:, None], outside)) == 300


@pytest.mark.parametrize("statistics", ["classical", "quantum"])
def test_gradient_agrees_with_finite_differences(statistics):
    crystal = honeycomb()
    atoms, lattice = patch(crystal, 14)
    u = draw(crystal, atoms, 6, np.random.default_rng(0), statistics)
    likelihood = likelihood_of(patches_of(u[:, None], lattice), model_of(crystal, False), 300, statistics)
    rng, states = np.random.default_rng(1), np.arange(6)
    at = likelihood.model.springs() * 3e4
    at = at + 1e-2 * np.abs(at).max() * rng.standard_normal(at.shape)
    way = rng.standard_normal(at.shape)
    ends = [likelihood.evaluate(at + step * way, states).value for step in (1.0, -1.0)]
    slope = float(likelihood.evaluate(at, states).gradient @ way)
    assert slope == pytest.approx((ends[0] - ends[1]) / 2, rel=1e-5)


def test_information_is_the_curvature_of_the_likelihood():
    """At the optimum of many states the observed curvature is the expected one."""
    crystal = CRYSTALS["square"][0]()
    atoms, lattice = patch(crystal, 30)
    u = draw(crystal, atoms, 2000, np.random.default_rng(0))
    likelihood = likelihood_of(patches_of(u[:, None], lattice), model_of(crystal), 300, "quantum")
    states = np.arange(2000)
    fit = fit_force_constants(likelihood, [])
    expected = fit.information
    step = 1e-3 / np.sqrt(np.diag(expected))
    here = likelihood.evaluate(fit.parameters, states).gradient
    np.testing.assert_allclose(here / np.sqrt(np.diag(expected)), 0, atol=2e-2)
    moved = [likelihood.evaluate(fit.parameters + one, states).gradient for one in np.diag(step)]
    observed = (here - np.array(moved)) / step[:, None]
    scale = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(
        observed / scale / scale[:, None], expected / scale / scale[:, None], atol=0.06
    )


def test_an_unstable_crystal_has_no_likelihood():
    crystal = CRYSTALS["square"][0]()
    atoms, lattice = patch(crystal, 20)
    u = draw(crystal, atoms, 5, np.random.default_rng(0))
    likelihood = likelihood_of(patches_of(u[:, None], lattice), model_of(crystal), 300, "quantum")
    assert likelihood.evaluate(-likelihood.model.springs(), np.arange(5)) is None


def test_many_states_are_left_out_in_runs():
    groups = leave_out_groups(45)
    assert len(groups) == 20
    np.testing.assert_array_equal(np.concatenate(groups), np.arange(45))
    assert [len(group) for group in leave_out_groups(5)] == [1] * 5
