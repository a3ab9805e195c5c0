"""The offset that a finite electron source adds to correlations, and its removal.

Seen from the specimen, each point of the source is a displacement of all atoms together. A fit with one probe
mode has no other way to describe the source, so its object states also move as a whole, with the variance
σ² of the source, and every xx and yy element of Green's tensor is too large by it (CAVIAR,
arXiv:2309.12017, supplement S2): G[i, a, j, a] → G[i, a, j, a] + c_a with 0 ≤ c_a ≤ σ².
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import pdist

from caviar_kit import validation
from caviar_kit.vibrations._inputs import positions_2d

__all__ = ["correlation_offset", "subtract_offset"]

_SAME_ANGSTROM = 1e-6  # equal distances of a crystal, which rounding must not part


def correlation_offset(
    G: ArrayLike, positions: ArrayLike | None = None, *, fraction: float = 0.25
) -> np.ndarray:
    """Estimate what all pairs of atoms share, per axis.

    True correlations decay with distance, an offset does not; so it is what distant pairs have left.

    Parameters
    ----------
    G : array, (atoms, 2, atoms, 2), Å²
        From `greens_tensor`.
    positions : array, (atoms, 2), Å, optional
        Mean positions, y then x. With them, the offset is the mean of G[i, a, j, a] over the farthest
        ``fraction`` of all pairs i ≠ j, and those that are as far as the nearest of these; without them, it
        is that quantile of these elements, as distant pairs have the smaller ones. Noise then makes the
        estimate too low.
    fraction : float
        Part of the pairs taken for distant, above 0 and at most 1.

    Returns
    -------
    array, float64, (2,), Å²
        For y and x; negative if the distant pairs move against each other.

    Raises
    ------
    TypeError, ValueError
        If the tensor has the wrong shape, is not finite, not symmetric or of fewer than 2 atoms,
        ``positions`` has another number of atoms, or ``fraction`` is out of range.

    Notes
    -----
    The estimate contains the true correlation of the distant pairs. Long acoustic waves make it positive in
    a small field; a whole simulation cell at rest makes it negative beyond half the cell. In the silicon
    boundary of the examples (self terms 32 and 39 pm² for y and x) it is +2.3 and +7.2 pm² for the 12 columns
    of the tutorial, -0.7 and +5.4 pm² for the 71 of the paper's field. Correlations corrected with it are
    relative to the distant pairs, lower than the truth by that much.
    """
    tensor = _tensor(G)
    fraction = validation.number("fraction", fraction, minimum=0.0, maximum=1.0, open_minimum=True)
    first, second = np.triu_indices(len(tensor), 1)
    shared = np.stack([tensor[first, a, second, a] for a in (0, 1)], axis=1)
    if positions is None:
        return np.quantile(shared, fraction, axis=0)
    places = positions_2d(positions)
    if len(places) != len(tensor):
        raise ValueError(f"positions must hold the {len(tensor)} atoms of G, got {len(places)}")
    distances = pdist(places)  # lists pairs as triu_indices does
    nearest = np.sort(distances)[-math.ceil(fraction * len(shared))]
    return shared[distances > nearest - _SAME_ANGSTROM].mean(axis=0)


def subtract_offset(
    G: ArrayLike, positions: ArrayLike | None = None, *, fraction: float = 0.25
) -> np.ndarray:
    """Remove the uniform offset of partial spatial coherence from Green's tensor.

    Subtracts `correlation_offset` from all elements G[i, a, j, a], self terms included (CAVIAR,
    arXiv:2309.12017, supplement S2). A negative estimate is not a source's and is not subtracted.

    Parameters
    ----------
    G, positions, fraction
        As for `correlation_offset`, whose notes say what bias remains. Give positions if you can.

    Returns
    -------
    array, float64, (atoms, 2, atoms, 2), Å²
        ``G`` itself is left as it is.

    Raises
    ------
    TypeError, ValueError
        As `correlation_offset`.
    """
    offset = np.maximum(correlation_offset(G, positions, fraction=fraction), 0.0)
    corrected = _tensor(G).copy()
    for axis in (0, 1):
        corrected[:, axis, :, axis] -= offset[axis]
    return corrected


def _tensor(G: ArrayLike) -> np.ndarray:
    array = validation.as_array("G", G, shape=(None, 2, None, 2)).astype(np.float64)
    if array.shape[0] != array.shape[2]:
        raise ValueError(f"G must have shape (atoms, 2, atoms, 2), got {array.shape}")
    if len(array) < 2:
        raise ValueError(f"G must hold at least 2 atoms to have pairs, got {len(array)}")
    asymmetry = np.abs(array - array.transpose(2, 3, 0, 1)).max()
    if asymmetry > 1e-5 * np.abs(array).max():
        raise ValueError(
            "G must be symmetric, G[i, a, j, b] = G[j, b, i, a], "
            f"got differences of up to {asymmetry:.3g} Å²; average it with its transpose"
        )
    return array
