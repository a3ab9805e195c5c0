"""From objects with states to what a viewer of one object, or a stack of iterations, can take."""

from __future__ import annotations

import numpy as np

__all__ = ["mean_state", "same_states"]


def mean_state(obj: np.ndarray) -> np.ndarray:
    """One transmission function (slices, y, x) for complex states (states, slices, y, x).

    Its phase is the mean of the states' phases and its modulus the mean of their moduli. The mean is
    taken around the phase of the complex mean, so that no state wraps at ±π away from the others.
    """
    if len(obj) == 1:
        return obj[0]
    centre = np.exp(1j * np.angle(obj.sum(axis=0)))
    phase = np.angle(obj * centre.conj()).mean(axis=0)
    mean: np.ndarray = (abs(obj).mean(axis=0) * centre * np.exp(1j * phase)).astype(obj.dtype)
    return mean


def same_states(objects: list[np.ndarray]) -> list[np.ndarray]:
    """Objects with equally many states: those of the one-state fit are repeated, without a copy."""
    count = max((len(obj) for obj in objects), default=1)
    return [np.broadcast_to(obj, (count, *obj.shape[1:])) for obj in objects]
