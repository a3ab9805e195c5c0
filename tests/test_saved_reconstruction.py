"""A reconstruction on disk: read in a new process, it is what it was and goes on where it stood."""

import json

import h5py
import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit._py4dstem import datacube
from caviar_kit.simulation import Experiment, coherent, scan, silicon_sigma9_snapshots, vacuum_probe_intensity
from tests.processes import WITHOUT_THE_KIT, run_python

QUIET = {"force_com_rotation": 0, "force_com_transpose": False}
FIT = {"one_state_iter": 6, "progress_bar": False, "refine": ("probe",)}
NAME = "mixed_object_multislice_reconstruction"

GO_ON = """
import sys, json
import caviar_kit as ck, py4DSTEM, numpy as np
folder = sys.argv[1]
read = py4DSTEM.read(f"{folder}/fit.h5")
as_read = {"class": type(read).__name__, "losses": read.error_iterations, "seed": read._seed,
           "sampling": list(read.sampling), "states": read._num_object_states,
           "thicknesses": list(read._slice_thicknesses),
           "versions": read.versions, "positions": read.scan_positions_angstrom.tolist()}
np.savez(f"{folder}/as_read.npz", object=read.object, probe=read.probe)
read.attach_datacube(ck.read(f"{folder}/cube.h5")).preprocess(force_com_rotation=0, force_com_transpose=False)
read.reconstruct(max_iter=3, reset=False, progress_bar=False, refine=("probe",))
np.save(f"{folder}/later.npy", read.object)
print(json.dumps({**as_read, "later": read.error_iterations}))
"""


@pytest.fixture(scope="module")
def experiment():
    setup = Experiment(
        energy_ev=200e3,
        semiangle_mrad=30.0,
        defocus_angstrom=60.0,
        scan_step_angstrom=0.8,
        scan_shape=(4, 4),
        centre_angstrom=(32.59, 18.03),
        window_angstrom=9.0,
        grid_points=64,
        detector_pixels=32,
        num_slices=2,
    )
    return scan(coherent(silicon_sigma9_snapshots()), setup), vacuum_probe_intensity(setup)


def build(experiment, **changes):
    cube, vacuum = experiment
    arguments = {
        "datacube": cube,
        "energy": 200e3,
        "semiangle_cutoff": 30.0,
        "defocus": 60.0,
        "num_slices": 2,
        "slice_thicknesses": 3.84,
        "num_object_states": 3,
        "vacuum_probe_intensity": vacuum,
        "seed": 5,
        "C12": 4.0,
        **changes,
    }
    return ck.MixedObjectMultislicePtychography(**arguments)


@pytest.fixture(scope="module")
def fit(experiment):
    return build(experiment).preprocess(**QUIET).reconstruct(4, **FIT)


@pytest.fixture(scope="module")
def folder(experiment, fit, tmp_path_factory):
    import py4DSTEM

    place = tmp_path_factory.mktemp("saved")
    fit.save(place / "fit.h5")
    py4DSTEM.save(place / "cube.h5", experiment[0])
    return place


def test_a_new_process_reads_it_and_goes_on_as_if_nothing_had_happened(experiment, fit, folder):
    report = json.loads(run_python(GO_ON, folder).splitlines()[-1])
    assert report["class"] == "MixedObjectMultislicePtychography"
    assert report["losses"] == fit.error_iterations
    assert (report["seed"], report["states"], report["thicknesses"]) == (5, 3, [3.84])
    np.testing.assert_array_equal(report["sampling"], fit.sampling)
    np.testing.assert_array_equal(report["positions"], fit.scan_positions_angstrom)
    assert set(report["versions"]) == {"caviar_kit", "numpy", "py4DSTEM"}
    with np.load(folder / "as_read.npz") as read:
        np.testing.assert_array_equal(read["object"], fit.object)
        np.testing.assert_array_equal(read["probe"], fit.probe)
    before, after = report["losses"][-1], report["later"][len(report["losses"]) :]
    assert len(after) == 3
    assert after[0] <= before * (1 + 1e-6)
    assert after[-1] < before
    here = build(experiment).preprocess(**QUIET).reconstruct(4, **FIT)
    here.reconstruct(max_iter=3, reset=False, progress_bar=False, refine=("probe",))
    np.testing.assert_array_equal(np.load(folder / "later.npy"), here.object)


def test_py4dstem_opens_its_arrays_where_the_kit_is_not_installed(fit, folder):
    code = """
import py4DSTEM, numpy as np
parts = {k: py4DSTEM.read(sys.argv[1], datapath=f"{sys.argv[2]}_root/{sys.argv[2]}/{k}")
         for k in ("object", "probe", "scan_positions", "loss")}
np.savez(sys.argv[3], **{k: v.data for k, v in parts.items()})
print(parts["object"].dim_names, parts["object"].dim_units, parts["scan_positions"].units)
"""
    axes = run_python(WITHOUT_THE_KIT + code, folder / "fit.h5", NAME, folder / "plain.npz")
    assert "('state', 'slice', 'y', 'x') ('index', 'index', 'A', 'A') A" in axes
    with np.load(folder / "plain.npz") as plain:
        np.testing.assert_array_equal(plain["object"], fit.object)
        np.testing.assert_array_equal(plain["probe"], fit.probe)
        np.testing.assert_array_equal(plain["scan_positions"], fit.scan_positions_angstrom)
        np.testing.assert_array_equal(plain["loss"], fit.error_iterations)


def test_all_parameters_of_the_constructor_come_back(experiment, fit, folder, tmp_path):
    read = ck.read(folder / "fit.h5")
    given, kept = fit.constructor_parameters(), read.constructor_parameters()
    assert given.keys() == kept.keys()
    for key, value in given.items():
        np.testing.assert_array_equal(kept[key], value)
    assert kept["C12"] == 4.0 and read._polar_parameters["C12"] == 4.0
    assert {"energy", "defocus", "device", "object_type", "num_probes", "verbose"} <= kept.keys()
    read.save(tmp_path / "again.h5")  # before preprocess, too
    np.testing.assert_array_equal(ck.read(tmp_path / "again.h5").object, fit.object)


def test_only_the_instance_that_was_fitted_tells_of_the_fit(experiment, fit, folder):
    assert fit.fit_record["seed"] == 5 and fit.fit_record["device"] in ("cpu", "gpu")
    assert ck.read(folder / "fit.h5").fit_record == {} == build(experiment).fit_record


def test_the_data_can_be_inside(experiment, fit, tmp_path):
    fit.save(tmp_path / "fit.h5", include_data=True)
    read = ck.read(tmp_path / "fit.h5")
    np.testing.assert_array_equal(read._datacube.data, experiment[0].data)
    assert read._datacube.calibration.get_R_pixel_size() == 0.8
    assert read._datacube.calibration.get_Q_pixel_units() == "A^-1"
    read.preprocess().reconstruct(max_iter=1, reset=False, progress_bar=False)
    assert read.error < fit.error
    assert fit._datacube is experiment[0] and experiment[0].name != "_datacube"


def test_py4dstems_own_save_works_too(fit, tmp_path):
    import py4DSTEM

    fit.set_save_defaults(save_datacube=True)
    try:
        py4DSTEM.save(tmp_path / "fit.h5", fit)
    finally:
        fit.set_save_defaults()
    read = py4DSTEM.read(tmp_path / "fit.h5")
    np.testing.assert_array_equal(read.object, fit.object)
    assert read._datacube.data.shape == (4, 4, 32, 32)


def test_a_plot_needs_no_data(folder):
    import matplotlib.pyplot as plt

    read = ck.read(folder / "fit.h5")
    assert read.visualize() is read
    plt.close("all")


def test_without_data_the_fit_says_what_to_do(folder):
    read = ck.read(folder / "fit.h5")
    with pytest.raises(ValueError, match=r"run preprocess\(\) first"):
        read.reconstruct(reset=False)
    with pytest.raises(ValueError, match="attach_datacube"):
        read.preprocess()


def test_starting_afresh_forgets_what_was_read(experiment, fit, folder):
    read = ck.read(folder / "fit.h5").attach_datacube(experiment[0]).preprocess(**QUIET)
    read.reconstruct(4, **FIT)
    np.testing.assert_array_equal(read.object, fit.object)
    assert read.error_iterations == fit.error_iterations


def test_other_data_are_refused_in_words(experiment, folder):
    read = ck.read(folder / "fit.h5").attach_datacube(experiment[0])
    with pytest.raises(ValueError, match=r"probe of shape \(1, 48, 48\), now \(1, 32, 32\).*=\(48, 48\)"):
        read.preprocess(padded_diffraction_intensities_shape=(32, 32), **QUIET)
    assert read.object.shape[:2] == (3, 2) and read._unit_probe.shape == (1, 48, 48)
    with pytest.raises(ValueError, match=r"run preprocess\(\) first"):  # nothing goes on from a mixture
        read.reconstruct(reset=False)
    with pytest.raises(ValueError, match="scan positions up to .* pixels away.*force_com_rotation=0"):
        read.preprocess(force_com_rotation=90, force_com_transpose=False)
    scale = {"scan_step_angstrom": 0.8, "detector_pixel_inverse_angstrom": 1 / 9.0}
    part = datacube(experiment[0].data[:3].copy(), **scale)
    with pytest.raises(
        ValueError, match=r"object of shape .*scan positions of shape \(16, 2\), now \(12, 2\)"
    ):
        read.attach_datacube(part).preprocess(**QUIET)
    coarse = datacube(experiment[0].data.copy(), **{**scale, "detector_pixel_inverse_angstrom": 1 / 9.1})
    with pytest.raises(ValueError, match="pixels of"):
        read.attach_datacube(coarse).preprocess(**QUIET)
    read.attach_datacube(experiment[0]).preprocess(**QUIET).reconstruct(1, reset=False, progress_bar=False)


def test_refined_positions_and_other_findings_are_resumed(experiment, fit, tmp_path, monkeypatch):
    refined = fit._positions_px + np.float32(0.02)
    monkeypatch.setattr(fit, "_positions_px", refined)
    monkeypatch.setattr(type(fit), "_fitted_besides", lambda self: {"tilt_mrad": np.array([1.0, -2.0])})
    restored = []
    monkeypatch.setattr(
        type(fit), "_restore_besides", lambda self, fitted: restored.append(fitted["tilt_mrad"])
    )
    fit.save(tmp_path / "refined.h5")
    read = ck.read(tmp_path / "refined.h5")
    np.testing.assert_array_equal(read._positions_px, refined)
    read.attach_datacube(experiment[0]).preprocess(**QUIET)
    np.testing.assert_allclose(read._model.positions, refined, atol=1e-4)
    np.testing.assert_array_equal(restored, [[1.0, -2.0]] * 2)


def test_a_gpu_of_another_machine_is_not_asked_for(experiment, folder, tmp_path):
    copy = tmp_path / "gpu.h5"
    copy.write_bytes((folder / "fit.h5").read_bytes())
    with h5py.File(copy, "r+") as file:
        parameters = file[f"{NAME}_root/{NAME}/metadatabundle/caviar_kit/parameters"]
        del parameters["device"]
        parameters["device"] = b"gpu"
        parameters["device"].attrs["type"] = b"string"
    assert ck.read(copy)._engine_device == "auto"


def test_its_states_are_data_of_their_own(fit, tmp_path):
    states = ck.ObjectEnsemble.from_ptychography(fit)
    states.save(tmp_path / "states.h5")
    read = ck.read(tmp_path / "states.h5")
    np.testing.assert_array_equal(read.object, fit.object)
    np.testing.assert_array_equal(read.sampling, fit.sampling)
    np.testing.assert_array_equal(read.loss, fit.error_iterations)
    assert (read.seed, read.parameters["defocus"]) == (5, 60.0)


def test_too_early_or_without_data_is_refused(experiment, fit, tmp_path, monkeypatch):
    early = build(experiment).preprocess(**QUIET)
    for attempt in (
        lambda: early.save(tmp_path / "early.h5"),
        lambda: ck.ObjectEnsemble.from_ptychography(early),
    ):
        with pytest.raises(ValueError, match=r"run reconstruct\(\) first"):
            attempt()
    with pytest.raises(TypeError, match="include_data must be"):
        fit.save(tmp_path / "fit.h5", include_data=1)
    monkeypatch.setattr(fit, "_datacube", None)
    with pytest.raises(ValueError, match="needs a datacube"):
        fit.save(tmp_path / "fit.h5", include_data=True)
    assert not list(tmp_path.iterdir())
