"""Plain emdfile arrays whose axes have names and units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caviar_kit._py4dstem import import_py4dstem

__all__ = ["images", "vectors"]

_py4dstem: Any = import_py4dstem()  # with the classes of emdfile


def images(data: np.ndarray, axes: Sequence[str], sampling: Sequence[float] | np.ndarray) -> Any:
    """Images (..., y, x) with pixels of ``sampling`` (y, x) [Å]; ``axes`` names those before y and x.

    Without steps of their own emdfile would cut the other units to the length of the longest, "p".
    """
    counted = len(axes)
    return _py4dstem.Array(
        data,
        dims=[1] * counted + [float(step) for step in sampling],
        dim_names=[*axes, "y", "x"],
        dim_units=["index"] * counted + ["A", "A"],
    )


def vectors(data: np.ndarray, axes: Sequence[str], units: str = "A") -> Any:
    """Positions, displacements and the like, whose axes only count."""
    return _py4dstem.Array(
        data,
        units=units,
        dims=[1] * data.ndim,
        dim_names=list(axes),
        dim_units=["index"] * data.ndim,
    )
