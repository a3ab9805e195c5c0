"""Normal modes of a cell by diagonalisation: exact, for up to a few thousand atoms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from caviar_kit.physics import frequency_thz
from caviar_kit.simulation.dynamical_matrix import DynamicalMatrix

__all__ = ["NormalModes", "normal_modes", "refuse_unstable"]

_SOFTEST = 1e-9  # of the largest eigenvalue: below, rounding decides the sign


@dataclass(frozen=True, eq=False)
class NormalModes:
    """Eigenvalues and eigenvectors of a dynamical matrix without rigid motions.

    Attributes
    ----------
    eigenvalues : array, shape (modes,)
        [eV / (Å² u)], ascending; the largest eigenvalue of the matrix among them.
    vectors : array, shape (3 n, modes)
        Orthonormal, in mass-weighted coordinates.
    """

    eigenvalues: np.ndarray
    vectors: np.ndarray

    def function(self, of_eigenvalues: Callable[[np.ndarray], np.ndarray], vectors: np.ndarray) -> np.ndarray:
        """The function of the matrix applied to (3 n, k) ``vectors``."""
        return self.vectors @ (of_eigenvalues(self.eigenvalues)[:, None] * (self.vectors.T @ vectors))


def normal_modes(matrix: DynamicalMatrix) -> NormalModes:
    """Diagonalise; the rigid motions are projected out, moved above all others and cut off."""
    from scipy.linalg import eigh

    dense = matrix.matrix.toarray() if matrix.is_sparse else matrix.matrix
    projected = matrix.without_rigid(matrix.without_rigid(dense).T)
    above = 2 * np.abs(projected).sum(axis=1).max()  # Gershgorin: no eigenvalue is larger than half of it
    values, vectors = eigh(projected + above * (matrix.rigid @ matrix.rigid.T), check_finite=False)
    kept = len(values) - matrix.rigid.shape[1]
    return NormalModes(values[:kept], vectors[:, :kept])


def refuse_unstable(lowest: float, largest: float) -> None:
    """Raise ValueError if ``lowest`` is not safely above zero; eigenvalues in eV / (Å² u).

    A cell with an imaginary frequency, or one that costs nothing, has no harmonic amplitude.
    """
    if lowest > _SOFTEST * largest:
        return
    frequency = float(frequency_thz(lowest))
    kind = f"imaginary, {abs(frequency):.3g}i" if frequency < 0 else f"{frequency:.3g}"
    raise ValueError(
        f"force_constants are unstable: the lowest frequency is {kind} THz; relax the atoms (and the cell) "
        "with the potential that the force constants come from, or hold bodies that slide freely"
    )
