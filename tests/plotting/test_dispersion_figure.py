"""The figure of a dispersion shows the numbers of the result."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PolyCollection

import caviar_kit as ck
from caviar_kit.vibrations import phonon_dispersion
from tests.vibrations.crystals import draw, patch, square


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module", params=["likelihood", "direct"])
def result(request):
    crystal = square()
    atoms, lattice = patch(crystal, 16)
    u = draw(crystal, atoms, 8, np.random.default_rng(0))
    options = {"points": 21, "draws": 20, "method": request.param, "reach": 4.5}
    return phonon_dispersion(u, lattice, crystal.masses, 300, "GXMG", **options)


def test_branches_intervals_and_means(result):
    ax = ck.plot.dispersion(result)
    named = {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}
    assert set(named) == set(result.branches)
    for number, name in enumerate(result.branches):
        shown = named[name].get_ydata()
        measured = np.isin(result.flags[:, number], ("", "sum rule"))
        np.testing.assert_array_equal(shown[measured], result.frequencies_thz[measured, number])
    assert sum(isinstance(one, PolyCollection) for one in ax.collections) == 2
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    np.testing.assert_allclose([dot.get_ydata()[0] for dot in dots], result.path_mean_thz)
    bars = [line.get_ydata() for line in ax.get_lines() if line.get_linewidth() == 2.2]
    np.testing.assert_allclose(bars, result.interval_thz)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["Γ", "X", "M", "Γ", "mean"]


def test_theory_and_uncorrected(result):
    theory = np.linspace(0, 7, len(result.q))[:, None] * [1.0, 1.5]
    ax = ck.plot.dispersion(result, theory=theory, uncorrected=True, top_thz=12)
    curves = [line.get_ydata() for line in ax.get_lines() if line.get_color() == "black"]
    np.testing.assert_allclose(curves[0], theory[:, 0])
    assert ax.get_ylim()[1] == 12
    thin = [line.get_ydata() for line in ax.get_lines() if line.get_linewidth() == 0.7]
    np.testing.assert_array_equal(np.transpose(thin), result.uncorrected_thz)


def test_axes_are_used_and_returned(result):
    _, ax = plt.subplots()
    assert ck.plot.dispersion(result, ax=ax) is ax


@pytest.mark.parametrize(
    ("error", "match", "options"),
    [
        (ValueError, "theory must have shape", {"theory": np.zeros((3, 2))}),
        (ValueError, "top_thz", {"top_thz": 0}),
        (TypeError, "ax must be", {"ax": 1}),
    ],
)
def test_refusals(result, error, match, options):
    with pytest.raises(error, match=match):
        ck.plot.dispersion(result, **options)
    with pytest.raises(TypeError, match="result must be"):
        ck.plot.dispersion(np.zeros(3))
