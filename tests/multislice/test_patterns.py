"""Patterns on disk give the fit that patterns in memory give."""

from __future__ import annotations

from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from caviar_kit.multislice import AmplitudeLoss, Evaluator, FitSettings, StreamedPatterns, run
from tests.multislice.problems import aperture, evaluator, model

SETTINGS = FitSettings(num_states=2, one_state_iter=2, max_iter=2)
PROBE = aperture((12, 15), 1, np.complex64)


@pytest.fixture
def kept():
    return evaluator(model(), dtype=np.float32, threads=2)


@pytest.fixture
def dataset(kept, tmp_path):
    with h5py.File(tmp_path / "patterns.h5", "w") as file:
        yield file.create_dataset("patterns", data=kept.patterns)


def last(engine):
    return list(run(engine, PROBE, SETTINGS))[-1]


@pytest.mark.parametrize("threads", [1, 2])
def test_same_bits_as_from_memory(dataset, threads):
    memory = evaluator(model(), dtype=np.float32, threads=threads)
    streamed = Evaluator(model(), StreamedPatterns.from_array(dataset), AmplitudeLoss(), threads=threads)
    expected, found = last(memory), last(streamed)
    assert found.losses == expected.losses
    np.testing.assert_array_equal(found.object, expected.object)


def test_a_checkpoint_goes_from_memory_to_disk(kept, dataset):
    checkpoint = next(run(kept, PROBE, SETTINGS)).checkpoint()
    streamed = Evaluator(model(), StreamedPatterns.from_array(dataset), AmplitudeLoss(), threads=2)
    resumed = list(run(streamed, PROBE, SETTINGS, resume=checkpoint))[-1]
    np.testing.assert_array_equal(resumed.object, last(kept).object)


def test_scale_and_cast(dataset):
    patterns = StreamedPatterns.from_array(dataset, 4.0, dtype=np.float64)
    assert patterns[2].dtype == np.float64
    np.testing.assert_array_equal(patterns[2], dataset[2].astype(float) * 4)


def test_patterns_for_a_device_can_be_had_on_the_host_and_do_not_touch_it(dataset):
    device = SimpleNamespace()  # has no asarray
    patterns = StreamedPatterns.from_array(dataset, 4.0, dtype=np.float64, xp=device)
    found = patterns.on_host(2)
    assert type(found) is np.ndarray and found.dtype == np.float64
    np.testing.assert_array_equal(found, dataset[2].astype(float) * 4)
    whole = StreamedPatterns(lambda n: np.full((2, 3), n), (5, 2, 3))
    assert whole.on_host(4).dtype == np.float32


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_bad_values_are_found_wherever_they_are(dataset, value):
    dataset[3, 5, 6] = value
    with pytest.raises(ValueError, match=r"patterns\[3\] must be finite and not negative"):
        Evaluator(model(), StreamedPatterns.from_array(dataset), AmplitudeLoss())


def test_shapes_are_checked(dataset):
    with pytest.raises(ValueError, match="patterns must have shape"):
        Evaluator(model(), StreamedPatterns.from_array(dataset[:4]), AmplitudeLoss())
    with pytest.raises(ValueError, match="pattern 0 must have shape"):
        StreamedPatterns(lambda n: np.zeros((2, 2)), (5, 12, 15))[0]
    with pytest.raises(ValueError, match=r"must have shape \(positions, y, x\)"):
        StreamedPatterns.from_array(dataset[0])
    with pytest.raises(ValueError, match=r"shape must be \(positions, y, x\)"):
        StreamedPatterns(lambda n: dataset[n], (12, 15))
    with pytest.raises(ValueError, match="dtype must be float32 or float64, got int32"):
        StreamedPatterns(lambda n: dataset[n], (5, 12, 15), dtype=np.int32)
    with pytest.raises(TypeError, match="read must be a function"):
        StreamedPatterns(dataset, (5, 12, 15))
    with pytest.raises(IndexError, match="from 0 to 4"):
        StreamedPatterns.from_array(dataset)[5]
