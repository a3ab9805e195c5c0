"""Standard errors against simulated counts, their scaling with dose, and what they make of CSM and LSM."""

from __future__ import annotations

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.atomistic import CorrelationErrors, correlation_information
from tests.atomistic.moving_atoms import PLACES, greens_tensor, scene

TENSOR = greens_tensor()


@pytest.fixture(scope="module")
def errors():
    return correlation_information(scene(TENSOR), 1e7, threads=1)


def independent(error_pm2: float, electrons: float = 1.0) -> CorrelationErrors:
    """Sites of ``PLACES`` whose elements all have the same independent error at one electron, no prior."""
    elements = np.array([(a, b) for a in range(6) for b in range(a, 6)])
    prior = 1e3
    information = np.full(len(elements), (prior / error_pm2) ** 2)
    modes = 1e-4 * prior * np.eye(len(elements))
    return CorrelationErrors(PLACES, elements, modes, information, electrons, 4.0, TENSOR)


def test_errors_of_counted_electrons_scatter_as_predicted():
    """A linear model with Poisson counts, solved by weighted least squares with the prior, 4000 times."""
    rng = np.random.default_rng(0)
    electrons, prior = 1e5, np.array([0.01, 0.01, 0.3])
    mean = rng.uniform(0.5, 1.5, 400) / 400
    jacobian = rng.normal(size=(3, 400)) * mean * np.array([[3.0], [0.1], [0.2]])
    jacobian[1] += 0.02 * jacobian[2]
    fisher = (jacobian / mean) @ jacobian.T
    values, vectors = np.linalg.eigh(prior[:, None] * fisher * prior)
    made = CorrelationErrors(
        np.zeros((1, 2)),
        np.array([[0, 0], [1, 1]]),
        (prior[:, None] * vectors)[:2],
        values,
        electrons,
        0.0,
        np.zeros((1, 2, 1, 2)),
    )
    truth = rng.normal(size=(4000, 3)) * prior
    counts = rng.poisson(electrons * (mean + truth @ jacobian))
    solve = np.linalg.inv(electrons * fisher + np.diag(prior**-2.0))
    found = (counts - electrons * mean) / mean @ jacobian.T @ solve
    scatter = np.cov((found - truth)[:, :2].T)
    np.testing.assert_allclose(np.sqrt(np.diag(scatter)), np.sqrt(np.diag(made.covariance)), rtol=0.05)
    np.testing.assert_allclose(
        np.diag(made.standard_error[0, :, 0, :]), np.sqrt(np.diag(made.covariance)), rtol=1e-12
    )


def test_errors_fall_with_the_root_of_the_dose(errors):
    many, more = errors.at(1e12).standard_error, errors.at(4e12).standard_error
    np.testing.assert_allclose(many, 2 * more, rtol=1e-3)


def test_without_electrons_the_prior_is_left(errors):
    np.testing.assert_allclose(errors.at(1e-9).standard_error, 0.01, rtol=1e-6)
    np.testing.assert_allclose(errors.at(1e-9).prior_share, 1, rtol=1e-6)


def test_the_tensor_of_errors_is_symmetric_and_empty_out_of_reach():
    near = correlation_information(scene(TENSOR), 1e7, reach_angstrom=1.5, threads=1).standard_error
    np.testing.assert_array_equal(near, near.transpose(2, 3, 0, 1))
    assert np.isnan(near[0, :, 2, :]).all()
    assert (near[0, :, 1, :] > 0).all()


def test_covariance_gives_the_standard_errors(errors):
    found = errors.standard_error.reshape(6, 6)[tuple(errors.elements.T)]
    np.testing.assert_allclose(found, np.sqrt(np.diag(errors.covariance)), rtol=1e-10)


def test_small_errors_leave_the_similarity_perfect():
    shells = independent(0.01).expected_similarity(TENSOR, PLACES, draws=10)
    assert shells["nearest"].mean == pytest.approx((1, 1), abs=1e-3)
    np.testing.assert_allclose(shells["nearest"].interval, 1, atol=0.01)


def test_large_errors_destroy_it_and_scans_bring_it_back():
    errors = independent(200.0)
    one = errors.expected_similarity(TENSOR, PLACES, states=None, draws=400)["nearest"]
    assert one.mean[0] < 0.3
    assert one.mean[1] > 3
    needed = errors.scans_needed(TENSOR, PLACES, states=None, csm=0.95)
    just, less = (
        errors.expected_similarity(TENSOR, PLACES, states=None, scans=n)["nearest"].mean[0]
        for n in (needed, needed - 1)
    )
    assert less < 0.95 <= just
    of_more_electrons = errors.at(needed).expected_similarity(TENSOR, PLACES, states=None)["nearest"].mean[0]
    assert of_more_electrons == pytest.approx(just, abs=1e-12)


def test_expected_csm_is_that_of_a_noisy_tensor():
    """The mean over draws against compare_correlations of tensors made here."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(1000):
        noise = np.triu(rng.normal(size=(6, 6))) * 8e-4
        noise = (noise + np.triu(noise, 1).T).reshape(3, 2, 3, 2)
        compared = ck.compare_correlations(TENSOR, TENSOR + noise, PLACES)
        found.append((compared["nearest"].csm, compared["nearest"].lsm))
    predicted = independent(8.0).expected_similarity(TENSOR, PLACES, states=None, draws=3000)["nearest"].mean
    assert predicted == pytest.approx(np.mean(found, axis=0), abs=0.02)


def test_a_shell_out_of_reach_is_not_predicted():
    near = correlation_information(scene(TENSOR), 1e7, reach_angstrom=0.5, threads=1)
    assert np.isnan(near.expected_similarity(TENSOR, PLACES)["nearest"].csm).all()
    drawn = near.draw_tensors(TENSOR, PLACES, draws=3)
    assert np.isnan(drawn[:, 0, :, 1]).all()
    assert np.isfinite(drawn[:, 0, :, 0]).all()
    with pytest.raises(ValueError, match="reach_angstrom=0.5"):
        near.scans_needed(TENSOR, PLACES)


def test_bad_arguments_are_refused(errors):
    with pytest.raises(ValueError, match="electrons_per_pattern"):
        errors.at(0)
    with pytest.raises(ValueError, match="scans"):
        errors.expected_similarity(TENSOR, PLACES, scans=0)
    with pytest.raises(ValueError, match="lit site"):
        errors.expected_similarity(TENSOR, PLACES + 3)
    with pytest.raises(ValueError, match="greens_tensor"):
        errors.expected_similarity(TENSOR[:2], PLACES)
    with pytest.raises(ValueError, match="csm"):
        errors.scans_needed(TENSOR, PLACES, csm=1.2)
    with pytest.raises(ValueError, match="shell"):
        errors.scans_needed(TENSOR, PLACES, shell="far")
    with pytest.raises(ValueError, match="no correlation"):
        errors.scans_needed(np.zeros_like(TENSOR), PLACES)
