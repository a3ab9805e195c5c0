"""The embedded examples and their cache, at a tiny preset."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit import recipes
from caviar_kit.paths import cache_directory
from caviar_kit.simulation.cache import cache_key

TINY = ck.simulation.Experiment(
    energy_ev=200e3,
    semiangle_mrad=30,
    defocus_angstrom=40,
    scan_step_angstrom=0.7,
    scan_shape=(4, 3),
    centre_angstrom=(31.5, 18.9),
    window_angstrom=10,
    grid_points=72,
    detector_pixels=40,
)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A fresh cache directory (not yet there); "quick" becomes a tiny experiment."""
    monkeypatch.setenv("CAVIAR_KIT_CACHE", str(tmp_path / "cache"))
    tiny = replace(recipes.SILICON_PRESETS["quick"], experiment=lambda: TINY)
    monkeypatch.setitem(recipes.SILICON_PRESETS, "quick", tiny)
    monkeypatch.setitem(recipes.RECIPES["si-sigma9-md-psc"].presets, "quick", recipes._with_source(tiny))
    return tmp_path / "cache"


def load(name="si-sigma9-coherent", **options):
    return ck.load_example(name, "quick", **options)


@pytest.mark.parametrize(
    ("name", "snapshots"), [("si-sigma9-coherent", 1), ("si-sigma9-einstein", 30), ("si-sigma9-md", 30)]
)
def test_examples_hold_data_and_truth(cache, name, snapshots):
    example = load(name, cache=False)
    assert not cache.exists()
    assert (example.name, example.preset, len(example.snapshots)) == (name, "quick", snapshots)
    assert example.datacube.data.shape == (4, 3, 40, 40)
    assert example.datacube.calibration.get_Q_pixel_units() == "A^-1"
    assert example.vacuum_probe.shape == (40, 40)
    truth = example.ground_truth
    assert truth.displacements.shape == (snapshots, len(truth.positions), 2)
    assert truth.greens_tensor.shape == (len(truth.positions), 2) * 2


def test_partial_coherence_changes_the_data_and_not_the_truth(cache, monkeypatch):
    few = ck.simulation.silicon_sigma9_snapshots().subset(2)
    monkeypatch.setattr(ck.simulation, "silicon_sigma9_snapshots", lambda: few)
    coherent, partial = load("si-sigma9-md"), load("si-sigma9-md-psc")
    assert (coherent.experiment.source_fwhm_angstrom, partial.experiment.source_fwhm_angstrom) == (0, 0.47)
    assert replace(partial.experiment, source_fwhm_angstrom=0) == coherent.experiment
    np.testing.assert_array_equal(partial.ground_truth.greens_tensor, coherent.ground_truth.greens_tensor)
    np.testing.assert_array_equal(partial.vacuum_probe, coherent.vacuum_probe)
    assert np.abs(partial.datacube.data - coherent.datacube.data).sum(axis=(2, 3)).min() > 1e-3
    assert len(list(cache.iterdir())) == 2
    np.testing.assert_array_equal(load("si-sigma9-md-psc").datacube.data, partial.datacube.data)


@pytest.fixture
def thin(cache, monkeypatch):
    """The quick preset of hBN with two layers, two snapshots and few positions."""
    monkeypatch.setitem(recipes._HBN_LAYERS, "quick", 1)
    monkeypatch.setitem(recipes._HBN_SNAPSHOTS, "quick", 2)
    preset = recipes.HBN_PRESETS["quick"]
    experiment = replace(
        preset.experiment(), scan_shape=(8, 8), num_slices=2, grid_points=96, detector_pixels=40
    )
    monkeypatch.setitem(recipes.HBN_PRESETS, "quick", replace(preset, experiment=lambda: experiment))


def test_twisted_hbn_has_a_truth_for_each_lattice(thin):
    example = ck.load_example("hbn-twisted", "quick")
    assert example.datacube.data.shape == (8, 8, 40, 40)
    assert "synthetic" in example.snapshots.provenance["specimen"]
    lower, upper = example.ground_truth_lower, example.ground_truth_upper
    both = example.ground_truth
    np.testing.assert_array_equal(both.positions, np.concatenate([lower.positions, upper.positions]))
    assert both.greens_tensor.shape == (len(lower.positions) + len(upper.positions), 2) * 2
    turned = [bond_direction(truth.positions) for truth in (lower, upper)]
    # y, x of the object are y, x of the specimen: anticlockwise about +z is from x to y
    assert (turned[1] - turned[0] + 30) % 60 - 30 == pytest.approx(10.99, abs=1)


def test_twisted_hbn_comes_from_the_cache_although_its_snapshots_are_drawn_again(thin, monkeypatch):
    first = ck.load_example("hbn-twisted", "quick")
    monkeypatch.setattr(ck.simulation, "scan", lambda *_: pytest.fail("simulated again"))
    second = ck.load_example("hbn-twisted", "quick")
    np.testing.assert_array_equal(first.snapshots.positions, second.snapshots.positions)
    np.testing.assert_array_equal(first.datacube.data, second.datacube.data)


def bond_direction(positions: np.ndarray) -> float:
    """Of a honeycomb, from +x to +y, modulo 60° [deg]."""
    vectors = positions[None] - positions[:, None]
    length = np.linalg.norm(vectors, axis=-1)
    y, x = vectors[(length > 1.2) & (length < 1.7)].T
    return float(np.degrees(np.angle(np.exp(6j * np.arctan2(y, x)).mean())) / 6)


@pytest.mark.parametrize("preset", recipes.PRESETS)
def test_twisted_hbn_presets_are_the_experiment_of_the_paper(preset):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no advice: probes fit their window, the detector sees the disc
        chosen = recipes.HBN_PRESETS[preset]
        experiment = chosen.experiment()
    assert (experiment.energy_ev, experiment.semiangle_mrad) == (60e3, 40)
    layers = 2 * recipes._HBN_LAYERS[preset] + (preset == "paper")
    assert experiment.num_slices == layers
    leaving = abs(3.33 * layers - experiment.defocus_angstrom) * 0.04
    scanned = (max(experiment.scan_shape) - 1) * experiment.scan_step_angstrom
    assert scanned + 2 * leaving < experiment.window_angstrom  # also where the beam leaves
    if preset == "paper":
        assert (experiment.scan_step_angstrom, chosen.num_slices) == (0.3, 30)
        assert 3.33 * layers == pytest.approx(150, abs=1)


@pytest.mark.slow
def test_twisted_hbn_vibrates_as_the_paper_says():
    specimen = recipes.RECIPES["hbn-twisted"].specimen("quick")
    snapshots = specimen.snapshots
    assert specimen.upper.sum() == len(snapshots.numbers) / 2 == 3 * 218
    squares = 1e4 * ((snapshots.positions - snapshots.relaxed) ** 2).mean(axis=(0, 1))
    assert 18 < squares[:2].min() <= squares[:2].max() < 22  # CAVIAR: B of 3.0e3 and 3.5e3 pm² for two axes
    np.testing.assert_array_equal(np.round(snapshots.positions, 4), snapshots.positions)


def test_truths_share_positions_and_self_terms_but_not_correlations(cache):
    md, einstein, coherent = (
        ck.simulation.ground_truth(
            recipe.specimen("tutorial").snapshots, recipe.presets["tutorial"].experiment()
        )
        for recipe in (recipes.RECIPES[f"si-sigma9-{n}"] for n in ("md", "einstein", "coherent"))
    )
    np.testing.assert_allclose(einstein.positions, md.positions, atol=1e-9)
    np.testing.assert_allclose(coherent.positions, md.positions, atol=1e-9)
    size = 2 * len(md.positions)
    own, model = (t.greens_tensor.reshape(size, size) for t in (md, einstein))
    np.testing.assert_allclose(np.diag(model), np.diag(own), rtol=1e-9)
    assert not coherent.greens_tensor.any()


def test_second_load_reads_the_same_bits_from_the_cache(cache, monkeypatch):
    calls = []
    first = load(progress=lambda done, total: calls.append((done, total)))
    monkeypatch.setattr(ck.simulation, "scan", lambda *_: pytest.fail("simulated again"))
    second = load(progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 1)]
    np.testing.assert_array_equal(first.datacube.data, second.datacube.data)
    np.testing.assert_array_equal(first.vacuum_probe, second.vacuum_probe)
    assert first.datacube.calibration.get_R_pixel_size() == second.datacube.calibration.get_R_pixel_size()
    assert [p.name for p in cache.iterdir()] == [
        f"si-sigma9-coherent-quick-{cache_key(first.snapshots, TINY)}.npz"
    ]


def test_large_patterns_are_streamed_to_a_file_and_mapped(cache, monkeypatch):
    in_memory = load(cache=False)
    monkeypatch.setattr("caviar_kit.examples._STREAMED_BYTES", 1000)
    first = load()
    assert [path.suffix for path in cache.glob("si-*")] == [".h5"]
    monkeypatch.setattr("caviar_kit.simulation.runs.Runner.mean", None)  # nothing is simulated again
    for example in (first, load()):
        assert isinstance(example.datacube.data, np.memmap)
        np.testing.assert_array_equal(example.datacube.data, in_memory.datacube.data)
        np.testing.assert_array_equal(example.vacuum_probe, in_memory.vacuum_probe)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "shape"])
def test_damaged_cache_is_made_again_with_a_warning(cache, damage):
    wanted = load().datacube.data
    (path,) = cache.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[:-1000])
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        np.savez(path, patterns=wanted[:1], vacuum_probe=wanted[0, 0])
    with pytest.warns(UserWarning, match="is damaged.*made again"):
        np.testing.assert_array_equal(load().datacube.data, wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(load().datacube.data, wanted)


def test_unwritable_cache_is_only_a_warning(cache):
    cache.write_text("a file where the directory should be")
    with pytest.warns(UserWarning, match="set CAVIAR_KIT_CACHE"):
        assert load().datacube.data.any()


def test_cache_key_depends_on_snapshots_and_experiment():
    md = ck.simulation.silicon_sigma9_snapshots()
    keys = {
        cache_key(md, TINY),
        cache_key(md.subset(29), TINY),
        cache_key(ck.simulation.einstein(md, 0), TINY),
        cache_key(ck.simulation.einstein(md, 1), TINY),
        cache_key(md, replace(TINY, defocus_angstrom=41)),
        cache_key(md, replace(TINY, source_fwhm_angstrom=0.47)),
        cache_key(md, replace(TINY, source_fwhm_angstrom=0.5)),
    }
    assert len(keys) == 7
    assert cache_key(md, TINY) in keys


def test_cache_directory_follows_the_environment(monkeypatch):
    monkeypatch.setenv("CAVIAR_KIT_CACHE", "/somewhere")
    assert cache_directory() == Path("/somewhere")
    monkeypatch.delenv("CAVIAR_KIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_directory() == Path("/xdg/caviar_kit")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/ada")
    assert cache_directory() == Path("/ada/.cache/caviar_kit")


def test_bad_arguments_are_refused(cache):
    names = "'si-sigma9-coherent', 'si-sigma9-einstein', 'si-sigma9-md', 'si-sigma9-md-psc', 'hbn-twisted'"
    with pytest.raises(ValueError, match=f"{names}, got 'si'"):
        ck.load_example("si")
    with pytest.raises(ValueError, match="name must be one of"):
        ck.load_example(3)
    with pytest.raises(ValueError, match="preset must be one of 'tutorial', 'quick', 'paper'"):
        ck.load_example("si-sigma9-md", "fast")
    with pytest.raises(TypeError, match="cache must be True or False"):
        ck.load_example("si-sigma9-md", "quick", cache="/tmp")
    with pytest.raises(TypeError, match="progress must be callable"):
        ck.load_example("si-sigma9-md", "quick", progress="bar")
