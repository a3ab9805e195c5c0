"""Virtual images are plain sums, those of py4DSTEM; the bright-field disc has its true centre and radius."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar_kit._py4dstem import datacube
from caviar_kit.calibration import annulus, disc_radius, find_origin, virtual_image

RNG = np.random.default_rng(3)
PATTERNS = RNG.poisson(4.0, (4, 5, 18, 21)).astype(np.uint8)


def disc(centre, radius, shape=(64, 72)):
    """A disc with a rim one pixel wide."""
    y, x = np.indices(shape)
    return np.clip(radius - np.hypot(y - centre[0], x - centre[1]) + 0.5, 0, 1)


def test_a_virtual_image_is_the_direct_sum():
    centre, inner, outer = (8.3, 10.1), 2.5, 6.2
    image = virtual_image(PATTERNS, centre, inner, outer)
    wanted = np.zeros((4, 5))
    for y in range(18):
        for x in range(21):
            if inner <= np.hypot(y - centre[0], x - centre[1]) < outer:
                wanted += PATTERNS[:, :, y, x]
    np.testing.assert_array_equal(image, wanted)


def test_it_is_that_of_py4dstem():
    cube = datacube(PATTERNS, scan_step_angstrom=1.0, detector_pixel_inverse_angstrom=0.1)
    theirs = cube.get_virtual_image(
        mode="annulus", geometry=((8.3, 10.1), (2.5, 6.2)), centered=False, name="ring", verbose=False
    )
    np.testing.assert_allclose(virtual_image(PATTERNS, (8.3, 10.1), 2.5, 6.2), theirs.data)


def test_rings_share_no_pixel_and_leave_none_out():
    total = PATTERNS.sum(axis=(2, 3))
    parts = [virtual_image(PATTERNS, (8, 10), *radii) for radii in ((0, 4), (4, 9), (9, 99))]
    np.testing.assert_array_equal(sum(parts), total)


@pytest.mark.parametrize(
    ("centre", "inner", "outer", "error", "message"),
    [
        ((8, 10), 5, 5, ValueError, "outer must be above 5"),
        ((8, 10), -1, 5, ValueError, "inner must be at least 0"),
        ((8, 10), 0, np.nan, ValueError, "outer"),
        ((8, 10, 1), 0, 5, ValueError, "centre must have shape"),
        ((8, 10), "0", 5, TypeError, "inner must be a number"),
        ((-50, 10), 0, 5, ValueError, "no detector pixel lies between"),
    ],
)
def test_bad_rings_are_refused(centre, inner, outer, error, message):
    with pytest.raises(error, match=message):
        annulus((18, 21), centre, inner, outer)


def test_bad_patterns_are_refused():
    with pytest.raises(ValueError, match="4 axes"):
        virtual_image(PATTERNS[0], (8, 10), 0, 5)
    with pytest.raises(TypeError, match="patterns must be an array"):
        virtual_image([[1]], (8, 10), 0, 5)


@given(st.floats(28, 36), st.floats(30, 40), st.floats(5, 22))
def test_a_disc_has_its_centre_and_radius(y, x, radius):
    pattern = disc((y, x), radius)
    assert disc_radius(pattern) == pytest.approx(radius, abs=0.15)
    np.testing.assert_allclose(find_origin(pattern), (y, x), atol=0.15)


def test_contrast_in_the_disc_and_counts_around_it_do_not_change_its_radius():
    """Where thresholds relative to the brightest pixel, as in py4DSTEM's get_probe_size, lose two pixels."""
    from py4DSTEM.process.calibration import get_probe_size
    from scipy.ndimage import gaussian_filter

    contrast = 1 + 1.2 * gaussian_filter(np.random.default_rng(0).standard_normal((64, 72)), 1.5)
    y, x = np.indices((64, 72))
    pattern = disc((30.3, 33.7), 12.6) * contrast + 0.02 * np.exp(-((y - 30) ** 2 + (x - 34) ** 2) / 400)
    assert disc_radius(pattern) == pytest.approx(12.6, abs=0.2)
    assert abs(get_probe_size(pattern)[0] - 12.6) > 1


def test_an_empty_pattern_has_no_disc():
    with pytest.raises(ValueError, match="pattern must hold counts"):
        disc_radius(np.zeros((8, 8)))
