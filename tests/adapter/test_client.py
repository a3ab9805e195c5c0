"""``reconstruct(client=…)``: the same fit on Dask workers, which are left as they were found."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster

import caviar_kit as ck
from caviar_kit.simulation import coherent, scan, silicon_sigma9_snapshots, vacuum_probe_intensity
from tests.multislice.cluster import kept, two_workers
from tests.test_ptychography import experiment, prepare

FIT = {"max_iter": 3, "one_state_iter": 4}
QUIET = {**FIT, "progress_bar": False}


@pytest.fixture(scope="module")
def data():
    setup = experiment()
    return scan(coherent(silicon_sigma9_snapshots()), setup), vacuum_probe_intensity(setup)


@pytest.fixture(scope="module")
def client():
    with two_workers() as client:
        yield client


def test_a_fit_on_workers_is_that_of_this_process(data, client):
    here = prepare(data, device="cpu").reconstruct(**QUIET)
    there = prepare(data, device="cpu").reconstruct(**QUIET, client=client)
    np.testing.assert_allclose(there.error_iterations, here.error_iterations, rtol=1e-4)
    change = np.linalg.norm(there.object - here.object)
    assert change < 1e-3 * np.linalg.norm(here.object - 1)
    assert kept(client, hoped_for=0) == []
    onward = there.reconstruct(max_iter=1, reset=False, progress_bar=False, client=client)
    assert onward.error < here.error


def test_a_fit_that_is_left_is_forgotten_by_the_workers_and_goes_on_elsewhere(data, client, tmp_path):
    file = tmp_path / "fit.npz"
    ptycho = prepare(data, device="cpu")
    for snapshot in ptycho.iterate(**FIT, client=client, checkpoint=file):
        assert len(kept(client)) >= 2
        if snapshot.iteration == 5:
            break
    assert kept(client, hoped_for=0) == []
    assert len(ptycho.error_iterations) == 5
    onward = prepare(data, device="cpu")
    assert next(onward.iterate(**FIT, checkpoint=file)).iteration == 5


def test_memory_is_asked_of_this_process_for_what_stays_in_it(data, client, monkeypatch):
    """A fit whose patterns and waves fit on the workers only is not refused."""
    from caviar_kit import available_memory

    ptycho = prepare(data, device="cpu")
    shared, alone = ptycho.estimate_memory(**FIT, client=client), ptycho.estimate_memory(**FIT)
    assert shared["waves"] == 0 < alone["waves"]
    assert shared["host"] != alone["host"]
    kept_already = shared["amplitudes that py4DSTEM keeps"]
    for enough in (False, True):
        free = shared["host"] - kept_already - (not enough)
        monkeypatch.setattr(available_memory, "available_memory", lambda xp, free=free: free)
        if enough:
            ptycho.iterate(**FIT, client=client).close()
        else:
            with pytest.raises(ValueError, match="needs about"):
                ptycho.iterate(**FIT, client=client)
    assert kept(client, hoped_for=0) == []


def test_the_parents_gradient_descent_and_other_clients_are_refused(data):
    ptycho = prepare(data)
    with pytest.raises(ValueError, match="method='gd' runs in this process only"):
        ptycho.reconstruct(method="gd", client=object())
    with pytest.raises(TypeError, match=r"client must be a distributed\.Client, got str"):
        ptycho.iterate(client="localhost")
    with pytest.raises(TypeError, match=r"client must be a distributed\.Client, got str"):
        ptycho.estimate_memory(client="localhost")


def test_the_documentation_calls_what_there_is():
    text = (Path(__file__).parents[2] / "docs" / "many_devices.md").read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    calls = [node for block in blocks for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    signatures = {
        "LocalCluster": inspect.signature(LocalCluster),
        "Client": inspect.signature(Client),
        "reconstruct": inspect.signature(ck.MixedObjectMultislicePtychography.reconstruct),
    }
    found = set()
    for call in calls:
        name = getattr(call.func, "id", getattr(call.func, "attr", None))
        if name in signatures:
            found.add(name)
            named = {keyword.arg for keyword in call.keywords}
            assert named <= set(signatures[name].parameters), name
    assert found == set(signatures)
