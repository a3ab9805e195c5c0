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

__all__ = ["read_arrays_of", "read_with_py4dstem", "read_with_rosettasciio", "refuse_key"]

_ENOUGH_AXES = (3, 4)
_Described = tuple[np.ndarray, list[tuple[float, str] | None]]  # an array, (pixel, unit) of each axis


def refuse_key(file: Path, key: str | None) -> None:
    """Raise ValueError if a name was given for a file whose arrays are not chosen by name."""
    if key is not None:
        raise ValueError(
            f"key={key!r}: {file} has no names to choose from; leave key out (it is for .npz, plain HDF5 and "
            "EMD files of py4DSTEM)"
        )


def read_arrays_of(file: Path, key: str | None) -> np.ndarray:
    """The array ``key`` of a .npy, .npz or plain HDF5 file; without a key the only one of 3 or 4 axes.

    Raises
    ------
    ValueError
        If there is none, there are several, a key is given for a .npy, or the file is damaged or holds
        pickled objects.
    """
    if file.suffix.lower() == ".npy":
        refuse_key(file, key)
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
        If there is no DataCube in it, or a key is given for ARINA.
    """
    module = import_py4dstem()
    with h5py.File(file, "r") as content:
        arina = "NX_class" in content["entry"].attrs if "entry" in content else False
        emd = content.attrs.get("emd_group_type") == "file" or "4DSTEM_experiment" in content
    if arina and file.stem.endswith("_master"):
        refuse_key(file, key)
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


def read_with_rosettasciio(file: Path, key: str | None) -> _Described:
    """The only array of 4 axes, else of 3, else the largest; scan axes first, and (pixel, unit) of each.

    Raises
    ------
    ValueError
        If no reader knows the ending, every one that does fails, a key is given, or there are several.
    """
    from rsciio import IO_PLUGINS

    ending = file.suffix.lower().lstrip(".")
    plugins = [p for p in IO_PLUGINS if ending in {e.lower() for e in p["file_extensions"]}]
    plugins.sort(key=lambda p: p["name"] == "MRCZ")  # needs a package of its own; MRC reads the same
    if not plugins:
        raise ValueError(f"{file}: neither py4DSTEM nor RosettaSciIO reads files that end in {file.suffix!r}")
    refuse_key(file, key)
    errors = []
    for plugin in plugins:
        try:
            signals = import_module(plugin["api"]).file_reader(str(file))
            found = {_name(i, signal): _described(signal) for i, signal in enumerate(signals)}
        except Exception as error:  # readers raise whatever comes up in a damaged or foreign file
            errors.append(f"{plugin['name']}: {type(error).__name__}: {error}")
            continue
        if found:
            return _only(file, found)
        errors.append(f"{plugin['name']}: the file holds no data")
    raise ValueError(f"{file} cannot be read; " + "; ".join(errors))


def _only(file: Path, found: dict[str, _Described]) -> _Described:
    """The only array that may be a scan; one that the file gives twice, by a link, counts once."""
    for count in sorted(_ENOUGH_AXES, reverse=True):
        fitting = {name: one for name, one in found.items() if one[0].ndim == count}
        if not fitting:
            continue
        best = max(fitting.values(), key=lambda one: sum(pixel is not None for pixel in one[1]))
        if all(one is best or _same(one[0], best[0]) for one in fitting.values()):
            return best
        listed = ", ".join(f"{name} {one[0].shape}" for name, one in fitting.items())
        raise ValueError(
            f"{file} has {len(fitting)} arrays of {count} axes: {listed}; save the one that is meant to "
            "a file of its own"
        )
    return max(found.values(), key=lambda one: one[0].size)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f")


def _name(place: int, signal: dict[str, Any]) -> str:
    """The title of an array, after its place in the file: titles may be missing or the same."""
    title = signal.get("metadata", {}).get("General", {}).get("title")
    return f"{place + 1}. {title!r}" if title else f"{place + 1}. (no title)"


def _described(signal: dict[str, Any]) -> _Described:
    return np.asarray(signal["data"]), [_pixel(axis) for axis in signal["axes"]]


def _pixel(axis: dict[str, Any]) -> tuple[float, str] | None:
    """Size and unit of an axis that has both."""
    units = axis.get("units")
    return (float(axis["scale"]), units) if "scale" in axis and isinstance(units, str) and units else None
