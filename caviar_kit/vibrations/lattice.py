"""A two-dimensional lattice with a basis, and which atom sits on which of its sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Lattice"]


@dataclass(frozen=True, eq=False)
class Lattice:
    """Cells and basis sites of a plane lattice; positions are y, x [Å]."""

    origin: np.ndarray
    """Corner of cell (0, 0), float64 (2,), y, x, Å."""
    vectors: np.ndarray
    """Rows a1, a2, float64 (2, 2); components y, x, Å."""
    basis: np.ndarray
    """Sites of one cell, float64 (sites, 2), y, x, Å from the cell's origin."""
    cells: np.ndarray
    """Cell of each atom along a1, a2, int64 (atoms, 2); (0, 0) where the atom is outside."""
    sites: np.ndarray
    """Basis index of each atom, int64 (atoms,); -1 outside (defect, boundary, other lattice)."""
    residual: np.ndarray
    """Distance of each atom from its ideal site, float64 (atoms,), Å; NaN where outside."""
