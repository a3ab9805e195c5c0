"""Normal modes of a cell by diagonalisation: exact, for up to a few thousand atoms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from caviar_kit.physics import frequency_thz
from caviar_kit.simulation.dynamical_matrix import DynamicalMatrix

__all__ = ["NormalModes", "normal_modes", "refuse_unstable"]

_SOFTEST = 3e-5  # of the highest frequency: below, rounding decides whether a mode is stable


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

    @property
    def frequencies_thz(self) -> np.ndarray:
        """ω / 2π [THz], imaginary ones negative."""
        return frequency_thz(self.eigenvalues)

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


def refuse_unstable(frequencies_thz: np.ndarray) -> None:
    """Raise ValueError unless all frequencies [THz], imaginary ones negative, are safely above zero.

    A crystal with an imaginary frequency, or with a motion that costs nothing, has no harmonic amplitude.
    """
    lowest = frequencies_thz.min(initial=np.inf)
    if lowest > _SOFTEST * np.abs(frequencies_thz).max(initial=0):
        return
    kind = f"imaginary, {abs(lowest):.3g}i" if lowest < 0 else f"{lowest:.3g}"
    raise ValueError(
        f"force_constants are unstable: the lowest frequency is {kind} THz; relax the atoms (and the cell) "
        "with the potential that the force constants come from, or hold bodies that slide freely"
    )
