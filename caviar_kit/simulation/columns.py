"""Atomic columns along the beam: what a projected image can tell apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caviar_kit import validation
from caviar_kit.simulation.periodic import nearest_image
from caviar_kit.simulation.snapshots import Snapshots, check_snapshots

__all__ = ["Columns", "column_displacements", "columns"]


@dataclass(frozen=True, eq=False)
class Columns:
    """Atoms grouped by where they project.

    Attributes
    ----------
    labels : array of int, shape (atoms,)
        Column that each atom belongs to.
    positions : array, shape (columns, 2)
        Mean y, x of the column's atoms [Å], in the frame of the specimen cell.
    """

    labels: np.ndarray
    positions: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)

    def average(self, values: np.ndarray) -> np.ndarray:
        """Mean of (..., atoms, axes) ``values`` over each column's atoms: (..., columns, axes)."""
        membership = np.zeros((len(self), len(self.labels)))
        membership[self.labels, np.arange(len(self.labels))] = 1.0
        membership /= membership.sum(axis=1, keepdims=True)
        return membership @ values


def columns(snapshots: Snapshots, tolerance_angstrom: float = 0.5) -> Columns:
    """Find the atomic columns along the beam.

    Atoms whose mean positions project closer than ``tolerance_angstrom`` [Å] share a column;
    the specimen is periodic in the plane.

    Raises
    ------
    TypeError, ValueError
        If ``tolerance_angstrom`` is not a positive number, or the atoms do not stand in
        columns at this tolerance (one would be wider than it).
    """
    check_snapshots(snapshots)
    from ase import Atoms
    from ase.neighborlist import neighbor_list
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    tolerance = validation.number(
        "tolerance_angstrom", tolerance_angstrom, minimum=0.0, open_minimum=True, unit="Å"
    )
    mean = snapshots.mean_positions
    flat = Atoms(positions=mean * [1, 1, 0], cell=snapshots.cell, pbc=(True, True, False))
    first, second = neighbor_list("ij", flat, tolerance)
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(mean), len(mean)))
    count, labels = connected_components(graph, directed=False)
    _, anchors = np.unique(labels, return_index=True)

    anchored = Columns(labels, mean[anchors, 1::-1])
    offset = nearest_image(mean[:, 1::-1] - mean[anchors[labels], 1::-1], snapshots.cell)
    width = np.linalg.norm(offset, axis=1).max()
    if width > tolerance:
        raise ValueError(
            f"atoms do not stand in columns along z: one of {count} groups is {width:.2f} Å wide at "
            f"tolerance_angstrom={tolerance:g}; take a smaller tolerance, another beam "
            "direction or one crystal at a time (Snapshots.only)"
        )
    return Columns(labels, anchored.positions + anchored.average(offset))


def column_displacements(snapshots: Snapshots, columns: Columns) -> np.ndarray:
    """In-plane displacement averaged over each column's atoms, (snapshots, columns, 2): y, x [Å]."""
    if len(columns.labels) != len(snapshots.numbers):
        raise ValueError(
            f"columns were found for {len(columns.labels)} atoms, "
            f"but the snapshots have {len(snapshots.numbers)}"
        )
    return columns.average(snapshots.displacements[:, :, 1::-1])
