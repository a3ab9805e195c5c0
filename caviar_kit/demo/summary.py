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
        comparison = result.comparison.as_dict()
        data_sets[result.name] = {
            **result.summary(),
            "shell_edges_angstrom": comparison["edges_angstrom"],
            "shells": comparison["shells"],
            "preset": result.preset,
        }
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
    lines = [
        f"{'data set':<20} {'time':>6} {'columns':>7} {'rms':>8} {'nearest':>9} {'nearest neighbours':>19}"
    ]
    lines.append(f"{'':<20} {'':>6} {'':>7} {'':>8} {'/ self':>9} {'CSM / LSM':>19}")
    for name, entry in summary["data_sets"].items():
        nearest = entry["shells"]["nearest"]
        known = nearest["csm"] is not None
        similarity = f"{nearest['csm']:.3f} / {nearest['lsm']:.2f}" if known else "nothing moves"
        lines.append(
            f"{name:<20} {clock(entry['seconds']):>6} {entry['columns']:>7} "
            f"{entry['rms_displacement_pm']:>5.1f} pm {entry['nearest_to_self']:>9.0%} {similarity:>19}"
        )
    return "\n".join(lines)
