"""How much memory a process may still take: from the machine, its container, or a GPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from caviar_kit.multislice.settings import FitSettings

__all__ = ["available_memory", "require_memory"]


def available_memory(xp: Any, root: str | os.PathLike[str] = "/") -> int | None:
    """Bytes that can still be allocated, None if the system does not say.

    Parameters
    ----------
    xp : module
        NumPy: the host, within the limit of a control group (containers, batch systems). CuPy: its
        current GPU, with what its memory pool holds unused.
    root : path
        Where ``proc`` and ``sys`` are.
    """
    if xp.__name__ == "cupy":
        free, _ = xp.cuda.runtime.memGetInfo()
        return int(free) + int(xp.get_default_memory_pool().free_bytes())
    found = [bytes_ for bytes_ in (_machine(Path(root)), *_groups(Path(root))) if bytes_ is not None]
    if not found and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(0, min(found)) if found else None


def require_memory(estimate: dict[str, int], xp: Any, fit: FitSettings) -> None:
    """Refuse a fit for which there is not enough memory.

    Parameters
    ----------
    estimate : dict
        Of :func:`caviar_kit.multislice.memory.estimate_memory`.
    xp : module
        Where the fit is to run: NumPy or CuPy.
    fit : FitSettings
        Named in the message.

    Raises
    ------
    ValueError
        If host or GPU have less than the estimate free; it names the cure.
    """
    places = [("host", np, "this machine", "")]
    if xp is not np:
        places.append(("device", xp, "the GPU", ", or device='cpu'"))
    for place, module, where, cure in places:
        needed, available = estimate[place], available_memory(module)
        if available is not None and needed > available:
            raise ValueError(
                f"num_object_states={fit.num_states} needs about {needed / 2**30:.1f} GiB, {where} has "
                f"{available / 2**30:.1f} free: use fewer states or slices, optimizer='adam' or a smaller "
                f"history (now {fit.history}), or crop the scan{cure}"
            )


def _machine(root: Path) -> int | None:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return None


def _groups(root: Path) -> list[int | None]:
    """What is left of the limits of control groups, version 2 and 1, as a container sees its own."""
    base = root / "sys/fs/cgroup"
    return [
        _left(base, "memory.max", "memory.current", "inactive_file"),
        _left(base / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ]


def _left(folder: Path, limit: str, usage: str, cache: str) -> int | None:
    allowed, used = _read(folder / limit).strip(), _read(folder / usage).strip()
    if not (allowed.isdecimal() and used.isdecimal()):  # "max", or no such file
        return None
    rows = (line.split() for line in _read(folder / "memory.stat").splitlines())
    reclaimable = next((int(row[1]) for row in rows if row[0] == cache), 0)
    return int(allowed) - int(used) + reclaimable


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
