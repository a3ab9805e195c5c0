"""The two inputs that every function of this package reads the same way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation

__all__ = ["pixel_size", "positions_2d", "to_host"]


def pixel_size(sampling: float | ArrayLike) -> np.ndarray:
    """Return ``sampling`` as the pair (y, x) [Å], float64, shape (2,).

    Raises
    ------
    TypeError, ValueError
        If it is not one positive number or a pair of them.
    """
    if np.ndim(sampling) == 0:
        value: Any = np.asarray(sampling).item()
        size = validation.number("sampling", value, minimum=0, open_minimum=True, unit="Å per pixel")
        return np.full(2, size)
    pair = validation.as_array("sampling", sampling, shape=(2,)).astype(np.float64)
    if (pair <= 0).any():
        raise ValueError(f"sampling must be above 0 [Å per pixel], got {pair.tolist()}")
    return pair


def positions_2d(positions: ArrayLike) -> np.ndarray:
    """Return ``positions`` as float64 (atoms, 2) [Å], y then x.

    Raises
    ------
    TypeError, ValueError
        If they are not finite real numbers of that shape.
    """
    return validation.as_array("positions", positions, shape=(None, 2)).astype(np.float64)


def to_host(array: Any) -> Any:
    """Bring a CuPy array to the host; anything else comes back unchanged."""
    return array.get() if hasattr(array, "get") and hasattr(array, "__cuda_array_interface__") else array
