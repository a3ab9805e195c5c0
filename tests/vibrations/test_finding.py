"""Finding atoms of two elements, at edges and in noise; flags of lost and merged atoms."""

from __future__ import annotations

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.vibrations import TRACKING_FLAGS, fit_lattice
from tests.vibrations import structures as st

SIZE = np.array([19.0, 17.0])  # Å


def bells(
    atoms: np.ndarray, heights: np.ndarray, pixel: float, noise: float = 0.0, seed: int = 0
) -> np.ndarray:
    """Image of Gaussian atoms of 0.32 Å in a field of SIZE."""
    y, x = (np.arange(round(side / pixel)) * pixel for side in SIZE)
    rows = np.exp(-((y[:, None] - atoms[:, 0]) ** 2) / (2 * 0.32**2))
    columns = np.exp(-((x[:, None] - atoms[:, 1]) ** 2) / (2 * 0.32**2))
    image = (rows * heights) @ columns.T
    return image + np.random.default_rng(seed).normal(0, noise, image.shape)


def honeycomb_in_field(angle: float) -> np.ndarray:
    where = st.patch("honeycomb", 16.0, angle=angle) + SIZE / 2
    return where[((where > 0) & (where < SIZE)).all(axis=1)]


def inner(positions: np.ndarray) -> np.ndarray:
    return positions[((positions > 1.2) & (positions < SIZE - 1.2)).all(axis=1)]


def nearest(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distance [Å] of each of ``first`` from the nearest of ``second``."""
    return np.linalg.norm(first[:, None] - second, axis=2).min(axis=1)


@pytest.mark.parametrize("pixel", [0.1, 0.15, 0.2])
@pytest.mark.parametrize(
    ("ratio", "threshold", "noise"), [(0.75, 0.35, 0.03), (0.5, 0.35, 0.03), (0.3, 0.2, 0.01)]
)
def test_both_elements_are_found(pixel, ratio, threshold, noise):
    atoms = honeycomb_in_field(12)
    kind = fit_lattice(atoms, occupied=0).sites
    assert (kind >= 0).all()
    image = bells(atoms, np.where(kind == 0, 1.0, ratio), pixel, noise)
    found = ck.find_atoms(image, pixel, threshold=threshold)
    assert nearest(inner(atoms), found).max() < 0.1
    assert nearest(found, atoms).max() < 0.1


@pytest.mark.parametrize("method", ["com", "gaussian"])
def test_refinement_is_near_the_limit_that_noise_sets(method):
    atoms, pixel, noise = honeycomb_in_field(0), 0.15, 0.05
    squares = []
    for seed in range(3):
        image = bells(atoms, np.ones(len(atoms)), pixel, noise, seed)
        found = inner(ck.find_atoms(image, pixel, method=method))
        squares.append((nearest(found, atoms) ** 2).mean())
    # Σ (∂I/∂x)² = π h² / (2 pixel²) for a Gaussian of any width: variance 2 σ² pixel² / (π h²) per axis
    limit = np.sqrt(2 * 2 / np.pi) * noise * pixel
    assert 0.9 * limit < np.sqrt(np.mean(squares)) < 1.6 * limit


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_turned_images_give_turned_positions(quarter_turns, mirror):
    atoms, pixel = honeycomb_in_field(9), 0.15
    image = bells(atoms, np.ones(len(atoms)), pixel, 0.05)
    index = np.stack(np.meshgrid(*map(np.arange, image.shape), indexing="ij"), axis=-1)  # y, x of each pixel
    turned = np.rot90(image[::-1] if mirror else image, quarter_turns)
    origin_of = np.rot90(index[::-1] if mirror else index, quarter_turns)
    found, seen = ck.find_atoms(image, pixel), ck.find_atoms(turned, pixel)
    corner = origin_of[0, 0] * pixel
    steps = np.array([origin_of[1, 0], origin_of[0, 1]]) - origin_of[0, 0]
    back = corner + seen @ steps
    assert len(seen) == len(found)
    assert nearest(back, found).max() < 1e-4
    tracked = ck.track_atoms(turned[None], seen, pixel, method="gaussian")[0]
    plain = ck.track_atoms(image[None], found, pixel, method="gaussian")[0]
    assert nearest(corner + tracked @ steps, plain).max() < 1e-4


def test_edge_of_the_crystal_and_vacuum():
    atoms = honeycomb_in_field(7)
    atoms = atoms[atoms[:, 0] > 8.0]
    found = ck.find_atoms(bells(atoms, np.ones(len(atoms)), 0.15, 0.04), 0.15)
    assert found[:, 0].min() > 7.8
    assert nearest(inner(atoms), found).max() < 0.1
    assert nearest(found, atoms).max() < 0.1


@pytest.mark.parametrize("number", [1, 2, 7])
def test_few_atoms_in_a_wide_vacuum(number):
    """Thousands of noise maxima must not set the height of a typical atom."""
    atoms = (SIZE / 2 + st.patch("honeycomb", 3.0))[:number]
    extra = []
    for seed in range(8):
        found = ck.find_atoms(bells(atoms, np.ones(number), 0.15, 0.06, seed), 0.15)
        assert nearest(atoms, found).max() < 0.1
        extra.append(len(found) - number)
    assert np.mean(extra) < 1.5  # of some 150 maxima


def test_merged_atoms_are_flagged_in_the_states_where_they_merge():
    atoms = np.array([[5.0, 5.0], [5.0, 6.0], [10.0, 10.0]])
    joined = np.array([[5.0, 5.4], [5.0, 5.6], [10.0, 10.0]])
    frames = np.array([bells(where, np.ones(3), 0.15) for where in (atoms, joined, atoms)])
    with pytest.warns(UserWarning, match="2 merged"):
        tracked, flags = ck.track_atoms(frames, atoms, 0.15, radius=0.6, return_flags=True)
    merged = TRACKING_FLAGS.index("merged")
    np.testing.assert_array_equal(flags, [[0, 0, 0], [merged, merged, 0], [0, 0, 0]])
    np.testing.assert_array_equal(np.isnan(tracked).all(axis=-1), flags > 0)
    u = ck.displacements(tracked, missing="state")
    tensor = ck.greens_tensor(u, missing="pairwise")
    assert np.isfinite(tensor).all()
    assert np.abs(tensor).max() < 1e-8  # the two good states are equal


def test_reasons_are_told_apart():
    atoms = np.array([[4.0, 4.0], [8.0, 8.0], [12.0, 12.0]])
    moved = atoms + [[0, 0], [0, 0.6], [0, 0]]
    frame = bells(moved, np.array([0.0, 1.0, 1.0]), 0.15)
    with pytest.warns(UserWarning, match="1 no contrast, 1 left its disc"):
        _, flags = ck.track_atoms(frame[None], atoms, 0.15, return_flags=True)
    assert [TRACKING_FLAGS[k] for k in flags[0]] == ["no contrast", "left its disc", "good"]
    shape = ck.track_atoms(
        np.exp(1j * np.tile(frame, (2, 3, 1, 1))), atoms[2:], 0.15, per_slice=True, return_flags=True
    )[1].shape
    assert shape == (2, 3, 1)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "method", lambda: ck.find_atoms(np.zeros((40, 40)), 0.2, method="max")),
        (
            TypeError,
            "return_flags",
            lambda: ck.track_atoms(np.zeros((2, 40, 40)), [[4.0, 4.0]], 0.2, return_flags=1),
        ),
    ],
)
def test_refusals(error, match, call):
    with pytest.raises(error, match=match):
        call()
