"""Results in the package: listed, whole, small, and able to say how they were made."""

from importlib.resources import files

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.demo.summary import summarise
from tests.ensembles import ensemble

NAMES = ("hbn-twisted-lower", "hbn-twisted-upper", "si-sigma9-md-reduced")


@pytest.fixture(scope="module", params=NAMES)
def stored(request):
    return request.param, ck.load_stored_result(request.param)


def test_names_are_listed_in_order():
    assert ck.stored_results() == NAMES


def test_files_are_small():
    for name in NAMES:
        assert len((files("caviar_kit") / "data" / "results" / f"{name}.npz").read_bytes()) < 1e6, name


def test_another_name_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="name must be one of 'hbn-twisted-lower', .* got 'gold'"):
        ck.load_stored_result("gold")
    with pytest.raises(ValueError, match="name must be one of"):
        ck.load_stored_result("../si_sigma9_snapshots")


def test_provenance_agrees_with_the_arrays(stored):
    name, result = stored
    known = result.provenance
    assert known["states"] == len(result.phases) > 1
    assert known["iterations"] == len(result.loss)
    assert known["scan_positions"] >= 196 and known["slices"] >= 3 and known["probe_modes"] >= 1
    assert isinstance(known["seed"], int)
    assert known["device"] and known["made with"] and set(known["versions"]) >= {"caviar_kit", "numpy"}
    assert result.seconds > 0
    if name.startswith("hbn"):
        assert known["layers"] >= 3 and known["lattice"] == name.removeprefix("hbn-twisted-")


def test_columns_stand_where_the_truth_has_them(stored):
    _, result = stored
    off = np.linalg.norm(result.positions - result.true_positions, axis=1)
    assert len(off) >= 12 and np.sqrt((off**2).mean()) < 0.05
    assert abs(result.true_displacements.mean(axis=0)).max() < 1e-6
    assert 0.005 < np.sqrt((result.true_displacements**2).mean()) < 0.1


def test_the_loss_fell(stored):
    _, result = stored
    assert 0 < result.loss[-1] < 0.1 * result.loss[0]


def test_silicon_has_the_correlations_of_its_snapshots():
    shells = ck.load_stored_result("si-sigma9-md-reduced").comparison
    assert shells["nearest"].csm > 0.9 and 0.5 < shells["nearest"].lsm < 1.2
    assert shells["self"].csm > 0.9


def test_the_two_crystals_of_boron_nitride_are_turned_against_each_other():
    lower, upper = (ck.load_stored_result(name) for name in NAMES[:2])
    angles = [
        np.degrees(np.arctan2(*ck.fit_lattice(result.positions, sites=2, occupied=0).vectors[0]))
        for result in (lower, upper)
    ]
    twist = abs(angles[0] - angles[1]) % 60
    assert min(twist, 60 - twist) == pytest.approx(10.99, abs=1)


def test_a_copy_beside_the_lessons_results_is_not_taken_for_theirs(tmp_path):
    ensemble(name="si-sigma9-md").save(tmp_path / "si-sigma9-md.npz")
    ck.load_stored_result("si-sigma9-md-reduced").save(tmp_path / "si-sigma9-md-reduced.npz")
    data = summarise(tmp_path, "quick", 0, {})["data_sets"]
    assert data["si-sigma9-md"]["columns"] == 12 and data["si-sigma9-md"]["preset"] == "quick"
    assert data["si-sigma9-md-reduced"]["states"] == ck.load_stored_result(NAMES[2]).provenance["states"]
