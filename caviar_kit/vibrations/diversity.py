"""How much the states of an object differ: whether a fit has begun to tell them apart."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit.vibrations.phase import projected_phase

__all__ = ["state_diversity"]


def state_diversity(obj: ArrayLike) -> float:
    """Root-mean-square difference of the projected phases of two different states [rad].

    The mean square over pixels and over all pairs of states n < m of φ_n - φ_m, each state's mean phase taken
    out, since no pattern depends on it. That is 2N/(N-1) times the variance over the N states.

    Parameters
    ----------
    obj : complex array (states, slices, y, x)
        Transmission functions, best of the scanned field only.

    Returns
    -------
    float
        0 for equal states, and for one.

    Raises
    ------
    TypeError, ValueError
        As `projected_phase`.
    """
    phases = projected_phase(obj)
    count = len(phases)
    if count == 1:
        return 0.0
    phases -= phases.mean(axis=(-2, -1), keepdims=True)
    return math.sqrt(2 * count / (count - 1) * float(np.var(phases, axis=0).mean()))
