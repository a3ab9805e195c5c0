"""One thread at a time in the panels: kernel subshells of JupyterLab bring messages in several threads."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

__all__ = ["PANELS", "heard", "one_thread"]

# One lock for all: the list of warnings and matplotlib's settings belong to the whole process, and linked
# panels that held locks of their own could wait for each other forever. Never wait for a thread within.
PANELS = threading.RLock()

_Function = TypeVar("_Function", bound=Callable[..., Any])


def one_thread(function: _Function) -> _Function:
    """Let other threads wait outside, whatever panel they are in."""

    @wraps(function)
    def alone(*arguments: Any, **settings: Any) -> Any:
        with PANELS:
            return function(*arguments, **settings)

    return alone  # type: ignore[return-value]  # wraps keeps the signature


@contextmanager
def heard() -> Iterator[list[str]]:
    """Keep what is warned of within: a list with each UserWarning's text once, filled at the end."""
    texts: list[str] = []
    with PANELS, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        try:
            yield texts
        finally:
            texts += dict.fromkeys(str(one.message) for one in told if one.category is UserWarning)
