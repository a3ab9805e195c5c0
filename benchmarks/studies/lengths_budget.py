"""Where the length goes: one cause taken away after the other, from a plain fit to atoms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.studies.cases import Line
from benchmarks.studies.lengths import LONG, OURS
from benchmarks.studies.reading import find

__all__ = ["RAW", "Step", "at", "budget", "trackers_at"]

RAW = "raw 3"
_EARLY = 100


class Step(NamedTuple):
    """A rung of the ladder: what was changed, and the figures with it."""

    cause: str
    figures: Mapping[str, Any] | None


def at(line: Line | None, iteration: int) -> Mapping[str, Any]:
    """What a fit had found after so many iterations; empty if it was not measured there."""
    trace = line["result"]["trace"] if line else []
    return next((point for point in trace if point["iteration"] == iteration), {})


def trackers_at(line: Line | None, iteration: int) -> Mapping[str, Any]:
    """Figures by tracker."""
    return at(line, iteration).get("trackers", {})


def budget(lines: Sequence[Line]) -> list[Step]:
    """Rungs from a white start with a raw centre of mass to atoms; each keeps what the one before changed.

    The order is that in which a user would go; causes are not quite independent of it.
    """
    white = find(lines, kind="pixels", start="white", state_gain=1)
    ours = find(lines, kind="pixels", start="warped", state_gain=2, iterations=LONG)
    early, late = trackers_at(white, _EARLY), trackers_at(white, LONG)
    return [
        Step(f"white start, {_EARLY} iterations,\nraw centre of mass, 3 passes", early.get(RAW)),
        Step("tracker: minimum subtracted", early.get(OURS)),
        Step(f"iterations: {LONG}", late.get(OURS)),
        Step("start: warped copies,\nconditioned", trackers_at(ours, LONG).get(OURS)),
        Step("atoms instead of pixels", _atoms(lines)),
    ]


def _atoms(lines: Sequence[Line]) -> Mapping[str, Any] | None:
    line = find(lines, kind="atoms")
    return line["result"] if line else None
