"""Harmonic thermal motion against closed forms: two atoms, a ring, and statistics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import constants as c

from caviar_kit.simulation import harmonic, harmonic_covariance, phonon_frequencies
from tests.simulation.springs import block_of_springs, chain, chain_frequencies, dimer

STIFFNESS = (3.0, 5.0, 8.0)  # eV/Å²


def relative_square(covariance):
    """⟨(u₁ - u₀)²⟩ per axis of two atoms."""
    return np.array(
        [covariance[1, a, 1, a] + covariance[0, a, 0, a] - 2 * covariance[0, a, 1, a] for a in range(3)]
    )


def test_two_atoms_on_a_spring_share_k_t_classically():
    """k ⟨x²⟩ = k_B T, whatever the masses."""
    atoms, springs = dimer(STIFFNESS)
    square = relative_square(harmonic_covariance(atoms, springs, temperature_k=300, statistics="classical"))
    np.testing.assert_allclose(square, c.k * 300 / c.e / np.array(STIFFNESS), rtol=1e-12)


def test_two_atoms_on_a_spring_at_rest_keep_their_zero_point_motion():
    """⟨x²⟩ = ħ / 2μω with the reduced mass μ at 0 K; nothing classically."""
    atoms, springs = dimer(STIFFNESS)
    first, second = atoms.get_masses() * c.atomic_mass
    reduced = first * second / (first + second)
    omega = np.sqrt(np.array(STIFFNESS) * c.e * 1e20 / reduced)
    square = relative_square(harmonic_covariance(atoms, springs, temperature_k=0))
    np.testing.assert_allclose(square, c.hbar / (2 * reduced * omega) * 1e20, rtol=1e-12)
    assert not harmonic_covariance(atoms, springs, temperature_k=0, statistics="classical").any()


def test_centre_of_mass_rests():
    atoms, springs = dimer()
    drawn = harmonic(atoms, springs, seed=1).positions - atoms.positions
    moment = np.einsum("i,nia->na", atoms.get_masses(), drawn)
    np.testing.assert_allclose(moment, 0, atol=1e-12)
    assert np.abs(drawn).max() > 0.01


def test_hot_atoms_are_classical_and_cold_ones_move_more():
    """Mode by mode ⟨Q²⟩_quantum / ⟨Q²⟩_classical = x coth x with x = ħω / 2k_BT."""
    count, stiffness = 8, (2.0, 3.0, 7.0)
    atoms, springs = chain(count, stiffness)
    omega = 2e12 * np.pi * chain_frequencies(count, stiffness)
    for kelvin in (30.0, 300.0, 3e4):
        traces = [
            np.sort(
                np.linalg.eigvalsh(
                    harmonic_covariance(atoms, springs, temperature_k=kelvin, statistics=s).reshape(24, 24)
                )
            )[3:]
            for s in ("quantum", "classical")
        ]
        x = c.hbar * np.sort(omega)[::-1] / (2 * c.k * kelvin)  # the softest mode moves most
        np.testing.assert_allclose(traces[0] / traces[1], x / np.tanh(x), rtol=1e-9)
    assert traces[0].sum() / traces[1].sum() == pytest.approx(1, abs=1e-4)


def test_ring_has_the_spectrum_of_a_chain():
    stiffness = (2.0, 3.0, 7.0)
    np.testing.assert_allclose(
        phonon_frequencies(*chain(12, stiffness)), chain_frequencies(12, stiffness), rtol=1e-10
    )


def test_chain_correlations_fall_off_as_its_waves_say():
    """⟨u_0 u_l⟩ = (1/n) Σ_q ⟨Q²⟩(q) cos(q l) / m."""
    count, stiffness = 12, (2.0, 3.0, 7.0)
    atoms, springs = chain(count, stiffness)
    covariance = harmonic_covariance(atoms, springs, temperature_k=300)
    waves = np.arange(1, count)
    for axis, k in enumerate(stiffness):
        omega = np.sqrt(4 * k * c.e * 1e20 / (atoms.get_masses()[0] * c.atomic_mass)) * np.sin(
            np.pi * waves / count
        )
        square = c.hbar / (2 * omega * np.tanh(c.hbar * omega / (2 * c.k * 300))) * 1e20
        expected = np.cos(2 * np.pi * np.outer(np.arange(count), waves) / count) @ square
        expected /= count * atoms.get_masses()[0] * c.atomic_mass
        np.testing.assert_allclose(covariance[0, axis, :, axis], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("statistics", ["quantum", "classical"])
def test_snapshots_converge_to_the_covariance_as_one_over_root_n(statistics):
    """The relative error of n Gaussian draws is √((tr C)² + tr C²) / |C| / √n in the mean of squares."""
    atoms, springs = chain(6)
    exact = harmonic_covariance(atoms, springs, statistics=statistics).reshape(18, 18)
    expected = np.sqrt(np.trace(exact) ** 2 + (exact**2).sum())
    for count in (100, 1600, 25600):
        ratios = []
        for seed in range(8):
            drawn = harmonic(atoms, springs, snapshots=count, seed=seed, statistics=statistics)
            u = (drawn.positions - atoms.positions).reshape(count, -1)
            ratios.append(((u.T @ u / count - exact) ** 2).sum() * count / expected**2)
        assert np.mean(ratios) == pytest.approx(1, abs=0.35)  # eight of them scatter by less than 0.2


def test_turned_crystal_moves_along_turned_axes():
    """A quarter turn about the beam maps (x, y) to (-y, x)."""
    atoms, springs = block_of_springs((3, 2, 2))
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    turned = atoms.copy()
    turned.positions = atoms.positions @ turn.T
    turned.set_cell(atoms.cell[[1, 0, 2]] @ np.abs(turn))
    around = np.einsum("ab,ibjc,dc->iajd", turn, springs, turn)
    expected = np.einsum("ab,ibjc,dc->iajd", turn, harmonic_covariance(atoms, springs), turn)
    np.testing.assert_allclose(harmonic_covariance(turned, around), expected, atol=1e-14)
    assert not np.allclose(harmonic_covariance(atoms, springs), expected, atol=1e-5)


def test_heavier_isotopes_move_less_only_quantum_mechanically():
    atoms, springs = dimer()
    heavy = atoms.copy()
    heavy.set_masses(4 * atoms.get_masses())
    classical = [
        relative_square(harmonic_covariance(a, springs, statistics="classical")) for a in (atoms, heavy)
    ]
    np.testing.assert_allclose(*classical, rtol=1e-12)
    cold = [relative_square(harmonic_covariance(a, springs, temperature_k=0)) for a in (atoms, heavy)]
    np.testing.assert_allclose(cold[0], 2 * cold[1], rtol=1e-12)


def test_same_seed_same_bits():
    atoms, springs = block_of_springs((3, 2, 2))
    first, again, other = (harmonic(atoms, springs, seed=seed, snapshots=4) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.positions, again.positions)
    assert not np.allclose(first.positions, other.positions)
    longer = harmonic(atoms, springs, seed=3, snapshots=7)
    np.testing.assert_allclose(longer.positions[:4], first.positions, atol=1e-12)


def test_bodies_hold_their_centres_of_mass():
    """Two rings that nothing joins slide freely; held as two bodies each vibrates as it does alone."""
    ring, springs = chain(6)
    both = ring + ring
    both.positions[6:, 0] += 2.0
    joint = np.zeros((12, 3, 12, 3))
    joint[:6, :, :6] = joint[6:, :, 6:] = springs
    with pytest.raises(ValueError, match="bodies that slide"):
        harmonic(both, joint, seed=0)
    alone = harmonic_covariance(ring, springs)
    together = harmonic_covariance(both, joint, bodies=[5] * 6 + [9] * 6)
    np.testing.assert_allclose(together[:6, :, :6], alone, atol=1e-12)
    np.testing.assert_allclose(together[:6, :, 6:], 0, atol=1e-12)


def test_held_bodies_move_as_gaussian_variables_under_a_condition():
    """Classically C - C Aᵀ (A C Aᵀ)⁺ A C, the covariance given that each body's moment A u is zero."""
    atoms, springs = block_of_springs((3, 2, 4))
    layers = np.rint(atoms.positions[:, 2] / 2).astype(int)
    free, held = (
        harmonic_covariance(atoms, springs, statistics="classical", bodies=bodies).reshape(72, 72)
        for bodies in (None, layers)
    )
    moment = np.kron((layers == np.arange(4)[:, None]) * atoms.get_masses(), np.eye(3))
    given = moment @ free
    expected = free - given.T @ np.linalg.pinv(given @ moment.T, rcond=1e-10) @ given
    np.testing.assert_allclose(held, expected, atol=1e-10 * free.max())
    assert held.trace() < 0.9 * free.trace()


def test_snapshots_tell_where_they_come_from():
    atoms, springs = chain(6)
    drawn = harmonic(atoms, springs, seed=5, temperature_k=77, statistics="classical", snapshots=3)
    assert len(drawn) == 3
    assert drawn.temperature_k == 77
    np.testing.assert_array_equal(drawn.relaxed, atoms.positions)
    assert drawn.provenance["dynamics"] == "harmonic, classical statistics, 77 K, seed 5"
