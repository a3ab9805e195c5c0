"""What the figures before a fit show, and what they refuse."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from caviar_kit import plotting
from caviar_kit.calibration import find_rotation

RNG = np.random.default_rng(2)
FIT = find_rotation(RNG.normal(size=(2, 8, 9)))


@pytest.fixture
def ax():
    return Figure().add_subplot()


def test_rings_lie_on_the_pattern_where_they_are_said_to_be(ax):
    pattern = RNG.random((20, 30))
    assert plotting.mean_pattern(pattern, ax=ax) is ax
    np.testing.assert_allclose(ax.images[0].get_array(), pattern**0.25)
    outer, inner, middle, rim = plotting.detector_rings(ax, (8, 12), 2, 6, beam=(9, 13), aperture=5)
    assert (outer.center, outer.radius) == ((12, 8), 6) and (inner.center, inner.radius) == ((12, 8), 2)
    assert (rim.center, rim.radius) == ((13, 9), 5)
    assert (middle.get_xdata()[0], middle.get_ydata()[0]) == (12, 8)
    assert len(plotting.detector_rings(ax, (8, 12), 0, 6)) == 3


def test_scan_images_have_a_scale(ax):
    image = RNG.random((5, 7))
    assert plotting.scan_image(image, 0.5, ax=ax) is ax
    assert ax.images[0].get_extent() == [-0.25, 3.25, 2.25, -0.25]
    assert any("Å" in text.get_text() for text in ax.texts)


def test_arrows_of_the_centre_of_mass_point_along_it(ax):
    com = np.zeros((2, 60, 40))
    com[0] = 1.0  # towards larger y, which images have below
    plotting.centre_of_mass(com, 0.5, ax=ax)
    arrows = ax.collections[0]
    assert 0 < len(arrows.U) <= 24 * 24
    np.testing.assert_allclose(arrows.U, 0)
    np.testing.assert_allclose(arrows.V, 1)
    assert arrows.angles == "xy" and ax.yaxis_inverted()
    image = ax.images[0].get_array()
    assert (np.diff(image, axis=0) > 0).all()


@pytest.mark.parametrize("transpose", [False, True])
def test_curves_mark_their_minima_and_the_choice(ax, transpose):
    plotting.rotation_curves(FIT, 33.0, transpose, ax=ax)
    lines = {line.get_label(): line for line in ax.lines}
    thick = "curl, axes swapped" if transpose else "curl, axes as recorded"
    assert lines[thick].get_linewidth() == max(line.get_linewidth() for line in ax.lines)
    np.testing.assert_allclose(lines[thick].get_ydata()[180 + 33], FIT.curl(33.0, transpose))
    assert lines["chosen: 33.0°"].get_xdata()[0] == 33
    for flip in (False, True):
        marked = lines[f"least: {FIT.least_curl(flip):.1f}° ± 180°"]
        assert (marked.get_ydata() <= FIT.curl(np.arange(360), flip).min() + 1e-9).all()


def test_the_probe_is_centred_with_its_neighbours_around(ax):
    probe = np.zeros((8, 9))
    probe[4, 4] = 1.0
    plotting.probe_overlap(probe, 0.5, 2.0, 3.0, ax=ax)
    left, right, bottom, top = ax.images[0].get_extent()
    assert (left + 4.5 * 0.5, top + 4.5 * 0.5) == pytest.approx((0, 0))
    assert [patch.center for patch in ax.patches] == [(0, 0), (2, 0)]
    assert all(patch.radius == 1.5 for patch in ax.patches)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plotting.mean_pattern(np.ones(3)), ValueError, "pattern must have shape"),
        (lambda: plotting.scan_image(np.ones((3, 3)), 0), ValueError, "scan_step must be above 0"),
        (lambda: plotting.centre_of_mass(np.ones((3, 3, 3)), 1), ValueError, "com must have shape"),
        (lambda: plotting.rotation_curves(None, 0, False), TypeError, "fit must be a RotationFit"),
        (lambda: plotting.probe_overlap(np.ones(3), 1, 1, 1), ValueError, "intensity must have shape"),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
