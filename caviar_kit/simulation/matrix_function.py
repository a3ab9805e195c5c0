"""A function of a large sparse symmetric matrix, applied to vectors, with a bound on the error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from caviar_kit.physics import frequency_thz
from caviar_kit.simulation.dynamical_matrix import DynamicalMatrix
from caviar_kit.simulation.normal_modes import refuse_unstable

__all__ = ["lanczos_function"]

_BASIS_BYTES = 1.5e9  # for the bases of the vectors that are worked on together, at 500 steps
_BLOCK = 16  # vectors worked on together: they share each reading of the matrix
_TINY = np.finfo(float).tiny


def lanczos_function(
    matrix: DynamicalMatrix,
    of_eigenvalues: Callable[[np.ndarray], np.ndarray],
    vectors: np.ndarray,
    *,
    tolerance: float = 1e-3,
    max_steps: int = 4000,
) -> np.ndarray:
    """f(D) b for each column b of (3 n, k) ``vectors``, without the rigid motions.

    Lanczos's approximation |b| V f(T) e₁ from the Krylov basis V with the tridiagonal matrix T = Vᵀ D V
    (Higham, *Functions of Matrices*, 2008, section 13.2, doi:10.1137/1.9780898717778). ``of_eigenvalues``
    must be a Stieltjes function, f(λ) = ∫ dμ(t) / (λ + t) with μ ≥ 0, as 1/λ, coth(√λ)/√λ and their square
    roots are. The error is then at most f(λ_min) times the residual of D x = b after as many steps (Frommer,
    Güttel and Schweitzer, SIAM J. Matrix Anal. Appl. 35, 1602, 2014); the steps go on until this is below
    ``tolerance`` of the result's length, with the smallest Ritz value for λ_min.

    Raises
    ------
    ValueError
        If D has an eigenvalue that is not above zero, or the error is larger after ``max_steps`` steps.
    """
    unknowns = len(vectors)
    result = np.empty_like(vectors)
    steps_in_memory = _BASIS_BYTES / (8 * unknowns)
    block = int(np.clip(steps_in_memory // 500, 1, _BLOCK))
    for start in range(0, vectors.shape[1], block):
        part = slice(start, start + block)
        result[:, part] = _Recurrence(matrix, vectors[:, part]).function(of_eigenvalues, tolerance, max_steps)
    return result


class _Recurrence:
    """Three-term recurrences of several start vectors side by side."""

    def __init__(self, matrix: DynamicalMatrix, vectors: np.ndarray) -> None:
        start = matrix.without_rigid(vectors)
        self._matrix = matrix
        self._length = np.linalg.norm(start, axis=0)
        self._basis = [start / self._length]
        self._diagonal: list[np.ndarray] = []
        self._beside: list[np.ndarray] = []

    def _step(self) -> None:
        current = self._basis[-1]
        following = self._matrix.matrix @ current
        if self._beside:
            following -= self._beside[-1] * self._basis[-2]
        self._diagonal.append(np.einsum("ij,ij->j", current, following))
        following = self._matrix.without_rigid(following - self._diagonal[-1] * current)
        self._beside.append(np.linalg.norm(following, axis=0))
        self._basis.append(following / np.maximum(self._beside[-1], _TINY))

    def function(
        self, of_eigenvalues: Callable[[np.ndarray], np.ndarray], tolerance: float, max_steps: int
    ) -> np.ndarray:
        check = 20
        limit = min(max_steps, 3 * len(self._basis[0]))
        while True:
            while len(self._diagonal) < min(check, limit):
                self._step()
            coefficients, error = self._coefficients(of_eigenvalues)
            if error <= tolerance:
                return self._combined(coefficients)
            if len(self._diagonal) >= limit:
                raise ValueError(
                    f"force_constants: the root of the covariance is not converged after {limit} steps: "
                    f"error below {error:.1e}, wanted {tolerance:.1e}; is a mode nearly free (hold its "
                    "bodies), or the tolerance too small?"
                )
            check = int(1.15 * check) + 10

    def _coefficients(self, of_eigenvalues: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, float]:
        """The results in their bases, (steps, vectors), and the largest bound on the relative error."""
        from scipy.linalg import eigh_tridiagonal

        diagonal, beside = np.array(self._diagonal), np.array(self._beside)
        coefficients = np.empty_like(diagonal)
        errors = np.empty(diagonal.shape[1])
        for k in range(diagonal.shape[1]):
            ritz, modes = eigh_tridiagonal(diagonal[:, k], beside[:-1, k])
            refuse_unstable(frequency_thz(ritz))
            coefficients[:, k] = modes @ (of_eigenvalues(ritz) * modes[0])
            residual = beside[-1, k] * abs((modes[-1] / ritz) @ modes[0])
            errors[k] = (
                of_eigenvalues(ritz[:1])[0] * residual / max(np.linalg.norm(coefficients[:, k]), _TINY)
            )
        return coefficients * self._length, errors.max()

    def _combined(self, coefficients: np.ndarray) -> np.ndarray:
        result = np.zeros_like(self._basis[0])
        for vector, weight in zip(self._basis, coefficients, strict=False):
            result += vector * weight
        return self._matrix.without_rigid(result)
