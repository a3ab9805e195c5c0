"""Force constants of a periodic cell → its dynamical matrix at Γ, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.simulation.commensurate import is_phonopy, spread_force_constants

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["DynamicalMatrix", "dynamical_matrix"]

_DRIFT_ALLOWED = 0.01  # of the largest force constant, for asymmetry and for the acoustic sum rule
_LARGEST_DENSE = 3000  # unknowns; force constants from phonopy become a dense matrix up to here


@dataclass(frozen=True, eq=False)
class DynamicalMatrix:
    """D = Φ / √(m m') of a cell of n atoms, and the motions that are left out of it.

    Attributes
    ----------
    matrix : array or scipy.sparse.csr_array, shape (3 n, 3 n)
        [eV / (Å² u)], symmetric; unknown 3 i + a is √m × displacement of atom i along axis a.
    rigid : array, shape (3 n, 3 bodies)
        Orthonormal motions in which each body moves as a whole. They are not thermal motion of the
        crystal's atoms and are left out.
    inverse_root_mass : array, shape (3 n,)
        1 / √m [u^(-1/2)], from mass-weighted coordinates to Å.
    """

    matrix: Any
    rigid: np.ndarray
    inverse_root_mass: np.ndarray

    @property
    def is_sparse(self) -> bool:
        """Whether ``matrix`` is a sparse one."""
        return not isinstance(self.matrix, np.ndarray)

    def without_rigid(self, vectors: np.ndarray) -> np.ndarray:
        """(3 n, k) ``vectors`` with their rigid motions taken out."""
        return vectors - self.rigid @ (self.rigid.T @ vectors)


def dynamical_matrix(atoms: Atoms, force_constants: Any, bodies: ArrayLike | None = None) -> DynamicalMatrix:
    """Check ``force_constants``, impose the acoustic sum rule, divide by the masses of ``atoms``.

    Parameters
    ----------
    atoms : ase.Atoms
        n atoms with their masses.
    force_constants : array, scipy.sparse matrix or phonopy.Phonopy
        Φ = ∂²E / ∂u ∂u' [eV/Å²] of the periodic cell: an array (n, 3, n, 3) or (3 n, 3 n), a sparse matrix
        (3 n, 3 n), or a Phonopy object, whose force constants are spread over ``atoms``, any supercell of
        its primitive cell. Sparse input stays sparse; Phonopy's becomes dense up to 3000 unknowns.
    bodies : array of int, shape (n,), optional
        Label of the body that each atom belongs to; the centre of mass of each body is held. Default: the
        cell is one body, only its three translations are left out.

    Raises
    ------
    TypeError, ValueError
        If shapes or units cannot be right, a mass is not positive, the matrix is not symmetric, or moving
        the whole crystal would cost force (by more than 1 % of the largest force constant).
    """
    masses = _masses(atoms)
    matrix = _symmetric(_read(atoms, force_constants))
    matrix = _with_acoustic_sum_rule(matrix, len(atoms))
    scale = np.repeat(1 / np.sqrt(masses), 3)
    if isinstance(matrix, np.ndarray):
        weighted: Any = matrix * scale[:, None] * scale
    else:
        from scipy.sparse import csr_array, diags_array

        weighted = csr_array(diags_array(scale) @ matrix @ diags_array(scale))
    return DynamicalMatrix(weighted, _rigid_motions(masses, bodies), scale)


def _masses(atoms: Atoms) -> np.ndarray:
    from ase import Atoms as AseAtoms

    if not isinstance(atoms, AseAtoms):
        raise TypeError(f"atoms must be ase.Atoms, got {type(atoms).__name__}")
    validation.integer("number of atoms", len(atoms), minimum=2)
    masses = validation.as_array("masses of atoms", atoms.get_masses())
    if masses.min() <= 0:
        raise ValueError(f"masses of atoms must be above 0 [u], got {masses.min():g}")
    return masses


def _read(atoms: Atoms, force_constants: Any) -> Any:
    """``force_constants`` as (3 n, 3 n) float64, dense or csr."""
    from scipy.sparse import csr_array, issparse

    unknowns = 3 * len(atoms)
    if is_phonopy(force_constants):
        spread = spread_force_constants(force_constants, atoms)
        return spread.toarray() if unknowns <= _LARGEST_DENSE else spread
    if issparse(force_constants):
        if force_constants.shape != (unknowns, unknowns):
            raise ValueError(
                f"force_constants must have shape ({unknowns}, {unknowns}) for {len(atoms)} atoms, "
                f"got {force_constants.shape}"
            )
        sparse = csr_array(force_constants).astype(np.float64)
        validation.as_array("force_constants", sparse.data)
        return sparse
    array = validation.as_array("force_constants", force_constants)
    allowed = {(len(atoms), 3, len(atoms), 3), (unknowns, unknowns)}
    if array.shape not in allowed:
        hint = "; is it phonopy's (n, n, 3, 3)? Pass the Phonopy object" if array.shape[2:] == (3, 3) else ""
        raise ValueError(
            f"force_constants must have shape (n, 3, n, 3) or (3 n, 3 n) with n = {len(atoms)} atoms, "
            f"got {array.shape}{hint}"
        )
    return np.array(array, dtype=np.float64).reshape(unknowns, unknowns)


def _symmetric(matrix: Any) -> Any:
    largest = abs(matrix).max()
    if largest == 0:
        raise ValueError("force_constants are all zero; the atoms are not bound")
    asymmetry = abs(matrix - matrix.T).max() / largest
    if asymmetry > _DRIFT_ALLOWED:
        raise ValueError(
            f"force_constants must be symmetric; they differ from their transpose by {asymmetry:.1%} of the "
            "largest"
        )
    return (matrix + matrix.T) / 2


def _with_acoustic_sum_rule(matrix: Any, atoms: int) -> Any:
    """Each atom's own force constant made minus the sum of the others', Σ_j Φ_ij = 0."""
    drift = np.asarray(matrix @ np.tile(np.eye(3), (atoms, 1))).reshape(atoms, 3, 3)
    worst = np.abs(drift).max() / abs(matrix).max()
    if worst > _DRIFT_ALLOWED:
        raise ValueError(
            f"force_constants break the acoustic sum rule by {worst:.1%} of the largest: moving the whole "
            "crystal costs force; are all neighbours in it, and is the cell periodic?"
        )
    own = (drift + drift.transpose(0, 2, 1)) / 2
    if isinstance(matrix, np.ndarray):
        index = np.arange(atoms)
        matrix.reshape(atoms, 3, atoms, 3)[index, :, index] -= own
        return matrix
    from scipy.sparse import bsr_array, csr_array

    correction = bsr_array((own, np.arange(atoms), np.arange(atoms + 1)), shape=matrix.shape)
    return csr_array(matrix - correction.tocsr())


def _rigid_motions(masses: np.ndarray, bodies: ArrayLike | None) -> np.ndarray:
    labels = np.zeros(len(masses), dtype=int)
    if bodies is not None:
        given = validation.as_array("bodies", bodies, shape=(len(masses),))
        if given.dtype.kind not in "iu":
            raise TypeError(f"bodies must hold integers (labels), got dtype {given.dtype}")
        labels = np.unique(given, return_inverse=True)[1]
    weights = (labels[:, None] == np.arange(labels.max() + 1)) * np.sqrt(masses)[:, None]
    weights /= np.linalg.norm(weights, axis=0)
    return np.kron(weights, np.eye(3))
