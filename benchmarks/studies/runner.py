"""Do the cases that are not done yet, and keep one JSON line of each in a file."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.studies.cases import Case, Line, key_of

__all__ = ["append_line", "lines_of", "read_lines", "run_cases"]

Run = Callable[[Case], dict[str, Any]]


def read_lines(path: Path) -> list[Line]:
    """All whole lines of the file, none if there is no file.

    A line that was cut off when its process was killed is said and left out: its case is done again.
    """
    if not path.exists():
        return []
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            key_of(line["study"], line["case"]), line["result"], line["seconds"]
        except (ValueError, TypeError, KeyError):
            print(f"{path}: line {number} is no whole result, left out", file=sys.stderr)
            continue
        lines.append(line)
    return lines


def append_line(path: Path, line: Line) -> None:
    """Add one line in one write; after a line that was cut off, on a line of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(line, allow_nan=False) + "\n"
    if path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
        text = "\n" + text
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def lines_of(cases: Sequence[Case], lines: Sequence[Line]) -> list[Line]:
    """The lines of these cases, in their order, of each the latest."""
    found = {key_of(line["study"], line["case"]): line for line in lines}
    return [found[case.key] for case in cases if case.key in found]


def run_cases(
    cases: Sequence[Case],
    path: Path,
    run: Run,
    *,
    minutes: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Case]:
    """Run what ``path`` does not have yet, append each line when it is there.

    With ``minutes`` no case is begun that would end later, judged by its guess and by how far the
    guesses of the finished cases on the same device were out; shorter ones that follow may still fit.

    Returns
    -------
    list of Case
        Those that are not done.
    """
    begin, left = clock(), []
    for case in cases:
        lines = read_lines(path)
        if lines_of([case], lines):
            continue
        expected = case.seconds * slowness(cases, lines)
        if minutes is not None and clock() - begin + expected > 60 * minutes:
            left.append(case)
            continue
        print(f"{case} (about {expected:.0f} s) ...", file=sys.stderr, flush=True)
        started = clock()
        result = run(case)
        seconds = round(clock() - started, 1)
        line = {
            "study": case.study,
            "case": dict(case.parameters),
            "result": result,
            "seconds": seconds,
            "guessed_seconds": case.seconds,
            "provenance": provenance(case.device),
        }
        append_line(path, line)
        print(f"    done in {seconds} s", file=sys.stderr, flush=True)
    return left


def slowness(cases: Sequence[Case], lines: Sequence[Line]) -> float:
    """By what factor the finished ones of these cases took longer than guessed; 1 if there are none."""
    guesses = {case.key: case for case in cases}
    factors = []
    for line in lines:
        case = guesses.get(key_of(line["study"], line["case"]))
        if case is not None and line.get("provenance", {}).get("device") == case.device:
            factors.append(line["seconds"] / case.seconds)
    return max(statistics.median(factors), 1e-3) if factors else 1.0


def provenance(device: str) -> dict[str, Any]:
    """Where and with what a case was run."""
    return {
        "device": device,
        "threads": int(os.environ.get("CAVIAR_KIT_THREADS", os.cpu_count() or 1)),
        "caviar_kit": version("caviar_kit"),
        "numpy": version("numpy"),
    }
