"""The fit as a whole, on data small enough for seconds: what it recovers and how it can be driven."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from caviar_kit.multislice import (
    AmplitudeLoss,
    Evaluator,
    FitSettings,
    MultisliceModel,
    PoissonLoss,
    Snapshot,
    run,
)
from caviar_kit.multislice.operators import FourierShift, frequency_grid
from tests.multislice.specimen import Geometry, fit, patterns
from tests.multislice.specimen import phases as thick_phases

SAMPLING, WAVELENGTH = (0.25, 0.25), 0.0251
WINDOW, FIELD = (32, 32), (46, 46)
ATOMS = np.array([[y, x] for y in (17, 23, 29) for x in (17, 23, 29)], float)  # pixel
ONE_STATE = FitSettings(num_states=1, max_iter=60)
THERMAL = FitSettings(num_states=3, one_state_iter=25, max_iter=25, seed=3)


def geometry() -> MultisliceModel:
    positions = np.array([[y, x] for y in np.linspace(16.2, 29.8, 5) for x in np.linspace(16.2, 29.8, 5)])
    return MultisliceModel(WINDOW, SAMPLING, WAVELENGTH, (2.0,), positions, FIELD)


def defocused_probe(defocus: float = 80.0, semiangle: float = 0.03) -> np.ndarray:
    ky, kx = frequency_grid(WINDOW, SAMPLING)
    k2 = ky**2 + kx**2
    disc = (WAVELENGTH**2 * k2 < semiangle**2) * np.exp(1j * math.pi * WAVELENGTH * defocus * k2)
    probe = np.fft.fftshift(np.fft.ifft2(disc))[None]
    return (probe / np.linalg.norm(probe)).astype(np.complex64)


def phases(displacements: np.ndarray) -> np.ndarray:
    """(states, 2, y, x): Gaussian atoms displaced by (states, atoms, 2) [pixel], the same in both slices."""
    point = np.zeros(FIELD)
    point[23, 23] = 1
    atom = gaussian_filter(point, 1.6)
    atom *= 0.25 / atom.max()
    layers = [
        np.sum([FourierShift(FIELD, tuple(r - 23)).forward(atom + 0j).real for r in ATOMS + u], axis=0)
        for u in displacements
    ]
    return np.repeat(np.array(layers)[:, None], 2, axis=1)


COHERENT = phases(np.zeros((1, len(ATOMS), 2)))
VIBRATING = phases(np.random.default_rng(0).normal(scale=0.4, size=(6, len(ATOMS), 2)))  # 0.1 Å


def data(true_phase: np.ndarray, loss=None, probe=None, threads: int = 1) -> Evaluator:
    model, probe = geometry(), defocused_probe() if probe is None else probe
    blank = np.zeros((len(model.positions), *WINDOW), np.float32)
    simulator = Evaluator(model, blank, AmplitudeLoss(), threads=1)
    patterns = simulator.intensities(np.exp(1j * true_phase).astype(np.complex64), probe)
    return Evaluator(model, patterns, loss or AmplitudeLoss(), threads=threads)


def last(snapshots) -> Snapshot:
    return list(snapshots)[-1]


def lit(image: np.ndarray) -> np.ndarray:
    """The scanned part, (…, 14, 14), less its mean: a constant phase cannot be seen."""
    cut = image[..., 16:30, 16:30]
    return cut - cut.mean(axis=(-2, -1), keepdims=True)


def spread(objects: np.ndarray) -> float:
    """Root-mean-square deviation of the projected phases from their mean over the states [rad]."""
    projected = lit(np.angle(objects).sum(axis=1))
    return float(np.sqrt(((projected - projected.mean(axis=0)) ** 2).mean()))


@pytest.mark.parametrize("loss", [AmplitudeLoss(), PoissonLoss()], ids=["amplitude", "poisson"])
def test_one_state_recovers_the_phase_of_coherent_data(loss):
    snapshots = list(run(data(COHERENT, loss), defocused_probe(), ONE_STATE))
    losses = [snapshot.loss for snapshot in snapshots]
    assert (np.diff(losses) <= 0).all()
    assert losses[-1] < 1e-3 * losses[0]
    found, true = lit(np.angle(snapshots[-1].object[0]).sum(axis=0)), lit(COHERENT[0].sum(axis=0))
    assert np.corrcoef(found.ravel(), true.ravel())[0, 1] > 0.995
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(true), rel=0.05)


def test_coherent_data_pull_the_states_together():
    """Thermal warps put vibration into the start; data without vibration take it out again."""
    settings = FitSettings(num_states=3, one_state_iter=40, max_iter=150)
    snapshots = [s for s in run(data(COHERENT), defocused_probe(), settings) if s.stage == "states"]
    start, end = spread(snapshots[0].object), spread(snapshots[-1].object)
    assert end < 0.15 * start


def test_vibrating_data_keep_the_states_apart():
    settings = FitSettings(num_states=3, one_state_iter=40, max_iter=60)
    end = {
        name: last(run(data(truth), defocused_probe(), settings))
        for name, truth in (("coherent", COHERENT), ("vibrating", VIBRATING))
    }
    assert spread(end["vibrating"].object) > 5 * spread(end["coherent"].object)


def test_states_explain_vibrating_data_better_than_one():
    engine = data(VIBRATING)
    one = last(run(engine, defocused_probe(), replace(ONE_STATE, max_iter=50)))
    several = last(run(engine, defocused_probe(), THERMAL))
    assert several.iteration == one.iteration
    assert several.loss < 0.3 * one.loss


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("threads", [1, 2])
def test_same_seed_same_bits(optimizer, threads):
    settings = FitSettings(
        num_states=2, one_state_iter=3, max_iter=3, optimizer=optimizer, batch_size=7, seed=1
    )
    probe = defocused_probe()

    def fit(**changes):
        return last(run(data(VIBRATING, threads=threads), probe, replace(settings, **changes)))

    first, again, other = fit(), fit(), fit(seed=2)
    assert first.loss == again.loss
    np.testing.assert_array_equal(first.object, again.object)
    assert (first.object != other.object).any()


@pytest.mark.parametrize("object_type", ["phase", "complex"])
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("refine", [(), ("probe",)])
def test_every_kind_of_fit_gets_better(object_type, optimizer, refine):
    settings = FitSettings(
        num_states=2,
        one_state_iter=5,
        max_iter=5,
        object_type=object_type,
        optimizer=optimizer,
        batch_size=5,
        refine=refine,
    )
    snapshots = list(run(data(VIBRATING), defocused_probe(), settings))
    assert snapshots[-1].loss < 0.5 * snapshots[0].loss
    assert snapshots[-1].object.dtype == snapshots[-1].probe.dtype == np.complex64
    if object_type == "phase":
        np.testing.assert_allclose(abs(snapshots[-1].object), 1, atol=1e-6)


def test_fitted_probe_improves_on_a_wrong_one():
    engine, wrong = data(COHERENT), defocused_probe(defocus=65.0)
    true = defocused_probe()

    def overlap(probe):
        return abs(np.vdot(true, probe)) / (np.linalg.norm(true) * np.linalg.norm(probe))

    kept = last(run(engine, wrong, ONE_STATE))
    fitted = last(run(engine, wrong, replace(ONE_STATE, refine=("probe",))))
    np.testing.assert_array_equal(kept.probe, wrong)
    assert fitted.loss < 0.2 * kept.loss
    assert 1 - overlap(fitted.probe) < 0.5 * (1 - overlap(wrong))
    assert np.linalg.norm(fitted.probe) == pytest.approx(1, abs=0.01)  # vacuum-like patterns hold its energy


def test_a_stochastic_start_halves_the_iterations_in_a_thick_object():
    thick = Geometry(thicknesses=(6.0,) * 7)
    ideal = patterns(thick, thick_phases(slices=8))
    plain = fit(thick, ideal, 30)
    begun = fit(thick, ideal, 5, stochastic_iter=10, batch_size=4, step_size=0.02)
    assert [s.stage for s in begun] == ["stochastic start"] * 10 + ["one state"] * 5
    assert begun[-1].loss < plain[-1].loss


def test_stages_and_iterations_are_counted():
    settings = FitSettings(num_states=3, one_state_iter=2, max_iter=3)
    assert settings.total_iterations == 5
    snapshots = list(run(data(VIBRATING), defocused_probe(), settings))
    assert [s.stage for s in snapshots] == ["one state"] * 2 + ["states"] * 3
    assert [s.iteration for s in snapshots] == [1, 2, 3, 4, 5]
    assert {s.total_iterations for s in snapshots} == {5}
    assert [len(s.object) for s in snapshots] == [1, 1, 3, 3, 3]
    assert (np.diff([s.seconds for s in snapshots]) >= 0).all()


def test_fit_stops_when_nobody_asks_and_snapshots_stay_valid():
    steps = run(data(VIBRATING), defocused_probe(), THERMAL)
    first = next(steps)
    kept = first.object.copy()
    list(islice(steps, 30))
    steps.close()
    assert next(steps, None) is None
    np.testing.assert_array_equal(first.object, kept)
    evaluator = data(VIBRATING)
    assert evaluator.loss(first.object, first.probe) == pytest.approx(first.loss, rel=1e-5)


def test_snapshot_loss_is_that_of_its_object_and_probe():
    engine = data(VIBRATING)
    for snapshot in islice(run(engine, defocused_probe(), replace(THERMAL, refine=("probe",))), 0, 50, 12):
        assert engine.loss(snapshot.object, snapshot.probe) == pytest.approx(snapshot.loss, rel=1e-5)


def test_fit_goes_on_from_a_given_object():
    engine, probe = data(VIBRATING), defocused_probe()
    before = last(run(engine, probe, THERMAL))
    onward = replace(THERMAL, one_state_iter=0, max_iter=3)
    after = next(run(engine, probe, onward, initial_object=before.object))
    assert after.stage == "states"
    assert after.loss <= before.loss * (1 + 1e-6)
    split = list(run(engine, probe, onward, initial_object=before.object[:1]))
    assert [len(s.object) for s in split] == [3, 3, 3]


@pytest.mark.parametrize(
    ("shape", "one_state_iter"),
    [
        ((2, 46, 46), 5),
        ((1, 3, 46, 46), 5),
        ((1, 2, 46, 45), 5),
        ((3, 2, 46, 46), 5),  # three states cannot start a one-state fit
        ((2, 2, 46, 46), 0),  # neither one state nor three
        ((0, 2, 46, 46), 0),
    ],
)
def test_initial_object_of_another_shape_is_refused(shape, one_state_iter):
    settings = FitSettings(num_states=3, one_state_iter=one_state_iter, max_iter=1)
    with pytest.raises(ValueError, match=r"initial_object must have shape .*states, slices, y, x"):
        next(run(data(COHERENT), defocused_probe(), settings, initial_object=np.ones(shape, complex)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_initial_object_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="initial_object must be finite"):
        next(run(data(COHERENT), defocused_probe(), ONE_STATE, initial_object=np.full((1, 2, *FIELD), value)))


@pytest.mark.parametrize(
    ("probe", "match"),
    [
        (np.ones(WINDOW), "probe must have shape"),
        (np.ones((1, 16, 16)), "probe must have shape"),
        (np.zeros((1, *WINDOW)), "probe must be finite and not all zero"),
        (np.full((1, *WINDOW), np.nan), "probe must be finite and not all zero"),
    ],
)
def test_probe_that_does_not_fit_is_refused(probe, match):
    with pytest.raises(ValueError, match=match):
        next(run(data(COHERENT), probe, ONE_STATE))
