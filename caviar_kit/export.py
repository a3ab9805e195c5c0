"""Results as objects of other packages: HyperSpy signals and ASE atoms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations._inputs import pixel_size

if TYPE_CHECKING:
    from ase import Atoms
    from hyperspy.signals import BaseSignal

__all__ = ["to_ase", "to_hyperspy"]

_NAVIGATION = {2: (), 3: ("state",), 4: ("state", "slice")}


def to_hyperspy(
    image: ArrayLike,
    sampling: float | ArrayLike,
    *,
    slice_thickness_angstrom: float | None = None,
    quantity: str = "phase (rad)",
    title: str = "",
) -> BaseSignal:
    """Make a HyperSpy signal with calibrated axes.

    Parameters
    ----------
    image : real or complex array (y, x), (states, y, x) or (states, slices, y, x)
        A phase, or ``ptychography.object``.
    sampling : float or (y, x)
        Pixel [Å].
    slice_thickness_angstrom : float, optional
        Calibrates the axis of slices [Å].
    quantity, title : str
        What the numbers are, for colour bars, and a name.

    Returns
    -------
    hyperspy.signals.Signal2D or ComplexSignal2D
        Axes "y" and "x" in "Å"; "state" counts, "slice" counts or is "z" in "Å".

    Raises
    ------
    TypeError, ValueError
        If the array has other axes or values that are not finite, or a length is not positive.
    """
    array = validation.as_array("image", image, complex_allowed=True)
    if array.ndim not in _NAVIGATION:
        raise ValueError(f"image must be (y, x), (states, y, x) or (states, slices, y, x), got {array.shape}")
    pixel = pixel_size(sampling)
    for name, text in (("quantity", quantity), ("title", title)):
        if not isinstance(text, str):
            raise TypeError(f"{name} must be a text, got {type(text).__name__}")
    axes = [
        {"name": name, "size": n, "navigate": True}
        for name, n in zip(_NAVIGATION[array.ndim], array.shape, strict=False)
    ]
    if slice_thickness_angstrom is not None:
        if array.ndim != 4:
            raise ValueError(
                f"slice_thickness_angstrom needs an axis of slices, image has shape {array.shape}"
            )
        thickness = validation.number(
            "slice_thickness_angstrom", slice_thickness_angstrom, minimum=0, open_minimum=True, unit="Å"
        )
        axes[1] |= {"name": "z", "scale": thickness, "units": "Å"}
    for name, n, scale in zip("yx", array.shape[-2:], pixel, strict=True):
        axes.append({"name": name, "size": n, "scale": float(scale), "units": "Å", "navigate": False})
    import hyperspy.api as hs

    kind = hs.signals.ComplexSignal2D if np.iscomplexobj(array) else hs.signals.Signal2D
    signal = kind(array, axes=axes)
    signal.metadata.General.title = title
    signal.metadata.set_item("Signal.quantity", quantity)
    return signal


def to_ase(
    positions: ArrayLike,
    symbols: str | Sequence[str],
    *,
    thickness_angstrom: float = 0.0,
    field: ArrayLike | None = None,
) -> Atoms | list[Atoms]:
    """Make ASE atoms of columns, at z = 0: one per column, whatever the number of atoms in it.

    Parameters
    ----------
    positions : (columns, 2) or (states, columns, 2)
        y then x [Å].
    symbols : str or sequence of str
        Element of all columns, or of each.
    thickness_angstrom : float
        Height of the cell along the beam [Å].
    field : (y, x), optional
        Size of the imaged field [Å], the cell's; by default the cell just holds the columns.

    Returns
    -------
    ase.Atoms, or list of ase.Atoms
        Positions (x, y, z) [Å], a list where there are states, which ``ase.io.write`` takes as frames; the
        cell is not periodic.

    Raises
    ------
    TypeError, ValueError
        If positions are not finite or of another shape, or ``symbols`` are not elements, one per column.
    """
    array = validation.as_array("positions", positions).astype(float)
    if array.ndim not in (2, 3) or array.shape[-1] != 2:
        raise ValueError(f"positions must be (columns, 2) or (states, columns, 2), got {array.shape}")
    height = validation.number("thickness_angstrom", thickness_angstrom, minimum=0, unit="Å")
    if field is None:
        size = np.maximum(array.reshape(-1, 2).max(axis=0), 0)
    else:
        size = validation.as_array("field", field, shape=(2,)).astype(float)
    names = _elements(symbols, array.shape[-2])
    states = [
        _atoms(state, names, (size[1], size[0], height)) for state in array.reshape(-1, *array.shape[-2:])
    ]
    return states if array.ndim == 3 else states[0]


def _elements(symbols: str | Sequence[str], count: int) -> list[str]:
    from ase.data import atomic_numbers

    names = [symbols] * count if isinstance(symbols, str) else list(symbols)
    if len(names) != count:
        raise ValueError(f"symbols must be one element or {count}, got {len(names)}")
    if unknown := sorted({str(name) for name in names if name not in atomic_numbers}):
        raise ValueError(f"symbols must be elements such as 'Si', got {', '.join(unknown)}")
    return names


def _atoms(positions: np.ndarray, symbols: list[str], cell: tuple[Any, ...]) -> Atoms:
    from ase import Atoms

    places = np.column_stack([positions[:, 1], positions[:, 0], np.zeros(len(positions))])
    return Atoms(symbols, positions=places, cell=cell, pbc=False)
