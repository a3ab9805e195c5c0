"""``python -m caviar_kit.demo``: run the lessons in order, keep their pictures and figures.

Writes the executed notebooks as HTML, their pictures as PNG, and summary.json.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from caviar_kit.demo.lesson import Lesson, NotebookFailure, read_lesson, run_lesson, save_pictures, write_html
from caviar_kit.demo.progress import Console, TimeLeft, clock
from caviar_kit.demo.summary import figures_table, summarise, write_summary

__all__ = ["NOTEBOOKS", "main"]

NOTEBOOKS = (
    "01_silicon_sigma9",
    "02_hbn_experiment",
    "03_correlations",
    "04_dispersion",
    "05_your_own_data",
)
_PRESETS = ("quick", "tutorial")
# One level of parallelism: the engine and abTEM have threads of their own.
_THREAD_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status, 1 if a notebook failed."""
    options = _parser().parse_args(arguments)
    output = options.output.resolve()
    try:
        lessons = [read_lesson(path) for path in _find(options.notebooks)]
        (output / "figures").mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        print(f"caviar_kit.demo: {error}", file=sys.stderr)
        return 2
    began = time.perf_counter()
    try:
        seconds = _run(lessons, options.preset, output, options.record)
    except NotebookFailure as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    summary = summarise(output, options.preset, time.perf_counter() - began, seconds)
    write_summary(output / "summary.json", summary)
    if summary["data_sets"]:
        print(f"\n{figures_table(summary)}")
    print(f"\nDone in {clock(summary['seconds'])}. Open in a browser:")
    for lesson in lessons:
        print(f"  {output / lesson.name}.html")
    print(f"Pictures: {output / 'figures'}\nFigures:  {output / 'summary.json'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m caviar_kit.demo", description=__doc__)
    parser.add_argument("--preset", choices=_PRESETS, default="tutorial", help="size of the problem")
    parser.add_argument(
        "--output", type=Path, default=Path("results/demo"), help="folder for everything written"
    )
    parser.add_argument(
        "--notebooks",
        nargs="+",
        default=NOTEBOOKS,
        metavar="NOTEBOOK",
        help=f"names in notebooks/, or paths (default: {' '.join(NOTEBOOKS)})",
    )
    parser.add_argument(
        "--record", action="store_true", help="keep the measured time of each cell in the notebooks"
    )
    return parser


def _find(names: Sequence[str]) -> list[Path]:
    """Paths of the notebooks: as given, or in notebooks/ beside the package.

    Raises
    ------
    FileNotFoundError
        If one is not there.
    """
    folder = Path(__file__).resolve().parents[2] / "notebooks"
    paths = []
    for name in names:
        inside = folder / f"{name.removesuffix('.ipynb')}.ipynb"
        paths.append(Path(name).resolve() if name.endswith(".ipynb") and Path(name).exists() else inside)
        if not paths[-1].is_file():
            raise FileNotFoundError(
                f"no notebook {name!r} in {folder}; the notebooks are part of the repository, not of the "
                "installed package: run this from a checkout, or give the paths of .ipynb files"
            )
    return paths


def _run(lessons: list[Lesson], preset: str, output: Path, record: bool) -> dict[str, float]:
    """Run the lessons one after the other; returns the seconds each took."""
    console = Console(TimeLeft([cell.expected(preset) for lesson in lessons for cell in lesson.cells]))
    environment = {
        **dict.fromkeys(_THREAD_POOLS, "1"),
        "CUPY_PYLOPS": "0",
        **os.environ,
        "CAVIAR_KIT_PRESET": preset,
        "CAVIAR_KIT_RESULTS": str(output),
    }
    environment.pop("MPLBACKEND", None)  # the notebooks' pictures need Jupyter's own
    seconds = {}
    for lesson in lessons:
        began = time.perf_counter()
        try:
            asyncio.run(run_lesson(lesson, console, environment))
        finally:
            console.end_line()
            write_html(lesson, output / f"{lesson.name}.html")
        save_pictures(lesson, output / "figures")
        seconds[lesson.name] = round(time.perf_counter() - began, 1)
        if record:
            lesson.record_seconds(preset)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
