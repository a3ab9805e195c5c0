"""Read and write .npz files: no pickle, nothing half-written, damage told in one sentence."""

from __future__ import annotations

import os
import platform
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["read_npz", "remove_partials", "write_npz"]

_DAMAGE = (OSError, EOFError, KeyError, AttributeError, TypeError, ValueError, zipfile.BadZipFile, zlib.error)


def read_npz(
    path: str | os.PathLike[str], keys: Iterable[str], *, others: bool = False
) -> dict[str, np.ndarray]:
    """The arrays ``keys`` of a .npz file, and with ``others`` all the rest, their checksums verified.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such file.
    ValueError
        If it is truncated, damaged, no .npz file, holds pickles or lacks a key.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in dict.fromkeys([*keys, *(file.files if others else ())])}
    except (FileNotFoundError, NotADirectoryError):
        raise
    except _DAMAGE as error:
        raise ValueError(f"{os.fspath(path)} is damaged or of another kind: {error}") from error


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, Any], *, compress: bool) -> None:
    """Write ``arrays`` to a file beside ``path``, then rename it.

    What a killed process left half-written beside ``path`` is removed.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}.part")
    save: Any = np.savez_compressed if compress else np.savez
    remove_partials(path)
    try:
        with partial.open("wb") as file:
            save(file, **arrays)
            file.flush()
            os.fsync(file.fileno())  # on disk before the old file goes
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove_partials(path: str | os.PathLike[str]) -> None:
    """Remove what processes of this machine that are no more left half-written beside ``path``."""
    path = Path(path)
    prefix = f".{path.name}.{platform.node()}-"
    if os.name != "posix" or not path.parent.is_dir():  # elsewhere one cannot ask for a process so simply
        return
    for file in path.parent.iterdir():
        writer = file.name.removeprefix(prefix).removesuffix(".part")
        if file.name == f"{prefix}{writer}.part" and writer.isdecimal() and not _runs(int(writer)):
            file.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs, for somebody else
        pass
    return True
