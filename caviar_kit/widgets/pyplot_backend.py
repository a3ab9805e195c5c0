"""Import of ipympl that leaves pyplot's backend alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib

from caviar_kit.widgets.one_thread import PANELS

__all__ = ["backend_kept"]


@contextmanager
def backend_kept() -> Iterator[None]:
    """For the first import of ipympl, which makes itself the backend of all figures of the session."""
    with PANELS:
        use = matplotlib.use
        matplotlib.use = _nothing
        try:
            yield
        finally:
            matplotlib.use = use


def _nothing(*arguments: Any, **keywords: Any) -> None:
    pass
