"""Patterns larger than memory: read row by row, prepared in a temporary file."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import h5py
import numpy as np

from caviar_kit import validation
from caviar_kit.detector import DetectorFrame

__all__ = ["embed_on_disk", "streaming_folder"]


def streaming_folder(data: Any, streaming: bool | str | os.PathLike[str] | None) -> str | None:
    """Folder for the prepared patterns, or None if they are to be in memory.

    Parameters
    ----------
    data : array, h5py.Dataset or numpy.memmap
        None streams the latter two.
    streaming : bool, path or None
        True for the system's temporary folder, or another one.

    Raises
    ------
    TypeError, ValueError
        If it is something else, or there is no such folder.
    """
    if streaming is None:
        streaming = isinstance(data, (h5py.Dataset, np.memmap))
    if isinstance(streaming, bool):
        return tempfile.gettempdir() if streaming else None
    folder = os.fspath(validation.path_like("streaming", streaming))
    if not os.path.isdir(folder):
        raise ValueError(f"streaming={folder!r}: there is no such folder")
    return folder


def embed_on_disk(data: Any, frame: DetectorFrame, measured: np.ndarray, folder: str) -> np.memmap:
    """Patterns (Ry, Rx, Qy, Qx) in a larger frame, float32, in a file that vanishes with the array.

    Parameters
    ----------
    data : array, h5py.Dataset or numpy.memmap
        Read one scan row at a time.
    frame : DetectorFrame
    measured : (Qy, Qx) bool
        False pixels become zero.
    folder : str
        Where the file is.
    """
    with tempfile.TemporaryFile(dir=folder, prefix="caviar_kit_") as file:
        embedded = np.memmap(file, np.float32, "w+", shape=(*data.shape[:2], *frame.frame))
    for row in range(len(data)):
        embedded[row] = frame.embed(np.where(measured, data[row], 0).astype(np.float32, copy=False))
    return embedded
