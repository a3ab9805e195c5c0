"""The paper-scale runs: data as abTEM simulates them, interruptions without a trace, a bare GPU machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import paper_scale
from benchmarks.paper import cases, inputs, report
from benchmarks.paper import fit as fitting
from benchmarks.paper.fit import load_fit
from benchmarks.paper.simulate import simulate, vacuum_pattern
from caviar_kit import simulation
from caviar_kit.backend import resolve_device
from caviar_kit.multislice import FitSettings
from caviar_kit.npz import read_npz
from caviar_kit.simulation.window import cut_window
from tests.simulation.tiny import TINY

ROOT = Path(__file__).parents[2]
# Small, and yet with columns in the field and enough detector to see them.
SMALL = {
    "defocus_angstrom": 60.0,
    "scan_step_angstrom": 0.8,
    "scan_shape": (6, 6),
    "window_angstrom": 12.0,
    "grid_points": 80,
    "detector_pixels": 48,
}


def as_case(**changes: object) -> cases.Case:
    scan = {**asdict(TINY), **changes}
    scan.pop("source_fwhm_angstrom", None)
    return replace(cases.case("si-md", "reduced"), scan=tuple(scan.items()))


def never() -> float:
    return time.monotonic() + 1e6


@pytest.fixture(scope="module")
def small_case() -> cases.Case:
    fit = FitSettings(num_states=3, one_state_iter=4, max_iter=4)
    return replace(cases.case("si-md", "reduced"), scan=tuple(SMALL.items()), fit=fit)


@pytest.fixture(scope="module")
def prepared(small_case, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    inputs.prepare(small_case, folder / "si-md-reduced.inputs.npz")
    return folder


def run(folder: Path, case: cases.Case, monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(paper_scale, "case", lambda name, size: case)
    return paper_scale.main(
        ["--cases", "si-md", "--size", "reduced", "--folder", str(folder), "--device", "cpu", *arguments]
    )


def copied(prepared: Path, folder: Path) -> Path:
    for file in prepared.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture(scope="module")
def finished(prepared, small_case, tmp_path_factory) -> Path:
    folder = copied(prepared, tmp_path_factory.mktemp("finished"))
    with pytest.MonkeyPatch.context() as patch:
        assert run(folder, small_case, patch, "--part", "fit", "--minutes", "100") == 0
    return folder


def test_patterns_are_those_of_abtem(tmp_path):
    """With every atom on a point of the grid, where abTEM, too, places it exactly."""
    optics = replace(TINY, grid_points=120, detector_pixels=80)
    snapshots = simulation.silicon_sigma9_snapshots().subset(2)
    window, pixel = cut_window(snapshots, optics), optics.window_angstrom / optics.grid_points
    positions = np.array(snapshots.positions)
    atoms, first = np.unique(window.index, return_index=True)
    for frame in positions:
        placed = window.place(frame)[first, :2]
        frame[atoms, :2] += np.round(placed / pixel) * pixel - placed
    wanted = simulation.scan(replace(snapshots, positions=positions), optics).data.reshape(-1, 80, 80)
    inputs.prepare(as_case(grid_points=120, detector_pixels=80), tmp_path / "inputs.npz")
    given = inputs.load(tmp_path / "inputs.npz")
    given = replace(given, frames=np.stack([window.place(frame) for frame in positions]))
    assert simulate(given, tmp_path / "patterns.npz", np, never())
    got = read_npz(tmp_path / "patterns.npz", ["patterns", "vacuum"])
    assert np.abs(got["patterns"] - wanted).sum(axis=(1, 2)).max() < 3e-4  # fraction of the beam
    assert np.abs(got["vacuum"] - simulation.vacuum_probe_intensity(optics)).sum() < 1e-6


def test_a_source_blurs_as_in_the_kit(tmp_path):
    case = replace(as_case(), source_fwhm_angstrom=0.4)
    inputs.prepare(case, tmp_path / "inputs.npz")
    inputs.prepare(as_case(), tmp_path / "point.npz")
    given, point = inputs.load(tmp_path / "inputs.npz"), inputs.load(tmp_path / "point.npz")
    given, point = (replace(each, frames=each.frames[:2]) for each in (given, point))
    assert simulate(given, tmp_path / "blurred.npz", np, never())
    blurred = read_npz(tmp_path / "blurred.npz", ["patterns"])["patterns"]
    everywhere = replace(point, points=given.points, positions=given.points, weights=_identity(given.points))
    assert simulate(everywhere, tmp_path / "each.npz", np, never())
    each = read_npz(tmp_path / "each.npz", ["patterns"])["patterns"]
    np.testing.assert_allclose(blurred.reshape(6, -1), given.weights @ each.reshape(len(each), -1), atol=1e-7)
    assert np.abs(np.asarray(given.weights.sum(axis=1)).ravel() - 1).max() < 1e-12


def _identity(points: np.ndarray):
    from scipy import sparse

    return sparse.csc_array(sparse.eye_array(len(points)))


def test_interrupted_simulations_go_on(prepared, tmp_path, small_case):
    given = inputs.load(prepared / "si-md-reduced.inputs.npz")
    path = tmp_path / "a.npz"
    calls = 0
    while not simulate(given, path, np, time.monotonic() - 1):
        calls += 1
        assert not path.exists()
    assert calls == 4  # of 36 points 8 at a time
    assert simulate(given, tmp_path / "b.npz", np, never())
    one, other = (read_npz(p, ["patterns"])["patterns"] for p in (path, tmp_path / "b.npz"))
    np.testing.assert_array_equal(one, other)
    assert not path.with_suffix(".part.npz").exists()


def test_a_case_done_in_parts_ends_with_the_same_bits(prepared, finished, tmp_path, small_case, monkeypatch):
    folder = copied(prepared, tmp_path)
    (folder / "si-md-reduced.patterns.npz").write_bytes(
        (finished / "si-md-reduced.patterns.npz").read_bytes()
    )
    parts = 0
    while (status := run(folder, small_case, monkeypatch, "--part", "fit", "--minutes", "1e-9")) != 0:
        assert status == paper_scale.MORE_TO_DO
        parts += 1
        assert parts < 30
    one, other = (load_fit(f / "si-md-reduced.fit.npz") for f in (folder, finished))
    np.testing.assert_array_equal(one.object, other.object)
    np.testing.assert_array_equal(one.loss, other.loss)
    assert parts == 7  # an iteration each, but for the last


def test_a_fit_that_converges_early_is_done():
    steps = _closable(SimpleNamespace(iteration=n, total_iterations=10, loss=1.0) for n in (1, 2, 3))
    last, ended = fitting._until(steps, never(), resumed=False)
    assert (last.iteration, ended) == (3, True)


def test_a_fit_that_comes_to_its_last_iteration_keeps_its_checkpoint_until_it_is_written():
    steps = _closable(SimpleNamespace(iteration=n, total_iterations=3, loss=1.0) for n in (1, 2, 3))
    last, ended = fitting._until(steps, never(), resumed=False)
    assert (last.iteration, ended) == (3, True)
    assert steps.left  # closed by us, not ended by itself


class _Steps:
    def __init__(self, steps):
        self.steps, self.left = steps, False

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.steps)

    def close(self):
        self.left = next(self.steps, None) is None


def _closable(steps):
    return _Steps(iter(steps))


def test_files_of_other_inputs_or_settings_are_refused(finished, tmp_path, small_case, monkeypatch, capsys):
    folder = copied(finished, tmp_path)
    other = replace(small_case, fit=replace(small_case.fit, num_states=4))
    assert run(folder, other, monkeypatch, "--part", "fit") == 2
    assert "other states or iterations" in capsys.readouterr().err
    (folder / "si-md-reduced.json").unlink()
    assert run(folder, other, monkeypatch, "--part", "fit") == 2
    assert "fit.npz is of other settings" in capsys.readouterr().err
    moved = replace(small_case, scan=(*small_case.scan, ("defocus_angstrom", 61.0)))
    inputs.prepare(moved, folder / "si-md-reduced.inputs.npz")
    assert run(folder, small_case, monkeypatch, "--part", "fit") == 2
    assert "patterns.npz was made from other inputs" in capsys.readouterr().err
    (folder / "si-md-reduced.inputs.npz").unlink()
    assert run(folder, small_case, monkeypatch, "--part", "fit") == 2
    assert "run --part prepare first" in capsys.readouterr().err


def test_what_is_kept_says_how_it_was_made(finished):
    figures = json.loads((finished / "si-md-reduced.json").read_text())
    assert figures["states"] == 3 and figures["iterations"] == 8 and figures["probe_modes"] == 1
    assert figures["seconds"] > 0 and figures["peak_memory_mb"] > 10 and "thread" in figures["device"]
    import caviar_kit as ck

    result = ck.load_result(finished / "si-md-reduced.result.npz")
    assert result.provenance["made with"] == figures["made with"]
    assert result.provenance["defocus_angstrom"] == 60
    assert len(result.positions) == figures["lattices"]["all"]["columns"] > 3
    assert 1 < figures["lattices"]["all"]["start"]["self_pm2"] < 20  # warps of 3 pm
    assert np.sqrt(((result.positions - result.true_positions) ** 2).mean()) < 0.1
    assert (finished / "si-md-reduced.result.npz").stat().st_size < 300_000


def test_the_report_says_what_was_not_run(finished, tmp_path, small_case):
    folder = copied(finished, tmp_path)
    report.report([small_case], folder)
    text = (folder / "report.md").read_text()
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert "not run" in rows["hBN: d / λ"] and "9.78" in rows["hBN: d / λ"]
    figures = json.loads((folder / "si-md-reduced.json").read_text())
    nearest = figures["lattices"]["all"]["shells"]["nearest"]["csm"]
    assert f"nearest {nearest:.3f}" in rows["Si MD: CSM"]
    assert rows["Si MD: CSM"].count("not run") == 1  # at the paper's size
    assert (folder / "figure2.png").exists() and not (folder / "figure3.png").exists()


def test_there_is_every_case_at_both_sizes():
    names = {case.name for case in cases.CASES}
    assert {(n, s) for n in names for s in cases.SIZES} == {(c.name, c.size) for c in cases.CASES}
    paper = {case.name: case for case in cases.CASES if case.size == "paper"}
    assert all(case.fit.num_states == 20 for name, case in paper.items() if name.startswith("si"))
    assert (paper["hbn-psc"].fit.num_states, paper["hbn-psc"].num_slices, paper["hbn-psc"].num_probes) == (
        10,
        30,
        5,
    )
    assert paper["si-md-psc"].num_probes == 9
    with pytest.raises(ValueError, match="there are si-md"):
        cases.case("si", "paper")


BARE = """
import sys
class Missing:
    known = {"numpy", "scipy", "caviar_kit", "benchmarks", *sys.stdlib_module_names}
    def find_spec(self, name, path=None, target=None):
        if not name.startswith("_") and name.split(".")[0] not in self.known:
            raise ImportError(name)
sys.meta_path.insert(0, Missing())
from dataclasses import replace
from benchmarks import paper_scale
from benchmarks.paper import cases
from caviar_kit.multislice import FitSettings
few = FitSettings(num_states=3, one_state_iter=4, max_iter=4)
paper_scale.case = lambda name, size: replace(cases.case(name, size), fit=few)
sys.exit(paper_scale.main(sys.argv[1:]))
"""


def test_fitting_needs_numpy_and_scipy_only(prepared, tmp_path):
    """As on a machine with a GPU and little else: from inputs to result, by the engine and NumPy alone."""
    folder = copied(prepared, tmp_path)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            BARE,
            *("--part", "fit", "--cases", "si-md", "--size", "reduced", "--device", "cpu"),
            *("--folder", str(folder)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "si-md-reduced.json").read_text())["lattices"]["all"]["columns"] > 3


def test_a_gpu_simulates_and_fits_the_same(prepared, finished, tmp_path, small_case, monkeypatch):
    try:
        resolve_device("gpu")
    except RuntimeError:
        pytest.skip("CuPy finds no GPU")
    folder = copied(prepared, tmp_path)
    arguments = ["--cases", "si-md", "--size", "reduced", "--folder", str(folder), "--device", "gpu"]
    monkeypatch.setattr(paper_scale, "case", lambda name, size: small_case)
    assert paper_scale.main([*arguments, "--part", "fit"]) == 0
    here, there = (read_npz(f / "si-md-reduced.patterns.npz", ["patterns"]) for f in (finished, folder))
    np.testing.assert_allclose(there["patterns"], here["patterns"], atol=1e-7)
    one, other = (load_fit(f / "si-md-reduced.fit.npz") for f in (finished, folder))
    np.testing.assert_allclose(other.loss, one.loss, rtol=1e-3)


def test_the_papers_size_is_refused_without_a_gpu(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paper_scale, "resolve_device", lambda device: np)
    for part in ("check", "fit"):
        assert paper_scale.main(["--part", part, "--folder", str(tmp_path / "new")]) == 2
        assert "--size reduced" in capsys.readouterr().out
    assert paper_scale.main(["--part", "check", "--size", "reduced", "--folder", str(tmp_path / "new")]) == 0
    assert not (tmp_path / "new").exists()


def test_the_vacuum_pattern_is_one_beam(prepared):
    given = inputs.load(prepared / "si-md-reduced.inputs.npz")
    assert float(vacuum_pattern(given, np).sum()) == pytest.approx(1, abs=1e-5)
