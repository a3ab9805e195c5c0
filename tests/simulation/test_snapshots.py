"""Snapshots, columns, the Einstein reference, and the file format."""

from dataclasses import replace

import numpy as np
import pytest

from caviar_kit.simulation import (
    Columns,
    Snapshots,
    coherent,
    column_displacements,
    columns,
    einstein,
    load_snapshots,
    save_snapshots,
    silicon_sigma9,
    silicon_sigma9_snapshots,
    thicken,
    twisted_hbn,
)
from caviar_kit.simulation.window import cut_window
from tests.simulation.tiny import TINY


@pytest.fixture(scope="module")
def silicon() -> Snapshots:
    return silicon_sigma9_snapshots()


def pair_tensor(snapshots: Snapshots) -> tuple[np.ndarray, np.ndarray]:
    """Radial correlation and self term [pm²] of all dumbbell pairs (1.3–1.4 Å) in the cell."""
    found = columns(snapshots)
    u = 100 * column_displacements(snapshots, found)
    difference = found.positions[None] - found.positions[:, None]
    lengths = np.array([snapshots.cell[1, 1], snapshots.cell[0, 0]])
    difference -= np.round(difference / lengths) * lengths
    distance = np.linalg.norm(difference, axis=-1)
    first, second = np.nonzero((distance > 0.1) & (distance < 1.6))
    axis = difference[first, second] / distance[first, second, None]
    along = np.einsum("nij,ij->ni", u[:, first], axis), np.einsum("nij,ij->ni", u[:, second], axis)
    return (along[0] * along[1]).mean(axis=0), (u**2).mean(axis=0)


def small(**changes) -> Snapshots:
    positions = np.random.default_rng(0).uniform(1, 3, (4, 5, 3))
    values = dict(
        positions=positions,
        numbers=[14] * 5,
        cell=np.diag([4.0, 5.0, 6.0]),
        relaxed=positions[0],
        temperature_k=300,
    )
    return Snapshots(**{**values, **changes})


def test_silicon_cell_is_four_coordinated_and_in_angstrom():
    from ase.neighborlist import neighbor_list

    atoms = silicon_sigma9()
    assert len(atoms) == 864
    assert set(np.bincount(neighbor_list("i", atoms, 2.85))) == {4}
    np.testing.assert_allclose(atoms.cell.lengths(), [34.68, 65.32, 7.685], atol=0.01)


def test_silicon_snapshots_vibrate_as_molecular_dynamics_says(silicon):
    assert len(silicon) == 30
    rms_pm = 100 * silicon.displacements.std(axis=(0, 1))
    np.testing.assert_allclose(rms_pm, [7.5, 7.0, 8.5], atol=0.4)
    assert silicon.provenance["potential"] == "Stillinger-Weber, Si.sw"


def test_silicon_columns_move_together(silicon):
    radial, self_terms = pair_tensor(silicon)
    assert len(columns(silicon)) == 432
    yy, xx = self_terms.mean(axis=0)
    assert 35 < xx < 45
    assert 28 < yy < 36
    assert 29 < radial.mean() < 37


def test_columns_see_through_the_periodic_boundary():
    positions = np.array([[[0.1, 0.1, 0], [3.9, 4.9, 3], [2.0, 2.0, 1]]])
    found = columns(small(positions=positions, relaxed=positions[0], numbers=[14] * 3))
    assert found.labels.tolist() == [0, 0, 1]
    np.testing.assert_allclose(found.positions, [[0, 0], [2, 2]], atol=1e-12)


def test_column_displacement_is_y_then_x_and_averages_atoms():
    positions = np.zeros((2, 2, 3)) + 1
    positions[1, 0] += [0.2, 0.4, 0.6]
    moved = small(positions=positions, relaxed=positions[0], numbers=[14] * 2)
    u = column_displacements(moved, columns(moved))
    np.testing.assert_allclose(u[:, 0], [[-0.1, -0.05], [0.1, 0.05]])


@pytest.mark.parametrize("match", ["atom", "column"])
def test_einstein_matches_mean_and_variance_of_every_atom(silicon, match):
    model = einstein(silicon, 0, match)
    np.testing.assert_allclose(model.mean_positions, silicon.mean_positions, atol=1e-9)
    np.testing.assert_allclose(
        model.displacements.std(axis=(0, 1)), silicon.displacements.std(axis=(0, 1)), rtol=1e-3
    )


def test_einstein_per_column_matches_every_column(silicon):
    found = columns(silicon)
    wanted, got = (column_displacements(s, found).var(axis=0) for s in (silicon, einstein(silicon, 0)))
    np.testing.assert_allclose(got, wanted, rtol=1e-9)


def test_einstein_per_atom_leaves_columns_too_quiet(silicon):
    found = columns(silicon)
    wanted, got = (column_displacements(s, found).var() for s in (silicon, einstein(silicon, 0, "atom")))
    assert 0.65 < got / wanted < 0.8


def test_einstein_neighbours_are_uncorrelated(silicon):
    radial, self_terms = pair_tensor(einstein(silicon, 0))
    assert abs(radial.mean()) < 0.03 * self_terms.mean()


def test_einstein_repeats_bit_for_bit(silicon):
    np.testing.assert_array_equal(einstein(silicon, 3).positions, einstein(silicon, 3).positions)
    assert np.any(einstein(silicon, 4).positions != einstein(silicon, 3).positions)


def test_coherent_is_one_snapshot_at_the_mean(silicon):
    still = coherent(silicon)
    assert len(still) == 1
    np.testing.assert_array_equal(still.positions[0], silicon.mean_positions)
    assert still.temperature_k == 0


def test_subset_is_evenly_spread(silicon):
    np.testing.assert_array_equal(silicon.subset(3).positions, silicon.positions[::10])


def test_atoms_gives_ase_atoms(silicon):
    atoms = silicon.atoms(-1)
    np.testing.assert_array_equal(atoms.positions, silicon.positions[-1])
    assert atoms.pbc.all()


def test_arrays_are_read_only(silicon):
    with pytest.raises(ValueError, match="read-only"):
        silicon.positions[0] = 0


def test_file_round_trip(tmp_path):
    wanted = small(provenance={"dynamics": "none"})
    save_snapshots(tmp_path / "s.npz", wanted)
    got = load_snapshots(tmp_path / "s.npz")
    np.testing.assert_allclose(got.positions, wanted.positions, atol=0.51e-4)
    np.testing.assert_array_equal(got.numbers, wanted.numbers)
    assert got.provenance == wanted.provenance
    assert [p.name for p in tmp_path.iterdir()] == ["s.npz"]


@pytest.mark.parametrize("damage", ["truncated", "foreign", "keys", "pickle"])
def test_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "s.npz"
    save_snapshots(path, small())
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "foreign":
        path.write_text("not a zip file")
    elif damage == "keys":
        np.savez(path, positions=np.zeros(3))
    else:
        np.savez(path, displacements=np.array([{}], dtype=object))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"s\.npz is damaged or of another kind"):
        load_snapshots(path)
    assert path.read_bytes() == before


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.npz"):
        load_snapshots(tmp_path / "nowhere.npz")


def test_diffused_atoms_cannot_be_packed(tmp_path):
    with pytest.raises(ValueError, match="3.27 Å"):
        save_snapshots(tmp_path / "s.npz", small(relaxed=np.full((5, 3), 9.0)))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"positions": np.zeros((4, 6, 3))}, ValueError, r"positions must have shape \(any, 5, 3\)"),
        ({"positions": np.full((4, 5, 3), np.nan)}, ValueError, "positions must be finite"),
        ({"positions": np.zeros((0, 5, 3))}, ValueError, "positions is empty"),
        ({"relaxed": np.zeros((5, 2))}, ValueError, "relaxed must have shape"),
        ({"numbers": [14.0] * 5}, TypeError, "numbers must hold integers"),
        ({"numbers": [0] * 5}, ValueError, "from 1 to 118"),
        ({"cell": np.diag([4e-10, 5e-10, 6e-10])}, ValueError, "is the cell in angstrom"),
        ({"cell": np.eye(3)[[2, 0, 1]] * 5}, ValueError, "third along"),
        ({"cell": np.array([[4, 0, 0], [8, 0, 0], [0, 0, 6.0]])}, ValueError, "span a volume"),
        ({"temperature_k": -1}, ValueError, "temperature_k must be at least 0"),
        ({"provenance": {"steps": 3}}, TypeError, "strings to strings"),
    ],
)
def test_bad_snapshots_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        small(**changes)


def test_bad_arguments_are_refused(silicon):
    with pytest.raises(ValueError, match="match must be one of 'column', 'atom'"):
        einstein(silicon, 0, "cell")
    with pytest.raises(TypeError, match="seed must be an integer"):
        einstein(silicon, 0.5)
    with pytest.raises(ValueError, match="number of snapshots must be at least 3"):
        einstein(silicon.subset(2), 0)
    with pytest.raises(ValueError, match="count must be at least 1 and at most 30"):
        silicon.subset(31)
    with pytest.raises(ValueError, match="index must be at least"):
        silicon.atoms(30)
    with pytest.raises(ValueError, match="tolerance_angstrom must be above 0"):
        columns(silicon, 0)
    with pytest.raises(ValueError, match="do not stand in columns"):
        columns(silicon, 1.4)
    with pytest.raises(ValueError, match="columns were found for 3 atoms"):
        column_displacements(silicon, Columns(np.zeros(3, dtype=int), np.zeros((1, 2))))
    with pytest.raises(TypeError, match="must be a number"):
        replace(silicon, temperature_k="300 K")


def test_a_slab_keeps_the_order_of_its_layers_however_they_buckle():
    """Its cell must not be cut and wrapped as that of a crystal that goes on beyond it."""
    flat = twisted_hbn(2, 2, 21.79)
    shaken = flat.positions + np.random.default_rng(1).normal(0, 0.05, flat.positions.shape)
    slab = Snapshots(
        shaken[None], flat.numbers, flat.cell.array, shaken, temperature_k=0, periodic_along_beam=False
    )
    order = np.repeat([1, 2, 3, 4], 14)
    for slices in (1, 2, 3, 4, 6):
        optics = replace(TINY, centre_angstrom=(4.0, 4.0), num_slices=slices)
        window = cut_window(slab, optics)
        height = window.place(slab.positions[0])[:, 2]
        layer = order[window.index]
        assert all(height[layer == n].max() < height[layer == n + 1].min() for n in (1, 2, 3))
        assert height.min() + height.max() == pytest.approx(slab.thickness_angstrom, abs=0.01)


def test_a_slab_is_one_in_files_too(tmp_path):
    flat = twisted_hbn(1, 1, 21.79)
    slab = Snapshots(
        flat.positions[None], flat.numbers, flat.cell.array, flat.positions, 0.0, periodic_along_beam=False
    )
    save_snapshots(tmp_path / "slab.npz", slab)
    assert not load_snapshots(tmp_path / "slab.npz").periodic_along_beam
    assert not slab.atoms(0).pbc[2]
    assert silicon_sigma9_snapshots().periodic_along_beam
    with pytest.raises(ValueError, match="surfaces"):
        thicken(slab, 2)


@pytest.mark.parametrize("function", [einstein, coherent, columns])
def test_what_is_no_snapshots_is_refused(function):
    arguments = {"seed": 1} if function is einstein else {}
    with pytest.raises(TypeError, match="snapshots must be Snapshots, got Atoms"):
        function(twisted_hbn(1, 1, 21.79), **arguments)
