"""From tracked positions through a fitted lattice to a dispersion."""

from __future__ import annotations

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.vibrations import fit_lattice, phonon_dispersion
from tests.vibrations.crystals import draw, honeycomb, patch


@pytest.mark.parametrize("mirror", [False, True])
def test_a_fitted_lattice_of_a_turned_patch_gives_the_same_frequencies(mirror):
    crystal = honeycomb()
    atoms, ideal = patch(crystal, 30)
    u = draw(crystal, atoms, 12, np.random.default_rng(0))
    places = ideal.cells @ crystal.vectors + crystal.basis[ideal.sites]
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    turn = turn @ np.diag([-1, 1]) if mirror else turn
    tracked = (places + u) @ turn.T + [7.0, -3.0]
    displacements = ck.displacements(tracked)
    fitted = fit_lattice(tracked.mean(axis=0), sites=2)
    used = fitted.sites >= 0
    assert used.sum() > 50
    # which of the two sites comes first is the fit's choice: the lighter one is where site 0 was
    swapped = ideal.sites[used][0] != fitted.sites[used][0]
    masses = crystal.masses[::-1] if swapped else crystal.masses
    options = {"points": 25, "draws": 20, "reach": 2.6}
    found = phonon_dispersion(displacements, fitted, masses, 300, **options)
    expected = phonon_dispersion(u[:, used], _only(ideal, used), crystal.masses, 300, **options)
    assert found.operations == expected.operations == 6
    np.testing.assert_allclose(found.uncorrected_thz, expected.uncorrected_thz, rtol=2e-3, atol=2e-2)
    np.testing.assert_allclose(found.interval_thz, expected.interval_thz, rtol=2e-2)


def _only(lattice, chosen):
    return type(lattice)(
        origin=lattice.origin,
        vectors=lattice.vectors,
        basis=lattice.basis,
        cells=lattice.cells[chosen],
        sites=lattice.sites[chosen],
        residual=lattice.residual[chosen],
    )
