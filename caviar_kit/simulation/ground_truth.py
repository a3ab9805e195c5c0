"""What a perfect reconstruction of a simulated data set would find."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.simulation.columns import column_displacements, columns
from caviar_kit.simulation.experiment import Experiment
from caviar_kit.simulation.periodic import lattice_shifts
from caviar_kit.simulation.snapshots import Snapshots, check_snapshots

__all__ = ["GroundTruth", "ground_truth"]


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Columns inside the scanned field and how they vibrate in the very snapshots used.

    Attributes
    ----------
    positions : array, shape (columns, 2)
        Mean y, x [Å] in the scan frame: the first scan position is the origin, y runs along Ry, x along Rx.
    displacements : array, shape (snapshots, columns, 2)
        y, x [Å] from the mean, averaged over the column's atoms.
    greens_tensor : array, shape (columns, 2, columns, 2)
        G = (1/N) Σ u u' over the N snapshots [Å²] (CAVIAR, arXiv:2309.12017, eq. 2).
    """

    positions: np.ndarray
    displacements: np.ndarray
    greens_tensor: np.ndarray

    def beside(self, other: GroundTruth) -> GroundTruth:
        """These columns, then those of ``other`` in the same snapshots, and the correlations between them."""
        return _truth(
            np.concatenate([self.positions, other.positions]),
            np.concatenate([self.displacements, other.displacements], axis=1),
        )


def ground_truth(
    snapshots: Snapshots,
    experiment: Experiment,
    margin_angstrom: float = 0.0,
    *,
    atoms: ArrayLike | None = None,
) -> GroundTruth:
    """The columns in the rectangle spanned by the scan positions, drawn in by ``margin_angstrom`` [Å].

    A negative margin adds columns around it. The order is by y, then x.

    Parameters
    ----------
    snapshots, experiment : Snapshots, Experiment
        What the data are made of.
    margin_angstrom : float
        Width of the frame that is left out [Å].
    atoms : array of bool, shape (atoms,), optional
        Which atoms count; where crystals of several orientations lie on top of each other, those of one.

    Raises
    ------
    TypeError, ValueError
        If ``margin_angstrom`` is not finite, ``atoms`` is no such mask, or no column is left.
    """
    check_snapshots(snapshots)
    if not isinstance(experiment, Experiment):
        raise TypeError(f"experiment must be an Experiment, got {type(experiment).__name__}")
    margin = validation.number("margin_angstrom", margin_angstrom, unit="Å")
    if atoms is not None:
        snapshots = snapshots.only(atoms)
    found = columns(snapshots)
    extent = (np.array(experiment.scan_shape) - 1) * experiment.scan_step_angstrom
    index, positions = [np.empty(0, dtype=int)], [np.empty((0, 2))]
    centre, half = np.array(experiment.centre_angstrom), np.abs(extent / 2 - margin)
    for shift in lattice_shifts(snapshots.cell, found.positions, centre, half):
        moved = found.positions + shift - np.array(experiment.scan_origin_angstrom)
        inside = ((moved >= margin) & (moved <= extent - margin)).all(axis=1)
        index.append(np.flatnonzero(inside))
        positions.append(moved[inside])
    columns_inside, places = np.concatenate(index), np.concatenate(positions)
    if not len(places):
        raise ValueError(
            f"no atomic column lies inside the scanned field of {extent[0]:g} × {extent[1]:g} Å "
            f"at margin_angstrom={margin:g}"
        )
    order = np.lexsort((places[:, 1], places[:, 0]))
    displaced = column_displacements(snapshots, found)[:, columns_inside[order]]
    return _truth(places[order], displaced)


def _truth(positions: np.ndarray, displacements: np.ndarray) -> GroundTruth:
    flat = displacements.reshape(len(displacements), -1)
    tensor = (flat.T @ flat / len(flat)).reshape(2 * displacements.shape[1:])
    return GroundTruth(positions, displacements, tensor)
