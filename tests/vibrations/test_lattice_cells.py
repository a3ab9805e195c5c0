"""Cells with several sites of one element, whose atoms nearly fit a finer lattice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import caviar_kit as ck
from caviar_kit.vibrations._lattice_search import reduced
from tests.vibrations import structures as st

A, F = 4.594, 0.305  # of rutile
RUTILE = A * np.array([[0, 0], [0.5, 0.5], [F, F], [1 - F, 1 - F], [0.5 - F, 0.5 + F], [0.5 + F, 0.5 - F]])
KAGOME = 5 * np.array([[0, 1], [np.sqrt(3) / 2, -0.5]])
CRYSTALS = {
    "kagome": (KAGOME, [[0, 0], *KAGOME / 2]),  # a finer hexagonal lattice with every fourth site empty
    "rutile": (A * np.eye(2), RUTILE),
    "four sites": (4.6 * np.eye(2), [[0, 0], [2.3, 2.3], [1.4, 1.4], [3.2, 3.2]]),
    "layers from the side": (np.diag([6.15, 3.16]), [[0, 0], [1.56, 1.58], [-1.56, 1.58]]),
}


def crystal(name: str, seed: int, radius: float = 14.0) -> np.ndarray:
    vectors, basis = CRYSTALS[name]
    rng = np.random.default_rng(seed)
    cells = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 2), axis=-1).reshape(-1, 1, 2)
    where = (cells @ vectors + np.array(basis)).reshape(-1, 2)
    where = where[np.linalg.norm(where, axis=1) < radius] @ st.turn(rng.uniform(0, 360))
    return where + rng.normal(0, 0.03, where.shape)


@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.parametrize("seed", range(4))
def test_every_atom_finds_its_site(name, seed):
    vectors, basis = CRYSTALS[name]
    found = ck.fit_lattice(crystal(name, seed))
    assert found.inside.mean() > 0.98
    assert len(found.basis) == len(basis)
    assert abs(np.linalg.det(found.vectors)) == pytest.approx(abs(np.linalg.det(vectors)), rel=0.01)


@pytest.mark.parametrize("kind", ["honeycomb", "silicon"])
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_many_vacancies_do_not_make_the_cell_larger(kind, share):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        where = st.patch(kind, 14, angle=rng.uniform(0, 360))
        where = where[rng.random(len(where)) > share]
        found = ck.fit_lattice(where + rng.normal(0, 0.03, where.shape))
        whole = ck.fit_lattice(st.patch(kind, 14))
        assert len(found.basis) == 2
        assert abs(np.linalg.det(found.vectors)) == pytest.approx(abs(np.linalg.det(whole.vectors)), rel=0.01)


def test_indistinguishable_sites_share_a_finer_cell_until_their_elements_are_given():
    vectors = 3.9 * np.eye(2)
    cells = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 2), axis=-1).reshape(-1, 1, 2)
    where = (cells @ vectors + [[0, 0], [1.95, 1.95]]).reshape(-1, 2)
    assert len(ck.fit_lattice(where).basis) == 1
    found = ck.fit_lattice(where, species=["Sr", "Ti"] * len(cells))
    assert len(found.basis) == 2
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 3.9)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    angle=some.floats(0, 360),
    wide=some.sampled_from([1.0, 2.0, 1.5]),
    steps=some.integers(-3, 3),
)
def test_a_centred_cell_is_reduced_in_finitely_many_steps(angle, wide, steps):
    """A vector that stands exactly half way: rounding must not send it to and fro."""
    centred = np.array([[0.0, 1.0], [wide, 0.5]]) @ st.turn(angle)
    vectors, matrix = reduced(np.array([[1, 0], [steps, 1]]) @ centred)
    assert abs(round(np.linalg.det(matrix))) == 1
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(np.sort(lengths), np.sort([1.0, np.hypot(wide, 0.5)]))
