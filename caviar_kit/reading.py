"""Read what the kit wrote, and every file of py4DSTEM."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from caviar_kit import validation
from caviar_kit._py4dstem import import_py4dstem
from caviar_kit.npz import read_npz

__all__ = ["read"]

_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK"


def read(path: str | os.PathLike[str], datapath: str | None = None) -> Any:
    """Read an object from a file of the kit or of py4DSTEM.

    Parameters
    ----------
    path : path
        EMD file (.h5, .hdf5, .emd, .py4dstem) that an object's ``save`` or ``py4DSTEM.save`` wrote, an
        older file of py4DSTEM, or a .npz of :class:`caviar_kit.EnsembleResult` or of snapshots.
    datapath : str, optional
        Part of the file, names separated by slashes; needed where a file has several trees.

    Returns
    -------
    The object: of the kit's or py4DSTEM's class that wrote it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If it is truncated or damaged, of another kind, written by a newer version, holds a class that
        nobody here knows, or has no ``datapath``; the file is left as it is.
    """
    file = validation.path_like("path", path)
    if datapath is not None and not isinstance(datapath, str):
        raise TypeError(f"datapath must be a text, got {type(datapath).__name__}")
    if not file.exists():
        raise FileNotFoundError(f"there is no file {file}")
    if file.is_dir():
        raise ValueError(f"{file} is a folder, not a file")
    with file.open("rb") as stream:
        start = stream.read(len(_HDF5))
    if start.startswith(_ZIP):
        return _read_npz(file)
    if start != _HDF5:
        raise ValueError(
            f"{file} is not an HDF5 file (.h5, .emd): read detector files with py4DSTEM.import_file"
        )
    _check_hdf5(file, datapath)
    module = import_py4dstem()
    try:
        return module.read(file, datapath=datapath)
    except Exception as error:  # py4DSTEM and emdfile raise bare Exceptions and AssertionErrors
        raise ValueError(_reason(file, error)) from error


def _read_npz(file: Path) -> Any:
    """An ensemble result or snapshots, told apart by what is in the archive."""
    from caviar_kit.results import load_result
    from caviar_kit.simulation.storage import load_snapshots

    try:
        with np.load(file, allow_pickle=False) as archive:
            names = set(archive.files)
    except Exception:  # too damaged to list: the reader of one key says how
        names = set(read_npz(file, ["name"]))
    if {"quantum_angstrom", "displacements"} <= names:
        return load_snapshots(file)
    return load_result(file)


def _check_hdf5(file: Path, datapath: str | None) -> None:
    """What py4DSTEM would not tell clearly."""
    try:
        with h5py.File(file, "r") as content:
            if content.attrs.get("emd_group_type") != "file":
                return  # an older py4DSTEM file, perhaps
            release = tuple(int(content.attrs.get(f"version_{part}", 0)) for part in ("major", "minor"))
            roots = [name for name in content if content[name].attrs.get("emd_group_type") == "root"]
            if datapath is not None and datapath not in content:
                raise ValueError(f"{file} has no {datapath!r}; it has {_listed(_nodes(content))}")
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{file} is truncated or damaged: {error}") from error
    if release > (1, 0):
        raise ValueError(f"{file} is of EMD format {release[0]}.{release[1]}; this version reads 1.0")
    if datapath is None and len(roots) > 1:
        raise ValueError(f"{file} holds several trees: choose datapath from {_listed(roots)}")


def _reason(file: Path, error: Exception) -> str:
    text = str(error) or type(error).__name__
    if text.startswith("Unknown classname"):
        with h5py.File(file, "r") as content:
            plain = [name for name, group in _nodes(content).items() if _is_plain(group)]
            return (
                f"{file} holds an object of a class that is not known here ({text}): import the package that "
                f"defines it, or open a part with datapath={_listed(plain)}"
            )
    return f"{file} cannot be read: {text}"


def _nodes(content: h5py.File) -> dict[str, str]:
    """Path and class of every node of an EMD file below its roots."""
    found: dict[str, str] = {}

    def note(name: str, item: Any) -> None:
        if item.attrs.get("emd_group_type") and "python_class" in item.attrs and "metadatabundle" not in name:
            found[name] = str(item.attrs["python_class"])

    content.visititems(note)
    return found


def _is_plain(python_class: str) -> bool:
    return python_class in ("Array", "PointList", "PointListArray", "DataCube")


def _listed(names: Any) -> str:
    shown = [repr(name) for name in names]
    return ", ".join(shown[:12]) + (", ..." if len(shown) > 12 else "") if shown else "nothing"
