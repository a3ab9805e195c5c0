"""From tracked positions through a fitted lattice to a dispersion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.vibrations import fit_lattice, lattice_operations, phonon_dispersion
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


def test_a_lattice_fitted_to_uncertain_positions_keeps_the_symmetry():
    """Matrices fitted to it one by one are no group; too few force constants were left."""
    crystal = honeycomb()
    atoms, ideal = patch(crystal, 59)
    u = draw(crystal, atoms, 12, np.random.default_rng(0))
    places = ideal.cells @ crystal.vectors + crystal.basis[ideal.sites]
    uncertain = places + np.random.default_rng(1).normal(0, 0.02, places.shape)
    fitted = fit_lattice(uncertain, sites=2, occupied=0)
    assert not np.allclose(*np.linalg.norm(fitted.vectors, axis=1), rtol=1e-5)
    swapped = ideal.sites[0] != fitted.sites[0]
    masses = crystal.masses[::-1] if swapped else crystal.masses
    options = {"points": 25, "draws": 20}
    found = phonon_dispersion(u, fitted, masses, 300, **options)
    expected = phonon_dispersion(u, ideal, crystal.masses, 300, **options)
    assert found.parameters == expected.parameters
    np.testing.assert_allclose(found.uncorrected_path_mean_thz, expected.uncorrected_path_mean_thz, rtol=5e-3)


def test_operations_of_a_fitted_lattice_are_a_group():
    crystal = honeycomb()
    _, ideal = patch(crystal, 19)
    strain = np.array([[1.002, 0.001], [-0.002, 0.999]])
    vectors, basis = crystal.vectors @ strain, crystal.basis @ strain
    matrices = np.array(
        [op.matrix for op in lattice_operations(replace(ideal, vectors=vectors, basis=basis), "lattice")]
    )
    products = (matrices[:, None] @ matrices).reshape(-1, 1, 2, 2)
    assert abs(products - matrices).max(axis=(2, 3)).min(axis=1).max() < 1e-12
    np.testing.assert_allclose(
        matrices @ matrices.swapaxes(1, 2), np.broadcast_to(np.eye(2), (12, 2, 2)), atol=1e-12
    )


def _only(lattice, chosen):
    return type(lattice)(
        origin=lattice.origin,
        vectors=lattice.vectors,
        basis=lattice.basis,
        cells=lattice.cells[chosen],
        sites=lattice.sites[chosen],
        residual=lattice.residual[chosen],
    )
