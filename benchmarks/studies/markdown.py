"""Tables for documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["markdown"]


def markdown(head: Sequence[str], body: Iterable[Sequence[object]]) -> str:
    """A table with one row per entry of ``body``."""
    rows = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
