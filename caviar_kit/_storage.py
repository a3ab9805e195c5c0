"""Objects of the kit as emdfile nodes: plain children, a record of where they come from, safe writing."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from caviar_kit._metadata import plain, revived
from caviar_kit._py4dstem import import_py4dstem

__all__ = ["FORMAT", "SUFFIXES", "Stored", "current_versions", "write_node"]

_py4dstem: Any = import_py4dstem()  # with the classes of emdfile

FORMAT = 1  # raise it when an older kit could no longer read what is written
SUFFIXES = (".h5", ".hdf5", ".emd", ".py4dstem")  # those that py4DSTEM.read accepts
_RECORD = "caviar_kit"


def current_versions() -> dict[str, str]:
    """Versions of what computes the results."""
    from caviar_kit import __version__

    return {"caviar_kit": __version__, "numpy": np.__version__, "py4DSTEM": version("py4DSTEM")}


class Stored:
    """What a class derived from emdfile's ``Custom`` needs to be written and read.

    The arrays are children of the plain classes ``Array`` and ``DataCube``, so that
    ``py4DSTEM.read(path, datapath=...)`` opens them where the kit is not installed. Everything
    else goes into one ``Metadata`` named "caviar_kit", with a checksum of each array.
    """

    name: str
    metadata: Any
    versions: dict[str, str]

    def _stored_arrays(self) -> dict[str, Any]:
        """The children: emdfile ``Array`` by name."""
        raise NotImplementedError

    def _stored_record(self) -> dict[str, Any]:
        """All else that has to be kept."""
        raise NotImplementedError

    def to_h5(self, group: Any) -> Any:
        """Write into an open h5py group; called by emdfile."""
        children = self._stored_arrays()
        record = {
            "format": FORMAT,
            "versions": self.versions,
            "checksums": {name: _checksum(child.data) for name, child in children.items()},
            **self._stored_record(),
        }
        self.metadata = _py4dstem.Metadata(_RECORD, plain(self.name, record))
        node = _py4dstem.Node.to_h5(self, group)
        for name, child in children.items():
            child.name = name
            child.to_h5(node).attrs["emd_group_type"] = "custom_array"
        return node

    @classmethod
    def _read_record(cls, group: Any) -> dict[str, Any]:
        """The record of the object in ``group``.

        Raises
        ------
        ValueError
            If there is none, or a newer version of the kit wrote it.
        """
        where = f"{group.name} ({cls.__name__})"
        try:
            record: dict[str, Any] = revived(
                _py4dstem.Metadata.from_h5(group["metadatabundle"][_RECORD])._params
            )
            known = int(record["format"])
        except Exception as error:  # emdfile raises bare Exceptions
            raise ValueError(f"{where} has no readable record of caviar_kit: {error}") from error
        if known > FORMAT:
            writer = record.get("versions", {}).get("caviar_kit", "unknown")
            raise ValueError(
                f"{where} has format {known}, written by caviar_kit {writer}; this version reads "
                f"formats up to {FORMAT}: update caviar_kit"
            )
        return record

    @classmethod
    def _read_arrays(
        cls, group: Any, record: dict[str, Any], names: Iterable[str] | None = None
    ) -> dict[str, np.ndarray]:
        """The arrays ``names`` (default: all) of the object in ``group``, compared with their checksums.

        Raises
        ------
        ValueError
            If one is missing or was changed.
        """
        arrays: dict[str, np.ndarray] = {}
        checksums = record["checksums"]
        for name in checksums if names is None else names:
            if name not in group or "data" not in group[name]:
                raise ValueError(f"{group.name} ({cls.__name__}) lacks the array {name!r}")
            arrays[name] = group[name]["data"][()]
            if _checksum(arrays[name]) != checksums[name]:
                raise ValueError(f"{group.name}/{name} is damaged: its checksum is another one")
        return arrays

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to an EMD file, complete or not at all; ``ck.read`` and ``py4DSTEM.read`` read it.

        Parameters
        ----------
        path : path
            Ends in .h5, .hdf5, .emd or .py4dstem; an existing file is replaced.

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        TypeError, ValueError
            If the name ends otherwise, or a parameter cannot be written.
        """
        write_node(path, self)


def write_node(path: str | os.PathLike[str], node: Any) -> None:
    """Write an emdfile node, with what hangs below it, to a file beside ``path``, then rename that."""
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(f"path must end in {', '.join(SUFFIXES)}, got {os.fspath(path)!r}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}")
    if target.is_dir():
        raise ValueError(f"path must be a file, {target} is a folder")
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    alone = node.root is None
    try:
        _py4dstem.save(partial, node, mode="o", tree=True)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
        if alone:  # emdfile gave it a root for the time of writing
            node._root = None


def _checksum(array: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
