"""The study of dispersion: what is called exact is, samples are drawn from it, figures from lines alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

import caviar_kit as ck
from benchmarks.studies import dispersion
from benchmarks.studies.cases import Options
from benchmarks.studies.hbn_layer import CELLS, HbnLayer
from caviar_kit.vibrations import fourier_displacements


@pytest.fixture(scope="module")
def layer():
    return HbnLayer(300.0, points=41, repeat=10)


@pytest.fixture(scope="module")
def lines(layer):
    """Of all parts, on a smaller layer; one small sample."""
    results = {
        "bands": dispersion.bands(layer),
        "scale": dispersion.scale(),
        "temperature": dispersion.temperature(),
        "states": dispersion.few_states(10, 2, 0, layer),
    }
    named = {case["part"]: case for case in reversed(dispersion.cases(Options()))}  # the first of each part
    found = [{"case": dict(named[name].parameters), "result": result} for name, result in results.items()]
    return json.loads(json.dumps(found, allow_nan=False))


def part(lines, name):
    return next(line["result"] for line in lines if line["case"]["part"] == name)


def test_bands_are_those_of_a_periodic_cell(layer):
    cell = ck.simulation.twisted_hbn(1, 0, 0).repeat((6, 6, 1))  # holds Γ, K and M
    known = ck.simulation.phonon_frequencies(cell, ck.simulation.hbn_force_constants(cell))
    distance = np.array([place for place, _ in layer.way.labels])
    for place in distance[1:3]:
        bands = layer.modes[0][np.argmin(abs(layer.way.distance - place))]
        assert abs(known[:, None] - bands).min(axis=0).max() < 1e-3
    assert abs(layer.modes[0][0, :2]).max() < 1e-3 < layer.modes[0][0, 2]


def test_patch_correlations_are_plane_waves_over_the_patch(layer):
    root = np.linalg.cholesky(layer.patch_covariance.reshape(4 * CELLS, -1))
    u = np.sqrt(len(root)) * root.T.reshape(len(root), -1, 2)  # as many states, of exactly that covariance
    waves = fourier_displacements(u, layer.lattice, layer.way.q)[:, 0]
    expected = np.einsum("nqi,nqj->qij", waves, waves.conj()) / len(root)
    assert np.allclose(layer.patch_correlations(), expected, atol=1e-9 * abs(expected).max())


def test_states_have_the_covariance_of_the_patch(layer):
    u = layer.displacements(2000, np.random.default_rng(0))
    found = np.einsum("nia,njb->iajb", u, u) / len(u)
    exact = layer.patch_covariance
    assert abs(found - exact).max() < 5 * exact.max() * np.sqrt(2 / len(u))
    assert found.trace(axis1=0, axis2=2).trace() == pytest.approx(
        exact.trace(axis1=0, axis2=2).trace(), rel=0.02
    )


def test_quantum_inversion_of_perfect_correlations_is_the_truth_and_equation_6_too_low(lines):
    means = {name: np.array(thz) for name, thz in part(lines, "bands")["path_mean_thz"].items()}
    assert np.allclose(means["quantum"], means["truth"], atol=0.011)
    assert (means["eq. 6"] < 0.8 * means["truth"]).all()
    assert means["eq. 6"].max() < 24  # the paper's highest is 27


def test_correlations_that_are_too_small_raise_frequencies(lines):
    result = part(lines, "scale")
    factor, eq6, quantum = (np.array(result[name]) for name in ("factor", "eq. 6", "quantum"))
    full = eq6[np.flatnonzero(factor == 1)]
    assert np.allclose(eq6, full * factor[:, None] ** -0.5, atol=0.02)
    raised = quantum / np.array(result["truth_thz"])
    small = factor < 1
    assert (raised[small] > factor[small, None] ** -0.5).all()  # more than classical ones
    assert (raised[small] < 1.001 / factor[small, None]).all()  # all zero-point motion: 1/G


def test_heat_makes_equation_6_better_but_not_good(lines):
    result = part(lines, "temperature")
    error = np.array(result["eq. 6"]) / np.array(result["truth_thz"]) - 1
    assert (np.diff(error, axis=0) > 0).all() and (error < 0).all()
    assert result["kelvin"][-1] == 1200 and error[-1, 3] < -0.08


def test_few_states_spread_the_branches_of_equation_6(lines):
    sample = part(lines, "states")
    found = np.array(sample["eq. 6"]["mean_thz"])
    exact = np.array(part(lines, "bands")["path_mean_thz"]["eq. 6, 59 cells"])
    assert found[3] / found[0] > 1.5 * exact[3] / exact[0]
    assert np.allclose(sample["ours"]["mean_thz"], sample["truth_thz"], rtol=0.2)


def test_figure_and_table_come_from_the_lines(lines, tmp_path):
    dispersion.draw(lines, tmp_path / "all.png")
    dispersion.draw(lines[1:2], tmp_path / "part.png")
    assert (tmp_path / "all.png").stat().st_size > 1.5 * (tmp_path / "part.png").stat().st_size
    rows = dispersion.table(lines).splitlines()
    assert len({row.count("|") for row in rows}) == 1
    assert any(row.startswith("| 10 states, ours | ") for row in rows)
