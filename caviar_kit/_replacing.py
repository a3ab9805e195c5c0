"""Files that are complete or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["replacing"]


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A file of its own to write, of the same name; it becomes ``target`` when the block ends without error.

    It lies in a folder of its own beside ``target``: no other thread or process writes there, renaming stays
    within the file system, and the file gets the usual permissions, which ``mkstemp`` would restrict.

    Raises
    ------
    OSError
        If the folder of ``target`` is missing or cannot be written.
    """
    with TemporaryDirectory(prefix=".", suffix=".part", dir=target.parent) as folder:
        partial = Path(folder) / target.name
        yield partial
        partial.replace(target)
