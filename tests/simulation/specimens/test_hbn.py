"""Twisted hBN: cells of two lattices, bonds, stacking and angle measured back from the atoms."""

from dataclasses import replace

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from caviar_kit.simulation import Experiment, Snapshots, commensurate_cell, ground_truth, twisted_hbn
from caviar_kit.simulation.window import cut_window

# Angle [deg], lattice points in the cell: cos θ = (m² + 4mn + n²) / (2 (m² + mn + n²)).
EXACT = [(0, 1), (21.7868, 7), (27.7958, 13), (13.1736, 19), (10.9927, 109), (38.2132, 7), (60, 1)]


def bond_angles(atoms, half: int, layer: int) -> np.ndarray:
    """Direction of each bond from boron to nitrogen in one layer [deg]."""
    first, second, vector = neighbor_list("ijD", atoms, 1.8)
    chosen = (atoms.arrays["mol-id"][first] == layer) & (atoms.numbers[first] == 5)
    assert (atoms.arrays["half"][first[chosen]] == half).all()
    return np.degrees(np.arctan2(vector[chosen, 1], vector[chosen, 0]))


def threefold(angles: np.ndarray) -> float:
    """Mean direction modulo 120° [deg]."""
    return float(np.degrees(np.angle(np.exp(3j * np.radians(angles)).mean())) / 3)


@pytest.mark.parametrize(("angle", "points"), EXACT)
def test_the_smallest_exact_cell_is_found(angle, points):
    cell = commensurate_cell(round(angle, 2))
    assert cell.points == (points, points)
    assert cell.strain == 0
    assert cell.angle_deg == pytest.approx(angle, abs=1e-4)
    assert cell.side == pytest.approx(np.sqrt(points), abs=1e-12)


def test_mirror_pairs_have_the_angle_of_the_formula():
    for m, n in ((1, 2), (2, 3), (5, 7), (3, 4)):
        cosine = (m * m + 4 * m * n + n * n) / (2 * (m * m + m * n + n * n))
        angle = float(np.degrees(np.arccos(cosine)))
        assert commensurate_cell(angle).indices_lower == (m, n)
        assert commensurate_cell(angle).angle_deg == pytest.approx(angle, abs=1e-9)


@pytest.mark.parametrize(("angle", "points"), EXACT)
def test_every_atom_has_three_bonds_to_the_other_element(angle, points):
    atoms = twisted_hbn(2, 2, round(angle, 2))
    assert len(atoms) == 4 * 2 * points
    assert atoms.info["atoms_per_layer"] == (2 * points, 2 * points)
    first, second, length = neighbor_list("ijd", atoms, 1.8)
    assert set(np.bincount(first)) == {3}
    assert (atoms.numbers[first] != atoms.numbers[second]).all()
    np.testing.assert_allclose(length, 2.504 / np.sqrt(3), rtol=1e-9)


@pytest.mark.parametrize("angle", [0, 10.99, 13.17, 21.79, 27.8, 38.21])
def test_twist_is_the_one_reported(angle):
    atoms = twisted_hbn(2, 2, angle)
    lower, upper = (threefold(bond_angles(atoms, half, layer)) for half, layer in ((0, 1), (1, 3)))
    assert (upper - lower - atoms.info["angle_deg"] + 60) % 120 - 60 == pytest.approx(0, abs=1e-6)
    assert abs(atoms.info["angle_deg"] - angle) < 0.05


def test_stacking_is_aa_prime_in_both_halves():
    atoms = twisted_hbn(3, 2, 21.79)
    layers = atoms.arrays["mol-id"]
    for layer in (1, 2, 4):
        below, above = atoms[layers == layer], atoms[layers == layer + 1]
        offset = above.positions[None, :, :2] - below.positions[:, None, :2]
        fractions = offset @ np.linalg.inv(atoms.cell[:2, :2])
        offset = (fractions - np.round(fractions)) @ atoms.cell[:2, :2]
        nearest = np.linalg.norm(offset, axis=-1).argmin(axis=1)
        assert np.linalg.norm(offset[np.arange(len(below)), nearest], axis=-1).max() < 1e-9
        assert (below.numbers + above.numbers[nearest] == 12).all()


def test_layers_are_evenly_spaced_between_two_surfaces():
    atoms = twisted_hbn(2, 3, 21.79, interlayer_angstrom=3.3)
    layers = atoms.arrays["mol-id"]
    np.testing.assert_allclose(atoms.positions[:, 2], (layers - 0.5) * 3.3, atol=1e-9)
    assert atoms.cell[2, 2] == pytest.approx(16.5)
    assert atoms.pbc.tolist() == [True, True, False]
    assert atoms.arrays["half"][layers <= 2].max() == 0 < atoms.arrays["half"][layers > 2].min()


def test_the_cell_of_the_paper():
    atoms = twisted_hbn(1, 1, 11, lattice_constant_angstrom=2.4979)
    assert atoms.info["angle_deg"] == pytest.approx(10.99, abs=0.005)
    assert atoms.info["atoms_per_layer"] == (218, 218)
    assert sorted(atoms.info["indices_lower"]) == sorted(atoms.info["indices_upper"]) == [5, 7]
    np.testing.assert_allclose(atoms.cell.lengths()[:2], 26.08, atol=0.005)


def test_strain_is_reported_as_the_bonds_have_it():
    atoms = twisted_hbn(1, 1, 30)
    assert commensurate_cell(30).strain == pytest.approx(0.0013831, rel=1e-4)
    first, length = neighbor_list("id", atoms, 1.8)
    for half, name in enumerate(("strain_lower", "strain_upper")):
        mine = length[atoms.arrays["half"][first] == half]
        np.testing.assert_allclose(mine / (2.504 / np.sqrt(3)) - 1, atoms.info[name], atol=1e-9)
    assert atoms.info["strain_lower"] * atoms.info["strain_upper"] < 0
    assert atoms.info["atoms_per_layer"][0] != atoms.info["atoms_per_layer"][1]


def test_an_exact_cell_is_preferred_to_a_strained_one_that_is_smaller():
    assert commensurate_cell(10.99, max_strain=0.05).strain == 0


def test_the_least_strain_is_taken():
    limits = [50, 100, 200, 400]
    strains = [commensurate_cell(30, max_points=limit, max_strain=0.05).strain for limit in limits]
    assert strains == sorted(strains, reverse=True)
    assert strains[0] > strains[-1] > 0


def test_without_a_cell_the_nearest_exact_angle_is_named():
    with pytest.raises(ValueError, match=r"nearest exact angle is 11\.6351"):
        commensurate_cell(12, max_points=80, max_strain=0)
    with pytest.raises(ValueError, match="max_atoms_per_layer"):
        twisted_hbn(2, 2, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers_lower": -1}, "layers_lower must be at least 0"),
        ({"layers_upper": 2.0}, "layers_upper must be an integer"),
        ({"layers_lower": 0, "layers_upper": 0}, "at least 1, got 0 for both"),
        ({"angle_deg": -5}, "angle_deg must be at least 0"),
        ({"angle_deg": 61}, "angle_deg must be at least 0 and at most 60"),
        ({"angle_deg": np.nan}, "angle_deg"),
        ({"lattice_constant_angstrom": 0.25}, "is it in angstrom"),
        ({"interlayer_angstrom": 333}, "interlayer_angstrom must be"),
        ({"max_strain": 1}, "max_strain must be"),
        ({"angle_tolerance_deg": -1}, "angle_tolerance_deg must be"),
        ({"max_atoms_per_layer": 1}, "max_atoms_per_layer must be at least 2"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    arguments = {"layers_lower": 1, "layers_upper": 1, "angle_deg": 21.79, **change}
    with pytest.raises((TypeError, ValueError), match=message):
        twisted_hbn(**arguments)


def stack(layers: int) -> Snapshots:
    atoms = twisted_hbn(layers, layers, 21.79)
    return Snapshots(
        atoms.positions[None], atoms.numbers, atoms.cell[:], atoms.positions, 0, periodic_along_beam=False
    )


@pytest.mark.parametrize("num_slices", [3, 6, 12])
def test_the_stack_is_not_turned_inside_out_when_it_is_cut_into_slices(num_slices):
    layers = stack(6)
    window = cut_window(layers, experiment(num_slices=num_slices))
    placed, relaxed = window.place(layers.positions[0])[:, 2], layers.relaxed[window.index, 2]
    np.testing.assert_allclose(placed, relaxed, atol=1e-9)
    per_slice = np.unique(np.floor(placed / (layers.thickness_angstrom / num_slices)))
    assert len(per_slice) == num_slices


def test_a_window_larger_than_the_hexagonal_cell_is_filled_without_gaps():
    layers = stack(1)
    window = cut_window(layers, experiment(num_slices=2))
    placed = window.place(layers.positions[0])
    assert len(placed) / 16**2 == pytest.approx(28 / layers.cell[0, 0] / layers.cell[1, 1], rel=0.03)
    inside = (np.abs(placed[:, :2] - 8) < 5).all(axis=1)
    distance = np.linalg.norm(placed[inside, None] - placed, axis=-1)
    assert ((distance < 1.5).sum(axis=1) == 4).all()  # itself and three bonds


def test_truth_of_each_half_is_a_honeycomb():
    layers = stack(3)
    lower = layers.relaxed[:, 2] < layers.thickness_angstrom / 2
    for mask in (lower, ~lower):
        truth = ground_truth(layers, experiment(), atoms=mask)
        distance = np.linalg.norm(truth.positions[None] - truth.positions[:, None], axis=-1)
        np.fill_diagonal(distance, np.inf)
        np.testing.assert_allclose(distance.min(axis=1), 2.504 / np.sqrt(3), rtol=1e-9)
        area = 7.2**2 / (2.504**2 * np.sqrt(3) / 4)
        assert len(truth.positions) == pytest.approx(area, rel=0.2)
    np.testing.assert_array_equal(layers.only(lower).relaxed, layers.relaxed[lower])


def test_truths_beside_each_other_keep_their_own_blocks():
    thermal = stack(1)
    moved = thermal.positions + np.random.default_rng(0).normal(0, 0.05, (5, *thermal.relaxed.shape))
    thermal = replace(thermal, positions=moved)
    lower = thermal.relaxed[:, 2] < 3.33
    first, second = (ground_truth(thermal, experiment(), atoms=mask) for mask in (lower, ~lower))
    both, count = first.beside(second), len(first.positions)
    np.testing.assert_allclose(both.greens_tensor[:count, :, :count], first.greens_tensor, atol=1e-15)
    np.testing.assert_allclose(both.greens_tensor[count:, :, count:], second.greens_tensor, atol=1e-15)
    across = np.einsum("nia,njb->iajb", first.displacements, second.displacements) / 5
    np.testing.assert_allclose(both.greens_tensor[:count, :, count:], across, atol=1e-15)


def test_a_mask_that_is_none_is_refused():
    layers = stack(1)
    with pytest.raises(TypeError, match="atoms must hold True or False"):
        layers.only([0, 1])
    with pytest.raises(ValueError, match="select at least one atom"):
        layers.only(np.zeros(28, dtype=bool))
    with pytest.raises(ValueError, match="must have shape"):
        ground_truth(layers, experiment(), atoms=np.ones(3, dtype=bool))


def experiment(**changes) -> Experiment:
    values = {
        "energy_ev": 60e3,
        "semiangle_mrad": 40,
        "defocus_angstrom": 60,
        "scan_step_angstrom": 0.6,
        "scan_shape": (13, 13),
        "centre_angstrom": (5.0, 5.0),
        "window_angstrom": 16,
        "grid_points": 96,
        "detector_pixels": 64,
        "num_slices": 6,
    }
    return Experiment(**{**values, **changes})


def test_a_single_crystal_is_a_stack_without_upper_half():
    assert len(twisted_hbn(4, 0, 0)) == 8
