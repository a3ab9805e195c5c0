"""Displacements and lattice, checked against each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations.lattice import Lattice

__all__ = ["patch_displacements"]

_FEWEST_STATES = 3
_LARGEST_MEAN_ANGSTROM = 0.5


def patch_displacements(u: ArrayLike, lattice: Lattice) -> np.ndarray:
    """Displacements as float64 (states, slices, atoms, 2) [Å], NaN where missing.

    Raises
    ------
    TypeError, ValueError
        If ``lattice`` is no Lattice, shapes disagree, two atoms share a site, states are fewer than 3, values
        are infinite, all missing or all zero, or look like positions.
    """
    if not isinstance(lattice, Lattice):
        raise TypeError(
            f"lattice must be a Lattice, for example from fit_lattice, got {type(lattice).__name__}"
        )
    array = np.asarray(u)
    validation.as_array("u", np.where(np.isnan(array), 0, array) if array.dtype.kind == "f" else array)
    if array.ndim not in (3, 4) or array.shape[-1] != 2:
        raise ValueError(
            f"u must have shape (states, atoms, 2) or (states, slices, atoms, 2), got {array.shape}"
        )
    if len(array) < _FEWEST_STATES:
        raise ValueError(f"u must hold at least {_FEWEST_STATES} states, got {len(array)}")
    if array.shape[-2] != len(lattice.sites):
        raise ValueError(f"u has {array.shape[-2]} atoms, but lattice {len(lattice.sites)}")
    inside = lattice.sites >= 0
    places = np.column_stack([lattice.cells[inside], lattice.sites[inside]])
    if len(np.unique(places, axis=0)) < len(places):
        raise ValueError(
            "lattice: two atoms share a site; keep the nearer one and set sites of the other to -1"
        )
    frames = array.astype(np.float64).reshape(len(array), -1, *array.shape[-2:])
    present = inside & ~np.isnan(frames).any(axis=(0, 3))
    if not present.any():
        raise ValueError("u: no atom of the lattice is present in every state of any slice")
    moving = frames.transpose(1, 2, 0, 3)[present]  # (slice and atom, states, 2)
    mean = float(np.abs(moving.mean(axis=1)).max())
    if mean > _LARGEST_MEAN_ANGSTROM:
        raise ValueError(
            f"u has a mean over the states of up to {mean:.3g} Å, so these are positions; subtract their "
            "mean first with displacements(tracked)"
        )
    if np.ptp(moving, axis=1).max() == 0:
        raise ValueError("u is the same in all states: nothing moves, so there are no frequencies")
    return frames
