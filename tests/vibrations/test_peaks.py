"""Local maxima: at the highest pixel, one per plateau, inside the border."""

import numpy as np

from caviar_kit.vibrations._peaks import local_maxima

SQUARE = np.ones((5, 5), bool)


def image(*pixels):
    made = np.zeros((12, 14))
    for y, x, height in pixels:
        made[y, x] = height
    return made


def test_the_highest_of_each_neighbourhood_comes_out_the_highest_first():
    found = local_maxima(image((3, 3, 1.0), (4, 4, 0.5), (8, 9, 2.0)), SQUARE, threshold=0.0)
    assert found.tolist() == [[8, 9], [3, 3]]


def test_only_what_exceeds_the_threshold_counts():
    pixels = image((3, 3, 1.0), (8, 9, 2.0))
    assert local_maxima(pixels, SQUARE, threshold=1.0).tolist() == [[8, 9]]
    assert local_maxima(pixels, SQUARE, threshold=2.0).shape == (0, 2)


def test_the_footprint_says_who_is_a_neighbour():
    pixels = image((5, 5, 1.0), (5, 7, 0.5))
    upright = np.ones((5, 1), bool)
    assert local_maxima(pixels, SQUARE, threshold=0.0).tolist() == [[5, 5]]
    assert local_maxima(pixels, upright, threshold=0.0).tolist() == [[5, 5], [5, 7]]


def test_a_plateau_counts_once_where_a_spacing_is_asked_for():
    pixels = image((5, 5, 1.0), (5, 6, 1.0), (5, 8, 1.0))
    assert len(local_maxima(pixels, SQUARE, threshold=0.0)) == 3
    assert local_maxima(pixels, SQUARE, threshold=0.0, spacing=2).tolist() == [[5, 5], [5, 8]]


def test_a_peak_dropped_for_another_drops_none_itself():
    pixels = image((5, 5, 1.0), (5, 6, 1.0), (5, 7, 1.0))
    assert local_maxima(pixels, SQUARE, threshold=0.0, spacing=2).tolist() == [[5, 5], [5, 7]]


def test_maxima_at_the_border_are_left_out():
    pixels = image((1, 5, 1.0), (2, 10, 1.0), (9, 5, 1.0))
    assert local_maxima(pixels, SQUARE, threshold=0.0, border=2).tolist() == [[2, 10], [9, 5]]
    assert len(local_maxima(pixels, SQUARE, threshold=0.0)) == 3


def test_nothing_rises_above_an_even_image():
    assert local_maxima(np.ones((6, 6)), SQUARE, threshold=0.0).shape == (0, 2)
