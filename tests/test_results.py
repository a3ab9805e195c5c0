"""What a lesson keeps: saved whole, measured without looking at the truth, reported in plain numbers."""

import json
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest

import caviar_kit as ck
from tests.ensembles import ensemble


def test_saved_and_loaded_results_are_equal(tmp_path):
    result = ensemble()
    result.save(tmp_path / "result.npz")
    loaded = ck.load_result(tmp_path / "result.npz")
    for field in fields(result):
        np.testing.assert_array_equal(getattr(loaded, field.name), getattr(result, field.name))
    assert isinstance(loaded.name, str)
    assert isinstance(loaded.seconds, float)


def test_files_that_are_missing_damaged_or_foreign_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError):
        ck.load_result(tmp_path / "none.npz")
    ensemble().save(tmp_path / "result.npz")
    whole = (tmp_path / "result.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "foreign.npz", other=np.arange(3))
    for name in ("half.npz", "foreign.npz"):
        with pytest.raises(ValueError, match="damaged or of another kind"):
            ck.load_result(tmp_path / name)


def test_summary_is_json_and_agrees_with_the_tensor():
    result = ensemble()
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert summary["shells"]["nearest"]["csm"] == pytest.approx(1, abs=1e-6)
    assert summary["shells"]["nearest"]["lsm"] == pytest.approx(1 / 1.2, abs=1e-6)
    assert summary["rms_displacement_pm"] == pytest.approx(100 * np.sqrt((result.displacements**2).mean()))
    assert 0.5 < summary["nearest_to_self"] < 1  # a common sway nine times each atom's own


def test_intervals_hold_the_figures_of_the_comparison():
    result = ensemble()
    value, low, high = result.comparison_intervals.of("nearest", "lsm")
    assert value == pytest.approx(result.comparison["nearest"].lsm)
    assert low < value < high


def test_atoms_at_rest_give_no_number_where_there_is_none():
    result = ensemble(sway=0.0)
    still = ck.EnsembleResult(
        **{f.name: getattr(result, f.name) for f in fields(result)}
        | {"tracked": np.repeat(result.tracked[:1], 6, axis=0)}
    )
    summary = still.summary()
    assert summary["nearest_to_self"] is None
    assert summary["shells"]["nearest"]["csm"] is None
    json.dumps(summary, allow_nan=False)


def test_columns_lost_in_a_state_are_left_out():
    result = ensemble(rows=4)
    phases = np.pad(result.phases.astype(float), ((0, 0), (0, 20), (0, 20)))
    ptycho = SimpleNamespace(
        object=np.exp(0.5j * phases[:, None]),
        sampling=tuple(result.sampling),
        scan_positions_angstrom=np.array([[1.0, 1.0], [8.0, 8.0]]),
        error_iterations=[1e-6],
    )
    truth = SimpleNamespace(positions=result.true_positions - 1.0, greens_tensor=result.true_greens_tensor)
    example = SimpleNamespace(name="made", preset="quick", ground_truth=truth)
    whole = ck.measure(ptycho, example)
    y, x = np.rint(result.true_positions[5] / result.sampling).astype(int)
    ptycho.object[2, 0, y - 5 : y + 6, x - 5 : x + 6] = np.exp(0.05j * np.arange(11))  # a slope, no atom
    with pytest.warns(UserWarning, match="lost 1 of"):
        part = ck.measure(ptycho, example)
    assert len(part.positions) == len(whole.positions) - 1
    assert np.isfinite(part.tracked).all()
    assert part.summary()["shells"]["nearest"]["csm"] > 0.9


def test_measure_finds_the_columns_of_a_reconstruction_by_itself():
    example = ck.load_example("si-sigma9-coherent", "quick")
    optics = example.experiment
    ptycho = ck.MixedObjectMultislicePtychography(
        datacube=example.datacube,
        energy=optics.energy_ev,
        semiangle_cutoff=optics.semiangle_mrad,
        defocus=optics.defocus_angstrom,
        num_slices=4,
        slice_thicknesses=example.snapshots.thickness_angstrom / 4,
        num_object_states=1,
        vacuum_probe_intensity=example.vacuum_probe,
    )
    ptycho.preprocess(force_com_rotation=0, force_com_transpose=False)
    ptycho.reconstruct(max_iter=40, progress_bar=False)
    result = ck.measure(ptycho, example, seconds=3.5)
    assert len(result.positions) == len(example.ground_truth.positions)
    assert np.abs(result.positions - result.true_positions).max() < 0.03
    assert result.seconds == 3.5
    assert result.phases.shape[0] == 1
