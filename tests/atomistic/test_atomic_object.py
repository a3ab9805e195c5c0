"""Phases of atoms against an independent potential, and derivatives against finite differences."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from caviar_kit import backend
from caviar_kit.atomistic import AtomicObject, Atoms, Sites, phase_form_factors
from tests.atomistic import crystals
from tests.multislice.problems import finite_difference

ENERGY = 200e3


def one_atom(shape, pixel, place, parametrization="lobato", symbol="Si"):
    site = Sites.of([place], symbol, np.ones((1, 1), bool))
    factors = partial(phase_form_factors, (symbol,), energy_ev=ENERGY, parametrization=parametrization)
    return AtomicObject(site, factors, shape, (pixel, pixel), dtype=float).phases(
        Atoms(np.array([[place]], float), np.ones((1, 1)), np.ones(1), np.zeros(1))
    )[0, 0]


def test_phase_of_an_atom_is_the_projected_potential_times_sigma():
    """Against abTEM's projected potential in real space, another formula of the same table."""
    from abtem.core.energy import energy2sigma
    from abtem.parametrizations import LobatoParametrization

    pixel, middle = 0.05, 6.4
    phase = one_atom((256, 256), pixel, (middle, middle))
    distance = np.array([0.3, 0.5, 0.8, 1.2])
    expected = energy2sigma(ENERGY) * LobatoParametrization().projected_potential("Si")(distance)
    along = phase[128, 128 + np.rint(distance / pixel).astype(int)]
    # a constant beside: the field is periodic, and the phase of all images of the atom is in it
    assert along[:-1] - along[-1] == pytest.approx(expected[:-1] - expected[-1], rel=0.01)


@pytest.mark.parametrize("parametrization", ["kirkland", "peng"])
def test_tables_agree_with_each_other_to_a_few_percent(parametrization):
    first = one_atom((64, 64), 0.2, (6.4, 6.4))
    other = one_atom((64, 64), 0.2, (6.4, 6.4), parametrization)
    assert abs(other - first).max() < 0.03 * first.max()
    assert abs(other - first).max() > 1e-4 * first.max()


@pytest.mark.parametrize("shape", [(18, 22), (17, 21)])
def test_an_atom_a_pixel_further_is_the_same_picture_rolled(shape):
    pixel = 0.2
    here, there = (
        one_atom(shape, pixel, place) for place in ((1.03, 2.11), (1.03 + 3 * pixel, 2.11 - pixel))
    )
    assert np.roll(here, (3, -1), (0, 1)) == pytest.approx(there, abs=1e-12)


def test_phases_add_up_over_atoms_and_follow_numbers_and_scales():
    rng = np.random.default_rng(0)
    sites = crystals.sites(rng)
    atoms = crystals.atoms(sites, 2, rng)
    make = AtomicObject(sites, crystals.form_factors, (18, 21), (0.2, 0.19), dtype=float)
    total = make.phases(atoms)
    single = sum(
        make.phases(
            replace(atoms, occupancies=np.where(np.arange(len(sites))[:, None] == n, atoms.occupancies, 0))
        )
        for n in range(len(sites))
    )
    assert total == pytest.approx(single, abs=1e-12)
    # the mean of a slice is what its atoms give at q = 0, whatever their widths and places
    strength = crystals.form_factors(np.zeros(1))[:, 0] * atoms.scales
    expected = (atoms.occupancies * strength[sites.kinds, None]).sum(axis=0) / (18 * 0.2 * 21 * 0.19)
    assert total.mean(axis=(-2, -1)) == pytest.approx(np.broadcast_to(expected, (2, 3)), rel=1e-12)


@pytest.mark.parametrize("shape", [(18, 22), (17, 21)])
@pytest.mark.parametrize("name", ["positions", "occupancies", "scales", "widths"])
def test_derivatives_agree_with_finite_differences(name, shape):
    rng = np.random.default_rng(1)
    sites = crystals.sites(rng)
    atoms = crystals.atoms(sites, 3, rng)
    make = AtomicObject(sites, crystals.form_factors, shape, (0.2, 0.19), dtype=float, threads=2)
    weights = rng.normal(size=(3, crystals.SLICES, *shape))
    derivative = getattr(make.pull_back(atoms, weights), name)
    value = getattr(atoms, name)
    direction = rng.normal(size=value.shape)
    if name == "occupancies":
        direction = np.where(sites.slices, direction, 0.0)
        assert (derivative[~sites.slices] == 0).all()

    def along(moved):
        return float((make.phases(replace(atoms, **{name: moved})) * weights).sum())

    expected = finite_difference(along, value, direction)
    assert (derivative * direction).sum() == pytest.approx(expected, rel=1e-8)


def test_sites_of_single_slices_are_the_same_object():
    rng = np.random.default_rng(2)
    sites = crystals.sites(rng)
    atoms = crystals.atoms(sites, 2, rng)
    apart = sites.one_per_slice()
    site, level = np.nonzero(sites.slices)
    number = np.zeros((len(site), crystals.SLICES))
    number[np.arange(len(site)), level] = atoms.occupancies[site, level]
    separate = replace(atoms, positions=atoms.positions[:, site], occupancies=number)
    grid = ((18, 21), (0.2, 0.19))
    one, other = (
        AtomicObject(s, crystals.form_factors, *grid, dtype=float).phases(a)
        for s, a in ((sites, atoms), (apart, separate))
    )
    assert one == pytest.approx(other, abs=1e-12)
    assert apart.symbols == tuple(sites.symbols[n] for n in site)


def test_unusable_sites_are_refused():
    places, all_slices = np.zeros((2, 2)), np.ones((2, 3), bool)
    with pytest.raises(ValueError, match="one element for each of 2 positions, got 3"):
        Sites.of(places, ["Si", "Si", "Si"], all_slices)
    with pytest.raises(ValueError, match="chemical symbols such as 'Si', got 'Sj'"):
        Sites.of(places, "Sj", all_slices)
    with pytest.raises(TypeError, match="chemical symbols, got 14"):
        Sites.of(places, [14, 14], all_slices)
    with pytest.raises(ValueError, match=r"sites \[1\] have atoms in no slice"):
        Sites.of(places, "Si", [[True], [False]])
    with pytest.raises(ValueError, match=r"slices must have shape \(2, slices\)"):
        Sites.of(places, "Si", [True, True])
    with pytest.raises(ValueError, match="must be one of"):
        phase_form_factors(["Si"], np.zeros(1), ENERGY, "doyle")


def test_gpu_makes_the_same_phases_and_derivatives():
    pytest.importorskip("cupy")
    try:
        gpu = backend.resolve_device("gpu")
    except RuntimeError as error:
        pytest.skip(f"no GPU: {error}")
    rng = np.random.default_rng(3)
    sites = crystals.sites(rng)
    atoms = crystals.atoms(sites, 2, rng)
    weights = rng.normal(size=(2, crystals.SLICES, 18, 21))
    found = []
    for xp in (np, gpu):
        make = AtomicObject(sites, crystals.form_factors, (18, 21), (0.2, 0.19), xp=xp, dtype=float)
        found.append((backend.to_numpy(make.phases(atoms)), make.pull_back(atoms, xp.asarray(weights))))
    assert found[1][0] == pytest.approx(found[0][0], abs=1e-12)
    for name in ("positions", "occupancies", "scales", "widths"):
        assert getattr(found[1][1], name) == pytest.approx(getattr(found[0][1], name), rel=1e-9, abs=1e-12)
