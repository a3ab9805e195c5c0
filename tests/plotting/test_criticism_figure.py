"""Residual maps show the numbers of a criticism, where they belong."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PathCollection

import caviar_kit as ck
from caviar_kit.atomistic import Criticism
from caviar_kit.atomistic.suspects import Suspect

SCAN = np.array([[y, x] for y in range(4) for x in range(5)], float)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def criticism(misfit):
    rng = np.random.default_rng(0)
    return Criticism(
        loss=3e-6,
        expected_noise_loss=1e-6,
        noise_deviation=1e-7,
        signal=4e-6,
        signal_noise=1e-8,
        held_out=None,
        misfit=misfit,
        residual=rng.normal(size=(8, 10)),
        scan=SCAN,
        suspects=(Suspect("C10", 1e-9, 0.01),),
        gain_noise=0.0,
        offset=0.1,
        supported=True,
        reason="good",
    )


@pytest.mark.parametrize("signed", [True, False])
def test_both_panels_show_what_they_are_given(signed):
    misfit = np.linspace(-1e-6 if signed else 1e-6, 2e-6, 20)
    given = criticism(misfit)
    left, right = ck.plot.residual_maps(given)
    points = next(c for c in left.collections if isinstance(c, PathCollection))
    np.testing.assert_allclose(points.get_array(), misfit)
    np.testing.assert_allclose(points.get_offsets(), SCAN[:, ::-1])
    low, high = points.get_clim()
    assert high == pytest.approx(2e-6)
    assert low == pytest.approx(-2e-6 if signed else 0)
    np.testing.assert_array_equal(right.images[0].get_array(), given.residual)
    assert "excess 2e-06, signal 4e-06" in left.get_title()
    assert left.yaxis_inverted()


def test_it_draws_where_it_is_told():
    axes = plt.subplots(1, 2)[1]
    drawn = ck.plot.residual_maps(criticism(np.zeros(20)), ax=axes)
    assert list(drawn) == list(axes)


def test_nonsense_is_refused():
    with pytest.raises(TypeError, match="criticism must be a Criticism"):
        ck.plot.residual_maps(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="two matplotlib axes"):
        ck.plot.residual_maps(criticism(np.zeros(20)), ax=plt.subplots(1, 3)[1])
