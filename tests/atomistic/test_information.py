"""The Fisher matrix against finite differences, and its mean over the motion against a drawn ensemble."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, qmc

from caviar_kit.atomistic import correlation_information
from caviar_kit.atomistic.information import _one_of, fisher_matrix
from tests.atomistic.moving_atoms import OCCUPANCIES, WIDTHS, Patterns, greens_tensor, scene, slope, unit

EPSILON = 1e-7


@pytest.fixture(scope="module")
def patterns():
    return Patterns(scene())


def by_finite_differences(patterns, pairs):
    """Derivatives (unknowns, all pixels) in the unknowns of the Fisher matrix, at rest."""
    rows = []
    for a, b in pairs:
        second = slope(lambda h, a=a, b=b: slope(lambda g: patterns(h * unit(a) + g * unit(b)), 4e-3), 4e-3)
        rows.append(second * (0.5 if a == b else 1.0))
    rows += [slope(lambda h, c=c: patterns(h * unit(c)), 2e-3) for c in range(6)]
    factors = np.eye(3)[:, :, None]
    rows += [slope(lambda h, f=f: patterns(occupancies=OCCUPANCIES * (1 + h * f)), 1e-3) for f in factors]
    rows += [slope(lambda h, e=e: patterns(widths=WIDTHS + h * e), 1e-3) for e in np.eye(2)]
    return np.stack([row.ravel() for row in rows])


def test_the_matrix_is_that_of_a_finite_difference_jacobian(patterns):
    matrix, pairs, lit = fisher_matrix(scene(), epsilon=EPSILON, dtype=float, threads=1)
    assert lit.tolist() == [0, 1, 2]
    assert len(pairs) == 21
    jacobian = by_finite_differences(patterns, pairs) / np.sqrt(patterns().ravel() + EPSILON)
    expected = jacobian @ jacobian.T
    scale = np.sqrt(np.diag(expected))
    assert abs((matrix - expected) / np.outer(scale, scale)).max() < 1e-5


def test_single_precision_and_threads_change_little():
    exact = fisher_matrix(scene(), epsilon=EPSILON, dtype=float, threads=1)[0]
    single = fisher_matrix(scene(), epsilon=EPSILON, threads=2)[0]
    scale = np.sqrt(np.diag(exact))
    assert abs((single - exact) / np.outer(scale, scale)).max() < 1e-4


def test_reach_leaves_out_distant_pairs():
    _, pairs, _ = fisher_matrix(scene(), reach_angstrom=1.75, threads=1)  # apart: 1.36, 1.72, 1.82 Å
    sites = {tuple(pair) for pair in (pairs // 2).tolist()}
    assert sites == {(0, 0), (1, 1), (2, 2), (0, 1), (1, 2)}
    assert len(pairs) == 3 * 3 + 2 * 4


def test_one_pattern_of_two_counts_twice():
    whole = scene()
    chosen = _one_of(len(whole.model.positions), 2)
    assert (chosen // 2 == np.arange(len(chosen))).all()  # one of every pair
    picked = replace(
        whole,
        model=replace(whole.model, positions=whole.model.positions[chosen]),
        instrument=replace(
            whole.instrument,
            positions=whole.instrument.positions[chosen],
            beam=whole.instrument.beam[chosen],
        ),
    )
    every = fisher_matrix(whole, every=2, threads=1, dtype=float)[0]
    few = fisher_matrix(picked, threads=1, dtype=float)[0]
    np.testing.assert_allclose(every, 2 * few, rtol=1e-10, atol=1e-10 * abs(few).max())


def test_patterns_left_out_are_no_rows_of_the_scan():
    chosen = _one_of(400, 4)
    assert len(set(chosen % 20)) == 20


def drawn_mean(patterns, tensor):
    """Mean pattern over a Gaussian ensemble: quasi-random draws and their opposites, always the same."""
    normal = norm.ppf(qmc.Sobol(6, seed=1).random(128))
    moved = normal @ np.linalg.cholesky(tensor.reshape(6, 6)).T
    return np.mean([patterns(s * u.reshape(3, 2)) for u in moved for s in (1, -1)], axis=0)


def cosine(a, b):
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


@pytest.mark.parametrize("element", [(0, 0), (0, 2), (1, 4)])
def test_derivatives_at_the_blurred_mean_are_those_of_the_mean_over_the_motion(patterns, element):
    """Root mean square displacement of 5 pm: lengths agree within 6 %, directions within 0.99."""
    tensor, (a, b) = greens_tensor(0.05), element
    found = [
        scene(tensor).tangents(np.dtype(float)).at(p, np.arange(3), np.array([element])) for p in range(4)
    ]
    second = np.stack([f.bent[0] + (f.curved[a // 2, 0] if a == b else 0) for f in found])
    found_slope = second * (0.5 if a == b else 1.0)
    change = np.zeros((6, 6))
    change[a, b] = change[b, a] = 1
    step = 1e-4
    ends = [drawn_mean(patterns, tensor.reshape(6, 6) + s * step * change) for s in (1, -1)]
    expected = (ends[0] - ends[1]) / (2 * step)
    weight = 1 / np.sqrt(drawn_mean(patterns, tensor))  # as Poisson counts weigh
    ratio = np.linalg.norm(found_slope * weight) / np.linalg.norm(expected * weight)
    assert cosine(found_slope * weight, expected * weight) > 0.99
    assert abs(ratio - 1) < 0.06


def test_bad_arguments_are_refused():
    for wrong, name in (
        ({"reach_angstrom": -1.0}, "reach_angstrom"),
        ({"every": 5}, "every"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"prior_pm2": 0.0}, "prior_pm2"),
        ({"threads": 0}, "threads"),
        ({"electrons_per_pattern": np.nan}, "electrons_per_pattern"),
    ):
        with pytest.raises(ValueError, match=name):
            correlation_information(scene(), **{"electrons_per_pattern": 1e6, **wrong})
    with pytest.raises(ValueError, match="greens_tensor must have shape"):
        replace(scene(), greens_tensor=np.zeros((2, 2, 2, 2)))
    with pytest.raises(ValueError, match="measured"):
        replace(scene(), measured=np.zeros(scene().model.window, bool))
    dark = replace(scene(), probe=np.zeros_like(scene().probe))
    with pytest.raises(ValueError, match="lit"):
        correlation_information(dark, 1e6)
