"""Read and write .npz files: no pickle, nothing half-written, damage told in one sentence."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["read_npz", "write_npz"]

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
    """Write ``arrays`` to a file beside ``path``, then rename it."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    save: Any = np.savez_compressed if compress else np.savez
    try:
        with partial.open("wb") as file:
            save(file, **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
