"""Patterns before the fit: embedded without loss, refused or doubted where they should be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar_kit.detector import DetectorFrame, check_patterns, find_origin, suspicious_pixels


def disc(shape=(40, 44), centre=(20.0, 22.0), radius=11.0):
    y, x = np.indices(shape)
    return np.clip(radius - np.hypot(y - centre[0], x - centre[1]) + 0.5, 0, 1)


@given(st.integers(3, 12), st.integers(3, 12), st.integers(0, 7), st.integers(0, 7), st.data())
def test_embedding_puts_the_origin_in_the_middle_and_keeps_what_fits(height, width, more_y, more_x, data):
    origin = data.draw(st.tuples(st.integers(0, height - 1), st.integers(0, width - 1)))
    frame = DetectorFrame((height, width), (height + more_y, width + more_x), origin)
    pattern = np.arange(1.0, height * width + 1).reshape(height, width)
    embedded = frame.embed(pattern)
    assert embedded.shape == frame.frame
    assert embedded[frame.frame[0] // 2, frame.frame[1] // 2] == pattern[origin]
    assert set(embedded[embedded > 0]) <= set(pattern.ravel())


def test_a_centred_pattern_is_embedded_whole_and_the_frame_suits_fast_transforms():
    pattern = disc()
    frame = DetectorFrame.around((40, 44), (20, 22))
    assert frame.frame == (64, 72)
    assert frame.embed(pattern).sum() == pattern.sum()
    stack = np.stack([pattern, 2 * pattern])
    np.testing.assert_array_equal(frame.embed(stack)[1], 2 * frame.embed(pattern))


def test_a_frame_smaller_than_the_detector_is_refused():
    with pytest.raises(ValueError, match="padded_diffraction_intensities_shape must be at least"):
        DetectorFrame((8, 8), (8, 6), (4, 4))


@given(st.floats(16, 24), st.floats(17, 25))
def test_origin_of_a_disc_is_found_to_a_twentieth_of_a_pixel(y, x):
    assert find_origin(disc(centre=(y, x))) == pytest.approx((y, x), abs=0.05)


def test_origin_ignores_contrast_inside_the_disc():
    tilted = disc() * np.linspace(0.6, 1.4, 44)  # moves the centre of mass by half a pixel
    com = (np.indices((40, 44))[1] * tilted).sum() / tilted.sum()
    assert abs(com - 22) > 0.5
    assert find_origin(tilted) == pytest.approx((20, 22), abs=0.25)


def test_origin_of_an_empty_pattern_is_refused():
    with pytest.raises(ValueError, match="pattern must hold counts"):
        find_origin(np.zeros((4, 4)))


def test_hot_and_dead_pixels_are_found_and_smooth_patterns_pass():
    pattern = disc() + 0.01
    assert not suspicious_pixels(pattern).any()
    pattern[20, 20], pattern[3, 3] = 0, 50
    np.testing.assert_array_equal(np.argwhere(suspicious_pixels(pattern)), [[3, 3], [20, 20]])
    with pytest.warns(UserWarning, match=r"2 detector pixels look hot or dead, such as \(3, 3\), \(20, 20\)"):
        check_patterns(np.broadcast_to(pattern, (2, 2, 40, 44)))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.__setitem__((0, 0, 1, 1), np.nan), "must be finite, got 1 NaN"),
        (lambda d: d.__setitem__((0, 1, 2, 2), np.inf), "must be finite"),
        (
            lambda d: d.__setitem__((1, 0), 0),
            r"1 of 4 patterns are empty, the first at scan position \(1, 0\)",
        ),
        (lambda d: d.__isub__(0.3), "negative counts"),
    ],
)
def test_unusable_patterns_are_refused(spoil, message):
    data = np.stack([disc()] * 4).reshape(2, 2, 40, 44)
    spoil(data)
    with pytest.raises(ValueError, match=message):
        check_patterns(data)


def test_patterns_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="must hold real numbers"):
        check_patterns(np.full((2, 2, 4, 4), "a"))
    with pytest.raises(ValueError, match="must have 4 axes"):
        check_patterns(np.ones((4, 4)))
