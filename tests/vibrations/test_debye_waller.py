"""Mean square displacements and both definitions of B."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import caviar_kit as ck
from caviar_kit.vibrations import debye_waller, fit_lattice
from tests.vibrations import structures as st


def tensor(*blocks: list) -> np.ndarray:
    G = np.full((len(blocks), 2, len(blocks), 2), np.nan)
    for k, block in enumerate(blocks):
        G[k, :, k] = block
    return G


ELLIPSE = [[0.004, 0.001], [0.001, 0.006]]


def test_units_and_both_conventions():
    result = debye_waller(tensor(ELLIPSE, [[0.005, 0], [0, 0.005]]))
    np.testing.assert_allclose(result.u_angstrom2, [[0.004, 0.006], [0.005, 0.005]])
    np.testing.assert_allclose(result.u_pm2, [[40, 60], [50, 50]])
    np.testing.assert_allclose(result.b_angstrom2, 8 * math.pi**2 * result.u_angstrom2)
    np.testing.assert_allclose(result.b_both_axes_pm2, 8 * math.pi**2 * 100)
    # isotropic: the paper's B is twice the usual one
    np.testing.assert_allclose(result.b_both_axes_angstrom2[1], 2 * result.b_angstrom2[1])
    np.testing.assert_allclose(result.anisotropy, [math.hypot(0.001, 0.001) / 0.005, 0])
    small, large = result.principal_angstrom2[0]
    y, x = result.principal_axes[0][1]
    assert np.array([y, x]) @ ELLIPSE @ [y, x] == pytest.approx(large)
    assert small < 0.004 < 0.006 < large


def test_silicon_of_the_literature():
    # U = 5.95e-3 Å² per axis at 300 K is B = 0.47 Å² in the usual convention
    usual = debye_waller(tensor(np.eye(2) * 5.95e-3)).b_angstrom2
    np.testing.assert_allclose(usual, 0.4698, rtol=1e-3)


def test_few_states_lose_their_share_of_the_variance():
    states, rms = 5, 0.07
    rng = np.random.default_rng(0)
    u = ck.displacements(rng.normal(0, rms, (states, 20000, 2)))
    G = np.zeros((1, 2, 1, 2))
    raw = (u**2).mean(axis=(0, 1))
    G[0, [0, 1], 0, [0, 1]] = raw
    biased, corrected = (
        debye_waller(G).u_mean_angstrom2[0],
        debye_waller(G, states=states).u_mean_angstrom2[0],
    )
    error = rms**2 * math.sqrt(2 / (2 * 20000 * (states - 1)))
    assert abs(corrected - rms**2) < 4 * error
    assert abs(biased - rms**2 * (states - 1) / states) < 4 * error


def test_sites_are_averaged_and_strangers_left_out():
    where = np.concatenate([st.patch("honeycomb", 7.0), [[0.3, 0.3]]])
    lattice = fit_lattice(where)
    u = np.where(lattice.sites == 0, 0.002, 0.005)
    u[-1] = 9.0
    G = tensor(*[np.eye(2) * value for value in u])
    G[np.flatnonzero(lattice.sites == 1)[0], 0] = np.nan
    result = debye_waller(G, lattice=lattice)
    np.testing.assert_allclose(result.u_mean_angstrom2, [0.002, 0.005])
    assert result.counts.sum() == len(where) - 2


@settings(max_examples=30, deadline=None)
@given(angle=some.floats(0, 360), mirror=some.booleans())
def test_ellipses_co_rotate(angle, mirror):
    matrix = (np.diag([-1.0, 1.0]) if mirror else np.eye(2)) @ st.turn(angle)
    plain = debye_waller(tensor(ELLIPSE))
    turned = debye_waller(tensor(matrix.T @ ELLIPSE @ matrix))
    np.testing.assert_allclose(turned.principal_angstrom2, plain.principal_angstrom2)
    np.testing.assert_allclose(turned.b_both_axes_pm2, plain.b_both_axes_pm2)
    overlap = np.abs(plain.principal_axes[0] @ matrix @ turned.principal_axes[0].T)
    np.testing.assert_allclose(overlap, np.eye(2), atol=1e-6)


def test_missing_atoms_stay_missing():
    result = debye_waller(tensor(ELLIPSE, [[np.nan, np.nan], [np.nan, np.nan]]))
    assert np.isnan(result.u_angstrom2[1]).all()
    assert np.isnan(result.principal_angstrom2[1]).all()
    assert np.isnan(result.anisotropy[1])
    assert result.counts.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "G must have shape", lambda: debye_waller(np.eye(2))),
        (ValueError, "negative self terms", lambda: debye_waller(tensor([[-1e-3, 0], [0, 1e-3]]))),
        (ValueError, "states must be at least 2", lambda: debye_waller(tensor(ELLIPSE), states=1)),
        (TypeError, "lattice must be a Lattice", lambda: debye_waller(tensor(ELLIPSE), lattice=3)),
        (
            ValueError,
            "lattice must hold the 1 atoms",
            lambda: debye_waller(tensor(ELLIPSE), lattice=fit_lattice(st.patch("honeycomb", 6))),
        ),
    ],
)
def test_refusals(error, match, call):
    with pytest.raises(error, match=match):
        call()
