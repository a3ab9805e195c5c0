"""What a lesson keeps: saved whole, measured without looking at the truth, reported in plain numbers."""

import json
from dataclasses import fields

import numpy as np
import pytest

import caviar_kit as ck
from tests.ensembles import SAMPLING, ensemble
from tests.processes import run_python

ONLY_NUMPY_AND_SCIPY = """
import sys
from importlib.metadata import packages_distributions
class Bare:
    hidden = set(packages_distributions()) - {"caviar_kit", "numpy", "scipy"}
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.hidden:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Bare())
"""


def changed(result, **values):
    return ck.EnsembleResult(**{f.name: getattr(result, f.name) for f in fields(result)} | values)


def states_of(result):
    """A complex object (states, slices, y, x) whose phases are those of ``result``, with room around them."""
    phases = np.pad(result.phases.astype(float), ((0, 0), (0, 20), (0, 20)))
    return np.exp(0.5j * np.repeat(phases[:, None], 2, axis=1))


def measured(result, **changes):
    """``result`` again, from its phases; its true positions are counted from a scan position at 1 Å."""
    arguments = dict(
        sampling=result.sampling,
        scan_positions_angstrom=np.array([[1.0, 1.0], [8.0, 8.0]]),
        true_positions=result.true_positions - 1.0,
        true_displacements=result.true_displacements,
        name="made",
        preset="quick",
        loss=[1e-5, 1e-6],
    )
    obj = changes.pop("obj", states_of(result))
    return ck.measure_states(obj, **{**arguments, **changes})


def test_saved_and_loaded_results_are_equal(tmp_path):
    result = ensemble()
    result.save(tmp_path / "result.npz")
    loaded = ck.load_result(tmp_path / "result.npz")
    for field in {f.name for f in fields(result)} - {"phases"}:
        np.testing.assert_array_equal(getattr(loaded, field), getattr(result, field))
    assert isinstance(loaded.name, str)
    assert isinstance(loaded.seconds, float)
    assert loaded.provenance == {"seed": 0, "made with": "random numbers"}


def test_stored_phases_are_rounded_once(tmp_path):
    result = ensemble()
    result = changed(result, phases=result.phases - np.float32(40))  # a free constant, as of thirty slices
    result.save(tmp_path / "once.npz")
    once = ck.load_result(tmp_path / "once.npz")
    assert once.phases.dtype == np.float32
    assert 0 < abs(once.phases - result.phases).max() <= 0.5e-3 + 4e-6  # float32 at 40 rad
    stored = np.load(tmp_path / "once.npz")["phases"]
    assert stored.dtype == np.int32 and np.array_equal(stored, np.rint(1e3 * once.phases))
    once.save(tmp_path / "twice.npz")
    np.testing.assert_array_equal(ck.load_result(tmp_path / "twice.npz").phases, once.phases)


def test_twenty_states_of_a_large_field_take_less_than_a_megabyte(tmp_path):
    """Smooth pictures alike but for 0.05 rad, 22 × 22 Å at 0.16 Å, with noise of 5 mrad."""
    rng = np.random.default_rng(0)
    y, x = 0.16 * np.indices((138, 138))
    mean = np.exp(3 * np.cos(2 * y) * np.cos(3 * x)) / 20
    phases = (
        mean
        + 0.05 * rng.standard_normal((20, 1, 1)) * np.cos(2 * y)
        + 5e-3 * rng.standard_normal((20, 138, 138))
    )
    changed(ensemble(states=20), phases=phases).save(tmp_path / "large.npz")
    assert (tmp_path / "large.npz").stat().st_size < 1e6 < phases.astype(np.float32).nbytes


def test_true_tensor_is_that_of_the_snapshots():
    result = ensemble()
    np.testing.assert_allclose(
        result.true_greens_tensor, ck.greens_tensor(result.true_displacements), rtol=1e-12, atol=1e-18
    )
    truth = ck.load_example("si-sigma9-md", "quick").ground_truth
    whole = np.arange(len(truth.positions)) % len(result.positions)
    same = changed(
        result,
        tracked=result.tracked[:, whole],
        true_positions=truth.positions,
        true_displacements=truth.displacements,
    )
    np.testing.assert_array_equal(same.true_greens_tensor, truth.greens_tensor)
    still = changed(result, true_displacements=np.zeros_like(result.true_displacements[:1]))
    assert not still.true_greens_tensor.any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"phases": np.zeros((6, 8))}, "phases must have shape"),
        ({"tracked": np.zeros((5, 12, 2))}, "tracked must hold the 6 states"),
        ({"true_displacements": np.zeros((6, 3, 2))}, "true_displacements must have shape"),
        ({"true_positions": np.full((12, 2), np.nan)}, "true_positions must be finite"),
        ({"seconds": -1.0}, "seconds must be at least 0"),
        ({"provenance": ["seed", 0]}, "provenance must be a dict, got list"),
        ({"provenance": {"loss": np.nan}}, "provenance must hold texts, finite numbers"),
        ({"provenance": {"loss": np.zeros(3)}}, "provenance must hold texts, finite numbers"),
        ({"provenance": {1: "seed"}}, "provenance must have texts as keys"),
    ],
)
def test_results_that_make_no_sense_are_refused(values, message):
    with pytest.raises((TypeError, ValueError), match=message):
        changed(ensemble(), **values)


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
    still = changed(result, tracked=np.repeat(result.tracked[:1], 6, axis=0))
    summary = still.summary()
    assert summary["nearest_to_self"] is None
    assert summary["shells"]["nearest"]["csm"] is None
    json.dumps(summary, allow_nan=False)


def test_columns_are_measured_where_they_are_and_carry_their_truth():
    result = ensemble(rows=4)
    order = np.arange(len(result.positions))[::-1]
    again = measured(
        result,
        true_positions=result.true_positions[order] - 1.0,
        true_displacements=result.true_displacements[:, order],
        provenance={"made with": "the test"},
        seconds=2,
    )
    assert len(again.positions) == len(result.positions)
    assert np.abs(again.positions - again.true_positions).max() < 0.03
    nearest = again.comparison["nearest"]
    assert nearest.csm > 0.99 and 0.8 < nearest.lsm < 1
    assert again.provenance["made with"] == "the test" and again.seconds == 2
    counts = {"states": 6, "slices": 2, "iterations": 2, "scan_positions": 2}
    assert counts.items() <= again.provenance.items()
    assert again.provenance["versions"] == {"caviar_kit": ck.__version__, "numpy": np.__version__}


def test_columns_lost_in_a_state_are_left_out():
    result = ensemble(rows=4)
    whole, obj = measured(result), states_of(result)
    y, x = np.rint(result.true_positions[5] / result.sampling).astype(int)
    obj[2, :, y - 5 : y + 6, x - 5 : x + 6] = np.exp(0.05j * np.arange(11))  # a slope, no atom
    with pytest.warns(UserWarning, match="lost 1 of"):
        part = measured(result, obj=obj)
    assert len(part.positions) == len(whole.positions) - 1
    assert np.isfinite(part.tracked).all()
    assert part.summary()["shells"]["nearest"]["csm"] > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"obj": np.zeros((6, 2, 40, 40))}, "obj must be complex"),
        ({"obj": np.ones((2, 40, 40), complex)}, "obj must have shape"),
        ({"sampling": 0.25}, "sampling must have shape"),
        ({"true_positions": np.zeros((5, 2))}, "true_displacements must have shape"),
        ({"loss": []}, "loss is empty"),
        ({"provenance": "by hand"}, "provenance must be a mapping"),
        ({"name": 3}, "name must be a text"),
    ],
)
def test_states_that_cannot_be_measured_are_refused(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        measured(ensemble(rows=4), **changes)


def test_numpy_and_scipy_are_enough_to_measure_save_and_load(tmp_path):
    result = ensemble(rows=4)
    arrays = dict(states=states_of(result), at=result.true_positions - 1, moves=result.true_displacements)
    np.savez(tmp_path / "states.npz", **arrays)
    code = f"""{ONLY_NUMPY_AND_SCIPY}
import numpy as np
from caviar_kit.results import load_result, measure_states
data = np.load(sys.argv[1])
result = measure_states(data["states"], sampling=({SAMPLING}, {SAMPLING}), loss=[1e-6], name="bare",
    preset="quick", scan_positions_angstrom=[[1.0, 1.0], [8.0, 8.0]], true_positions=data["at"],
    true_displacements=data["moves"])
result.save(sys.argv[2])
print(load_result(sys.argv[2]).comparison["nearest"].csm)
"""
    printed = run_python(code, tmp_path / "states.npz", tmp_path / "result.npz")
    assert float(printed) == pytest.approx(measured(result).comparison["nearest"].csm, abs=1e-9)
    assert ck.load_result(tmp_path / "result.npz").name == "bare"


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
    assert result.provenance["seed"] == 0 and result.provenance["probe_modes"] == 1
    assert result.provenance["device"] in ("cpu", "gpu")
