"""Studies beyond the paper, one figure each::

    python -m benchmarks.studies lengths                        # run what is not done, one JSON line a case
    python -m benchmarks.studies lengths --minutes 8            # begin no case that would end later
    python -m benchmarks.studies lengths --figure lengths.png   # draw from the lines alone; nothing is run
    python -m benchmarks.studies lengths --table                # the same as Markdown
    python -m benchmarks.studies lengths --list                 # what there is to do, done or not

Lines go to ``OUTPUT/STUDY.jsonl``. A case that is there is skipped: call again to go on after an
interruption. Exit status: 0 all done, 75 cases are left (``--minutes``; call again), 1 nothing to draw, 2 bad
arguments.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import Any

STUDIES = {
    "lengths": "benchmarks.studies.lengths",
    "conditions": "benchmarks.studies.conditions",
    "dispersion": "benchmarks.studies.dispersion",
    "depth": "benchmarks.studies.depth",
}
UNFINISHED = 75  # EX_TEMPFAIL of sysexits.h: try again


def main(arguments: list[str] | None = None) -> int:
    """Run, draw or print one study; returns the exit status."""
    asked = parse(arguments)
    for name in ("CAVIAR_KIT_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(asked.threads)  # before numpy is imported
    from benchmarks.studies.cases import Options
    from benchmarks.studies.runner import lines_of, read_lines, run_cases

    study: Any = importlib.import_module(STUDIES[asked.study])
    cases = study.cases(Options(asked.preset, asked.device, asked.seed))
    path = asked.output / f"{asked.study}.jsonl"
    if asked.list or asked.figure or asked.table:
        return show(study, cases, lines_of(cases, read_lines(path)), asked)
    left = run_cases(cases, path, study.run, minutes=asked.minutes)
    for case in left:
        print(f"not done: {case}", file=sys.stderr)
    return UNFINISHED if left else 0


def show(study: Any, cases: list[Any], lines: list[Any], asked: argparse.Namespace) -> int:
    """List, print or draw what is there."""
    if asked.list:
        from benchmarks.studies.runner import lines_of

        for case in cases:
            print("done" if lines_of([case], lines) else "    ", case)
        return 0
    if not lines:
        print(f"no finished case of {asked.study} in {asked.output}: run it first", file=sys.stderr)
        return 1
    if len(lines) < len(cases):
        print(f"{len(cases) - len(lines)} of {len(cases)} cases are not there", file=sys.stderr)
    if asked.table:
        print(study.table(lines))
    if asked.figure:
        asked.figure.parent.mkdir(parents=True, exist_ok=True)
        study.draw(lines, asked.figure)
    return 0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("study", choices=STUDIES)
    add("--preset", choices=("quick", "tutorial", "paper"), default="quick")
    add("--output", type=Path, default=Path("results/studies"), help="folder of the lines")
    add("--device", choices=("cpu", "gpu"), default="cpu")
    add("--threads", type=positive(int), default=1, help="of the CPU")
    add("--seed", type=int, default=0)
    add("--minutes", type=positive(float), help="begin no case that would end later")
    add("--figure", type=Path, help="draw to this file and run nothing")
    add("--table", action="store_true", help="print a table and run nothing")
    add("--list", action="store_true", help="print the cases and run nothing")
    return parser.parse_args(arguments)


def positive(kind: Any) -> Any:
    """A number of that kind above 0."""

    def read(text: str) -> Any:
        if not (value := kind(text)) > 0:
            raise ValueError(text)
        return value

    read.__name__ = f"positive {kind.__name__}"
    return read


if __name__ == "__main__":
    sys.exit(main())
