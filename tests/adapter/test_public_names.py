"""Every public name of the parent class either works on an object with states or is refused in words."""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

from caviar_kit._adapter.parent import Parent
from caviar_kit._adapter.states import mean_state
from tests.adapter.problems import SAME_FRAME, build, geometry, planted, planted_object

# How to call each name that works, after a reconstruction of two states.
WORKS = {
    "angular_sampling": lambda p: p.angular_sampling,
    "attach_datacube": lambda p: p.attach_datacube(p._datacube).preprocess(**SAME_FRAME),
    "clear_device_mem": lambda p: p.clear_device_mem("cpu", True),
    "copy_attributes_to_device": lambda p: p.copy_attributes_to_device(["_object"], "cpu"),
    "object_cropped": lambda p: p.object_cropped,
    "object_fft": lambda p: p.object_fft,
    "positions": lambda p: p.positions,
    "preprocess": lambda p: p.preprocess(**SAME_FRAME),
    "probe_centered": lambda p: p.probe_centered,
    "probe_fourier": lambda p: p.probe_fourier,
    "probe_fourier_residual": lambda p: p.probe_fourier_residual,
    "reconstruct": lambda p: p.reconstruct(1, reset=False, progress_bar=False),
    "reinitialize_parameters": lambda p: p.reinitialize_parameters(device="cpu", verbose=False),
    "sampling": lambda p: p.sampling,
    "set_device": lambda p: p.set_device("cpu", True),
    "set_save_defaults": lambda p: p.set_save_defaults(save_datacube=False),
    "set_storage": lambda p: p.set_storage("cpu"),
    "show_complex_CoM": lambda p: p.show_complex_CoM(),
    "show_depth_section": lambda p: p.show_depth_section((1.0, None), (1.0, None), plot_line_profile=True),
    "show_fourier_probe": lambda p: p.show_fourier_probe(remove_initial_probe_aberrations=True),
    "show_object_fft": lambda p: p.show_object_fft(),
    "show_probe": lambda p: p.show_probe(),
    "show_slices": lambda p: p.show_slices(),
    "show_transmitted_probe": lambda p: p.show_transmitted_probe(plot_fourier_probe=True, state=1),
    "show_uncertainty_visualization": lambda p: p.show_uncertainty_visualization(plot_contours=True),
    "show_updated_positions": lambda p: p.show_updated_positions(plot_arrow_freq=2),
    "visualize": lambda p: p.visualize(plot_probe=True),
}
REFUSED = {
    "cross_correlate_amplitudes_to_probe_aperture": "force_com_shifts",
    "slim_preprocess": "from_arrays",
}
# The tree of objects in a file: emdfile's own, or saving and reading, which have tests of their own.
EMDFILE = {
    *("add_to_tree", "cut", "force_add_to_tree", "from_h5", "get_from_tree", "graft", "metadata", "newnode"),
    *("root", "show_tree", "to_h5", "tree", "treekeys"),
}


@pytest.fixture(scope="module")
def fitted():
    ptycho, _ = planted(2, num_object_states=2)
    return ptycho.reconstruct(2, one_state_iter=6, progress_bar=False)


@pytest.fixture(autouse=True)
def no_figures():
    yield
    plt.close("all")


def images():
    """Arrays of all images in all axes of the present figure."""
    return [np.asarray(image.get_array()) for axes in plt.gcf().axes for image in axes.images]


def test_no_public_name_of_the_parent_is_forgotten():
    public = {name for name in dir(Parent) if not name.startswith("_")}
    assert public == set(WORKS) | set(REFUSED) | EMDFILE
    assert not set(WORKS) & set(REFUSED)


@pytest.mark.parametrize("name", sorted(WORKS))
def test_it_works(fitted, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        result = WORKS[name](fitted)
    if name.startswith("show"):
        assert plt.get_fignums()
    elif isinstance(result, np.ndarray):
        assert np.isfinite(result).all()
    if name in ("attach_datacube", "preprocess"):
        fitted.reconstruct(2, one_state_iter=6, progress_bar=False)


@pytest.mark.parametrize(("name", "alternative"), sorted(REFUSED.items()))
def test_it_is_refused_and_names_the_alternative(fitted, name, alternative):
    with pytest.raises(ValueError, match=alternative):
        getattr(fitted, name)(np.ones(1))


def test_one_state_is_shown_as_the_parent_shows_its_object():
    ptycho = geometry(num_object_states=1)
    obj = planted_object(ptycho, 1)
    ptycho._object = obj
    expected = Parent._return_projected_cropped_potential(ptycho, obj[0])
    np.testing.assert_array_equal(ptycho._return_projected_cropped_potential(), expected)
    for hanning in (False, True):
        expected = Parent._return_object_fft(ptycho, obj[0], hanning)
        np.testing.assert_array_equal(ptycho._return_object_fft(apply_hanning_window=hanning), expected)
    for method in ("show_slices", "show_object_fft"):
        getattr(ptycho, method)()
        ours = images()
        getattr(Parent, method)(ptycho, obj[0])
        assert len(ours) == len(images()) > 0
        for a, b in zip(ours, images(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_mean_over_states_is_that_of_their_phases_and_a_state_can_be_chosen(fitted):
    phases = np.angle(fitted.object)
    potential = fitted._return_projected_cropped_potential
    each = [potential(state=s) for s in (0, 1)]
    assert abs(each[0] - each[1]).max() > 1e-3
    np.testing.assert_allclose(potential(), np.mean(each, axis=0), atol=1e-5)
    np.testing.assert_allclose(np.angle(mean_state(fitted.object)), phases.mean(axis=0), atol=1e-6)
    fft = fitted._return_object_fft
    np.testing.assert_allclose(fft(fitted.object[1]), fft(state=1))
    np.testing.assert_allclose(fitted.object_fft, fft(mean_state(fitted.object)))
    fitted.show_slices(state=1, common_color_scale=False)
    for image, layer in zip(images(), fitted.object_cropped[1], strict=False):
        np.testing.assert_allclose(image, np.angle(layer), atol=1e-6)
    fitted.visualize(state=1, plot_convergence=False, plot_probe=False)
    assert images()[0].shape == each[1].shape


def test_phases_near_the_cut_at_pi_are_averaged_there():
    states = np.exp(1j * np.array([3.1, -3.1, 3.0])).astype(np.complex64).reshape(3, 1, 1, 1)
    expected = (3.1 + 2 * np.pi - 3.1 + 3.0) / 3
    assert np.angle(mean_state(states) / np.exp(1j * expected)).item() == pytest.approx(0, abs=1e-6)


def test_a_depth_section_shows_the_slices_along_its_line():
    ptycho = geometry(num_object_states=2)
    obj = np.ones((2, 3, *ptycho._model.object_shape), np.complex64)
    row = ptycho._model.object_shape[0] // 2
    obj[:, 1, row] = np.exp(0.3j)
    ptycho._object = obj
    cropped_row = int(np.flatnonzero(np.angle(ptycho.object_cropped[0, 1, :, 0]) > 0.1)[0])
    ptycho.show_depth_section((cropped_row, 0), (cropped_row, None), specify_calibrated=False)
    np.testing.assert_allclose(images()[0], np.outer([0, 0.3, 0], np.ones(images()[0].shape[1])), atol=1e-6)
    ptycho.show_depth_section((0, 0), (0, None), specify_calibrated=False)
    np.testing.assert_allclose(images()[0], 0, atol=1e-6)


def test_depth_sections_that_would_be_drawn_wrong_are_refused():
    unequal = geometry(slice_thicknesses=[5.0, 9.0])
    with pytest.raises(ValueError, match="slices of equal thickness"):
        unequal.show_depth_section((0, 0), (1, 1))
    with pytest.raises(ValueError, match="two or more slices"):
        geometry(num_slices=1).show_depth_section((0, 0), (1, 1))
    with pytest.raises(ValueError, match="blur across slices"):
        geometry().show_depth_section((0, 0), (1, 1), gaussian_filter_sigma=1.0)


def test_errors_of_patterns_add_up_to_the_loss_and_agree_with_the_parents_in_its_own_frame(fitted):
    errors = fitted._return_self_consistency_errors()
    loss = fitted._evaluator("amplitude").loss(fitted.object, fitted._unit_probe)
    assert errors.mean() == pytest.approx(loss, rel=1e-6)
    np.testing.assert_allclose(errors, Parent._return_self_consistency_errors(fitted), rtol=2e-3)


def test_transmitted_probe_is_the_exit_wave_of_one_state():
    ptycho = geometry(num_object_states=2)
    obj = planted_object(ptycho, 2)
    ptycho._object = obj * np.array([1.0, 0.5], np.complex64)[:, None, None, None]
    weak, strong = (ptycho._exit_waves_of(ptycho._viewed(None, s), 0, 7) for s in (1, 0))
    for name in ("mean", "weakest", "strongest"):
        assert (abs(strong[name]) ** 2).sum() > (abs(weak[name]) ** 2).sum()
    total = (abs(ptycho._probe) ** 2).sum()
    assert (abs(strong["strongest"]) ** 2).sum() == pytest.approx(total, rel=1e-4)  # a phase object


def test_transmitted_probe_is_the_same_in_any_batches():
    ptycho = geometry()
    rows, columns = np.indices(ptycho._object.shape[-2:])
    absorption = np.exp(-0.01 * rows - 0.003 * columns)  # which tells the waves of a phase object apart
    viewed = (planted_object(ptycho, 1)[0] * absorption).astype(np.complex64)
    batches, once = (ptycho._exit_waves_of(viewed, 0, batch) for batch in (7, 100))
    for name in ("mean", "weakest", "strongest"):
        np.testing.assert_allclose(batches[name], once[name], atol=1e-6)
    assert (abs(once["weakest"]) ** 2).sum() < 0.95 * (abs(once["strongest"]) ** 2).sum()


def test_iterations_are_stored_on_demand_and_shown_on_a_grid(fitted):
    for method in ("engine", "gd"):
        fitted.reconstruct(2, one_state_iter=3, store_iterations=True, method=method, progress_bar=False)
        assert [len(obj) for obj in fitted.object_iterations] == [2] * 5
        assert len(fitted.probe_iterations) == 5
        np.testing.assert_allclose(fitted.object_iterations[-1], fitted.object, atol=1e-6)
        assert abs(fitted.object_iterations[0] - fitted.object).max() > 1e-3
        assert fitted.visualize(iterations_grid=(2, 2), plot_convergence=False) is fitted
    fitted.reconstruct(2, one_state_iter=3, progress_bar=False)
    assert len(fitted.error_iterations) == 5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: p.show_slices(state=2), ValueError, "state must be at least 0 and at most 1"),
        (lambda p: p.show_object_fft(state=0.5), TypeError, "state must be an integer"),
        (lambda p: p.show_slices(np.ones((4, 4))), ValueError, "must have axes"),
        (lambda p: p.show_slices(np.ones((2, 4, 4))), ValueError, "must have 3 slices"),
        (lambda p: p.show_slices(p.object[0], state=1), ValueError, "without an axis of states"),
        (lambda p: p.show_transmitted_probe(mode=1), ValueError, "mode must be at least 0"),
        (lambda p: p.set_device("gpu"), ValueError, "reinitialize_parameters"),
        (lambda p: p.set_storage("gpu"), ValueError, "storage must be 'cpu'"),
        (lambda p: p.copy_attributes_to_device(["_probe"], "gpu"), ValueError, "set_device"),
        (lambda p: p.reinitialize_parameters(device="cuda"), ValueError, "device must be one of"),
        (lambda p: p.set_save_defaults(save_exit_waves=True), ValueError, "no fit keeps exit waves"),
    ],
)
def test_wrong_calls_are_refused(fitted, call, error, message):
    with pytest.raises(error, match=message):
        call(fitted)


def test_what_needs_data_needs_preprocess():
    fresh = build(np.ones((6, 5, 24, 24)))
    used = geometry().attach_datacube(fresh._datacube)
    used.show_slices()  # of the old data
    for call in (
        fresh.show_slices,
        lambda: fresh.object_cropped,
        fresh.show_transmitted_probe,
        used.show_transmitted_probe,
        used.show_uncertainty_visualization,
        used.reconstruct,
    ):
        with pytest.raises(ValueError, match=r"run preprocess\(\) first"):
            call()


def test_an_uncertainty_map_of_a_transposed_scan_is_refused():
    ptycho = geometry(preprocess={"force_com_transpose": True})
    with pytest.raises(ValueError, match="transposed scan"):
        ptycho.show_uncertainty_visualization()
