"""How many shells of forces the data ask for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from caviar_kit.vibrations import phonon_dispersion
from caviar_kit.vibrations.force_model import bonds_within, default_reach, reaches_from
from tests.vibrations.crystals import BOND, CRYSTALS, THZ2, draw, honeycomb, patch

FOURTH = np.sqrt(7) * BOND  # beyond the default reach


def far_reaching():
    crystal = honeycomb()
    return replace(crystal, springs=(*crystal.springs, (FOURTH, 350 * THZ2, -150 * THZ2)))


@cache
def moved(make, states):
    crystal = make()
    atoms, lattice = patch(crystal, 30)
    return crystal, lattice, draw(crystal, atoms, states, np.random.default_rng(0))


def dispersion(make, states, **options):
    crystal, lattice, u = moved(make, states)
    return phonon_dispersion(u, lattice, crystal.masses, 300, points=31, draws=40, **options)


@pytest.mark.parametrize("name", ["chain", "square", "honeycomb"])
def test_each_reach_has_one_shell_more(name):
    crystal = CRYSTALS[name][0]()
    reaches = reaches_from(crystal.vectors, crystal.basis)
    assert reaches[0] == default_reach(crystal.vectors, crystal.basis)
    for short, far in zip(reaches, reaches[1:], strict=False):
        first, second, cells = bonds_within(crystal.vectors, crystal.basis, far)
        ends = cells @ crystal.vectors + crystal.basis[second] - crystal.basis[first]
        length = np.linalg.norm(ends, axis=1)
        np.testing.assert_allclose(length[length > short], length.max(), rtol=0.021)


@pytest.mark.parametrize("make", [honeycomb, far_reaching])
def test_auto_finds_how_far_the_forces_reach(make):
    result = dispersion(make, 150, reach="auto")
    assert (result.reach_angstrom > FOURTH) == (make is far_reaching)
    assert result.reach_angstrom < 2 * FOURTH


def test_auto_is_nearer_to_the_truth_where_the_default_is_too_short():
    crystal = far_reaching()
    truth = crystal.path_means("GKMG", 31)
    errors = [
        np.abs(dispersion(far_reaching, 150, reach=reach).path_mean_thz / truth - 1).max()
        for reach in (None, "auto")
    ]
    assert errors[1] < 0.03 < errors[0]


def test_repeated_slices_ask_for_no_further_forces():
    crystal, lattice, u = moved(honeycomb, 20)
    options = {"points": 11, "draws": 20, "reach": "auto"}
    once, four = (
        phonon_dispersion(data, lattice, crystal.masses, 300, **options)
        for data in (u, np.stack([u] * 4, axis=1))
    )
    assert once.reach_angstrom == four.reach_angstrom


def test_three_states_keep_the_default():
    result = dispersion(far_reaching, 3, reach="auto")
    assert result.reach_angstrom == default_reach(*[getattr(far_reaching(), n) for n in ("vectors", "basis")])
