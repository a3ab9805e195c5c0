"""Buffers: how many positions at once, planned how often, kept how long."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.multislice import gradient, workspace
from caviar_kit.multislice.batched_waves import BatchedWaves
from caviar_kit.multislice.workspace import BatchedWorkspace, WaveShape, positions_at_once
from tests.multislice.problems import MODES, aperture, evaluator, model, objects

SHAPE = WaveShape(2, 3, 4, (16, 16))


def test_bytes_are_those_of_the_waves():
    assert BatchedWorkspace(np, 1, SHAPE).waves[0].nbytes * 4 == SHAPE.nbytes


@pytest.mark.parametrize("gpu", [False, True])
def test_a_batch_fills_the_budget_but_not_more_than_the_scan(monkeypatch, gpu):
    monkeypatch.setattr(workspace, "_BUDGET", {"cpu": int(2.5 * SHAPE.nbytes), "gpu": 70 * SHAPE.nbytes})
    assert positions_at_once(SHAPE, 1000, gpu=gpu) == (70 if gpu else 2)
    assert positions_at_once(SHAPE, 10, gpu=gpu) == (10 if gpu else 2)
    assert positions_at_once(SHAPE._replace(states=10000), 10, gpu=gpu) == 1


@pytest.mark.parametrize(("count", "most"), [(1600, 51), (7, 3), (5, 5), (5, 100), (1, 1), (10, 4)])
def test_batches_are_of_equal_length_except_for_the_last(count, most):
    batches = gradient._batches(np.arange(count), most)
    assert np.concatenate(batches).tolist() == list(range(count))
    assert len(batches) == -(-count // most)
    assert {len(batch) for batch in batches[:-1]} <= {len(batches[0])}
    assert len(batches[-1]) <= len(batches[0]) <= most


def test_a_batch_is_planned_once_for_all_slices(monkeypatch):
    planned = []
    plans = workspace.plan_ffts
    monkeypatch.setattr(workspace, "plan_ffts", lambda arrays: planned.append(len(arrays)) or plans(arrays))
    buffers = BatchedWorkspace(np, 5, SHAPE)
    for count in (5, 3, 5, 3):
        assert buffers.first(count).waves[0].shape == (count, 2, 3, 16, 16)
    assert planned == [4, 4]
    buffers.first(2)
    assert len(buffers._views) == 2


@pytest.mark.parametrize("kind", [None, BatchedWaves])
def test_another_number_of_states_takes_the_place_of_the_buffers(monkeypatch, kind):
    if kind is not None:
        monkeypatch.setattr(gradient, "waves_for", kind)
    engine = evaluator(model(), threads=2)
    transmission, probe = objects(engine.model), aperture(engine.model.window, MODES)
    engine.loss(transmission[:1], probe)
    engine.loss(transmission, probe)
    kept = [buffers for _, buffers in engine._workspaces.values()]
    assert len(kept) == 2  # one for each thread
    engine.loss(transmission, probe, [1, 2, 3])
    assert [buffers for _, buffers in engine._workspaces.values()] == kept
