"""How the engine's inner loops are compiled by Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

__all__ = ["compiled"]

# Sums may be reordered for vector instructions; NaN and infinity keep their meaning.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "fastmath": {"contract", "reassoc", "nsz"},
    "error_model": "numpy",
}


def compiled(function: Callable[..., Any]) -> Any:
    """Compile ``function`` when it is first called, and keep the result for later processes if possible."""
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder for it can be written to: every process compiles anew
        return numba.njit(**_OPTIONS)(function)
