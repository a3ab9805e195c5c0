"""Every element of a Green's tensor beside its true value."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.plotting._common import BLUE, PM2_PER_ANGSTROM2, VERMILION, new_axes

__all__ = ["correlation_agreement"]


def correlation_agreement(true: ArrayLike, found: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw found against true correlations [pm²]; on the dashed line both are equal.

    Parameters
    ----------
    true, found : array, (atoms, 2, atoms, 2), Å²
        Of the same atoms in the same order. Elements that are NaN in either are left out.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        Self terms (vermilion) and pairs (blue, each once), both axes on the same scale.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ or are no Green's tensors.
    """
    tensors = [np.asarray(tensor, dtype=float) * PM2_PER_ANGSTROM2 for tensor in (true, found)]
    atoms = len(tensors[0])
    for name, tensor in zip(("true", "found"), tensors, strict=True):
        validation.as_array(name, np.nan_to_num(tensor), shape=(atoms, 2, atoms, 2))
    matrices = [tensor.reshape(2 * atoms, 2 * atoms) for tensor in tensors]
    first, second = np.triu_indices(2 * atoms)
    own = first // 2 == second // 2

    ax = new_axes(ax, 4.8, 4.6)
    ax.axline((0, 0), slope=1, color="0.6", linestyle="--", linewidth=1, zorder=0)
    for chosen, color, size, label in ((~own, BLUE, 10, "pairs"), (own, VERMILION, 26, "self")):
        x, y = (matrix[first[chosen], second[chosen]] for matrix in matrices)
        ax.scatter(x, y, s=size, color=color, label=label, linewidths=0)
    ax.set_aspect("equal")
    ax.set_xlabel("true correlation (pm²)")
    ax.set_ylabel("found correlation (pm²)")
    ax.legend(frameon=False)
    return ax
