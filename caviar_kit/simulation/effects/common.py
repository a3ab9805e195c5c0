"""What the effects of an experiment share: reading, making and labelling data cubes, and their order.

An experiment adds its effects in the order in which the electrons meet them: source size, positions (drift,
distortion), rotation of the detector, its modulation transfer and binning, counting, bad pixels; errors
of the calibration come last. Each result keeps a list of what was done, ``applied_effects``.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np

from caviar_kit import validation
from caviar_kit._py4dstem import import_py4dstem

__all__ = [
    "applied_effects",
    "calibrated_like",
    "check_cube",
    "check_order",
    "each_pattern",
    "new_array",
    "patterns_of",
    "record",
    "rows",
    "scan_step_angstrom",
]

_METADATA = "simulated_effects"
_NOISY = frozenset({"dose", "bad pixels"})
_REFUSED_AFTER = {
    "source size": _NOISY | {"positions", "calibration error"},
    "positions": _NOISY | {"positions", "calibration error"},
    "rotation": _NOISY,
    "modulation transfer": _NOISY,
    "binning": frozenset({"bad pixels"}),
    "dose": _NOISY | {"calibration error"},
    "bad pixels": frozenset(),
    "calibration error": frozenset(),
}


def applied_effects(datacube: Any) -> list[dict[str, Any]]:
    """What the functions ``apply_...`` did to ``datacube``, in order: their names and parameters.

    Kept in its metadata, hence also in files that py4DSTEM writes.

    Raises
    ------
    TypeError
        If ``datacube`` is not a py4DSTEM.DataCube.
    """
    check_cube(datacube)
    if _METADATA not in datacube.metadata:
        return []
    stored = datacube.metadata[_METADATA]
    return [{"effect": stored[key]["effect"], **stored[key]} for key in sorted(stored.keys, key=int)]


def record(datacube: Any, effect: str, **values: Any) -> Any:
    """Add an entry to the ``applied_effects`` of ``datacube``, which is returned."""
    entries = [*applied_effects(datacube), {"effect": effect, **values}]
    named = {str(i): entry for i, entry in enumerate(entries)}
    datacube.metadata = import_py4dstem().Metadata(_METADATA, named)
    return datacube


def check_order(source: Any, effect: str) -> None:
    """Refuse ``effect`` where one that comes later in an experiment has been applied; arrays pass.

    Raises
    ------
    ValueError
        Then, naming both.
    """
    if not isinstance(source, import_py4dstem().DataCube):
        return
    for done in applied_effects(source):
        if done["effect"] in _REFUSED_AFTER[effect]:
            raise ValueError(
                f"{effect} cannot be applied after {done['effect']}, an experiment has them the other way "
                "round: source size, positions, rotation, modulation transfer, binning, dose, bad pixels, "
                "calibration error"
            )


def check_cube(datacube: Any) -> None:
    """Refuse what is not a DataCube of four axes.

    Raises
    ------
    TypeError, ValueError
        Then.
    """
    if not isinstance(datacube, import_py4dstem().DataCube):
        raise TypeError(f"datacube must be a py4DSTEM.DataCube, got {type(datacube).__name__}")
    if len(datacube.data.shape) != 4:
        raise ValueError(f"datacube must have axes (Ry, Rx, Qy, Qx), got shape {datacube.data.shape}")


def patterns_of(source: Any) -> Any:
    """The patterns (Ry, Rx, Qy, Qx) of a data cube, or a single pattern as (1, 1, Qy, Qx).

    Raises
    ------
    TypeError, ValueError
        If ``source`` is neither a DataCube nor a real (Qy, Qx) array.
    """
    if isinstance(source, np.ndarray):
        return validation.as_array("patterns", source, shape=(None, None))[None, None]
    if not isinstance(source, import_py4dstem().DataCube):
        raise TypeError(
            "patterns must be a py4DSTEM.DataCube or a (Qy, Qx) array such as a vacuum pattern, "
            f"got {type(source).__name__}"
        )
    check_cube(source)
    return source.data


def rows(data: Any) -> Iterator[np.ndarray]:
    """Scan rows (Rx, Qy, Qx) one by one, checked; those of an h5py.Dataset or memmap as they are needed."""
    for index in range(data.shape[0]):
        yield validation.as_array("datacube.data", data[index])


def new_array(data: Any, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """Room for results of ``data``: in memory, or, where these lie on disk, in a file that goes with it."""
    if not isinstance(data, (h5py.Dataset, np.memmap)):
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="caviar_kit_") as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def each_pattern(
    source: Any,
    change: Callable[[np.ndarray, int], np.ndarray],
    shape: tuple[int, int] | None = None,
    dtype: Any = np.float32,
) -> Any:
    """Data cube or pattern with ``change(pattern, index)`` applied to every (Qy, Qx) float64 pattern.

    ``shape`` is that of the changed patterns. A data cube keeps calibration and metadata.
    """
    data = patterns_of(source)
    result = new_array(data, (*data.shape[:2], *(shape or data.shape[2:])), dtype)
    for y, row in enumerate(rows(data)):
        for x, pattern in enumerate(row):
            result[y, x] = change(pattern.astype(np.float64), y * data.shape[1] + x)
    return result[0, 0] if isinstance(source, np.ndarray) else calibrated_like(source, result)


def calibrated_like(datacube: Any, array: np.ndarray) -> Any:
    """New DataCube of ``array`` with copies of the name, calibration and metadata of ``datacube``.

    Calibrations given per scan position are left out if the scan has another shape.
    """
    result = import_py4dstem().DataCube(data=array, name=datacube.name)
    old, scan_shape = datacube.calibration, datacube.data.shape[:2]
    values = {key: old[key] for key in old.keys if not key.startswith("_")}
    for name in ("R_pixel_size", "R_pixel_units", "Q_pixel_size", "Q_pixel_units"):
        getattr(result.calibration, f"set_{name}")(values.pop(name))
    for key, value in values.items():
        if np.shape(value)[:2] != scan_shape or array.shape[:2] == scan_shape:
            result.calibration[key] = copy.deepcopy(value)
    result.calibrate()
    for metadata in datacube.metadata.values():
        result.metadata = copy.deepcopy(metadata)
    return result


def scan_step_angstrom(datacube: Any) -> float:
    """Calibrated distance of neighbouring scan positions [Å].

    Raises
    ------
    TypeError, ValueError
        If ``datacube`` is not a DataCube or not calibrated in A or nm.
    """
    check_cube(datacube)
    unit, size = datacube.calibration.get_R_pixel_units(), datacube.calibration.get_R_pixel_size()
    scale = {"A": 1.0, "Å": 1.0, "nm": 10.0}.get(unit)
    if scale is None:
        raise ValueError(
            f"datacube must be calibrated in real space in A or nm, got units {unit!r}; "
            "use calibration.set_R_pixel_size and set_R_pixel_units"
        )
    return float(size) * scale
