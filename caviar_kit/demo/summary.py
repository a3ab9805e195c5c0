"""What a run of the lessons gave: for a file, and for the terminal."""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from caviar_kit import __version__
from caviar_kit.backend import default_threads, resolve_device
from caviar_kit.demo.progress import clock

__all__ = ["figures_table", "summarise", "write_summary"]


def summarise(
    output: Path, preset: str, seconds: float, notebook_seconds: dict[str, float]
) -> dict[str, Any]:
    """What the run gave, JSON-ready: the machine, the time, and the figures of each data set."""
    from caviar_kit.results import load_result

    data_sets = {}
    for path in sorted(output.glob("*.npz")):
        result = load_result(path)
        # by file: a stored result that somebody saved here may come from the same example as a lesson's
        data_sets[path.stem] = {**result.summary(), "preset": result.preset}
    packages = {name: version(name) for name in ("numpy", "py4DSTEM", "abtem")}
    return {
        "preset": preset,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": {
            "caviar_kit": __version__,
            "python": ".".join(map(str, sys.version_info[:3])),
            **packages,
        },
        "device": "gpu" if resolve_device("auto").__name__ == "cupy" else "cpu",
        "threads": default_threads(),
        "seconds": round(seconds, 1),
        "notebook_seconds": notebook_seconds,
        "data_sets": data_sets,
    }


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Write JSON to ``path``, complete or not at all."""
    text = json.dumps(summary, indent=2, allow_nan=False) + "\n"
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def figures_table(summary: dict[str, Any]) -> str:
    """The main numbers of each data set, one line each."""
    layout = "{:<20} {:>6} {:>8} {:>14} {:>16} {:>12}"
    heads = ("data set", "time", "columns", "rms per axis", "nearest / self", "CSM / LSM")
    lines = [layout.format(*heads)]
    for name, entry in summary["data_sets"].items():
        nearest = entry["shells"]["nearest"]
        share, similarity = f"{entry['nearest_to_self']:.0%}", "(at rest)"
        if nearest["csm"] is None:
            share = "-"
        else:
            similarity = f"{nearest['csm']:.3f} / {nearest['lsm']:.2f}"
        rms = f"{entry['rms_displacement_pm']:.2f} pm"
        lines.append(layout.format(name, clock(entry["seconds"]), entry["columns"], rms, share, similarity))
    return "\n".join([*lines, "CSM and LSM of nearest neighbours against the truth: 1 is perfect."])
