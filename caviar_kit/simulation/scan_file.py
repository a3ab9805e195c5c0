"""Simulated patterns on disk, written block by block; a kill at any moment leaves nothing wrong.

The HDF5 structure is complete before the first pattern is simulated: the patterns, contiguous, and for each
block of positions a mark, 0 at first. Then only bytes of these two change, at their fixed places: a block is
written and synced, then its mark (one more than the block's CRC-32). The file is called ``.part`` until the
last mark is set.
"""

from __future__ import annotations

import errno
import json
import math
import os
import platform
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from caviar_kit import validation
from caviar_kit._py4dstem import datacube, import_py4dstem
from caviar_kit.npz import remove_partials

__all__ = ["ScanFile", "open_scan"]

_DATA, _MARKS, _RECORD = "datacube_root/datacube/data", "blocks_done", "caviar_kit_simulation"
_SUFFIXES = (".h5", ".hdf5", ".emd", ".py4dstem")  # those that py4DSTEM.read accepts
_FLOAT, _MARK = np.dtype("<f4"), np.dtype("<u8")


@dataclass(frozen=True)
class _Layout:
    """What stands where in a scan file."""

    record: dict[str, Any]
    shape: tuple[int, int, int, int]
    block: int
    data_offset: int
    marks_offset: int

    @classmethod
    def read(cls, path: Path) -> _Layout:
        """Raise ValueError if ``path`` is not a scan file or is truncated."""
        try:
            with h5py.File(path, "r", locking=False) as file:
                data, marks = file[_DATA], file[_MARKS]
                record = json.loads(file.attrs[_RECORD])
                layout = cls(
                    record, data.shape, int(marks.attrs["block"]), data.id.get_offset(), marks.id.get_offset()
                )
                whole = (data.dtype, marks.dtype) == (_FLOAT, _MARK) and len(data.shape) == 4
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a file of scan, or is damaged: {error}") from error
        end = layout.data_offset + math.prod(layout.shape) * _FLOAT.itemsize
        if not whole or path.stat().st_size < end:
            raise ValueError(
                f"{path} is damaged: it has {path.stat().st_size} bytes instead of {end} or more"
            )
        return layout

    @property
    def positions(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def blocks(self) -> int:
        return -(-self.positions // self.block)

    def data(self, path: Path) -> np.ndarray:
        return np.memmap(path, _FLOAT, "r", self.data_offset, self.shape)


class _Blocks:
    """An unfinished file, open for writing."""

    def __init__(self, file: BinaryIO, layout: _Layout) -> None:
        self._file, self._layout, self.count = file, layout, layout.blocks
        file.seek(layout.marks_offset)
        marks = np.frombuffer(file.read(_MARK.itemsize * self.count), _MARK)
        self.missing = [
            block
            for block, mark in enumerate(marks)
            if not mark or mark != self._checked(block)  # 0: not begun, nothing to read
        ]

    def positions(self, block: int) -> slice:
        """Positions of ``block``."""
        return slice(
            block * self._layout.block, min((block + 1) * self._layout.block, self._layout.positions)
        )

    def write(self, block: int, patterns: np.ndarray) -> None:
        """Write float32 (positions, Qy, Qx), then the mark that says so."""
        content = np.ascontiguousarray(patterns, _FLOAT).reshape(-1).view(np.uint8).data
        self._put(self._place(block)[0], content)
        mark = np.array(zlib.crc32(content) + 1, _MARK)
        self._put(self._layout.marks_offset + block * _MARK.itemsize, mark.tobytes())
        self.missing.remove(block)

    def _put(self, offset: int, content: bytes | memoryview) -> None:
        self._file.seek(offset)
        self._file.write(content)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _place(self, block: int) -> tuple[int, int]:
        """Offset and length [bytes]."""
        pattern = math.prod(self._layout.shape[2:]) * _FLOAT.itemsize
        span = self.positions(block)
        return self._layout.data_offset + span.start * pattern, (span.stop - span.start) * pattern

    def _checked(self, block: int) -> int:
        offset, length = self._place(block)
        self._file.seek(offset)
        return zlib.crc32(self._file.read(length)) + 1


@dataclass(frozen=True)
class ScanFile:
    """The file ``path`` of one simulation, finished or not.

    Attributes
    ----------
    path : Path
        Of the finished file; while it is unfinished ".part" is appended.
    shape : (Ry, Rx, Qy, Qx)
        Of the patterns.
    block : int
        Positions written at a time.
    record : dict
        What makes the simulation this one: ``simulation_record``.

    Raises
    ------
    ValueError
        If ``path`` has no suffix that py4DSTEM reads, or lies in no folder.
    """

    path: Path
    shape: tuple[int, int, int, int]
    block: int
    record: dict[str, Any]

    def __post_init__(self) -> None:
        if self.path.suffix not in _SUFFIXES:
            raise ValueError(f"path must end in one of {', '.join(_SUFFIXES)}, got {self.path.name!r}")
        if not self.path.parent.is_dir():
            raise ValueError(f"path must lie in a folder that exists, got {self.path}")

    @property
    def part(self) -> Path:
        """Name of the unfinished file."""
        return self.path.with_name(self.path.name + ".part")

    def finished(self) -> bool:
        """Whether ``path`` is there; a ValueError if it holds something else than this simulation."""
        if not self.path.exists():
            return False
        self._compare(_Layout.read(self.path), self.path)
        return True

    @contextmanager
    def writing(self) -> Iterator[_Blocks]:
        """Open the unfinished file, made if there is none; when no block is missing it gets its name."""
        if not self.part.exists():
            self._create()
        layout = _Layout.read(self.part)
        self._compare(layout, self.part)
        with self.part.open("r+b") as file:
            _lock(file, self.part)
            if not self.part.exists():  # finished by another process since it was opened
                raise RuntimeError(f"another process has just finished {self.path}; call scan again")
            blocks = _Blocks(file, layout)
            yield blocks
            if not blocks.missing:
                self.part.replace(self.path)

    def _compare(self, layout: _Layout, path: Path) -> None:
        differences = _differences(layout.record, self.record)
        if not differences and (layout.shape, layout.block) != (self.shape, self.block):
            differences = [f"layout: {layout.shape} in the file"]
        if differences:
            raise ValueError(
                f"{path} holds another simulation ({'; '.join(differences[:4])}); "
                "choose another path, or remove the file"
            )

    def _create(self) -> None:
        """An empty file under the name ``.part``, all or nothing."""
        size, free = math.prod(self.shape) * _FLOAT.itemsize, shutil.disk_usage(self.path.parent).free
        if size > free:
            raise OSError(
                errno.ENOSPC,
                f"the patterns need {size / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB",
                str(self.path),
            )
        remove_partials(self.path)
        partial = self.path.with_name(f".{self.path.name}.{platform.node()}-{os.getpid()}.part")
        try:
            self._write_structure(partial)
            partial.replace(self.part)
        finally:
            partial.unlink(missing_ok=True)

    def _write_structure(self, partial: Path) -> None:
        """A file of EMD 1.0 as py4DSTEM writes it, the patterns allocated, not written."""
        small = _cube(  # its axes are those of the whole: emdfile keeps the first two ticks
            np.zeros([min(n, 2) for n in self.shape], _FLOAT), self.record
        )
        import_py4dstem().save(partial, small, mode="o")
        with h5py.File(partial, "r+") as file:
            units = dict(file[_DATA].attrs)
            del file[_DATA]
            for name, shape, dtype in (
                (_DATA, self.shape, _FLOAT),
                (_MARKS, (-(-self.shape[0] * self.shape[1] // self.block),), _MARK),
            ):
                early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
                if name == _DATA:
                    early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
                file.create_dataset(name, shape, dtype, dcpl=early)
            file[_DATA].attrs.update(units)
            file[_MARKS].attrs["block"] = self.block
            file.attrs[_RECORD] = json.dumps(self.record)
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())


def open_scan(path: str | os.PathLike[str]) -> Any:
    """Open what ``scan(..., path=...)`` wrote, without reading it into memory.

    ``ck.read`` and ``py4DSTEM.read`` read the same file as a whole. A reconstruction of this data cube
    streams: ``preprocess`` sees that its ``data`` is a memmap.

    Returns
    -------
    py4DSTEM.DataCube
        Calibrated; ``data`` is a read-only ``numpy.memmap`` float32 (Ry, Rx, Qy, Qx).

    Raises
    ------
    FileNotFoundError
        If there is no such file; the message tells if it is unfinished.
    ValueError
        If it is none of ``scan``, or truncated.
    """
    file = validation.path_like("path", path)
    if not file.exists():
        unfinished = file.with_name(file.name + ".part").exists()
        hint = "; it is unfinished: call scan again with the same arguments" if unfinished else ""
        raise FileNotFoundError(f"there is no file {file}{hint}")
    layout = _Layout.read(file)
    return _cube(layout.data(file), layout.record)


def _cube(array: np.ndarray, record: dict[str, Any]) -> Any:
    """Data cube of ``array`` with the calibration that the record's experiment gives it."""
    experiment = record["experiment"]
    return datacube(
        array,
        scan_step_angstrom=experiment["scan_step_angstrom"],
        detector_pixel_inverse_angstrom=1 / experiment["window_angstrom"],
    )


def _differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """What tells two records apart, in words."""
    found = []
    for key in sorted({*there, *here}):
        old, new = there.get(key), here.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new)
        elif old != new:
            found.append(f"{key}: {old} in the file, {new} now")
    return found


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep other processes of this machine off the file until it is closed."""
    try:
        import fcntl
    except ImportError:  # not POSIX
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RuntimeError(f"another process writes to {path}") from error
