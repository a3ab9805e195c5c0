"""Which found atom is which known one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from caviar_kit import validation

__all__ = ["match_atoms"]


def match_atoms(
    found: ArrayLike, known: ArrayLike, *, max_distance: float = 0.4
) -> tuple[np.ndarray, np.ndarray]:
    """Pair found atoms with known ones, one to one, so that the distances sum to the least.

    Parameters
    ----------
    found, known : (atoms, 2)
        Positions [Å] in the same frame.
    max_distance : float
        Pairs farther apart [Å] are dropped.

    Returns
    -------
    found_index, known_index : (pairs,) int
        ``found[found_index]`` belongs to ``known[known_index]``; ordered by ``known_index``.

    Raises
    ------
    TypeError, ValueError
        If positions are not (atoms, 2) finite numbers, or nothing matches.
    """
    a = validation.as_array("found", found, shape=(None, 2))
    b = validation.as_array("known", known, shape=(None, 2))
    limit = validation.number("max_distance", max_distance, minimum=0, open_minimum=True, unit="Å")
    distances = cdist(a, b)
    rows, columns = linear_sum_assignment(
        np.minimum(distances, 10 * limit)
    )  # a stray must not push pairs apart
    close = distances[rows, columns] <= limit
    if not close.any():
        raise ValueError(
            f"none of {len(a)} found atoms lies within max_distance={limit:g} Å of a known one: same frame?"
        )
    order = np.argsort(columns[close])
    return rows[close][order], columns[close][order]
