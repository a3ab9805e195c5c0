"""Theory beside a measured dispersion: calculated by phonopy, by a function, or given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations import PhononDispersion, phonopy_dispersion

__all__ = ["Theory", "theory_at"]

Theory = ArrayLike | Callable[[PhononDispersion], ArrayLike] | Any  # the last: a phonopy.Phonopy


def theory_at(theory: Theory, result: PhononDispersion, path: str, first_path: str) -> np.ndarray:
    """Frequencies at the points of a result, float (points, curves), THz.

    Raises
    ------
    TypeError, ValueError
        If the theory is given for another path, or what it returns has another shape or is not finite.
    """
    if hasattr(theory, "run_qpoints"):
        return phonopy_dispersion(theory, result, path)
    if callable(theory):
        theory = theory(result)
    elif path != first_path:
        raise ValueError(
            f"theory was given at the points of path {first_path!r}, not of {path!r}; "
            "a function of the dispersion, or phonopy, could follow"
        )
    curves = validation.as_array("theory", theory).astype(float)
    if curves.ndim != 2 or len(curves) != len(result.q):
        raise ValueError(f"theory must have shape ({len(result.q)}, curves), got {curves.shape}")
    return curves
