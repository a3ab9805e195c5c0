"""From a pixel-wise reconstruction of independent data (abTEM) to atoms that move."""

from __future__ import annotations

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.atomistic import AtomisticFit, load_atomistic
from caviar_kit.vibrations.phase import projected_phase


@pytest.fixture(scope="module")
def silicon():
    """The molecular-dynamics example, one state fitted pixel by pixel, and the columns in its mean phase."""
    example = ck.load_example("si-sigma9-md", "quick")
    optics = example.experiment
    ptycho = ck.MixedObjectMultislicePtychography(
        datacube=example.datacube,
        energy=optics.energy_ev,
        semiangle_cutoff=optics.semiangle_mrad,
        defocus=optics.defocus_angstrom,
        num_slices=example.num_slices,
        slice_thicknesses=example.snapshots.thickness_angstrom / example.num_slices,
        num_object_states=1,
        vacuum_probe_intensity=example.vacuum_probe,
    ).preprocess(force_com_rotation=0, force_com_transpose=False)
    ptycho.reconstruct(60, progress_bar=False)
    found = ck.find_atoms(projected_phase(ptycho.object)[0], tuple(ptycho.sampling))
    return example, ptycho, found


@pytest.fixture(scope="module")
def refined(silicon):
    example, ptycho, found = silicon
    return ck.refine_atomistic(
        ptycho, found, "Si", num_states=12, max_iter=30, parametrization="kirkland", progress_bar=False
    )


def truth(example, ptycho, result):
    """Result and example's tensor and positions, column by column."""
    known = example.ground_truth.positions + ptycho.scan_positions_angstrom[0]
    mine, theirs = ck.match_atoms(result.positions, known)
    tensor = example.ground_truth.greens_tensor
    return result.of(mine), tensor[theirs][:, :, theirs], known[theirs]


@pytest.mark.slow
def test_neighbour_correlations_of_independent_data_are_found(silicon, refined):
    """The fit's potentials (Kirkland) are not those of the data (Lobato)."""
    example, ptycho, _ = silicon
    mine, tensor, known = truth(example, ptycho, refined)
    assert len(known) == len(example.ground_truth.positions)
    shells = ck.compare_correlations(tensor, mine.greens_tensor, known)
    assert shells["nearest"].csm > 0.96
    assert shells["nearest"].lsm == pytest.approx(1, abs=0.2)
    assert shells["self"].csm > 0.98
    assert shells["self"].lsm == pytest.approx(1, abs=0.2)
    assert np.sqrt(((mine.positions - known) ** 2).mean()) < 0.005


@pytest.mark.slow
def test_atoms_are_counted_and_found_in_depth(silicon, refined):
    """Two atoms per column, the columns of a dumbbell 1.9 Å apart along the beam."""
    mine, _, known = truth(*silicon[:2], refined)
    assert mine.atoms_per_site == pytest.approx(np.full(len(known), 2.0), abs=0.1)
    depth = 1.92 * (mine.occupancies * np.arange(4)).sum(axis=1) / mine.atoms_per_site
    near = np.linalg.norm(known[:, None] - known, axis=-1)
    first, second = np.nonzero(np.triu((near > 0) & (near < 1.8)))
    assert len(first) >= 2
    assert (abs(depth[first] - depth[second]) > 1.0).all()


@pytest.mark.slow
def test_result_is_complete_and_comes_back_from_a_file(silicon, refined, tmp_path):
    _, ptycho, found = silicon
    states, sites, slices = 12, len(found), 4
    assert refined.tracked.shape == refined.displacements.shape == (states, sites, 2)
    assert refined.greens_tensor.shape == (sites, 2, sites, 2)
    assert refined.occupancies.shape == (sites, slices)
    assert refined.misfit.shape == (len(ptycho.scan_positions_angstrom),)
    assert refined.misfit.mean() == pytest.approx(refined.loss[-1], rel=1e-3)
    assert set(refined.symbols) == {"Si"}
    assert 4 <= refined.in_field.sum() < sites / 2
    refined.save(tmp_path / "atoms.npz")
    again = load_atomistic(tmp_path / "atoms.npz")
    assert (again.tracked == refined.tracked).all()
    assert again.loss_name == "amplitude"
    assert again.of(again.in_field).displacements.shape == (states, int(refined.in_field.sum()), 2)


def test_every_slice_may_move_on_its_own_and_known_numbers_are_kept(silicon):
    _, ptycho, found = silicon
    numbers = np.full((len(found), 4), 0.5)
    numbers[:, 3] = 0
    fit = AtomisticFit(
        ptycho, found, ["Si"] * len(found), occupancies=numbers, rigid=False, num_states=3, max_iter=2
    )
    last = list(fit.iterate())[-1]
    result = fit.result
    assert result.tracked.shape == (3, 4, len(found), 2)
    assert np.isnan(result.tracked[:, 3]).all()
    assert not np.isnan(result.tracked[:, :3]).any()
    assert (result.occupancies == numbers).all()
    assert last.scene.atoms.scales != 1.0
    assert result.positions == pytest.approx(found, abs=0.2)
    assert result.greens_tensor.shape == (len(found), 2, len(found), 2)


def test_unusable_arguments_are_refused(silicon):
    _, ptycho, found = silicon
    with pytest.raises(TypeError, match="unknown setting iterations; allowed are"):
        ck.refine_atomistic(ptycho, found, "Si", iterations=3)
    with pytest.raises(ValueError, match="loss"):
        ck.refine_atomistic(ptycho, found, "Si", loss="gauss")
    with pytest.raises(ValueError, match="occupancies must not be negative"):
        ck.refine_atomistic(ptycho, found, "Si", occupancies=np.full((len(found), 4), -1.0))
    with pytest.raises(ValueError, match=f"slices must have shape \\({len(found)}, 4\\)"):
        ck.refine_atomistic(ptycho, found, "Si", slices=np.ones((len(found), 3), bool))
    between = found[:4] + [0.0, 2.7]
    with pytest.raises(ValueError, match="do not match the reconstruction"):
        ck.refine_atomistic(ptycho, between[between[:, 1] < 20], "Si")
    with pytest.raises(ValueError, match="iterate first"):
        _ = AtomisticFit(ptycho, found, "Si").result


def test_a_scan_that_was_not_prepared_or_reconstructed_is_refused():
    example = ck.load_example("si-sigma9-md", "quick")
    optics = example.experiment
    ptycho = ck.MixedObjectMultislicePtychography(
        datacube=example.datacube,
        energy=optics.energy_ev,
        semiangle_cutoff=optics.semiangle_mrad,
        num_slices=4,
        slice_thicknesses=1.92,
    )
    with pytest.raises(ValueError, match="run preprocess"):
        ck.refine_atomistic(ptycho, [[10.0, 10.0]], "Si")
    ptycho.preprocess(force_com_rotation=0, force_com_transpose=False)
    with pytest.raises(ValueError, match="no phase to count atoms in"):
        ck.refine_atomistic(ptycho, [[10.0, 10.0]], "Si")
