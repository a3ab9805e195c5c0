"""How the speed benchmarks take time and memory, and what they say about the machine."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["in_turns", "interleaved", "machine", "peak_resident_mb", "resident_mb"]

Name = TypeVar("Name", bound=Hashable)


def in_turns(
    functions: Mapping[Name, Callable[[], object]],
    repeats: int,
    synchronize: Callable[[], object] = lambda: None,
) -> dict[Name, list[float]]:
    """Wall times [s] of each function: all of them in turn, ``repeats`` times after a warm-up.

    What else the machine does then hits all of them alike. ``synchronize`` waits for a device.
    """
    seconds: dict[Name, list[float]] = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            synchronize()
            begin = time.perf_counter()
            function()
            synchronize()
            seconds[name].append(time.perf_counter() - begin)
    return {name: values[1:] for name, values in seconds.items()}


def interleaved(
    functions: Mapping[Name, Callable[[], object]],
    repeats: int,
    synchronize: Callable[[], object] = lambda: None,
) -> dict[Name, float]:
    """Median of :func:`in_turns` for each function [s]."""
    seconds = in_turns(functions, repeats, synchronize)
    return {name: statistics.median(values) for name, values in seconds.items()}


def peak_resident_mb() -> float:
    """The most memory that this process ever held [MB]."""
    try:  # ru_maxrss of a child begins with what its parent held
        return resident_mb("VmHWM")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def resident_mb(kind: str = "VmRSS") -> float:
    """Resident memory of this process [MB], of Linux only: "VmRSS" now, "VmHWM" at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(kind)).split()[1]) * 1024 / 1e6


def machine(*packages: str, **known: str) -> dict[str, Any]:
    """Processor, load in the last minute, versions: ``known``, and of ``packages`` (None: not installed)."""
    versions: dict[str, str | None] = {**known}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {"processor": _processor(), "load": round(os.getloadavg()[0], 2), "versions": versions}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith("model name")).partition(": ")[2]
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
