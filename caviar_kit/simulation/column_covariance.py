"""Covariance of column displacements, and how well two of them agree for neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.simulation.columns import Columns
from caviar_kit.simulation.periodic import nearest_image

__all__ = ["column_agreement", "column_covariance"]


def column_covariance(covariance: ArrayLike, columns: Columns) -> np.ndarray:
    """Covariance of the columns' mean in-plane displacements from that of their atoms.

    Parameters
    ----------
    covariance : array, shape (atoms, 3, atoms, 3)
        ⟨u u'⟩, axes x, y, z [Å²], as from ``harmonic_covariance``.
    columns : Columns
        Which atoms stand above each other.

    Returns
    -------
    array, shape (columns, 2, columns, 2)
        Axes y, x [Å²]: the Green's tensor (CAVIAR, arXiv:2309.12017, eq. 2) of infinitely many snapshots.

    Raises
    ------
    TypeError, ValueError
        If ``covariance`` does not fit the atoms of ``columns``, or is not finite.
    """
    atoms = len(columns.labels)
    tensor = validation.as_array("covariance", covariance, shape=(atoms, 3, atoms, 3))
    in_plane = tensor[:, 1::-1][..., 1::-1]  # y, x
    once = columns.average(in_plane.transpose(1, 3, 0, 2))  # (y x, y x, columns, atoms)
    return columns.average(once.swapaxes(-1, -2)).transpose(3, 0, 2, 1)


def column_agreement(
    reference: np.ndarray, measured: np.ndarray, positions: np.ndarray, cell: np.ndarray, reach: float = 4.5
) -> np.ndarray:
    """Cosine between two tensors for each column: over all its pairs with others up to ``reach`` [Å].

    ``reference`` and ``measured`` are (columns, 2, columns, 2); ``positions`` (columns, 2) y, x [Å] in the
    periodic ``cell``. Self terms are left out. The result is (columns,), 1 for equal directions.
    """
    between = positions[None] - positions[:, None]
    distance = np.linalg.norm(nearest_image(between.reshape(-1, 2), cell), axis=1).reshape(len(positions), -1)
    near = (distance > 0) & (distance <= reach)
    first, second = (
        np.where(near[:, None, :, None], g, 0).reshape(len(g), -1) for g in (reference, measured)
    )
    return (first * second).sum(axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
