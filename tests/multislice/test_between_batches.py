"""A pass over the patterns can be held or ended between two batches."""

from __future__ import annotations

import numpy as np
import pytest

from tests.multislice.problems import MODES, aperture, evaluator, model, objects


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("method", ["loss", "loss_and_gradient"])
def test_a_pass_ends_at_the_batch_at_which_the_hook_raises(method, threads):
    positions = np.random.default_rng(0).uniform(7, 10.5, (400, 2))
    engine = evaluator(model(positions=positions), threads=threads)
    arguments = objects(engine.model), aperture(engine.model.window, MODES)
    undisturbed = getattr(engine, method)(*arguments)
    calls: list[int] = []
    engine.between_batches = lambda: calls.append(len(calls))
    again = getattr(engine, method)(*arguments)
    assert len(calls) > 4  # several batches in the thread that asks
    values = (undisturbed, again) if method == "loss" else (undisturbed.loss, again.loss)
    assert values[0] == values[1]

    def interrupt() -> None:
        calls.append(0)
        if len(calls) > 2:
            raise InterruptedError("enough")

    calls.clear()
    engine.between_batches = interrupt
    with pytest.raises(InterruptedError, match="enough"):
        getattr(engine, method)(*arguments)
    assert len(calls) == 3
    engine.between_batches = None
    found = getattr(engine, method)(*arguments)
    assert (found if method == "loss" else found.loss) == values[0]
