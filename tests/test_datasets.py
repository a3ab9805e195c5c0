"""Results as py4DSTEM data: whole after a round trip, open without the kit, refused if senseless."""

import json

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit import _emd
from tests.processes import WITHOUT_THE_KIT, run_python
from tests.stored import PARAMETERS, one_of_each, snapshots, states, tracked

ARRAYS = {
    "states": ("object", "sampling", "slice_thicknesses", "loss"),
    "one_state": ("object", "sampling", "slice_thicknesses", "loss"),
    "tracked": ("positions", "mean_positions", "displacements", "loss"),
    "correlations": ("greens_tensor", "positions", "loss"),
}

READ_ALL = """
import sys, json
import caviar_kit
light = "emdfile" not in sys.modules
import numpy as np, py4DSTEM
folder, wanted = sys.argv[1], json.loads(sys.argv[2])
found = {key: py4DSTEM.read(f"{folder}/{key}.h5") for key in [*wanted, "snapshots"]}
np.savez(f"{folder}/read.npz", **{f"{k}/{a}": getattr(found[k], a) for k in wanted for a in wanted[k]},
         snapshots=found["snapshots"].snapshots.positions)
print(json.dumps({
    "light": light,
    "classes": {key: type(value).__module__ + "." + type(value).__name__ for key, value in found.items()},
    "names": {key: value.name for key, value in found.items()},
    "seeds": {key: value.seed for key, value in found.items()},
    "versions": found["states"].versions,
}))
"""

READ_PLAIN = """
import py4DSTEM, numpy as np
folder = sys.argv[1]
read = lambda key, name, part: py4DSTEM.read(f"{folder}/{key}.h5", datapath=f"{name}_root/{name}/{part}")
states = read("states", "object_ensemble", "object")
assert type(states) is py4DSTEM.Array and "caviar_kit" not in sys.modules
print(states.dim_names, states.dim_units, [float(d[1] - d[0]) for d in states.dims])
np.savez(f"{folder}/plain.npz", states=states.data,
         tracked=read("tracked", "atomic_displacements", "mean_positions").data,
         tensor=read("correlations", "displacement_correlations", "greens_tensor").data)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("stored")
    for key, item in one_of_each().items():
        item.save(place / f"{key}.h5")
    return place


def test_a_new_process_gets_back_the_same_objects(folder):
    report = json.loads(run_python(READ_ALL, folder, json.dumps(ARRAYS)).splitlines()[-1])
    assert report["light"], "importing the kit should not import emdfile"
    assert report["classes"]["states"] == "caviar_kit.datasets.ObjectEnsemble"
    assert report["classes"]["tracked"] == "caviar_kit.datasets.AtomicDisplacements"
    assert report["classes"]["correlations"] == "caviar_kit.datasets.DisplacementCorrelations"
    assert report["classes"]["snapshots"] == "caviar_kit.snapshot_dataset.ThermalSnapshots"
    assert report["seeds"] == {"states": 7, "one_state": 7, "tracked": 7, "correlations": 7, "snapshots": 3}
    assert report["names"]["states"] == "object_ensemble"
    assert set(report["versions"]) == {"caviar_kit", "numpy", "py4DSTEM"}
    with np.load(folder / "read.npz") as read:
        for key, item in one_of_each().items():
            for name in ARRAYS.get(key, ()):
                np.testing.assert_array_equal(read[f"{key}/{name}"], getattr(item, name))
        np.testing.assert_array_equal(read["snapshots"], snapshots().positions)


def test_py4dstem_opens_the_arrays_where_the_kit_is_not_installed(folder):
    axes = run_python(WITHOUT_THE_KIT + READ_PLAIN, folder)
    assert "('state', 'slice', 'y', 'x') ('index', 'index', 'A', 'A') [1.0, 1.0, 0.25, 0.2]" in axes
    with np.load(folder / "plain.npz") as plain:
        np.testing.assert_array_equal(plain["states"], states().object)
        np.testing.assert_array_equal(plain["tracked"], tracked().mean_positions)
        np.testing.assert_array_equal(plain["tensor"], tracked().correlations().greens_tensor)


def test_axes_and_units_stand_in_the_file(folder):
    tensor = ck.read(
        folder / "correlations.h5", "displacement_correlations_root/displacement_correlations/greens_tensor"
    )
    assert tensor.units == "A^2"
    assert tensor.dim_names == ("atom", "axis (y, x)") * 2
    positions = ck.read(folder / "tracked.h5", "atomic_displacements_root/atomic_displacements/positions")
    assert (positions.units, positions.dim_names) == ("A", ("state", "atom", "axis (y, x)"))


def test_every_class_can_be_found_by_emdfile():
    from py4DSTEM import Node

    exported = {name: getattr(ck, name) for name in ck.__all__}
    nodes = {n for n, v in exported.items() if isinstance(v, type) and issubclass(v, Node)}
    assert set(_emd.CLASSES) == nodes


def test_parameters_come_back_as_they_were(folder):
    read = ck.read(folder / "states.h5").parameters
    assert read.keys() == PARAMETERS.keys()
    assert read["converged"] is True
    assert read["aberrations"] == {"C12": 3.5, "phi12": None}
    assert read["shape"] == (3, 4) and type(read["shape"][0]) is int
    assert read["empty"] == ()
    np.testing.assert_array_equal(read["mask"], PARAMETERS["mask"])
    np.testing.assert_array_equal(read["pairs"], PARAMETERS["pairs"])


def test_what_was_read_can_be_saved_again_and_keeps_its_versions(folder, tmp_path):
    first = ck.read(folder / "states.h5")
    first.versions = {**first.versions, "numpy": "0.1"}
    first.save(tmp_path / "again.emd")
    assert ck.read(tmp_path / "again.emd").versions["numpy"] == "0.1"


def test_results_hang_in_the_tree_of_a_data_cube(tmp_path):
    import py4DSTEM

    cube = py4DSTEM.DataCube(data=np.ones((2, 2, 4, 4), np.float32), name="cube")
    cube.tree(states())
    py4DSTEM.save(tmp_path / "tree.h5", cube)
    read = ck.read(tmp_path / "tree.h5")
    assert type(read).__name__ == "DataCube"
    nested = read.tree("object_ensemble")
    assert isinstance(nested, ck.ObjectEnsemble)
    np.testing.assert_array_equal(nested.object, states().object)


def test_correlations_are_eq_2_of_the_displacements_and_share_their_origin():
    atoms = tracked()
    result = atoms.correlations()
    np.testing.assert_allclose(
        result.greens_tensor, np.einsum("nia,njb->iajb", *[atoms.displacements] * 2) / 5, atol=1e-15
    )
    np.testing.assert_array_equal(result.positions, atoms.mean_positions)
    assert (result.seed, result.parameters["energy"]) == (7, 200e3)


def test_lost_atoms_and_slices_are_kept(tmp_path):
    positions = np.random.default_rng(4).uniform(size=(3, 2, 4, 2))
    positions[1, :, 2] = np.nan
    ck.AtomicDisplacements(positions).save(tmp_path / "lost.h5")
    read = ck.read(tmp_path / "lost.h5")
    np.testing.assert_array_equal(read.positions, positions)
    assert np.isnan(read.mean_positions[2]).all() and np.isfinite(read.mean_positions[[0, 1, 3]]).all()


def test_snapshots_keep_everything(folder):
    read, made = ck.read(folder / "snapshots.h5").snapshots, snapshots()
    for name in ("positions", "numbers", "cell", "relaxed"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    assert (read.temperature_k, read.provenance) == (300.0, {"program": "by hand"})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ck.ObjectEnsemble(np.ones((2, 6, 5)), (1, 1), []), ValueError, "object must have shape"),
        (
            lambda: ck.ObjectEnsemble(np.full((1, 1, 2, 2), np.nan), (1, 1), []),
            ValueError,
            "object must be finite",
        ),
        (
            lambda: ck.ObjectEnsemble(np.ones((1, 2, 3, 3)), (1, 1), []),
            ValueError,
            "slice_thicknesses must have",
        ),
        (
            lambda: ck.ObjectEnsemble(np.ones((1, 1, 3, 3)), (1, 0), []),
            ValueError,
            "sampling must be positive",
        ),
        (lambda: ck.AtomicDisplacements(np.ones((3, 4))), ValueError, "positions must have shape"),
        (lambda: ck.AtomicDisplacements(np.full((3, 4, 2), np.inf)), ValueError, "positions must be finite"),
        (lambda: ck.AtomicDisplacements([["a", "b"]]), TypeError, "positions must hold"),
        (
            lambda: ck.DisplacementCorrelations(np.ones((2, 2, 2, 2)), np.ones((3, 2))),
            ValueError,
            "greens_tensor",
        ),
        (
            lambda: ck.DisplacementCorrelations(np.arange(16.0).reshape(2, 2, 2, 2), np.ones((2, 2))),
            ValueError,
            "must be symmetric",
        ),
        (lambda: ck.ThermalSnapshots(np.ones((3, 4, 3))), TypeError, "snapshots must be"),
        (lambda: ck.AtomicDisplacements(np.ones((3, 4, 2)), seed=-1), ValueError, "seed"),
        (
            lambda: ck.AtomicDisplacements(np.ones((3, 4, 2)), loss=[[1.0]]),
            ValueError,
            "loss must have shape",
        ),
        (lambda: ck.AtomicDisplacements(np.ones((3, 4, 2)), name="a/b"), ValueError, "name"),
        (
            lambda: ck.AtomicDisplacements(np.ones((3, 4, 2)), parameters=3),
            TypeError,
            "parameters must be a mapping",
        ),
        (
            lambda: ck.AtomicDisplacements(np.ones((3, 4, 2)), parameters={"f": print}),
            TypeError,
            r"parameters\['f'\] must be made of",
        ),
        (
            lambda: ck.AtomicDisplacements(np.ones((3, 4, 2)), parameters={"a/b": 1}),
            ValueError,
            "keys without '/'",
        ),
        (lambda: ck.AtomicDisplacements(np.ones((3, 4, 2)), parameters={"n": 2**70}), ValueError, "64 bits"),
        (
            lambda: ck.AtomicDisplacements(np.ones((3, 4, 2)), parameters={"n": [1, "a"]}),
            TypeError,
            "only numbers",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
