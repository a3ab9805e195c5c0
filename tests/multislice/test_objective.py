"""The fit as a function of one vector: its gradient for every kind of unknown, and the unknowns' units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caviar_kit import backend
from caviar_kit.multislice import AmplitudeLoss, Evaluator, FitSettings, Instrument
from caviar_kit.multislice.instrument import LARGEST_UNITS, QUANTITIES
from caviar_kit.multislice.object_model import make_object_model
from caviar_kit.multislice.objective import Objective, Scene
from caviar_kit.multislice.problem import make_unknowns
from caviar_kit.multislice.settings import Stage
from tests.multislice.problems import MODES, STATES, aperture, evaluator, model, objects, slope_error


def make_objective(engine, refine=(), scales=None, seed=1, **settings):
    """Objective of a stage with all states, its start somewhat off zero in every unknown."""
    fit = FitSettings(num_states=STATES, **settings)
    probe = engine.xp.asarray(aperture(engine.model.window, MODES, engine.dtype))
    instrument = Instrument.nominal(engine.model)
    unknowns = make_unknowns(fit, engine, Stage("states", STATES, 1, refine), probe, instrument)
    transmission = engine.xp.asarray(objects(engine.model).astype(engine.dtype))
    objective = Objective(
        engine,
        unknowns,
        Scene(unknowns.object_model.start(transmission), probe, instrument),
        scales=dict.fromkeys(("object", *refine), 1.0) if scales is None else scales,
    )
    rng = np.random.default_rng(seed)
    return objective, objective.start + 0.01 * engine.xp.asarray(rng.normal(size=objective.start.size))


@pytest.mark.parametrize("state_gain", [1.0, 2.5])
@pytest.mark.parametrize("band_limit", [None, 0.7])
@pytest.mark.parametrize("object_type", ["phase", "complex"])
def test_gradient_of_the_object_agrees_with_finite_differences(object_type, band_limit, state_gain):
    objective, vector = make_objective(
        evaluator(model(band_limit=band_limit)), object_type=object_type, state_gain=state_gain
    )
    value, gradient = objective.loss_and_gradient(vector)
    assert gradient.dtype == vector.dtype == np.float64
    assert gradient.size == vector.size == STATES * 4 * 18 * 22 * (2 if object_type == "complex" else 1)
    assert value == pytest.approx(objective.loss(vector), rel=1e-14)
    assert slope_error(objective.loss, gradient, vector) <= 1e-9


@pytest.mark.parametrize("band_limit", [None, 0.7])
@pytest.mark.parametrize("quantity", ["probe", "aberrations", *QUANTITIES])
def test_gradient_of_each_further_unknown_agrees_with_finite_differences(quantity, band_limit):
    """Along the unknowns of that quantity alone, so that the object does not hide them."""
    objective, vector = make_objective(
        evaluator(model(band_limit=band_limit)), (quantity,), {"object": 1.0, quantity: 0.05}
    )
    own = slice(objective.packing.unpack(vector)["object"].size, None)

    def loss(part):
        return objective.loss(np.concatenate([vector[: own.start], part]))

    gradient = objective.loss_and_gradient(vector)[1][own]
    assert np.linalg.norm(gradient) > 0
    assert slope_error(loss, gradient, vector[own]) <= 1e-8


def test_gradient_of_all_unknowns_at_once_agrees_with_finite_differences():
    refine = ("probe", *QUANTITIES)
    scales = {"object": 1.0, "probe": 0.07, "positions": 0.2, "tilt": 0.004, "position tilt": 0.01}
    objective, vector = make_objective(evaluator(model()), refine, scales)
    assert slope_error(objective.loss, objective.loss_and_gradient(vector)[1], vector) <= 1e-8


def test_mean_position_tilt_and_beam_stay_where_they_are():
    """The object, the common tilt and the probe take up what all positions share."""
    objective, vector = make_objective(evaluator(model()), ("positions", "position tilt", "beam"))
    instrument, nominal = objective.scene(vector).instrument, Instrument.nominal(model())
    assert abs(instrument.positions - nominal.positions).max() > 1e-3
    np.testing.assert_allclose(instrument.positions.mean(axis=0), nominal.positions.mean(axis=0))
    np.testing.assert_allclose(instrument.slopes.mean(axis=0), nominal.slopes[0])
    assert np.exp(np.log(instrument.beam).mean()) == pytest.approx(1)


def test_units_make_every_unknown_change_the_patterns_alike():
    """A step of the same length in the vector, along each block's gradient, has about the same effect.

    A probe's is three times, a background's a third of that.
    """
    engine = evaluator(model())
    refine = ("probe", "positions", "thickness", "background")
    objective, _ = make_objective(engine, refine, scales={"object": 1.0})
    natural = Objective(engine, objective.unknowns, objective.reference)
    start, packing = natural.start, natural.packing
    gradient = packing.unpack(natural.loss_and_gradient(start)[1])
    effects = []
    for name in ("object", *refine):
        alone = {key: value * (key == name) for key, value in gradient.items()}
        step = packing.pack(alone, np)
        moved = start + 1e-3 * step / np.linalg.norm(step)
        change = [
            engine.intensities(natural.transmission(v), s.probe, instrument=s.instrument)
            for v, s in ((v, natural.scene(v)) for v in (start, moved))
        ]
        effects.append(np.sqrt(((change[1] - change[0]) ** 2 / (change[0] + engine.mean_pixel)).sum()))
    np.testing.assert_allclose(np.array(effects) / effects[0], [1, 3, 1, 1, 0.3], rtol=0.1)
    assert max(packing.scales.values()) / min(packing.scales.values()) > 10


def test_units_stay_within_reason_in_vacuum():
    """There no pattern depends on positions or tilts, which would make their units infinite."""
    geometry = model()
    engine = evaluator(geometry)
    refine = ("positions", "tilt", "position tilt", "thickness")
    objective, _ = make_objective(engine, refine)
    empty = replace(objective.reference, field=np.zeros_like(objective.reference.field[:1]))
    natural = Objective(engine, objective.unknowns, empty)
    assert all(0 < natural.packing.scales[name] <= LARGEST_UNITS[name] for name in refine)


def test_penalties_and_projections_enter_the_gradient():
    class Squares:
        """1/2 Σ field²."""

        def value_and_gradient(self, field):
            return float((field**2).sum()) / 2, field

    class FirstSlice:
        """Keeps slice 0 only: a projection."""

        def forward(self, field):
            return field * np.array([1.0, 0, 0, 0])[:, None, None]

        adjoint = forward

    objective, vector = make_objective(
        evaluator(model()), constraints=(Squares(), FirstSlice()), state_gain=3
    )
    scene = objective.scene(vector)
    assert not scene.field[:, 1:].any()
    assert objective.loss(vector) == pytest.approx(objective.misfit(scene) + (scene.field**2).sum() / 2)
    assert slope_error(objective.loss, objective.loss_and_gradient(vector)[1], vector) <= 1e-8


def test_gpu_agrees_with_the_cpu():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    if backend.resolve_device("auto") is np:
        pytest.skip("CuPy finds no GPU")
    geometry = model(band_limit=0.7)
    cpu = evaluator(geometry, dtype=np.float32)
    gpu = Evaluator(geometry, cupy.asarray(cpu.patterns), AmplitudeLoss())
    for object_type in ("phase", "complex"):
        results = []
        for engine in (cpu, gpu):
            objective, _ = make_objective(engine, ("probe", *QUANTITIES), object_type=object_type)
            value, gradient = objective.loss_and_gradient(objective.start)
            results.append((value, backend.to_numpy(gradient)))
        assert results[1][0] == pytest.approx(results[0][0], rel=1e-4)
        error = np.linalg.norm(results[1][1] - results[0][1])
        assert error <= 1e-4 * np.linalg.norm(results[0][1])


def test_object_model_must_be_known():
    with pytest.raises(ValueError, match="object_type must be one of"):
        make_object_model("real")
