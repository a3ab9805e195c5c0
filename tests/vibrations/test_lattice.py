"""Lattices from positions: known crystals, disorder, several lattices at once, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from caviar_kit.simulation import silicon_sigma9_snapshots
from caviar_kit.simulation.columns import columns
from caviar_kit.vibrations import Lattice, fit_lattice
from tests.vibrations import structures as st


def square(rows: int, columns: int) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1).reshape(-1, 2) * 2.0


def consistent(lattice: Lattice, positions: np.ndarray) -> None:
    inside = lattice.inside
    ideal = lattice.ideal(lattice.cells[inside], lattice.sites[inside])
    apart = np.linalg.norm(positions[inside] - ideal, axis=1)
    np.testing.assert_allclose(lattice.residual[inside], apart, atol=1e-9)
    assert np.isnan(lattice.residual[~inside]).all()
    places = np.column_stack([lattice.cells, lattice.sites])[inside]
    assert len(np.unique(places, axis=0)) == len(places)
    np.testing.assert_array_equal(lattice.cells[inside].min(axis=0), 0)
    np.testing.assert_array_equal(lattice.basis[0], 0)


@pytest.mark.parametrize(
    ("where", "lengths", "angle", "sites", "bond"),
    [
        (square(6, 7), (2, 2), 90, 1, 2),
        (st.patch("honeycomb"), (2.504, 2.504), 120, 2, 2.504 / math.sqrt(3)),
        (st.patch("silicon"), (3.3258, 3.3258), None, 2, 5.431 / 4),
    ],
)
def test_known_crystals_have_their_cell_and_basis(where, lengths, angle, sites, bond):
    noisy = where + np.random.default_rng(0).normal(0, 0.03, where.shape)
    for positions, tolerance in ((where, 1e-3), (noisy, 0.03)):
        lattice = fit_lattice(positions)
        consistent(lattice, positions)
        assert lattice.inside.all()
        np.testing.assert_allclose(np.linalg.norm(lattice.vectors, axis=1), lengths, atol=tolerance)
        assert len(lattice.basis) == sites
        if angle is not None:
            cosine = lattice.vectors[0] @ lattice.vectors[1] / math.prod(lengths)
            assert math.degrees(math.acos(cosine)) == pytest.approx(angle, abs=60 * tolerance)
        if sites == 2:
            assert np.linalg.norm(lattice.basis[1]) == pytest.approx(bond, abs=tolerance)


def test_larger_cell_on_request():
    where = st.patch("silicon")
    lattice = fit_lattice(where, sites=4)
    np.testing.assert_allclose(np.linalg.norm(lattice.vectors, axis=1), (5.431 / math.sqrt(2), 5.431))
    assert lattice.vectors[0] @ lattice.vectors[1] == pytest.approx(0, abs=1e-9)
    consistent(lattice, where)
    given_cell = fit_lattice(where, vectors=[[5.5, 0.1], [0.0, -3.8]])
    np.testing.assert_allclose(given_cell.vectors, [[5.431, 0], [0, -5.431 / math.sqrt(2)]], atol=1e-9)
    assert len(given_cell.basis) == 4


@pytest.mark.parametrize("kind", ["honeycomb", "silicon"])
def test_sites_within_a_rectangle_complete_a_lattice(kind):
    where = st.patch(kind)
    middle = where.mean(axis=0)
    near = where[(abs(where - middle) < 6).all(axis=1)]
    lattice = fit_lattice(near, occupied=0)
    low, high = middle - 8, middle + 8  # also where no atom was given
    places, sites = lattice.within(low, high)
    known = where[((where >= low) & (where <= high)).all(axis=1)]
    assert len(places) == len(known) > len(near)
    apart = np.linalg.norm(places[:, None] - known, axis=-1)
    assert apart.min(axis=0).max() < 1e-6 and apart.min(axis=1).max() < 1e-6
    np.testing.assert_allclose(np.bincount(sites), len(places) / len(lattice.basis), rtol=0.1)


def test_a_rectangle_must_be_one():
    lattice = fit_lattice(square(6, 7), occupied=0)
    with pytest.raises(ValueError, match="high must be above low"):
        lattice.within((0, 0), (5, -1))
    with pytest.raises(ValueError, match="low"):
        lattice.within((0, 0, 0), (5, 5))


def test_least_squares_reaches_the_accuracy_of_its_noise():
    # 10 % of the atoms missing, 15 strangers: vectors still as good as σ / (cells' spread · √atoms)
    rng = np.random.default_rng(1)
    true = st.patch("honeycomb", 16.0, angle=33, strain=(1.03, 0.98))
    exact = fit_lattice(true).vectors
    kept = true[rng.random(len(true)) > 0.1]
    strangers = rng.uniform(-11, 11, (15, 2))
    strangers = strangers[np.linalg.norm(strangers[:, None] - true, axis=2).min(axis=1) > 0.4]
    noise = 0.05
    positions = np.concatenate([kept + rng.normal(0, noise, kept.shape), strangers])
    lattice = fit_lattice(positions)
    consistent(lattice, positions)
    assert lattice.inside[: len(kept)].mean() > 0.95
    assert not lattice.inside[len(kept) :].any()
    spread = lattice.cells[lattice.inside].std(axis=0).min()
    assert np.abs(lattice.vectors - exact).max() < 5 * noise / (spread * math.sqrt(len(kept)))


def test_vacancy_and_displaced_atom_are_local():
    where = st.patch("honeycomb")
    centre = int(np.argmin(np.linalg.norm(where, axis=1)))
    moved = where.copy()
    moved[centre] += [0.5, 0.2]
    lattice = fit_lattice(moved)
    assert np.flatnonzero(~lattice.inside).tolist() == [centre]
    assert fit_lattice(np.delete(where, centre, axis=0)).inside.all()


@pytest.mark.parametrize("angle", [5.0, 10.99, 21.787])  # the last shares every seventh cell
def test_twisted_bilayer_one_lattice_after_the_other(angle):
    lower, upper = st.patch("honeycomb", 17), st.patch("honeycomb", 17, angle=angle)
    positions = np.concatenate([lower, upper + [0.3, 0.5]])
    positions += np.random.default_rng(2).normal(0, 0.02, positions.shape)
    layer = np.arange(len(positions)) < len(lower)
    first = fit_lattice(positions)
    second = fit_lattice(positions, region=~first.inside)
    own = layer if (first.inside & layer).sum() > (first.inside & ~layer).sum() else ~layer
    for lattice, atoms in ((first, own), (second, ~own)):
        assert (lattice.inside & atoms).sum() > 0.97 * atoms.sum()
        assert (lattice.inside & ~atoms).sum() < 0.02 * len(positions)
    angles = [math.degrees(math.atan2(*lattice.vectors[0])) for lattice in (first, second)]
    twist = abs(angles[0] - angles[1]) % 60
    assert min(twist, 60 - twist) == pytest.approx(angle, abs=0.1)
    chosen = fit_lattice(positions, vectors=second.vectors * 1.01)
    np.testing.assert_allclose(chosen.vectors, second.vectors, atol=0.01)


def test_grains_of_the_boundary_separate():
    where = columns(silicon_sigma9_snapshots()).positions  # boundary at y ≈ 32.6 Å and at the ends
    first = fit_lattice(where)
    second = fit_lattice(where, region=~first.inside)
    upper = where[:, 0] > 32.6
    for lattice in (first, second):
        consistent(lattice, where)
        assert 0.9 * 216 < lattice.inside.sum() < 216  # boundary atoms are outside
        assert upper[lattice.inside].mean() in (0, 1)
    mirrored = [np.sort(np.abs(v), axis=0) for v in (first.vectors, second.vectors)]
    np.testing.assert_allclose(*mirrored, atol=0.02)  # the boundary plane mirrors one onto the other
    bonds = [np.linalg.norm(lattice.basis[1]) for lattice in (first, second)]
    np.testing.assert_allclose(bonds, 1.36, atol=0.02)


def test_species_order_and_split_the_sites():
    where = square(6, 6)
    element = np.where((where.sum(axis=1) / 2) % 2 == 0, "N", "B")
    lattice = fit_lattice(where, species=element)
    assert len(lattice.basis) == 2
    assert set(element[lattice.sites == 0]) == {"B"}
    np.testing.assert_allclose(np.linalg.norm(lattice.vectors, axis=1), math.sqrt(8))
    assert len(fit_lattice(where).basis) == 1


@pytest.mark.parametrize("kind", ["honeycomb", "silicon"])
def test_local_x_lies_along_a_nearest_neighbour(kind):
    for angle in (0, 17, 100, 211):
        lattice = fit_lattice(st.patch(kind, angle=angle))
        y, x = lattice.axes
        np.testing.assert_allclose(lattice.axes @ lattice.axes.T, np.eye(2), atol=1e-12)
        assert np.linalg.det(lattice.axes) == pytest.approx(1)
        bond = lattice.basis[1]  # the nearest neighbour lies in the same cell
        assert bond @ y == pytest.approx(0, abs=1e-6)
        assert bond @ x == pytest.approx(np.linalg.norm(bond))


@settings(max_examples=40, deadline=None)
@given(
    kind=some.sampled_from(["honeycomb", "silicon"]),
    angle=some.floats(0, 360),
    mirror=some.booleans(),
    seed=some.integers(0, 2**32 - 1),
)
def test_results_co_rotate(kind, angle, mirror, seed):
    rng = np.random.default_rng(seed)
    where = st.patch(kind, 9.0)
    where = where[rng.random(len(where)) > 0.05] + rng.normal(0, 0.02, (1, 2))
    order = rng.permutation(len(where))
    matrix = (np.diag([-1.0, 1.0]) if mirror else np.eye(2)) @ st.turn(angle)
    plain, turned = fit_lattice(where), fit_lattice((where @ matrix + rng.normal(0, 50, 2))[order])
    np.testing.assert_array_equal(turned.inside, plain.inside[order])
    np.testing.assert_allclose(turned.residual, plain.residual[order], atol=1e-7)
    times = plain.vectors @ matrix @ np.linalg.inv(turned.vectors)
    np.testing.assert_allclose(times, np.rint(times), atol=1e-6)
    assert abs(round(np.linalg.det(times))) == 1
    same = plain.sites[order][turned.inside] == turned.sites[turned.inside]
    assert same.all() or not same.any()  # the two sites keep their atoms, perhaps not their names
    steps = plain.cells[order][turned.inside] @ np.rint(times) - turned.cells[turned.inside]
    for site in (0, 1):
        assert np.ptp(steps[plain.sites[order][turned.inside] == site], axis=0).max() == 0


GRID = square(4, 4)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "at least 6 atoms", lambda: fit_lattice(GRID[:4])),
        (ValueError, "one line", lambda: fit_lattice([[0, k] for k in range(9)])),
        (ValueError, "positions must have shape", lambda: fit_lattice(np.zeros((9, 3)))),
        (ValueError, "positions must be finite", lambda: fit_lattice(GRID * np.nan)),
        (
            ValueError,
            "no lattice found",
            lambda: fit_lattice(np.random.default_rng(0).uniform(0, 9, (12, 2))),
        ),
        (ValueError, "sites must be at least 1", lambda: fit_lattice(GRID, sites=0)),
        (TypeError, "sites", lambda: fit_lattice(GRID, sites=2.0)),
        (ValueError, "sites=3", lambda: fit_lattice(st.patch("honeycomb"), sites=3)),
        (ValueError, "vectors must not be parallel", lambda: fit_lattice(GRID, vectors=[[1, 0], [2, 0]])),
        (ValueError, "vectors must have shape", lambda: fit_lattice(GRID, vectors=[1, 0])),
        (ValueError, "species", lambda: fit_lattice(GRID, species=["Si"])),
        (ValueError, "region", lambda: fit_lattice(GRID, region=np.ones(16))),
        (ValueError, "tolerance", lambda: fit_lattice(GRID, tolerance=0)),
        (ValueError, "occupied", lambda: fit_lattice(GRID, occupied=2)),
    ],
)
def test_refusals(error, match, call):
    with pytest.raises(error, match=match):
        call()
