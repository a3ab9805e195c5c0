"""Paths through the Brillouin zone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from caviar_kit.vibrations import brillouin_path, special_points
from tests.vibrations.crystals import honeycomb, square

A = honeycomb().vectors


def place(path, name):
    """Index of the first point of that name."""
    return int(np.abs(path.distance - next(d for d, n in path.labels if n == name)).argmin())


def test_wave_vectors_contain_2_pi():
    path = brillouin_path(A)
    np.testing.assert_allclose(path.q @ A.T, 2 * np.pi * path.fractions, atol=1e-12)
    a = np.linalg.norm(A[0])
    assert np.linalg.norm(path.q[place(path, "K")]) == pytest.approx(4 * np.pi / (3 * a))
    assert np.linalg.norm(path.q[place(path, "M")]) == pytest.approx(2 * np.pi / (math.sqrt(3) * a))
    assert [name for _, name in path.labels] == ["Γ", "K", "M", "Γ"]


@pytest.mark.parametrize("vectors, names", [(A, "GKM"), (square().vectors, "GMX"), (A[::-1], "GKM")])
def test_special_points_are_those_that_a_path_may_have(vectors, names):
    found = special_points(vectors)
    assert sorted(found) == sorted(names)
    path = brillouin_path(vectors, "".join(found))
    for distance, name in path.labels:
        place = path.fractions[np.abs(path.distance - distance).argmin()]
        np.testing.assert_allclose(place, found["G" if name == "Γ" else name], atol=1e-12)


def test_special_points_need_a_lattice():
    with pytest.raises(ValueError, match="vectors must not be parallel"):
        special_points([[1.0, 0.0], [2.0, 0.0]])


def test_points_are_even_and_weights_make_a_mean():
    path = brillouin_path(A, points=200)
    steps = np.linalg.norm(np.diff(path.q, axis=0), axis=1)
    np.testing.assert_allclose(np.diff(path.distance), steps, rtol=1e-9)
    assert steps.max() < 1.1 * steps.min()
    assert path.weights.sum() == pytest.approx(1)
    assert path.weights @ path.distance == pytest.approx(path.distance[-1] / 2)


@given(
    angle=some.floats(-math.pi, math.pi),
    mirror=some.booleans(),
    wide=some.booleans(),
    noise=some.floats(-0.01, 0.01),
)
def test_turned_mirrored_and_strained_lattices_keep_their_points(angle, mirror, wide, noise):
    rows = np.stack([A[0], A[1] + A[0]]) if wide else A
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turn = turn @ np.diag([-1, 1]) if mirror else turn
    turned = brillouin_path(rows @ turn.T + noise)
    np.testing.assert_allclose(turned.fractions, brillouin_path(rows).fractions, atol=1e-9)
    assert np.linalg.norm(turned.q[place(turned, "K")]) == pytest.approx(1.6725, rel=0.03)


def test_a_jump_has_no_length():
    path = brillouin_path(square().vectors, "GX,MG", points=40)
    assert len(path.labels) >= 3
    assert path.distance[-1] == pytest.approx(np.pi / 3 * (1 + math.sqrt(2)), rel=1e-6)


def test_points_of_your_own():
    q = np.array([[0.0, 0.0], [0.3, 0.0], [0.3, 0.4]])
    path = brillouin_path(A, q)
    np.testing.assert_array_equal(path.q, q)
    np.testing.assert_allclose(path.distance, [0, 0.3, 0.7])
    np.testing.assert_allclose(path.weights, [0.15 / 0.7, 0.5, 0.2 / 0.7])
    named = brillouin_path(A, "GP", special_points={"P": (0.1, 0.2)}, points=5)
    np.testing.assert_allclose(named.fractions[-1], [0.1, 0.2])


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "special points among .*K", lambda: brillouin_path(A, "GZG")),
        (ValueError, "at least two special points", lambda: brillouin_path(A, "G")),
        (ValueError, "path must have shape", lambda: brillouin_path(A, np.zeros((3, 3)))),
        (ValueError, "parallel", lambda: brillouin_path([[1, 2], [2, 4]])),
        (ValueError, "points", lambda: brillouin_path(A, points=1)),
        (ValueError, "special_points", lambda: brillouin_path(A, special_points={"P": [1]})),
    ],
)
def test_refusals(error, match, call):
    with pytest.raises(error, match=match):
        call()
