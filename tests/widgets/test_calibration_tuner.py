import re

import ipywidgets as ipw
import matplotlib.pyplot as plt
import numpy as np
import py4DSTEM
import pytest
from matplotlib.backend_bases import MouseEvent
from matplotlib.figure import Figure

import caviar_kit as ck
from caviar_kit import calibration
from caviar_kit._py4dstem import datacube

CENTRE, RADIUS, ENERGY = (15.0, 17.0), 9.0, 200e3


def cube(rotation=None, gain=1.0):
    """Counts (9, 10, 32, 36) of a disc that a few atoms deflect, in the axes of a turned detector."""
    rng = np.random.default_rng(0)
    rows, cols = np.indices((9, 10)).astype(float)
    gradient = np.zeros((2, 9, 10))
    for a, b in ((2, 3), (5, 7), (7, 2)):
        weight = np.exp(-((rows - a) ** 2 + (cols - b) ** 2) / 3)
        gradient -= weight * np.stack([rows - a, cols - b])
    c, s = np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20))
    deflected = c * gradient[0] + s * gradient[1], c * gradient[1] - s * gradient[0]
    y, x = np.indices((32, 36))
    distance = np.hypot(
        *(g - o - d[..., None, None] for g, o, d in zip((y, x), CENTRE, deflected, strict=True))
    )
    patterns = rng.poisson(200 * np.clip(RADIUS - distance + 0.5, 0, 1) + 2) * gain
    made = datacube(patterns, scan_step_angstrom=0.5, detector_pixel_inverse_angstrom=0.05)
    for known in ("QR_rotation_degrees", "QR_rotation", "QR_flip"):
        made.calibration._params.pop(known, None)
    if rotation is not None:
        made.calibration.set_QR_rotation_degrees(rotation)
    return made


def make(**kwargs):
    return ck.widgets.CalibrationTuner(kwargs.pop("data", None) or cube(), energy=ENERGY, **kwargs)


@pytest.fixture
def tuner():
    return make(semiangle_cutoff=11.3)


def text(tuner):
    """Everything that the panel says."""
    pages = [child.value for child in tuner.children if isinstance(child, ipw.HTML)]
    return re.sub(r'src="data:[^"]*"', "", " ".join(pages))


def pictures(tuner):
    return tuner._beside.value, tuner._below.value


# Start -------------------------------------------------------------------------------------


def test_starts_at_what_the_data_say(tuner):
    np.testing.assert_allclose((tuner.centre_y.value, tuner.centre_x.value), CENTRE, atol=0.3)
    assert tuner.outer.value == pytest.approx(RADIUS, abs=0.3) and tuner.inner.value == 0
    assert tuner.rotation.value == pytest.approx(20, abs=2) and tuner.transpose.value is False
    assert "off by" not in text(tuner) and "uncertain" not in text(tuner)


def test_the_semiangle_is_measured_where_it_is_not_given():
    tuner = make()
    assert tuner.semiangle.value == pytest.approx(RADIUS * tuner.survey.mrad_per_pixel(ENERGY), rel=0.03)


def test_a_calibrated_rotation_is_kept_and_least_curl_replaces_it():
    tuner = make(data=cube(rotation=-75.0))
    assert tuner.rotation.value == -75.0
    tuner.least_curl.click()
    assert tuner.rotation.value == pytest.approx(20, abs=2)


# Controls ----------------------------------------------------------------------------------


def test_the_live_image_is_the_virtual_image_of_the_sliders(tuner):
    before = pictures(tuner)
    tuner.inner.value, tuner.centre_y.value = 4.0, 12.0
    wanted = calibration.virtual_image(
        tuner.survey.patterns, (12.0, tuner.centre_x.value), 4.0, tuner.outer.value
    )
    np.testing.assert_array_equal(tuner.virtual_image, wanted)
    np.testing.assert_array_equal(tuner.figure().subfigs[0].subfigs[1].axes[0].images[0].get_array(), wanted)
    assert pictures(tuner)[0] != before[0] and pictures(tuner)[1] == before[1]  # only what has changed


def test_rotation_and_transposition_turn_the_centre_of_mass(tuner):
    before = pictures(tuner)
    tuner.rotation.value = -40.0
    turned = pictures(tuner)
    assert turned[1] != before[1] and turned[0] == before[0]
    tuner.transpose.value = True
    assert pictures(tuner)[1] != turned[1]
    labels = tuner.figure().subfigs[1].axes[1].get_legend_handles_labels()[1]
    assert {"curl, axes as recorded", "curl, axes swapped", "divergence", "chosen: -40.0°"} <= set(labels)


def test_defocus_widens_the_probe_and_changes_the_advice(tuner):
    before = tuner.recommendations["step"].values["overlap"]
    tuner.defocus.value = 150.0
    assert tuner.recommendations["step"].values["overlap"] > before
    assert f"{tuner.recommendations['step'].values['overlap']:.0%}" in text(tuner)


def test_measure_disc_brings_the_detector_back(tuner):
    tuner.centre_x.value, tuner.outer.value, tuner.inner.value, tuner.semiangle.value = 3.0, 5.0, 2.0, 20.0
    tuner.measure_disc.click()
    assert (tuner.centre_y.value, tuner.centre_x.value) == pytest.approx(tuner.survey.centre)
    assert (tuner.inner.value, tuner.outer.value) == pytest.approx((0, tuner.survey.radius))
    assert tuner.semiangle.value == pytest.approx(tuner.measured_semiangle, abs=0.005)  # as the box shows it


def mouse(tuner, name, x, y):
    """A mouse event at a pixel of the pattern."""
    ax = tuner._canvas._ax
    place = ax.transData.transform((x, y))
    tuner._canvas.widget.callbacks.process(name, MouseEvent(name, tuner._canvas.widget, *place, button=1))


def drag(tuner, start, end):
    mouse(tuner, "button_press_event", *start)
    mouse(tuner, "motion_notify_event", *end)
    mouse(tuner, "button_release_event", *end)


def test_the_mouse_moves_the_detector_and_its_rings(tuner):
    tuner._canvas.widget.draw()
    before = pictures(tuner)[0]
    drag(tuner, (17, 15), (20, 12))
    assert (tuner.centre_y.value, tuner.centre_x.value) == pytest.approx((12, 20), abs=0.1)
    assert tuner.outer.value == pytest.approx(RADIUS, abs=0.3) and pictures(tuner)[0] != before
    drag(tuner, (20 + tuner.outer.value, 12), (20 + 13, 12))
    assert tuner.outer.value == pytest.approx(13, abs=0.1)
    tuner.inner.value = 6.0
    drag(tuner, (20, 12 + 6), (20, 12 + 4))
    assert tuner.inner.value == pytest.approx(4, abs=0.1)
    assert (tuner.centre_y.value, tuner.centre_x.value) == pytest.approx((12, 20), abs=0.1)


# Words -------------------------------------------------------------------------------------


def test_mistakes_are_one_sentence_in_the_panel(tuner):
    tuner.inner.value = 15.0
    assert "outer must be above 15" in text(tuner)
    tuner.inner.value = 2.0
    assert "outer must" not in text(tuner)


def test_a_wrong_semiangle_is_noticed(tuner):
    assert "off by" not in text(tuner)
    tuner.semiangle.value = 14.0
    assert "not 14.00 mrad" in text(tuner) and "off by" in text(tuner)


def test_bad_pixels_are_told_in_the_panel():
    data = cube()
    data.data[..., 20, 20] = 90_000
    assert "look hot or dead, such as (20, 20)" in text(make(data=data))


def test_unclear_rotations_are_called_so():
    data = cube()
    data.data[:] = (
        np.random.default_rng(1).permutation(data.data.reshape(90, 32, 36)).reshape(data.data.shape)
    )
    assert "rotation is uncertain" in text(make(data=data))


def test_the_witness_of_the_half_turn_is_named(tuner):
    assert "Only the sign of the phase" in text(tuner)
    tuner.defocus.value = 200.0
    assert "Only the sign of the phase" not in text(tuner)


def test_controls_have_names_and_wait_until_they_rest(tuner):
    for control in (tuner.centre_y, tuner.centre_x, tuner.inner, tuner.outer, tuner.rotation):
        assert control.continuous_update is False and control.description
    for button in (tuner.measure_disc, tuner.least_curl):
        assert button.description and button.tooltip
    assert all('<img alt="' in picture for picture in pictures(tuner))


# Settings ----------------------------------------------------------------------------------


def test_settings_run(tuner):
    tuner.defocus.value, tuner.thickness.value = 60.0, 40.0
    chosen = tuner.settings()
    assert chosen["preprocess"]["force_com_rotation"] == tuner.rotation.value
    assert chosen["reconstruct"] == {"loss": "poisson"}
    count = chosen["ptychography"]["num_slices"]
    assert count == tuner.recommendations["slices"].values["num_slices"] > 1
    ptycho = ck.MixedObjectMultislicePtychography(
        datacube=cube(), **chosen["ptychography"], num_object_states=1, device="cpu"
    )
    ptycho.preprocess(**chosen["preprocess"])
    ptycho.reconstruct(max_iter=1, one_state_iter=0, progress_bar=False, **chosen["reconstruct"])
    shape = tuner.recommendations["window"].values["object_shape"]
    assert ptycho.object.shape[1] == count and min(ptycho.object.shape[2:]) > 0.9 * min(shape)


def test_fractions_of_the_beam_want_the_amplitude_loss():
    assert make(data=cube(gain=1e-4)).settings()["reconstruct"] == {"loss": "amplitude"}


def test_pictures_leave_no_open_pyplot_figures(tuner):
    before = plt.get_fignums()
    assert isinstance(tuner.figure(), Figure)
    assert tuner._repr_mimebundle_()["image/png"].startswith(b"\x89PNG")
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"energy": 200}, ValueError, "keV"),
        ({"semiangle_cutoff": 0.02}, ValueError, "semiangle_cutoff"),
        ({"defocus": "far"}, TypeError, "defocus must be a number"),
        ({"datacube": np.ones((3, 3, 8, 8))}, TypeError, "datacube must be a py4DSTEM.DataCube"),
    ],
)
def test_bad_input_is_refused(kwargs, error, message):
    arguments = {"datacube": cube(), "energy": ENERGY} | kwargs
    with pytest.raises(error, match=message):
        ck.widgets.CalibrationTuner(arguments.pop("datacube"), **arguments)


def test_hot_pixels_do_not_move_the_disc(tuner):
    camera = cube()
    camera.data[:, :, 3, 4] = 5000
    camera.data[:, :, 28, 30] = 9000
    hot = make(data=camera, semiangle_cutoff=11.3)
    assert np.argwhere(hot.survey.bad).tolist() == [[3, 4], [28, 30]]
    np.testing.assert_allclose(hot.survey.centre, tuner.survey.centre, atol=0.05)
    np.testing.assert_allclose(hot.survey.com, tuner.survey.com, atol=0.02)
    assert hot.survey.radius == pytest.approx(tuner.survey.radius, abs=0.1)
    assert "2 detector pixels look hot or dead, such as (3, 4)" in text(hot)
    assert np.argwhere(~hot.settings()["preprocess"]["dp_mask"]).tolist() == [[3, 4], [28, 30]]
    assert "dp_mask" not in tuner.settings()["preprocess"]


def test_a_new_data_cube_does_not_know_that_nothing_is_swapped():
    """py4DSTEM writes QR_flip=False into every new DataCube: that is no calibration."""
    swapped = cube()
    made = py4DSTEM.DataCube(swapped.data.transpose(0, 1, 3, 2))
    assert made.calibration.get_QR_flip() is False
    for axis, size, units in (("R", 0.5, "A"), ("Q", 0.05, "A^-1")):
        getattr(made.calibration, f"set_{axis}_pixel_size")(size)
        getattr(made.calibration, f"set_{axis}_pixel_units")(units)
    tuner = make(data=made, semiangle_cutoff=11.3)
    assert tuner.rotation_fit.transpose and tuner.transpose.value
    assert tuner.rotation.value == pytest.approx(tuner.rotation_fit.degrees, abs=0.1)


def test_a_known_swap_finds_its_own_rotation():
    known = cube()
    known.calibration.set_QR_flip(True)
    tuner = make(data=known, semiangle_cutoff=11.3)
    fit = calibration.find_rotation(tuner.survey.com, transpose=True)
    assert tuner.transpose.value
    assert (tuner.rotation.value - fit.degrees + 90) % 180 - 90 == pytest.approx(0, abs=0.1)


def test_detector_pixels_in_mrad(tuner):
    camera = cube()
    camera.calibration.set_Q_pixel_size(0.05 * 1e3 * 0.02507934)  # λ at 200 kV
    camera.calibration.set_Q_pixel_units("mrad")
    assert make(data=camera).measured_semiangle == pytest.approx(tuner.measured_semiangle, rel=1e-4)
