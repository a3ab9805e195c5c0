"""Exchanged axes are noticed."""

import numpy as np
import pytest

import caviar_kit as ck


def patterns(radius, specimen=0.05, side=32, seed=0):
    """Discs of 500 electrons each whose number varies by ``specimen`` along the scan."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side)) - side // 2
    disc = np.hypot(y, x) < radius
    beam = 500 * (1 + specimen * rng.standard_normal((9, 11)))
    return rng.poisson(beam[..., None, None] * disc / disc.sum())


@pytest.mark.parametrize("radius", [3, 8, 15])
def test_scan_and_detector_are_told_apart(radius):
    counts = patterns(radius)
    assert not ck.check_axes(counts).swapped
    assert ck.check_axes(counts.transpose(2, 3, 0, 1)).swapped


def test_contrasts_are_standard_deviation_over_mean():
    counts = patterns(8)
    found = ck.check_axes(counts)
    image, pattern = counts.sum(axis=(2, 3)), counts.mean(axis=(0, 1))
    assert found.scan_contrast == pytest.approx(image.std() / image.mean())
    assert found.detector_contrast == pytest.approx(pattern.std() / pattern.mean())
    assert "as they should be" in str(found)
    assert "detector_first=True" in str(ck.check_axes(counts.transpose(2, 3, 0, 1)))


def test_a_data_cube_is_read_as_its_array():
    import py4DSTEM

    counts = patterns(8)
    assert ck.check_axes(py4DSTEM.DataCube(counts)) == ck.check_axes(counts)


def test_a_detector_inside_the_disc_hides_it():
    """What the docstring warns of."""
    assert ck.check_axes(patterns(15)[..., 12:20, 12:20]).swapped


@pytest.mark.parametrize(
    ("array", "message", "error"),
    [
        (np.ones((3, 4, 5)), "4 axes", ValueError),
        (np.zeros((2, 2, 2, 2)), "must hold counts", ValueError),
        (np.full((2, 2, 2, 2), np.nan), "finite", ValueError),
        (np.ones((2, 2, 2, 2)) * 1j, "real numbers", TypeError),
        ("scan", "numbers", TypeError),
    ],
)
def test_bad_input(array, message, error):
    with pytest.raises(error, match=message):
        ck.check_axes(array)
