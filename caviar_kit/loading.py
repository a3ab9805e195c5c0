"""Open a 4D-STEM file of any microscope as a calibrated py4DSTEM DataCube."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from caviar_kit import validation
from caviar_kit._file_formats import read_arrays_of, read_with_py4dstem, read_with_rosettasciio, refuse_key
from caviar_kit._py4dstem import import_py4dstem

__all__ = ["load_datacube"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_TO_ANGSTROM = {"a": 1.0, "å": 1.0, "ang": 1.0, "angstrom": 1.0, "nm": 10.0, "um": 1e4, "µm": 1e4, "μm": 1e4}
_TO_ANGSTROM |= {"pm": 0.01, "mm": 1e7, "m": 1e10}
_UNKNOWN: list[tuple[float, str] | None] = [None] * 4
_SAME = 0.01  # relative difference of y and x pixels that counts as none


@dataclass(frozen=True)
class _Found:
    """An array with the pixel size and the unit of each of its axes, where the file has them."""

    data: Any
    pixels: list[tuple[float, str] | None] = field(default_factory=list)


def load_datacube(
    path: str | os.PathLike[str],
    *,
    scan_shape: tuple[int, int] | None = None,
    detector_first: bool = False,
    scan_step_angstrom: float | None = None,
    detector_pixel_inverse_angstrom: float | None = None,
    key: str | None = None,
) -> Any:
    """Open a 4D-STEM file as a DataCube (Ry, Rx, Qy, Qx).

    EMD files of py4DSTEM go through py4DSTEM, so do EMPAD ``.raw`` and ARINA files; ``.npy``, ``.npz`` and
    plain HDF5 through NumPy and h5py; all else (DM3/4, MIB, hspy, zspy, MRC, TIFF, blo, ...) through
    RosettaSciIO.
    Nothing is guessed: look at the result with :func:`caviar_kit.check_axes`.

    Parameters
    ----------
    path : path
        The file, or the folder of a ``.zspy``.
    scan_shape : (Ry, Rx), optional
        For a stack of frames, (frames, y, x): how many rows and columns were scanned. For a file that
        knows its scan, the shape that it must have.
    detector_first : bool
        Whether the file has the axes (Qy, Qx, Ry, Rx), which are then exchanged, with their pixels. Of a
        cube of py4DSTEM, a length stays the scan step and 1/length or an angle the detector pixel.
    scan_step_angstrom, detector_pixel_inverse_angstrom : float, optional
        Scan step [Å] and detector pixel [1/Å]; by default those of the file, if it has any.
    key : str, optional
        Which array: a name in a ``.npz``, a path in a plain HDF5 file or an EMD file of py4DSTEM.

    Returns
    -------
    py4DSTEM.DataCube
        Calibrated in "A", and in "A^-1" or "mrad"; in "pixels" where nothing is known, which the
        reconstruction refuses. The rotation of the scan stays unknown, but in a cube of py4DSTEM that
        knew it and whose axes are not exchanged.

    Warns
    -----
    UserWarning
        If an axis of the file runs backwards (its scale is negative): the data stay as they are stored.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If no reader knows the file, it is damaged, has several arrays or none of 3 or 4 axes (beside one of
        4 axes, RosettaSciIO's stacks do not count), is a stack without ``scan_shape``, has no names but a
        ``key`` is given, or has different pixels along y and x.
    """
    file = validation.path_like("path", path)
    if not file.exists():
        raise FileNotFoundError(f"there is no file {file}")
    if not isinstance(detector_first, (bool, np.bool_)):
        raise TypeError(f"detector_first must be True or False, got {detector_first!r}")
    scan_shape = None if scan_shape is None else _rows_and_columns(scan_shape)
    step, pixel = (
        None if value is None else validation.number(name, value, minimum=1e-6, maximum=1e6, unit=unit)
        for name, value, unit in (
            ("scan_step_angstrom", scan_step_angstrom, "Å"),
            ("detector_pixel_inverse_angstrom", detector_pixel_inverse_angstrom, "1/Å"),
        )
    )
    known_step, known_pixel = step and (step, "A"), pixel and (pixel, "A^-1")
    found, named = _open(file, key), _UNKNOWN
    if not isinstance(found, _Found):  # a DataCube, with calibrations of its own
        if not detector_first and scan_shape in (None, found.data.shape[:2]):
            return _calibrate(found, known_step, known_pixel)
        named = _pixels_of(found)
        found = _Found(found.data, named)
    data, pixels = _arranged(file, found, scan_shape, detector_first)
    _warn_of_mirrors(file, pixels)
    cube = import_py4dstem().DataCube(data=data, name=file.stem)
    known_step = known_step or _scan_step(pixels) or _scan_step(named)
    known_pixel = known_pixel or _detector_pixel(pixels) or _detector_pixel(named)
    return _calibrate(cube, known_step, known_pixel)


def _rows_and_columns(scan_shape: Any) -> tuple[int, int]:
    try:
        rows, columns = scan_shape
    except (TypeError, ValueError):
        raise TypeError(f"scan_shape must be (Ry, Rx), two whole numbers, got {scan_shape!r}") from None
    return validation.integer("scan_shape", rows), validation.integer("scan_shape", columns)


def _open(file: Path, key: str | None) -> Any:
    """A DataCube of py4DSTEM, or an array with what is known of its axes."""
    start = b""
    if not file.is_dir():
        with file.open("rb") as stream:
            start = stream.read(len(_HDF5))
    suffix = file.suffix.lower()
    try:
        if suffix in (".npy", ".npz"):
            return _Found(read_arrays_of(file, key))
        if start == _HDF5 and (cube := read_with_py4dstem(file, key)) is not None:
            return cube
        if suffix == ".raw":
            refuse_key(file, key)
            return import_py4dstem().import_file(str(file))
        if start == _HDF5 and suffix in (".h5", ".hdf5"):
            with h5py.File(file, "r") as content:
                if "Experiments" not in content:  # HyperSpy's own layout
                    return _Found(read_arrays_of(file, key))
        return _Found(*read_with_rosettasciio(file, key))
    except (FileNotFoundError, ValueError, TypeError):
        raise
    except Exception as error:  # readers raise whatever comes up in a damaged file
        raise ValueError(f"{file} cannot be read: {type(error).__name__}: {error}") from error


def _arranged(
    file: Path, found: _Found, scan_shape: tuple[int, int] | None, detector_first: bool
) -> tuple[np.ndarray, list[tuple[float, str] | None]]:
    """The array as (Ry, Rx, Qy, Qx), and its pixels in that order."""
    data = np.asarray(found.data)
    if data.dtype.kind not in "biuf":
        raise ValueError(f"{file} holds {data.dtype}, not real numbers")
    pixels: list[tuple[float, str] | None] = [None] * data.ndim
    if len(found.pixels) == data.ndim:
        pixels = list(found.pixels)
    if data.ndim == 3:
        data, pixels = _unstacked(file, data, pixels, scan_shape, detector_first)
    elif data.ndim != 4:
        raise ValueError(
            f"{file} holds an array of shape {data.shape}: 4D-STEM needs 4 axes, or 3 of a stack"
        )
    elif scan_shape not in (None, data.shape[2:] if detector_first else data.shape[:2]):
        raise ValueError(f"scan_shape={scan_shape} does not fit the file's shape {data.shape}")
    if detector_first:
        data, pixels = np.ascontiguousarray(data.transpose(2, 3, 0, 1)), [*pixels[2:], *pixels[:2]]
    return data, pixels


def _unstacked(
    file: Path, data: np.ndarray, pixels: list[Any], scan_shape: tuple[int, int] | None, detector_first: bool
) -> tuple[np.ndarray, list[Any]]:
    """A stack of frames with its first (or, detector first, last) axis split into rows and columns."""
    frames = data.shape[-1] if detector_first else data.shape[0]
    if scan_shape is None:
        side = round(frames**0.5)
        hint = f", for instance ({side}, {side})" if side**2 == frames else ""
        raise ValueError(f"{file} holds a stack of {frames} frames: give scan_shape=(Ry, Rx){hint}")
    rows, columns = scan_shape
    if rows * columns != frames:
        raise ValueError(f"scan_shape={rows, columns} needs {rows * columns} frames, {file} has {frames}")
    if detector_first:
        return data.reshape(*data.shape[:2], rows, columns), [*pixels[:2], None, None]
    return data.reshape(rows, columns, *data.shape[1:]), [None, None, *pixels[1:]]


def _pixels_of(cube: Any) -> list[tuple[float, str] | None]:
    """Size and unit of the pixel of each axis of a cube, as it names them: scan first."""
    known = cube.calibration
    scan = known.get_R_pixel_size(), known.get_R_pixel_units()
    detector = known.get_Q_pixel_size(), known.get_Q_pixel_units()
    return [scan, scan, detector, detector]


def _warn_of_mirrors(file: Path, pixels: list[tuple[float, str] | None]) -> None:
    """Tell of axes with a negative scale, which the positive pixel of a cube cannot express."""
    names = ("scan y", "scan x", "detector y", "detector x")
    mirrored = [f"{n} ({p[0]:g} {p[1]})" for n, p in zip(names, pixels, strict=True) if p and p[0] < 0]
    if mirrored:
        warnings.warn(
            f"{file} has axes that run backwards: {', '.join(mirrored)}. The data stay as they are stored, "
            "the pixels count as positive: flip those axes if the image or the pattern comes out mirrored",
            UserWarning,
            stacklevel=3,
        )


def _scan_step(pixels: list[Any]) -> tuple[float, str] | None:
    known = _equal("scan step", pixels[:2])
    if known is None or (factor := _TO_ANGSTROM.get(known[1].lower())) is None:
        return None
    return known[0] * factor, "A"


def _detector_pixel(pixels: list[Any]) -> tuple[float, str] | None:
    """From 1/length, or from an angle, which is kept as such: a length needs the beam's energy."""
    known = _equal("detector pixel", pixels[2:])
    if known is None:
        return None
    size, unit = known[0], known[1].lower().replace(" ", "")
    if unit in ("mrad", "rad"):
        return size * (1e3 if unit == "rad" else 1.0), "mrad"
    length = unit.removeprefix("1/") if unit.startswith("1/") else unit.removesuffix("^-1").removesuffix("⁻¹")
    factor = _TO_ANGSTROM.get(length)
    return None if factor is None or length == unit else (size / factor, "A^-1")


def _equal(name: str, pair: list[tuple[float, str] | None]) -> tuple[float, str] | None:
    """The pixel of both axes; None if unknown or without a unit."""
    if any(p is None or not p[1] or p[0] == 0 or not np.isfinite(p[0]) for p in pair):
        return None
    (y, unit), (x, other) = ((abs(float(p[0])), str(p[1])) for p in pair if p is not None)
    if unit != other or abs(y - x) > _SAME * max(y, x):
        argument = "scan_step_angstrom" if name == "scan step" else "detector_pixel_inverse_angstrom"
        raise ValueError(f"the file's {name} is {y:g} {unit} along y, {x:g} {other} along x: give {argument}")
    return y, unit


def _calibrate(cube: Any, step: Any, pixel: Any) -> Any:
    """Write what is known into the cube."""
    if step:
        cube.calibration.set_R_pixel_size(step[0])
        cube.calibration.set_R_pixel_units(step[1])
    if pixel:
        cube.calibration.set_Q_pixel_size(pixel[0])
        cube.calibration.set_Q_pixel_units(pixel[1])
    return cube
