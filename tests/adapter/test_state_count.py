"""Another number of states than the constructor's, time before the fit, and going back to a saved one."""

from __future__ import annotations

import numpy as np
import pytest

import caviar_kit as ck
from tests.adapter.problems import planted

FIT = {"max_iter": 2, "one_state_iter": 3, "progress_bar": False}


@pytest.fixture
def ptycho():
    return planted(2, num_object_states=2)[0]


def test_a_fit_may_have_another_number_of_states(ptycho, tmp_path):
    expected = planted(2, num_object_states=4)[0].reconstruct(**FIT)
    assert ptycho.num_object_states == 2
    few, many = ptycho.estimate_memory()["total"], ptycho.estimate_memory(num_object_states=4)["total"]
    assert many > few and ptycho.num_object_states == 2
    steps = ptycho.iterate(max_iter=2, one_state_iter=3, num_object_states=4)
    assert ptycho.num_object_states == 2  # nothing has been found yet
    steps.close()
    ptycho.reconstruct(**FIT, num_object_states=4)
    assert ptycho.num_object_states == 4 and len(ptycho.object) == 4
    np.testing.assert_array_equal(ptycho.object, expected.object)
    ptycho.save(tmp_path / "fit.h5")
    assert ck.read(tmp_path / "fit.h5").num_object_states == 4
    with pytest.raises(ValueError, match="num_object_states must be at least 1"):
        ptycho.reconstruct(**FIT, num_object_states=0)


def test_time_is_estimated_without_changing_anything(ptycho):
    ptycho.reconstruct(**FIT)
    before = ptycho.object.copy()
    found = ptycho.estimate_time(max_iter=7, one_state_iter=6, num_object_states=3)
    assert [(s.name, s.iterations) for s in found.stages] == [("one state", 6), ("states", 7)]
    assert found.seconds > 0
    assert [s.name for s in ptycho.estimate_time(max_iter=7, reset=False).stages] == ["states"]
    np.testing.assert_array_equal(ptycho.object, before)
    with pytest.raises(ValueError, match="run preprocess"):
        ptycho._preprocessed = False
        ptycho.estimate_time()


def test_a_pause_while_time_is_measured_does_not_count(ptycho):
    now = [0.0]

    def hold():
        now[0] += 1000

    found = ptycho.estimate_time(max_iter=7, between_batches=hold, clock=lambda: now[0])
    assert now[0] > 0 and found.seconds == 0


@pytest.mark.parametrize("left_after", [2, None])  # in the one-state fit, or at the end
def test_restore_goes_back_to_a_saved_fit(ptycho, tmp_path, left_after):
    for snapshot in ptycho.iterate(max_iter=2, one_state_iter=3, num_object_states=4, held_out_fraction=0.1):
        if snapshot.iteration == left_after:
            break
    del snapshot
    ptycho.save(tmp_path / "fit.h5")
    kept = ptycho.object.copy(), list(ptycho.error_iterations), list(ptycho.held_out_iterations)
    ptycho.reconstruct(max_iter=1, one_state_iter=1, num_object_states=3, progress_bar=False)
    assert ptycho.restore(tmp_path / "fit.h5") is ptycho
    np.testing.assert_array_equal(ptycho.object, kept[0])
    assert (ptycho.error_iterations, ptycho.held_out_iterations) == kept[1:]
    assert ptycho.num_object_states == 4
    ptycho.reconstruct(max_iter=2, reset=False, progress_bar=False)
    assert len(ptycho.object) == 4 and len(ptycho.error_iterations) == len(kept[1]) + 2
    other = planted(2, num_object_states=2)[0].restore(tmp_path / "fit.h5")  # and in another session
    np.testing.assert_array_equal(other.object, kept[0])


def test_restore_refuses_what_does_not_belong_here(ptycho, tmp_path):
    ptycho.reconstruct(**FIT).save(tmp_path / "fit.h5")
    other = planted(2, num_object_states=3, num_slices=2)[0].reconstruct(**FIT)
    before = other.object.copy(), list(other.error_iterations)
    with pytest.raises(ValueError, match="does not fit these data: it has object of shape"):
        other.restore(tmp_path / "fit.h5")
    np.testing.assert_array_equal(other.object, before[0])
    assert other.error_iterations == before[1] and other.num_object_states == 3
    other.reconstruct(max_iter=1, reset=False, progress_bar=False)
    with pytest.raises(FileNotFoundError):
        other.restore(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(ValueError, match="not an HDF5 file"):
        other.restore(tmp_path / "text.h5")
    other._preprocessed = False
    with pytest.raises(ValueError, match="run preprocess"):
        other.restore(tmp_path / "fit.h5")


def test_restoring_an_unrefined_fit_brings_the_scan_back(tmp_path):
    ptycho = planted(2, num_object_states=2)[0]
    ptycho.reconstruct(max_iter=1, one_state_iter=1, progress_bar=False)
    before = ptycho.scan_positions_angstrom.copy()
    ptycho.save(tmp_path / "fit.h5")
    ptycho.reconstruct(max_iter=3, one_state_iter=1, refine="positions", progress_bar=False)
    assert abs(ptycho.scan_positions_angstrom - before).max() > 1e-4
    ptycho.restore(tmp_path / "fit.h5")
    np.testing.assert_allclose(ptycho.scan_positions_angstrom, before, atol=1e-6)
