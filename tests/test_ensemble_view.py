"""What is taken from each source to be looked at."""

import json

import numpy as np
import pytest

from caviar_kit.ensemble_view import EnsembleView, view_ensemble
from tests.adapter.problems import planted
from tests.ensembles import ensemble
from tests.stored import states


@pytest.fixture(scope="module")
def fitted():
    ptycho, _ = planted(num_probes=2)
    return ptycho.reconstruct(max_iter=2, one_state_iter=2, refine="probe", progress_bar=False)


def random_view(num_states=4, num_slices=3):
    rng = np.random.default_rng(5)
    return EnsembleView(rng.standard_normal((num_states, num_slices, 20, 18)), np.array([0.2, 0.2]))


def test_phases_are_those_of_the_slices_without_their_free_constant():
    view = view_ensemble(states())
    expected = np.angle(states().object)
    turned = np.exp(1j * view.phases) / states().object
    np.testing.assert_allclose(turned, np.broadcast_to(turned[:1, :, :1, :1], turned.shape), atol=1e-5)
    np.testing.assert_allclose(view.phases.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    assert view.phases.shape == expected.shape and view.phases.dtype == np.float32


def test_a_reconstruction_shows_the_scanned_field_on_the_same_pixels(fitted):
    view = view_ensemble(fitted)
    pixels = fitted.scan_positions_angstrom / np.array(fitted.sampling)
    first, last = np.floor(pixels.min(axis=0)).astype(int), np.ceil(pixels.max(axis=0)).astype(int)
    cut = fitted.object[..., first[0] : last[0] + 1, first[1] : last[1] + 1]
    expected = np.angle(cut) - np.angle(cut).mean(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(view.phases, expected, atol=1e-5)
    np.testing.assert_allclose(abs(view.probe), abs(fitted.probe) / abs(fitted.probe).max(), rtol=1e-5)


def test_columns_move_with_the_field_that_is_cut_out(fitted):
    tracked = fitted.scan_positions_angstrom[:4] + np.zeros((3, 1, 1))
    view = view_ensemble(fitted, tracked)
    pixels = view.tracked[0, 0] / view.sampling
    assert (pixels >= 0).all() and (pixels < 1).all()  # the first scan position: the corner of the field


def test_images_are_states_slices_sums_and_differences():
    view = random_view()
    np.testing.assert_array_equal(view.image("phase", 2, 1), view.phases[2, 1])
    np.testing.assert_allclose(view.image("phase", 2), view.phases[2].sum(axis=0), atol=1e-6)
    away = view.phases[2, 1] - view.phases[:, 1].mean(axis=0)
    np.testing.assert_allclose(view.image("difference", 2, 1), away - away.mean(), atol=1e-6)


@pytest.mark.parametrize("slice_index", [None, 1])
def test_differences_do_not_show_the_free_constant_of_a_state(slice_index):
    view, projected = random_view(), slice_index is None
    constants = np.random.default_rng(6).uniform(-3, 3, (*view.phases.shape[:2], 1, 1))
    turned = EnsembleView(view.phases + constants, view.sampling)
    for state in range(len(view.phases)):
        shown = turned.image("difference", state, slice_index)
        np.testing.assert_allclose(shown, view.image("difference", state, slice_index), atol=1e-5)
    held = turned.limits("difference", projected=projected)
    np.testing.assert_allclose(held, view.limits("difference", projected=projected), rtol=1e-5)


def test_held_limits_enclose_all_states_and_slices():
    view = random_view()
    low, high = view.limits("phase", projected=False)
    inside = (view.phases >= low) & (view.phases <= high)
    assert 0.997 < inside.mean() < 1
    wider = view.limits("phase", projected=True)
    assert wider[0] < low and wider[1] > high  # sums of three slices
    assert view.limits("phase", projected=False, state=1, slice_index=2) != (low, high)


def test_limits_of_large_ensembles_come_from_some_of_their_pixels(monkeypatch):
    view, every = random_view(), random_view().limits("difference", projected=False)
    monkeypatch.setattr("caviar_kit.ensemble_view._COUNTED_PIXELS", 1000)
    np.testing.assert_allclose(view.limits("difference", projected=False), every, rtol=0.2)


def test_limits_of_differences_are_symmetric_and_never_empty():
    low, high = random_view().limits("difference", projected=True)
    assert low == -high < 0
    flat = EnsembleView(np.zeros((2, 1, 4, 4)), np.ones(2))
    assert flat.limits("phase", projected=True) == (-0.5, 0.5)


@pytest.mark.parametrize("source", ["fitted", "states", "result"])
def test_the_origin_can_be_written_as_json(source, request):
    known = {"states": states, "result": ensemble}
    made = known[source]() if source in known else request.getfixturevalue(source)
    origin = json.loads(json.dumps(view_ensemble(made).origin, default=lambda value: value.tolist()))
    expected = {"fitted": 0, "states": 7, "result": None}[source]
    assert origin["seed"] == expected and origin["loss"] > 0 and origin["iterations"] > 0
    assert origin["name"] == made.name


def test_the_seed_and_settings_of_a_reconstruction_are_its_origin(fitted):
    origin = view_ensemble(fitted).origin
    assert origin["parameters"]["num_probes"] == 2 and origin["parameters"]["energy"] == 200e3
    assert origin["loss"] == fitted.error_iterations[-1] and origin["iterations"] == 4


@pytest.mark.parametrize("wrong", [None, "a.h5", np.zeros((2, 2, 4, 4), complex), [ensemble()]])
def test_refuses_what_is_no_ensemble(wrong):
    with pytest.raises(TypeError, match="source must be a MixedObjectMultislicePtychography"):
        view_ensemble(wrong)


def test_refuses_a_reconstruction_not_yet_run():
    with pytest.raises(ValueError, match=r"run preprocess\(\) and reconstruct\(\) first"):
        view_ensemble(planted()[0])


def test_refuses_columns_of_other_states():
    with pytest.raises(ValueError, match="tracked must have the 3 states of the source, got 2"):
        view_ensemble(states(), np.zeros((2, 5, 2)))
    with pytest.raises(ValueError, match="tracked must have shape"):
        view_ensemble(states(), np.zeros((3, 5)))


def test_refuses_what_is_not_there():
    view = random_view()
    for arguments in (("colour", 0, 0), ("phase", 4, 0), ("phase", 0, 3)):
        with pytest.raises(ValueError, match="must be"):
            view.image(*arguments)
    with pytest.raises(ValueError, match="kind must be one of 'phase', 'difference'"):
        view.limits("colour", projected=True)
