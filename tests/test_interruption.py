"""The py4DSTEM class when a reconstruction is interrupted, left, or taken up in another session."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.multislice import Evaluator
from caviar_kit.simulation import coherent, scan, silicon_sigma9_snapshots, vacuum_probe_intensity
from tests.test_ptychography import experiment, prepare

FIT = {"max_iter": 4, "one_state_iter": 3, "refine": "probe"}


@pytest.fixture(scope="module")
def data():
    setup = experiment()
    return scan(coherent(silicon_sigma9_snapshots()), setup), vacuum_probe_intensity(setup)


@pytest.fixture(scope="module")
def undisturbed(data):
    return prepare(data).reconstruct(**FIT, progress_bar=False)


def assert_same(found, expected):
    assert found.error_iterations == expected.error_iterations
    assert found.error == expected.error
    np.testing.assert_array_equal(found.object, expected.object)
    np.testing.assert_array_equal(found.probe, expected.probe)


def leave(ptycho, iteration, **settings):
    for snapshot in ptycho.iterate(**settings):
        if snapshot.iteration == iteration:
            break
    del snapshot


def test_another_session_goes_on_and_says_so(data, undisturbed, tmp_path, capsys):
    path = tmp_path / "fit.npz"
    leave(prepare(data), 5, **FIT, checkpoint=path)
    assert path.exists()
    ptycho = prepare(data).reconstruct(**FIT, checkpoint=path)
    assert "fit.npz: going on after iteration 5 of 7" in "".join(capsys.readouterr())
    assert_same(ptycho, undisturbed)
    assert not path.exists()


def test_iterate_goes_on_too_and_is_valid_from_its_first_snapshot(data, undisturbed, tmp_path):
    leave(prepare(data), 3, **FIT, checkpoint=tmp_path / "fit.npz")
    ptycho = prepare(data)
    leave(ptycho, 3, **FIT, checkpoint=tmp_path / "fit.npz")  # left at once
    assert ptycho.error_iterations == undisturbed.error_iterations[:3]
    assert ptycho.object.shape[0] == 1
    assert ptycho.error == ptycho.error_iterations[-1]


def test_losses_before_a_second_call_are_kept(data, tmp_path):
    onward = {"max_iter": 3, "reset": False}

    def first():
        return prepare(data).reconstruct(max_iter=2, one_state_iter=2, progress_bar=False)

    expected = first().reconstruct(**onward, progress_bar=False)
    leave(first(), 2, **onward, checkpoint=tmp_path / "fit.npz")
    found = first().reconstruct(**onward, checkpoint=tmp_path / "fit.npz", progress_bar=False)
    assert len(found.error_iterations) == 7
    assert_same(found, expected)


def test_a_checkpoint_of_another_defocus_is_refused(data, tmp_path):
    leave(prepare(data), 3, **FIT, checkpoint=tmp_path / "fit.npz")
    with pytest.raises(ValueError, match="remove the file to start from the beginning"):
        prepare(data, defocus=70.0).reconstruct(**FIT, checkpoint=tmp_path / "fit.npz")


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_key_pressed_within_an_iteration_leaves_the_last_complete_one(data, monkeypatch, optimizer):
    """The interrupt comes between two batches of an epoch of Adam, or in a trial of L-BFGS."""
    settings = {**FIT, "optimizer": optimizer, "batch_size": 6}
    expected = prepare(data)
    leave(expected, 4, **settings)
    evaluate, left, ptycho = Evaluator.loss_and_gradient, {"adam": 2, "lbfgs": 0}, prepare(data)

    def interrupted(self, *args, **kwargs):
        if len(ptycho.error_iterations) == 4:
            left[optimizer] -= 1
        if left[optimizer] < 0:
            raise KeyboardInterrupt
        return evaluate(self, *args, **kwargs)

    monkeypatch.setattr(Evaluator, "loss_and_gradient", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ptycho.reconstruct(**settings, progress_bar=False)
    assert_same(ptycho, expected)
    monkeypatch.undo()
    ptycho.reconstruct(max_iter=1, reset=False, progress_bar=False)  # and it can go on
    assert len(ptycho.error_iterations) == 5


def test_a_key_pressed_before_the_first_iteration_changes_nothing(data, undisturbed, monkeypatch):
    def interrupted(self, *args, **kwargs):
        raise KeyboardInterrupt

    ptycho = prepare(data).reconstruct(**FIT, progress_bar=False)
    monkeypatch.setattr(Evaluator, "loss_and_gradient", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ptycho.reconstruct(max_iter=2, progress_bar=False)
    assert_same(ptycho, undisturbed)
    np.testing.assert_array_equal(ptycho._unit_probe, undisturbed._unit_probe)


def test_a_consumer_that_fails_leaves_the_last_iteration(data, undisturbed):
    ptycho = prepare(data)
    with pytest.raises(RuntimeError, match="no more room"):
        for snapshot in ptycho.iterate(**FIT):
            if snapshot.iteration == 3:
                raise RuntimeError("no more room")
    del snapshot
    assert ptycho.error_iterations == undisturbed.error_iterations[:3]
    assert ptycho.error == ptycho.error_iterations[-1]
