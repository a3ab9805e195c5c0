"""What positivity adds: the tensor of a set of states nearest to a noisy measurement; NumPy and SciPy.

A covariance G = A Aᵀ cannot follow noise that would make a variance negative. Where motions of neighbours are
alike, some variances are close to zero, and this counts.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

__all__ = ["PositiveFit"]

_LEAST_VARIANCE = 1e-4  # Å², where no motion is expected
_LEAST_SHARE = 1e-2  # of the mean variance


class PositiveFit:
    """Minimise (g(A Aᵀ) - ĝ)ᵀ C⁻¹ (g(A Aᵀ) - ĝ) over A, with g the elements that were measured.

    Parameters
    ----------
    elements : int (elements, 2)
        Rows and columns of G that were measured.
    covariance : (elements, elements)
        C [Å⁴].
    start : (coordinates, coordinates)
        Tensor to begin with [Å²].
    rank : int
        Columns of A.
    iterations : int
        At most, of L-BFGS.
    """

    def __init__(
        self,
        elements: np.ndarray,
        covariance: np.ndarray,
        start: np.ndarray,
        rank: int,
        iterations: int = 100,
    ) -> None:
        self._rows, self._columns = elements.T
        self._iterations = iterations
        self._precision = cho_solve(cho_factor(covariance), np.eye(len(covariance)))
        values, vectors = np.linalg.eigh(start)
        unit = max(float(np.mean(np.diag(start))), _LEAST_VARIANCE)
        kept = np.maximum(values[::-1][:rank], _LEAST_SHARE * unit)  # from zero a factor could never grow
        self._start = vectors[:, ::-1][:, :rank] * np.sqrt(kept / unit)
        self._unit = unit

    def __call__(self, measured: np.ndarray) -> np.ndarray:
        """Tensor (coordinates, coordinates) [Å²] for the measured elements ĝ [Å²]."""

        def value_and_gradient(vector: np.ndarray) -> tuple[float, np.ndarray]:
            factor = vector.reshape(self._start.shape)
            found = self._unit * (factor[self._rows] * factor[self._columns]).sum(axis=1)
            pulled = self._precision @ (found - measured)
            by_tensor = np.zeros((len(factor), len(factor)))
            by_tensor[self._rows, self._columns] = self._unit * pulled
            gradient = (by_tensor + by_tensor.T) @ factor
            return 0.5 * float((found - measured) @ pulled), gradient.ravel()

        options = {"maxiter": self._iterations, "maxcor": 20}
        best = minimize(value_and_gradient, self._start.ravel(), jac=True, method="L-BFGS-B", options=options)
        factor = best.x.reshape(self._start.shape)
        return np.asarray(self._unit * factor @ factor.T)
