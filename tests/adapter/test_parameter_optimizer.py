"""py4DSTEM's PtychographyOptimizer runs our class like its own."""

from __future__ import annotations

import numpy as np
import pytest
from py4DSTEM.process.phase.parameter_optimize import OptimizationParameter, PtychographyOptimizer

import caviar_kit as ck
from tests.adapter.problems import OPTICS, SAME_FRAME, planted


@pytest.fixture(scope="module")
def cube():
    return planted(1, num_object_states=1)[0]._datacube


def optimizer(cube, reconstruct=None, **init):
    arguments = {
        "datacube": cube,
        "num_slices": 3,
        "slice_thicknesses": 8.0,
        "num_object_states": 1,
        **OPTICS,
        **init,
    }
    return PtychographyOptimizer(
        ck.MixedObjectMultislicePtychography,
        init_args=arguments,
        preprocess_args=dict(SAME_FRAME),
        reconstruction_args={"max_iter": 20, **(reconstruct or {})},
    )


def test_a_grid_search_has_its_smallest_error_at_the_true_defocus(cube):
    search = optimizer(cube, defocus=OptimizationParameter(40.0, 20.0, 60.0))
    results = search.grid_search(n_points=3, error_metric="log", plot_reconstructed_objects=False,
                                 return_reconstructed_objects=True)  # fmt: skip
    errors = [error for _, error in results]
    assert np.argmin(errors) == 1
    assert results[0][0].ndim == 2


@pytest.mark.slow
def test_bayesian_optimisation_finds_the_defocus(cube):
    search = optimizer(cube, defocus=OptimizationParameter(25.0, 20.0, 60.0))
    search.optimize(n_calls=9, n_initial_points=4, error_metric="log", random_state=0)
    init, preprocess, reconstruct = search.get_optimized_arguments()
    assert init["defocus"] == pytest.approx(40, abs=4)
    ptycho = ck.MixedObjectMultislicePtychography(**init).preprocess(**preprocess).reconstruct(**reconstruct)
    assert ptycho.error == pytest.approx(np.exp(search._skopt_result.func_vals.min()), rel=1e-3)


def test_arguments_of_the_fit_can_be_searched_too(cube):
    search = optimizer(cube, {"method": OptimizationParameter("gd", space="categorical",
                                                              categories=["gd", "engine"])})  # fmt: skip
    results = search.grid_search(error_metric="linear", plot_reconstructed_objects=False,
                                 return_reconstructed_objects=True)  # fmt: skip
    assert results[1][1] < results[0][1]


@pytest.mark.parametrize("metric", ["log", "linear", "log-converged", "linear-converged", "TV", "std-phase"])
def test_its_error_metrics_understand_an_object_with_states(metric):
    ptycho = planted(2, num_object_states=2)[0].reconstruct(1, one_state_iter=2, progress_bar=False)
    measure = PtychographyOptimizer._get_error_metric(None, metric)
    assert np.isfinite(measure(ptycho))
