"""The whole displacement Green's tensor as a picture."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.plotting._common import PM2_PER_ANGSTROM2, new_axes

__all__ = ["greens_tensor"]

_AXES = (1, 0)  # x before y, as in the paper's figure S2


def greens_tensor(G: ArrayLike, *, limit: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw G as a 2N × 2N matrix of four blocks: xx, xy above yx, yy.

    Parameters
    ----------
    G : array, (atoms, 2, atoms, 2), Å²
    limit : float, pm², optional
        Value of the deepest colours; the largest |G| by default. Give the same value to
        compare two tensors, or a smaller one to see past the self terms on the diagonals.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        With a colour bar in pm², symmetric about 0.

    Raises
    ------
    TypeError, ValueError
        If G has another shape or is not finite, or the limit is not above 0.
    """
    tensor = validation.as_array("G", G) * PM2_PER_ANGSTROM2
    if tensor.ndim != 4 or tensor.shape != (len(tensor), 2, len(tensor), 2):
        raise ValueError(f"G must have shape (atoms, 2, atoms, 2), got {tensor.shape}")
    atoms = len(tensor)
    largest = float(np.abs(tensor).max()) or 1.0
    top = (
        largest
        if limit is None
        else validation.number("limit", limit, minimum=0, open_minimum=True, unit="pm²")
    )
    matrix = np.block([[tensor[:, a, :, b] for b in _AXES] for a in _AXES])

    ax = new_axes(ax, 6.2, 5.4)
    picture = ax.imshow(matrix, cmap="RdBu_r", vmin=-top, vmax=top, interpolation="nearest")
    ax.axhline(atoms - 0.5, color="black", linewidth=0.8)
    ax.axvline(atoms - 0.5, color="black", linewidth=0.8)
    centres = [atoms / 2 - 0.5, 1.5 * atoms - 0.5]
    ax.set_xticks(centres, ["x of atom j", "y of atom j"])
    ax.set_yticks(centres, ["x of atom i", "y of atom i"], rotation=90, va="center")
    ax.tick_params(length=0)
    for row, first in enumerate("xy"):
        for column, second in enumerate("xy"):
            ax.text(
                column * atoms + 0.02 * 2 * atoms - 0.5,
                (row + 1) * atoms - 0.02 * 2 * atoms - 0.5,
                first + second,
                ha="left",
                va="bottom",
                bbox={"facecolor": "white", "edgecolor": "0.7", "pad": 2},
            )
    ends = "both" if largest > top * (1 + 1e-9) else "neither"
    ax.figure.colorbar(picture, ax=ax, label="correlation (pm²)", extend=ends)
    return ax
