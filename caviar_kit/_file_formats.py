"""Which library reads which file, and what it returns, brought to one form."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from caviar_kit._py4dstem import import_py4dstem
from caviar_kit.npz import read_npz
from caviar_kit.reading import read

__all__ = ["read_arrays_of", "read_with_py4dstem", "read_with_rosettasciio"]

_ENOUGH_AXES = (3, 4)


def read_arrays_of(file: Path, key: str | None) -> np.ndarray:
    """The array ``key`` of a .npy, .npz or plain HDF5 file; without a key the only one of 3 or 4 axes.

    Raises
    ------
    ValueError
        If there is none, there are several, or the file is damaged or holds pickled objects.
    """
    if file.suffix.lower() == ".npy":
        try:
            return np.asarray(np.load(file, allow_pickle=False))
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{file} is damaged or of another kind: {error}") from error
    if file.suffix.lower() == ".npz":
        arrays: dict[str, Any] = read_npz(file, [], others=True)
        return np.asarray(arrays[_chosen(file, {name: a.ndim for name, a in arrays.items()}, key)])
    with h5py.File(file, "r") as content:
        axes: dict[str, int] = {}
        content.visititems(
            lambda name, item: axes.update({name: item.ndim} if isinstance(item, h5py.Dataset) else {})
        )
        return np.asarray(content[_chosen(file, axes, key)][()])


def _chosen(file: Path, axes: dict[str, int], key: str | None) -> str:
    """The name asked for, or the only one with enough axes."""
    fitting = [name for name, count in axes.items() if count in _ENOUGH_AXES]
    if key is not None:
        if key not in axes:
            raise ValueError(f"{file} has no array {key!r}; it has {', '.join(axes) or 'none'}")
        return key
    if len(fitting) != 1:
        raise ValueError(
            f"{file} has {len(fitting)} arrays of 3 or 4 axes"
            + (
                f": choose key from {', '.join(fitting)}"
                if fitting
                else f"; it has {', '.join(axes) or 'none'}"
            )
        )
    return fitting[0]


def read_with_py4dstem(file: Path, key: str | None) -> Any | None:
    """The DataCube of an EMD 1.0, older py4DSTEM or ARINA file; None for other HDF5 files.

    Raises
    ------
    ValueError
        If there is no DataCube in it.
    """
    module = import_py4dstem()
    with h5py.File(file, "r") as content:
        arina = "NX_class" in content["entry"].attrs if "entry" in content else False
        emd = content.attrs.get("emd_group_type") == "file" or "4DSTEM_experiment" in content
    if arina and file.stem.endswith("_master"):
        return module.import_file(str(file))
    if not emd:
        return None
    node = read(file, key)
    if not isinstance(node, module.DataCube):
        inside = [n for n in getattr(node, "_branch", {}).values() if isinstance(n, module.DataCube)]
        if len(inside) != 1:
            raise ValueError(f"{file} holds {type(node).__name__} with {len(inside)} data cubes: give key")
        node = inside[0]
    return node


def read_with_rosettasciio(file: Path) -> tuple[np.ndarray, list[tuple[float, str] | None]]:
    """The largest array of a file, scan axes first, and (pixel, unit) of each axis.

    Raises
    ------
    ValueError
        If no reader knows the ending, or every one that does fails.
    """
    from rsciio import IO_PLUGINS

    ending = file.suffix.lower().lstrip(".")
    plugins = [p for p in IO_PLUGINS if ending in {e.lower() for e in p["file_extensions"]}]
    plugins.sort(key=lambda p: p["name"] == "MRCZ")  # needs a package of its own; MRC reads the same
    if not plugins:
        raise ValueError(f"{file}: neither py4DSTEM nor RosettaSciIO reads files that end in {file.suffix!r}")
    errors = []
    for plugin in plugins:
        try:
            signals = import_module(plugin["api"]).file_reader(str(file))
            return _largest(file, signals)
        except Exception as error:  # readers raise whatever comes up in a damaged or foreign file
            errors.append(f"{plugin['name']}: {type(error).__name__}: {error}")
    raise ValueError(f"{file} cannot be read; " + "; ".join(errors))


def _largest(file: Path, signals: list[dict[str, Any]]) -> tuple[np.ndarray, list[tuple[float, str] | None]]:
    if not signals:
        raise ValueError("the file holds no data")
    found = [(np.asarray(signal["data"]), [_pixel(axis) for axis in signal["axes"]]) for signal in signals]
    return max(found, key=lambda one: (one[0].size, sum(pixel is not None for pixel in one[1])))


def _pixel(axis: dict[str, Any]) -> tuple[float, str] | None:
    """Size and unit of an axis that has both."""
    units = axis.get("units")
    return (float(axis["scale"]), units) if "scale" in axis and isinstance(units, str) and units else None
