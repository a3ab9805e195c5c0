"""Patterns against an independent multislice; gradients against finite differences in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from caviar_kit.multislice import (
    AmplitudeLoss,
    Evaluator,
    PoissonLoss,
)
from caviar_kit.multislice.object_model import make_object_model
from tests.multislice import problems
from tests.multislice.problems import (
    MODES,
    STATES,
    aperture,
    evaluator,
    model,
    objects,
    slope_error,
)

WEIGHTS = np.random.default_rng(5).integers(0, 3, (12, 15)).astype(float)
CASES = {
    "plain": ({}, {}),
    "band limit": ({"band_limit": 0.7}, {}),
    "weights": ({}, {"weights": WEIGHTS}),
    "band limit and weights": ({"band_limit": 0.7}, {"weights": WEIGHTS}),
    "one slice": ({"thicknesses": ()}, {}),
}


@pytest.mark.parametrize("loss", [AmplitudeLoss(), PoissonLoss()], ids=["amplitude", "poisson"])
@pytest.mark.parametrize("case", CASES)
def test_gradient_agrees_with_finite_differences(case, loss):
    changes, options = CASES[case]
    engine = evaluator(model(**changes), loss, **options)
    transmission, probe = objects(engine.model), aperture(engine.model.window, MODES)
    value, by_object, by_probe, _ = engine.loss_and_gradient(transmission, probe)
    assert value == pytest.approx(engine.loss(transmission, probe), rel=1e-14)
    assert slope_error(lambda z: engine.loss(z, probe), by_object, transmission) <= 1e-9
    assert slope_error(lambda z: engine.loss(transmission, z), by_probe, probe) <= 1e-9


def test_gradient_of_a_subset_agrees_with_finite_differences():
    engine = evaluator(model())
    transmission, probe = objects(engine.model), aperture(engine.model.window, MODES)
    _, by_object, *_ = engine.loss_and_gradient(transmission, probe, [4, 1])
    assert slope_error(lambda z: engine.loss(z, probe, [4, 1]), by_object, transmission) <= 1e-9


@settings(max_examples=10)
@given(
    window=some.tuples(some.integers(5, 9), some.integers(5, 9)),
    gaps=some.integers(0, 3),
    count=some.integers(1, 3),
    modes=some.integers(1, 3),
    band_limit=some.sampled_from([None, 0.5, 1.0]),
    seed=some.integers(0, 99),
)
def test_gradient_for_any_small_shape(window, gaps, count, modes, band_limit, seed):
    positions = np.random.default_rng(seed).uniform(5, 7, (4, 2))
    geometry = model(
        window=window,
        thicknesses=(2.5, 4.0, 1.5)[:gaps],
        positions=positions,
        object_shape=(14, 15),
        band_limit=band_limit,
    )
    engine = evaluator(geometry, AmplitudeLoss(1e-4))
    transmission, probe = objects(geometry, count, seed=seed), aperture(window, modes)
    _, by_object, by_probe, _ = engine.loss_and_gradient(transmission, probe)
    assert slope_error(lambda z: engine.loss(z, probe), by_object, transmission, 1) <= 1e-6
    assert slope_error(lambda z: engine.loss(transmission, z), by_probe, probe, 1) <= 1e-6


# The forward model -------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"band_limit": 0.7}, {"thicknesses": ()}, {"tilt_mrad": (0, 0)}])
def test_patterns_agree_with_an_independent_multislice(changes):
    engine = evaluator(model(**changes))
    transmission, probe = objects(engine.model), aperture(engine.model.window, MODES)
    expected = problems.reference_patterns(engine.model, transmission, probe)
    np.testing.assert_allclose(engine.intensities(transmission, probe), expected, atol=1e-14)


def test_loss_is_the_mean_over_positions_of_the_sum_over_pixels():
    engine = evaluator(model(), weights=WEIGHTS)
    transmission, probe = objects(engine.model), aperture(engine.model.window, MODES)
    misfit = engine.loss_function.value(engine.intensities(transmission, probe), engine.patterns)
    each = (misfit * WEIGHTS).sum(axis=(1, 2))
    assert engine.loss(transmission, probe) == pytest.approx(each.mean(), rel=1e-12)
    assert engine.loss(transmission, probe, [3, 0]) == pytest.approx(each[[3, 0]].mean(), rel=1e-12)


def test_batches_add_up_to_the_whole():
    engine = evaluator(model())
    transmission, probe = objects(engine.model), aperture(engine.model.window, MODES)
    whole = engine.loss_and_gradient(transmission, probe)
    parts = [engine.loss_and_gradient(transmission, probe, batch) for batch in ([0, 3], [1, 2, 4])]
    for n in range(3):
        np.testing.assert_allclose((2 * parts[0][n] + 3 * parts[1][n]) / 5, whole[n], atol=1e-15)


def test_vacuum_gives_the_aperture():
    """Without specimen the far field is the probe's own, whatever its position and the gaps."""
    engine = evaluator(model())
    probe = aperture(engine.model.window)
    vacuum = np.ones((2, engine.model.num_slices, *engine.model.object_shape), complex)
    expected = abs(np.fft.fft2(probe[0], norm="ortho")) ** 2
    patterns = engine.intensities(vacuum, probe)
    np.testing.assert_allclose(patterns, np.broadcast_to(expected, patterns.shape), atol=1e-15)


@given(strength=some.floats(0, 3), count=some.integers(1, 3), modes=some.integers(1, 3))
def test_phase_object_scatters_every_electron_into_the_pattern(strength, count, modes):
    engine = evaluator(model())
    transmission = objects(engine.model, count, strength=strength, absorption=0)
    patterns = engine.intensities(transmission, aperture(engine.model.window, modes))
    np.testing.assert_allclose(patterns.sum(axis=(1, 2)), 1, rtol=1e-12)


def test_modes_and_states_add_incoherently():
    engine = evaluator(model())
    transmission, probe = objects(engine.model), aperture(engine.model.window, MODES)
    alone = [
        [engine.intensities(transmission[s : s + 1], probe[m : m + 1]) for m in range(MODES)]
        for s in range(STATES)
    ]
    expected = np.mean(np.sum(alone, axis=1), axis=0)
    np.testing.assert_allclose(engine.intensities(transmission, probe), expected, atol=1e-15)


def test_position_is_the_object_pixel_under_the_probe_centre():
    """Moving object and position together changes nothing; (y, x) counts rows, then columns."""
    near, far = model(positions=[[8.3, 9.8]]), model(positions=[[10.3, 8.8]])
    transmission = objects(near)
    moved = np.roll(transmission, (2, -1), axis=(2, 3))
    probe = aperture(near.window, MODES)
    np.testing.assert_allclose(
        evaluator(near).intensities(transmission, probe), evaluator(far).intensities(moved, probe), atol=1e-15
    )


def test_one_opaque_pixel_at_the_position_blocks_the_probe_centre():
    geometry = model(positions=[[8, 10]], thicknesses=(), tilt_mrad=(0, 0))
    probe = np.zeros((1, *geometry.window), complex)
    probe[0, geometry.window[0] // 2, geometry.window[1] // 2] = 1
    transmission = np.ones((1, 1, *geometry.object_shape), complex)
    engine = evaluator(geometry)
    assert engine.intensities(transmission, probe).sum() == pytest.approx(1)
    transmission[0, 0, 8, 10] = 0
    assert engine.intensities(transmission, probe).sum() < 1e-28


def test_wedge_deflects_the_beam_towards_larger_phase():
    """exp(+2πi k₀·y) moves the pattern by +k₀: the pattern's rows and signs are those of the object."""
    geometry = model(window=(16, 16), positions=[[8, 8]], object_shape=(16, 16), thicknesses=())
    y, x = np.indices((16, 16))
    wedge = np.exp(2j * math.pi * (3 * y - 2 * x) / 16)[None, None]
    probe = aperture((16, 16))
    engine = evaluator(geometry)
    vacuum = engine.intensities(np.ones_like(wedge), probe)[0]
    np.testing.assert_allclose(
        engine.intensities(wedge, probe)[0], np.roll(vacuum, (3, -2), axis=(0, 1)), atol=1e-15
    )


def test_slices_are_met_in_order():
    """Only the first slice acts on the probe as it comes; swapping slices is another experiment."""
    engine = evaluator(model(thicknesses=(40.0,)))
    transmission, probe = objects(engine.model, 1), aperture(engine.model.window)
    swapped = engine.intensities(transmission[:, ::-1].copy(), probe)
    assert abs(swapped - engine.intensities(transmission, probe)).max() > 1e-3
    last_only = transmission.copy()
    last_only[:, 0] = 1
    (cut,) = engine.model.sampler.forward(last_only[0, 1])[:1]
    propagated = np.fft.ifft2(np.fft.fft2(probe[0]) * engine.model.transfers()[0])
    expected = abs(np.fft.fft2(propagated * cut, norm="ortho")) ** 2  # position 0 is a whole pixel
    np.testing.assert_allclose(engine.intensities(last_only, probe)[0], expected, atol=1e-15)


# Invariances of the computation ------------------------------------------------------------


@pytest.mark.parametrize("loss", [AmplitudeLoss(), PoissonLoss()])
def test_identical_states_give_the_one_state_result(loss):
    engine = evaluator(model(), loss)
    one, probe = objects(engine.model, 1), aperture(engine.model.window, MODES)
    many = np.repeat(one, 4, axis=0)
    single, several = engine.loss_and_gradient(one, probe), engine.loss_and_gradient(many, probe)
    assert several[0] == pytest.approx(single[0], rel=1e-13)
    np.testing.assert_allclose(several[1].sum(axis=0), single[1][0], atol=1e-14 * abs(single[1]).max() * 100)
    np.testing.assert_allclose(several[1], np.repeat(several[1][:1], 4, axis=0), atol=1e-16)
    np.testing.assert_allclose(several[2], single[2], atol=1e-12 * abs(single[2]).max())


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_agree_to_rounding_and_repeat_bit_for_bit(threads):
    geometry = model()
    transmission = objects(geometry).astype(np.complex64)
    probe = aperture(geometry.window, MODES, np.complex64)
    runs = [
        evaluator(geometry, dtype=np.float32, threads=n).loss_and_gradient(transmission, probe)[:3]
        for n in (1, threads, threads)
    ]
    for one, many, again in zip(*runs, strict=True):
        np.testing.assert_allclose(many, one, atol=1e-5 * np.abs(one).max())
        np.testing.assert_array_equal(again, many)


def test_evaluator_keeps_no_memory_of_earlier_calls():
    engine = evaluator(model())
    first, second = objects(engine.model, seed=3), objects(engine.model, seed=4)
    probe = aperture(engine.model.window, MODES)
    before = engine.loss_and_gradient(first, probe)
    engine.loss_and_gradient(second, probe, [2])
    engine.intensities(second, probe)
    engine.loss(second[:1], probe[:1])
    for found, wanted in zip(engine.loss_and_gradient(first, probe)[:3], before[:3], strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_arguments_are_left_alone():
    engine = evaluator(model(), weights=WEIGHTS)
    transmission, probe = objects(engine.model), aperture(engine.model.window, MODES)
    kept = [array.copy() for array in (transmission, probe, engine.patterns)]
    engine.loss_and_gradient(transmission, probe)
    engine.intensities(transmission, probe)
    for array, copy in zip((transmission, probe, engine.patterns), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_single_precision_agrees_with_double():
    geometry = model(band_limit=0.7)
    transmission, probe = objects(geometry), aperture(geometry.window, MODES)
    double = evaluator(geometry).loss_and_gradient(transmission, probe)
    single = evaluator(geometry, dtype=np.float32).loss_and_gradient(
        transmission.astype(np.complex64), probe.astype(np.complex64)
    )
    assert single[1].dtype == single[2].dtype == np.complex64
    for found, wanted in zip(single[:3], double[:3], strict=True):
        assert np.linalg.norm(found - wanted) <= 1e-4 * np.linalg.norm(wanted)


# Weights and bad input ---------------------------------------------------------------


def test_weight_zero_removes_a_pixel():
    weights = np.ones((12, 15))
    weights[3, 4] = 0
    engine = evaluator(model(), weights=weights)
    transmission, probe = objects(engine.model), aperture(engine.model.window, MODES)
    before = engine.loss_and_gradient(transmission, probe)
    engine.patterns[:, 3, 4] = 0.9  # a hot pixel
    for found, wanted in zip(engine.loss_and_gradient(transmission, probe)[:3], before[:3], strict=True):
        np.testing.assert_array_equal(found, wanted)


PATTERNS = np.ones((5, 12, 15))
GOOD = {"transmission": np.ones((2, 4, 18, 22), complex), "probe": aperture((12, 15))}


def bad_loss(positions=None, **changes):
    return evaluator(model()).loss(**{**GOOD, **changes}, positions=positions)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (
            ValueError,
            r"patterns must have shape \(5, 12, 15\)",
            lambda: Evaluator(model(), PATTERNS[1:], None),
        ),
        (ValueError, "patterns must have shape", lambda: Evaluator(model(), PATTERNS.swapaxes(1, 2), None)),
        (ValueError, "patterns must be finite", lambda: Evaluator(model(), PATTERNS * np.nan, None)),
        (ValueError, "patterns must be finite", lambda: Evaluator(model(), PATTERNS * np.inf, None)),
        (ValueError, "not negative", lambda: Evaluator(model(), -PATTERNS, None)),
        (TypeError, "patterns must be float32", lambda: Evaluator(model(), PATTERNS.astype(int), None)),
        (TypeError, "patterns must hold real", lambda: Evaluator(model(), PATTERNS + 0j, None)),
        (ValueError, "weights must have shape", lambda: evaluator(model(), weights=np.ones((15, 12)))),
        (ValueError, "weights must be finite", lambda: evaluator(model(), weights=-np.ones((12, 15)))),
        (ValueError, "threads must be at least 1", lambda: evaluator(model(), threads=0)),
        (TypeError, "threads must be an integer", lambda: evaluator(model(), threads="two")),
        (ValueError, "transmission must have shape", lambda: bad_loss(transmission=np.ones((4, 18, 22)))),
        (ValueError, "transmission must have shape", lambda: bad_loss(transmission=np.ones((2, 3, 18, 22)))),
        (ValueError, "transmission must have shape", lambda: bad_loss(transmission=np.ones((0, 4, 18, 22)))),
        (
            TypeError,
            "transmission must be complex128",
            lambda: bad_loss(transmission=np.ones((2, 4, 18, 22))),
        ),
        (ValueError, "probe must have shape", lambda: bad_loss(probe=np.ones((12, 15)))),
        (TypeError, "probe must be complex128", lambda: bad_loss(probe=np.ones((1, 12, 15), np.complex64))),
        (ValueError, "positions must be a sequence", lambda: bad_loss(positions=[])),
        (ValueError, "positions must be a sequence", lambda: bad_loss(positions=np.ones(5, bool))),
        (ValueError, "positions must be indices from 0 to 4", lambda: bad_loss(positions=[5])),
        (ValueError, "positions must be indices from 0 to 4", lambda: bad_loss(positions=[-1])),
        (ValueError, "object_type must be one of", lambda: make_object_model("real")),
    ],
)
def test_bad_input_is_refused(error, match, call):
    with pytest.raises(error, match=match):
        call()
