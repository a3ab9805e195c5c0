"""Scan positions dealt out in shards, without a cluster."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest

from caviar_kit.multislice import AmplitudeLoss, Evaluator, Instrument, PoissonLoss
from caviar_kit.multislice.shard_evaluator import ShardSpec, Task, build, perform
from caviar_kit.multislice.sharding import Total, make_shards, shares
from tests.multislice.problems import MODES, aperture, evaluator, model, objects

SCAN = np.array([[y, x] for y in (6.0, 8.5, 9.5, 10.2) for x in (7.0, 8.5, 9.5, 11.1)])
ATTRIBUTES = ("positions", "slopes", "thicknesses", "beam", "background")


def instrument(geometry, *, slopes_each: bool = False) -> Instrument:
    rng = np.random.default_rng(5)
    count = len(geometry.positions)
    return Instrument(
        positions=geometry.positions + rng.normal(scale=0.3, size=(count, 2)),
        slopes=rng.normal(scale=0.01, size=(count if slopes_each else 1, 2)),
        thicknesses=np.array([3.1, 4.4, 2.2]),
        beam=rng.uniform(0.8, 1.2, count),
        background=rng.uniform(0, 1e-3, geometry.window),
    )


def add_up(whole: Evaluator, count: int, indices, scene, wanted=()):
    """What the shards contribute, each as a worker would compute it."""
    shards = make_shards(whole.model, count)
    total = Total(*scene)
    for n, place in shares(shards, indices).items():
        shard = shards[n]
        spec = ShardSpec(shard.model, whole.loss_function, whole.weights, 1, "cpu")
        kept = pickle.loads(pickle.dumps(build(spec, whole.patterns[shard.positions])))
        positions = indices[place] - shard.positions.start
        task = Task("loss_and_gradient", positions, len(place) / len(indices), tuple(wanted))
        total.add(shard, perform(kept, task, pickle.loads(pickle.dumps(shard.inputs(*scene)))))
    return total.on(np)


def assert_same(found, expected, rtol):
    assert found.loss == pytest.approx(expected.loss, rel=rtol)
    pairs = [(found.object, expected.object), (found.probe, expected.probe)]
    pairs += [(getattr(found.instrument, a), getattr(expected.instrument, a)) for a in ATTRIBUTES]
    for one, other in pairs:
        assert (one is None) == (other is None)
        if one is not None:
            assert one.shape == other.shape and one.dtype == other.dtype
            assert np.linalg.norm(one - other) <= rtol * np.linalg.norm(other)


@pytest.mark.parametrize("slopes_each", [False, True])
@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("loss", [AmplitudeLoss(), PoissonLoss()], ids=["amplitude", "poisson"])
def test_shards_add_up_to_the_whole(loss, count, slopes_each):
    geometry = model(positions=SCAN, object_shape=(24, 25))
    whole = evaluator(geometry, loss, weights=np.random.default_rng(1).uniform(size=(12, 15)))
    scene = objects(geometry), aperture(geometry.window, MODES), instrument(geometry, slopes_each=slopes_each)
    for indices in (np.arange(16), np.array([9, 2, 3, 3])):
        expected = whole.loss_and_gradient(*scene[:2], indices, instrument=scene[2], wanted=ATTRIBUTES)
        assert abs(expected.instrument.positions).max() > 0 and expected.instrument.background.max() > 0
        assert_same(add_up(whole, count, indices, scene, ATTRIBUTES), expected, 1e-12)


def test_a_shard_is_sent_the_rows_it_sees_and_no_others():
    geometry = model(positions=SCAN + [0, 1], object_shape=(24, 25))
    transmission, probe = objects(geometry), aperture(geometry.window, MODES)
    first, last = make_shards(geometry, 2)
    assert [shard.positions for shard in (first, last)] == [slice(0, 8), slice(8, 16)]
    # corners: rint of 6 … 8.5 and of 9.5 … 10.2, less 6; columns from rint(8) - 7 = 1, begun at an even one
    assert first.field == (slice(0, 14), slice(0, 20))
    assert last.field == (slice(4, 16), slice(0, 20))
    inputs = last.inputs(transmission, probe, Instrument.nominal(geometry))
    np.testing.assert_array_equal(inputs.transmission, transmission[:, :, 4:16, 0:20])
    assert inputs.transmission.flags.c_contiguous


def test_equal_shards_of_a_power_of_two_have_the_bits_of_as_many_threads():
    geometry = model(positions=SCAN, object_shape=(24, 25))
    whole = evaluator(geometry, dtype=np.float32, threads=2)
    transmission, probe = (
        objects(geometry).astype(np.complex64),
        aperture(geometry.window, MODES, np.complex64),
    )
    expected = whole.loss_and_gradient(transmission, probe)
    found = add_up(whole, 2, np.arange(16), (transmission, probe, whole.nominal))
    assert found.loss == expected.loss
    np.testing.assert_array_equal(found.object, expected.object)


def test_the_evaluator_of_a_shard_weighs_what_its_patterns_weigh():
    """Dask decides by this when a worker is short of memory."""
    geometry = model()
    patterns = evaluator(geometry).patterns
    shard = build(ShardSpec(geometry, AmplitudeLoss(), None, 1, "cpu"), patterns)
    assert sys.getsizeof(shard) >= patterns.nbytes


@pytest.mark.parametrize("count", [0, -1, 2.0])
def test_a_count_of_shards_that_is_none_is_refused(count):
    with pytest.raises((TypeError, ValueError), match="count must be"):
        make_shards(model(), count)
