"""Derivatives of patterns in the places, atoms and widths of sites, against finite differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.atomistic.moving_atoms import OCCUPANCIES, WIDTHS, Patterns, scene, slope, unit

PAIRS = np.array([(a, b) for a in range(6) for b in range(a, 6)])


@pytest.fixture(scope="module")
def patterns():
    return Patterns(scene())


@pytest.fixture(scope="module")
def derivatives():
    tangents = scene().tangents(np.dtype(float))
    return [tangents.at(position, np.arange(3), PAIRS) for position in range(4)]


def stacked(derivatives, name):
    """(positions, ..., pixels)."""
    return np.stack([getattr(of, name) for of in derivatives])


def error(found, expected):
    return abs(found - expected).max() / abs(expected).max()


def test_patterns_are_those_of_the_evaluator(patterns, derivatives):
    assert error(stacked(derivatives, "intensity"), patterns()) < 1e-12


def test_single_precision_agrees(patterns):
    tangents = scene().tangents(np.dtype(np.float32))
    found = tangents.at(2, np.arange(3), PAIRS)
    assert found.bent.dtype == np.float32
    assert error(found.intensity, patterns()[2]) < 1e-5


def test_first_derivatives_in_places(patterns, derivatives):
    found = stacked(derivatives, "places").reshape(4, 6, -1)
    for coordinate in range(6):
        expected = slope(lambda h, c=coordinate: patterns(h * unit(c)), 2e-3)
        assert error(found[:, coordinate], expected) < 1e-7


def test_derivatives_in_the_atoms_of_a_site(patterns, derivatives):
    found = stacked(derivatives, "strengths")
    for site in range(3):
        factor = np.eye(3)[site][:, None]
        expected = slope(lambda h, f=factor: patterns(occupancies=OCCUPANCIES * (1 + h * f)), 1e-3)
        assert error(found[:, site], expected) < 1e-8


def test_derivatives_in_the_width_of_an_element(patterns, derivatives):
    curved = stacked(derivatives, "curved")
    by_site = 0.5 * (curved[:, :, 0] + curved[:, :, 2])
    for kind, members in ((0, [1]), (1, [0, 2])):  # C, then Si
        expected = slope(lambda h, k=kind: patterns(widths=WIDTHS + h * np.eye(2)[k]), 4e-4)
        assert error(by_site[:, members].sum(axis=1), expected) < 1e-8


def test_second_derivatives_in_all_pairs_of_coordinates(patterns, derivatives):
    bent, curved = stacked(derivatives, "bent"), stacked(derivatives, "curved")
    for n, (a, b) in enumerate(PAIRS):
        found = bent[:, n]
        if a // 2 == b // 2:
            found = found + curved[:, a // 2, a % 2 + b % 2]
        expected = slope(lambda h, a=a, b=b: slope(lambda g: patterns(h * unit(a) + g * unit(b)), 4e-3), 4e-3)
        assert error(found, expected) < 1e-6, (a, b)


def test_asking_for_fewer_sites_and_pairs_changes_nothing(derivatives):
    few = scene().tangents(np.dtype(float)).at(1, np.array([0, 2]), np.array([[1, 3], [0, 0]]))
    whole = derivatives[1]
    rows = [PAIRS.tolist().index(pair) for pair in ([1, 5], [0, 0])]
    np.testing.assert_allclose(few.bent, whole.bent[rows], atol=1e-14)
    np.testing.assert_allclose(few.places, whole.places[[0, 2]], atol=1e-14)


def test_a_site_in_the_dark_gets_no_light():
    light = np.array([scene().tangents(np.dtype(float)).light(p) for p in range(4)])
    far = scene()
    places = far.atoms.positions.copy()
    places[0, 0] = [0.3, 0.3]
    away = replace(far, atoms=replace(far.atoms, positions=places)).tangents(np.dtype(float))
    dim = np.array([away.light(p) for p in range(4)])
    assert (dim[:, 0] < 0.2 * light[:, 0]).all()


def test_a_band_limit_is_refused():
    limited = replace(scene(), model=replace(scene().model, band_limit=2 / 3))
    with pytest.raises(ValueError, match="band_limit"):
        limited.tangents(np.dtype(float))
