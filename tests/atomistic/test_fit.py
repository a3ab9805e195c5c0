"""The atomistic fit: its gradient for every unknown, and planted vibrations that it must find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit import backend
from caviar_kit.atomistic import AtomicObject, AtomisticSettings, Atoms, FreeStates, GaussianStates, Sites
from caviar_kit.atomistic.fit import run_atomistic
from caviar_kit.atomistic.objective import AtomicScene, AtomisticObjective, AtomisticUnknowns
from caviar_kit.atomistic.priors import HarmonicBonds
from caviar_kit.multislice import Evaluator, Instrument
from caviar_kit.multislice.instrument import QUANTITIES, InstrumentModel
from caviar_kit.multislice.probe_model import FreeModes
from tests.atomistic import crystals
from tests.multislice.problems import slope_error

STATES = 4


def tiny(ensemble, numbers="occupancies", probe_model=None, quantities=(), priors=()):
    """An objective away from any minimum, and a vector there."""
    rng = np.random.default_rng(0)
    sites = crystals.sites(rng, extent=(8.0, 8.0))
    sites = replace(sites, positions=sites.positions + 3.0)
    empty, beam = crystals.scan(side=2, step=6.0), crystals.probe()
    truth = crystals.atoms(sites, 3, rng, rms=0.2)
    engine = crystals.measured(empty, sites, truth, beam)
    make = AtomicObject(
        sites, crystals.form_factors, engine.model.object_shape, engine.model.sampling, dtype=float
    )
    atoms = Atoms(sites.positions[None], truth.occupancies * 1.05, np.ones(2), np.zeros(2))
    nominal = Instrument.nominal(engine.model)
    instrument_model = InstrumentModel(nominal, quantities, engine.mean_pixel) if quantities else None
    unknowns = AtomisticUnknowns(ensemble, numbers, [p(sites) for p in priors], probe_model, instrument_model)
    objective = AtomisticObjective(
        engine, make, unknowns, AtomicScene(atoms, beam, nominal), ensemble.start(len(sites), 0.1, rng)
    )
    return objective, objective.start + 0.2 * rng.normal(size=objective.start.size)


@pytest.mark.parametrize("numbers", ["occupancies", "scales"])
@pytest.mark.parametrize(
    "ensemble", [FreeStates(STATES), GaussianStates(STATES, 2)], ids=["free", "Gaussian"]
)
def test_gradient_of_the_atoms_agrees_with_finite_differences(ensemble, numbers):
    def bonds(sites):
        return HarmonicBonds(1e-3, sites.positions, 4.0)

    objective, vector = tiny(ensemble, numbers, priors=[bonds])
    value, gradient = objective.loss_and_gradient(vector)
    assert value == pytest.approx(objective.loss(vector), rel=1e-13)
    assert slope_error(objective.loss, gradient, vector) <= 1e-8


@pytest.mark.parametrize("quantity", ["probe", *QUANTITIES])
def test_gradient_of_the_instrument_agrees_with_finite_differences(quantity):
    """Along those unknowns alone, so that the atoms do not hide them."""
    model = FreeModes() if quantity == "probe" else None
    objective, vector = tiny(
        FreeStates(STATES), probe_model=model, quantities=() if quantity == "probe" else (quantity,)
    )
    blocks = list(objective.packing.shapes)
    assert blocks[-1] == quantity
    length = sum(int(np.prod(objective.packing.shapes[n])) for n in blocks if n != quantity)

    def loss(part):
        return objective.loss(np.concatenate([vector[:length], part]))

    gradient = objective.loss_and_gradient(vector)[1][length:]
    assert slope_error(loss, gradient, vector[length:]) <= 1e-7


# Planted vibrations --------------------------------------------------------------------------


def planted(moved, dtype=np.float32):
    """Patterns of a square lattice of columns with these displacements (states, 16, 2)."""
    places = crystals.square_lattice()
    sites = Sites.of(places, ["B", "N"] * 8, np.ones((16, crystals.SLICES), bool))
    number = np.ones((16, crystals.SLICES))
    truth = Atoms(places + moved, number, np.array([1.03, 0.97]), np.array([0.003, 0.003]))
    beam = crystals.probe(np.result_type(dtype, np.complex64))
    return sites, crystals.measured(crystals.scan(dtype), sites, truth, beam), beam, number


def refined(sites, engine, beam, number, **settings):
    """The last snapshot of a fit."""
    values = {"num_states": 8, "max_iter": 40, **settings}
    steps = run_atomistic(
        engine,
        beam,
        sites,
        crystals.form_factors,
        AtomisticSettings(**values),
        occupancies=number,
        refine_occupancies=False,
    )
    return list(steps)[-1]


@pytest.fixture(scope="module")
def vibrating():
    places = crystals.square_lattice()
    moved = crystals.correlated(places, 16, seed=1)
    return moved, planted(moved)


@pytest.mark.slow
def test_planted_correlations_are_found(vibrating):
    moved, problem = vibrating
    last = refined(*problem, num_states=12, max_iter=60)
    atoms = last.scene.atoms
    places = problem[0].positions
    true = ck.greens_tensor(moved)
    found = ck.greens_tensor(ck.displacements(atoms.positions))
    shells = ck.compare_correlations(true, found, places)
    assert shells["nearest"].csm > 0.97
    assert shells["nearest"].lsm == pytest.approx(1, abs=0.15)
    assert shells["self"].lsm == pytest.approx(1, abs=0.15)
    assert atoms.positions.mean(axis=0) == pytest.approx(places + moved.mean(axis=0), abs=2e-3)
    assert atoms.scales == pytest.approx([1.03, 0.97], abs=3e-3)
    assert last.losses[-1] < 0.02 * last.losses[0]


@pytest.mark.slow
def test_a_crystal_at_rest_stays_nearly_at_rest():
    problem = planted(np.zeros((1, 16, 2)))
    atoms = refined(*problem, max_iter=50).scene.atoms
    moved = atoms.positions - atoms.positions.mean(axis=0)
    assert np.sqrt((moved**2).mean()) < 0.012  # of the 0.05 Å that it begins with
    assert atoms.positions.mean(axis=0) == pytest.approx(problem[0].positions, abs=1e-3)


@pytest.mark.slow
def test_independent_columns_do_not_become_correlated():
    places = crystals.square_lattice()
    moved = crystals.correlated(places, 40, seed=2, reach=0)
    atoms = refined(*planted(moved), num_states=12, max_iter=60).scene.atoms
    true, found = ck.greens_tensor(moved), ck.greens_tensor(ck.displacements(atoms.positions))
    near = np.linalg.norm(places[:, None] - places, axis=-1)
    near = (near > 0) & (near < 1.5)
    own = np.einsum("iaia->", true) / 32
    trace = np.einsum("iaja->ij", found - true) / 2
    assert abs(trace[near].mean()) < 0.03 * own  # of 24 bonds
    assert np.sqrt((trace[near] ** 2).mean()) < 0.2 * own


@pytest.mark.slow
def test_a_gaussian_ensemble_finds_them_too(vibrating):
    moved, problem = vibrating
    atoms = refined(*problem, num_states=14, rank=9, max_iter=60).scene.atoms
    shells = ck.compare_correlations(
        ck.greens_tensor(moved),
        ck.greens_tensor(ck.displacements(atoms.positions)),
        problem[0].positions,
    )
    assert shells["nearest"].csm > 0.95


def test_a_fit_goes_on_where_another_stopped(vibrating):
    _, problem = vibrating
    first = refined(*problem, max_iter=6)
    sites, engine, beam, number = problem
    steps = run_atomistic(
        engine,
        beam,
        sites,
        crystals.form_factors,
        AtomisticSettings(num_states=8, max_iter=1),
        occupancies=number,
        refine_occupancies=False,
        start=first.scene.atoms,
    )
    assert next(steps).loss < first.loss


def test_same_seed_same_bits(vibrating):
    _, problem = vibrating
    one, other, third = (refined(*problem, max_iter=3, seed=s) for s in (0, 0, 1))
    assert (one.vector == other.vector).all()
    assert not np.allclose(one.vector, third.vector)


def test_unusable_settings_are_refused():
    with pytest.raises(ValueError, match="parametrization"):
        AtomisticSettings(parametrization="doyle")
    with pytest.raises(ValueError, match="more than rank=20"):
        AtomisticSettings(num_states=20, rank=20)
    with pytest.raises(ValueError, match="refine"):
        AtomisticSettings(refine="object")
    with pytest.raises(TypeError, match="priors must have value_and_gradient"):
        AtomisticSettings(priors=[1.0])
    with pytest.raises(ValueError, match="thermal_rms_angstrom"):
        AtomisticSettings(thermal_rms_angstrom=7.0)


def test_gpu_takes_the_same_first_steps(vibrating):
    pytest.importorskip("cupy")
    try:
        gpu = backend.resolve_device("gpu")
    except RuntimeError as error:
        pytest.skip(f"no GPU: {error}")
    sites, engine, beam, number = vibrating[1]
    there = Evaluator(engine.model, gpu.asarray(engine.patterns), engine.loss_function)
    here, away = (refined(sites, e, beam, number, max_iter=3) for e in (engine, there))
    assert away.losses == pytest.approx(here.losses, rel=1e-3)
    assert away.scene.atoms.positions == pytest.approx(here.scene.atoms.positions, abs=1e-3)
