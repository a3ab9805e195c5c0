"""nbmake runs every lesson at the quick preset, in order, in a folder like a user's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from caviar_kit.demo.lesson import read_lesson, write_html
from caviar_kit.demo.summary import summarise

ROOT = Path(__file__).parents[1]
LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
FIGURES = {
    "01_silicon_sigma9": ("figure2.png", "figure2.svg"),
    "02_hbn_experiment": ("figure3.png",),
    "04_dispersion": ("figure4.png",),
}
MOST_SECONDS = 1200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of the lessons beside each other; lesson 3 finds there what lesson 1 left."""
    folder = tmp_path_factory.mktemp("lessons")
    for name in LESSONS:
        shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", folder)
    return folder


def run_nbmake(path: Path, results: Path) -> subprocess.CompletedProcess[str]:
    """Execute one notebook as ``pytest --nbmake --overwrite`` does."""
    environment = {
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "CAVIAR_KIT_PRESET": "quick",
        "CAVIAR_KIT_RESULTS": str(results),
        "PYTHONPATH": str(ROOT),
    }
    options = ["--nbmake", "--overwrite", f"--nbmake-timeout={MOST_SECONDS // 2}", "--rootdir", path.parent]
    line = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", *options, path]
    return subprocess.run(
        [str(part) for part in line],
        env=environment,
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", LESSONS)
def test_lesson_runs_at_the_quick_preset(name: str, folder: Path) -> None:
    results = folder / "results"
    ran = run_nbmake(folder / f"{name}.ipynb", results)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert "1 passed" in ran.stdout

    lesson = read_lesson(folder / f"{name}.ipynb")
    assert all(cell.node.execution_count for cell in lesson.cells)
    write_html(lesson, folder / f"{name}.html")
    assert (folder / f"{name}.html").stat().st_size > 10_000
    for figure in FIGURES.get(name, ()):
        assert (results / "figures" / figure).stat().st_size > 10_000


@pytest.mark.slow
def test_lesson_1_finds_the_correlations_of_md(folder: Path) -> None:
    if not (folder / "results" / "si-sigma9-md.npz").exists():
        pytest.skip("lesson 1 was not run, or failed")
    data = summarise(folder / "results", "quick", 0, {})["data_sets"]
    assert set(data) == {"si-sigma9-coherent", "si-sigma9-einstein", "si-sigma9-md"}
    for entry in data.values():
        assert entry["seconds"] > 0 and entry["iterations"] > 10 and 0 < entry["loss"] < 1e-3
        assert {"self", "nearest", "next"} <= set(entry["shells"])
    assert data["si-sigma9-md"]["shells"]["nearest"]["csm"] > 0.85
