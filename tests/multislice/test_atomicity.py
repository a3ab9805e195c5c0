"""Atomicity: the width of known atoms, wherever they are and however strong."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.multislice.penalties import Atomicity
from tests.vibrations import structures as st


def gaussian_atoms(centres, sigma, pixel=(0.1, 0.08), shape=(60, 70), height=0.5):
    """One Gaussian per state, over two slices; centres (states, 2) [Å]."""
    y, x = (d * i for d, i in zip(pixel, np.indices(shape), strict=True))
    image = [height * np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * sigma**2)) for a, b in centres]
    return np.array(image)[:, None] * np.array([0.3, 0.7])[:, None, None]


MIDDLE = np.array([[3.03, 2.77]])


@pytest.mark.parametrize("sigma", [0.15, 0.25])
def test_a_gaussian_atom_has_its_own_variance(sigma):
    penalty = Atomicity(2.0, MIDDLE, (0.1, 0.08), 1.9, floor=1e-5)
    field = gaussian_atoms(MIDDLE, sigma) + 0.7  # on a background
    expected = 2 / (1 / sigma**2 + 1 / (1.9 / 3) ** 2)  # seen through the Gaussian disc
    np.testing.assert_allclose(penalty.variances(field), expected, rtol=1e-3)
    assert penalty.value_and_gradient(field)[0] == pytest.approx(2.0 * expected, rel=1e-3)


@pytest.mark.parametrize("radius", [1.2, 1.9])
def test_a_translated_atom_has_the_same_variance(radius):
    """Thermal displacements, sub-pixel ones too, cost and gain nothing: only width does."""
    centres = MIDDLE + np.array([[0, 0], [0.07, -0.05], [-0.1, 0.11], [0.013, 0.0]])
    penalty = Atomicity(1.0, MIDDLE, (0.1, 0.08), radius)
    variances = penalty.variances(gaussian_atoms(centres, 0.15))
    wider = penalty.variances(gaussian_atoms(MIDDLE, np.hypot(0.15, 0.05)))
    assert abs(variances - variances[0]).max() < 0.1 * (wider - variances[0]).min()


def test_a_moving_silicon_column_has_the_same_variance():
    columns, cell = st.silicon_110(3, 4)
    middle = columns[np.linalg.norm(columns - cell / 2, axis=1).argsort()[:4]]
    turns = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    moves = 0.07 * np.stack([np.sin(turns), np.cos(turns)], axis=-1)[:, None]
    (still, size), (moved, _) = (st.phase_images(columns + u, cell, 0.15) for u in (moves[:1] * 0, moves))
    blurred = moved.mean(axis=0, keepdims=True)  # the same variance as width
    penalty = Atomicity(1.0, middle, tuple(size), 0.6)
    v_still, v_moved, v_blurred = (penalty.variances(i[:, None]).mean() for i in (still, moved, blurred))
    assert abs(v_moved - v_still) < 0.1 * (v_blurred - v_still)


def test_strength_of_an_atom_does_not_matter():
    penalty = Atomicity(1.0, MIDDLE, (0.1, 0.08), 0.6)
    weak, strong = (penalty.variances(gaussian_atoms(MIDDLE, 0.25, height=h)) for h in (0.1, 3.0))
    np.testing.assert_allclose(weak, strong, rtol=1e-12)


def test_two_half_atoms_count_their_distance():
    """V of a blurred atom = its own width + the variance of the displacements it hides."""
    apart = np.array([[0.08, 0.0], [-0.08, 0.0]])
    states = gaussian_atoms(MIDDLE + apart, 0.25)
    blurred = states.mean(axis=0, keepdims=True)
    penalty = Atomicity(1.0, MIDDLE, (0.1, 0.08), 1.9)
    hidden = penalty.variances(blurred) - penalty.variances(states).mean()
    disc = (1.9 / 3) ** 2
    np.testing.assert_allclose(hidden, 0.08**2 * (disc / (disc + 0.25**2)) ** 2, rtol=2e-2)


def test_a_step_against_the_gradient_narrows_the_atom_and_keeps_its_place():
    penalty = Atomicity(1.0, MIDDLE, (0.1, 0.08), 0.8)
    field = gaussian_atoms(MIDDLE, 0.3)
    value, gradient = penalty.value_and_gradient(field)
    step = 0.05 / abs(gradient).max()
    assert penalty.value_and_gradient(field - step * gradient)[0] < 0.95 * value
    np.testing.assert_array_equal(gradient[:, 0], gradient[:, 1])  # the same for every slice


def test_nothing_is_gained_below_the_target():
    field = gaussian_atoms(MIDDLE, 0.25)
    for target, free in ((0.2, True), (0.05, False)):
        penalty = Atomicity(1.0, MIDDLE, (0.1, 0.08), 1.9, target_angstrom2=target)
        value, gradient = penalty.value_and_gradient(field)
        assert (value == 0 and not gradient.any()) is free
    assert value == pytest.approx(2 / (1 / 0.25**2 + 1 / (1.9 / 3) ** 2) - 0.05, rel=3e-3)


def test_atoms_without_phase_are_let_go():
    penalty = Atomicity(1.0, MIDDLE, (0.1, 0.08), 0.6)
    shape = gaussian_atoms(MIDDLE, 0.25)
    for height in (0.0, 1e-9, -1e-9, -1.0):
        value, gradient = penalty.value_and_gradient(height * shape)
        assert abs(value) < 1e-12 and np.isfinite(gradient).all() and abs(gradient).max() < 1e-6
    assert np.isinf(penalty.variances(-shape)).all()


def test_far_pixels_are_left_alone_and_rings_may_touch_the_border():
    at = np.array([[0.7, 0.7], [5.2, 4.8]])
    field = gaussian_atoms(at[:1], 0.2) + gaussian_atoms(at[1:], 0.2)
    penalty = Atomicity(1.0, at, (0.1, 0.08), 0.5)
    _, gradient = penalty.value_and_gradient(field)
    y, x = 0.1 * np.indices((60, 70))[0], 0.08 * np.indices((60, 70))[1]
    far = np.min([np.hypot(y - a, x - b) for a, b in at], axis=0) >= 0.7
    assert abs(gradient[:, :, far]).max() < 1e-20 < abs(gradient).max()
