"""Complex object → real projected phase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations._inputs import to_host

__all__ = ["projected_phase", "slice_phases"]


def projected_phase(obj: ArrayLike, slices: slice | Sequence[int] | None = None) -> np.ndarray:
    """Sum over slices of the phase of each slice, one image per object state.

    Parameters
    ----------
    obj : array, complex, (states, slices, y, x)
        Transmission function of every slice.
    slices : slice or sequence of int, optional
        The slices to sum; all by default.

    Returns
    -------
    array, float64, (states, y, x), rad

    Notes
    -----
    Ptychography leaves the phase of each slice free up to a constant. Here each slice's
    mean phase, common to all states, is taken out before the angle and put back after it,
    so a constant near ±π cuts no image in two. A single slice that itself shifts the phase
    by more than π against its mean does wrap: use thinner slices for such a specimen.

    Raises
    ------
    TypeError
        If ``obj`` is not complex.
    ValueError
        If it is not 4-D, is empty or not finite, or ``slices`` selects nothing.
    """
    return slice_phases(obj, slices).sum(axis=1)


def slice_phases(obj: ArrayLike, slices: slice | Sequence[int] | None = None) -> np.ndarray:
    """Phase of each selected slice, float64 (states, slices, y, x), rad; see `projected_phase`."""
    array = np.asarray(to_host(obj))
    if array.dtype.kind != "c":
        raise TypeError(f"obj must be complex (states, slices, y, x), got dtype {array.dtype}")
    array = validation.as_array("obj", array, shape=(None,) * 4, complex_allowed=True)
    chosen = array[:, _slice_indices(slices, array.shape[1])]
    mean = chosen.mean(axis=(0, 2, 3), dtype=np.complex128)
    offset = np.angle(mean)[:, None, None]
    # the cast keeps complex64 input in single precision: an object can be a gigabyte
    turned = chosen * np.exp(-1j * offset).astype(array.dtype)
    return np.angle(turned).astype(np.float64) + offset


def _slice_indices(slices: slice | Sequence[int] | None, count: int) -> np.ndarray:
    if slices is None:
        return np.arange(count)
    if isinstance(slices, slice):
        indices = np.arange(count)[slices]
    else:
        indices = np.asarray(slices)
        if indices.ndim != 1 or (indices.size and indices.dtype.kind not in "iu"):
            raise TypeError(f"slices must be a slice or a sequence of integers, got {slices!r}")
    if indices.size == 0 or (indices < -count).any() or (indices >= count).any():
        raise ValueError(f"slices must select from the {count} slices of obj, got {slices!r}")
    if np.unique(indices % count).size != indices.size:
        raise ValueError(f"slices must not name a slice twice, got {slices!r}")
    return indices
