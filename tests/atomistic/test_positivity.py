"""Tensors of states nearest to noisy measurements."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.atomistic import CorrelationErrors
from caviar_kit.atomistic.positivity import PositiveFit
from tests.atomistic.moving_atoms import PLACES, greens_tensor

TENSOR = greens_tensor().reshape(6, 6)
ELEMENTS = np.array([(a, b) for a in range(6) for b in range(a, 6)])


def elements_of(tensor):
    return tensor[tuple(ELEMENTS.T)]


def test_a_positive_tensor_is_returned_as_it_is():
    fit = PositiveFit(ELEMENTS, 1e-8 * np.eye(21), np.eye(6) * 1e-3, rank=6, iterations=500)
    np.testing.assert_allclose(fit(elements_of(TENSOR)), TENSOR, atol=1e-5 * TENSOR.max())


def test_with_equal_errors_it_is_the_projection_on_positive_tensors():
    """Errors of pairs √2 smaller than of variances weigh all entries alike: negative eigenvalues vanish."""
    rng = np.random.default_rng(2)
    noisy = TENSOR + 3e-3 * np.add(*(lambda a: (a, a.T))(rng.normal(size=(6, 6))))
    values, vectors = np.linalg.eigh(noisy)
    assert values.min() < 0
    expected = (vectors * np.maximum(values, 0)) @ vectors.T
    variances = np.where(ELEMENTS[:, 0] == ELEMENTS[:, 1], 1.0, 0.5) * 1e-6
    found = PositiveFit(ELEMENTS, np.diag(variances), TENSOR, rank=6, iterations=1000)(elements_of(noisy))
    np.testing.assert_allclose(found, expected, atol=1e-3 * expected.max())


def test_rank_is_that_of_the_states():
    found = PositiveFit(ELEMENTS, 1e-8 * np.eye(21), TENSOR, rank=2)(elements_of(TENSOR))
    assert np.linalg.matrix_rank(found, tol=1e-10) == 2


def test_motion_is_found_where_none_was_expected():
    fit = PositiveFit(ELEMENTS, 1e-8 * np.eye(21), np.zeros((6, 6)), rank=6, iterations=500)
    np.testing.assert_allclose(fit(elements_of(TENSOR)), TENSOR, atol=1e-4 * TENSOR.max())


def test_a_fit_of_states_errs_less_than_free_elements():
    """Nearly rigid motion: noise of the free elements would need negative variances."""
    rigid = greens_tensor(correlation=0.99)
    information = np.full(21, (1e3 / 10.0) ** 2)
    errors = CorrelationErrors(PLACES, ELEMENTS, 0.1 * np.eye(21), information, 1.0, 4.0, rigid)
    free = errors.expected_similarity(rigid, PLACES, states=None)["nearest"].mean[0]
    states = errors.expected_similarity(rigid, PLACES)["nearest"].mean[0]
    assert 1 - states < 0.8 * (1 - free)


def test_less_than_two_states_are_refused():
    errors = CorrelationErrors(
        PLACES, ELEMENTS, 0.1 * np.eye(21), np.ones(21), 1.0, 4.0, TENSOR.reshape(3, 2, 3, 2)
    )
    with pytest.raises(ValueError, match="states"):
        errors.expected_similarity(TENSOR.reshape(3, 2, 3, 2), PLACES, states=1)
