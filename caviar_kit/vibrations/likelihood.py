"""Likelihood of displacements under force constants, with gradient and Fisher information.

Displacements in a harmonic crystal are Gaussian. Force constants → D(q) → covariance G(q) = M^(-½) f(D(q))
M^(-½), f from `caviar_kit.vibrations.occupation` → C(R) by Fourier transform → covariance matrix of the
atoms of the patch. The likelihood of a finite, irregular patch is then exact: no plane-wave sum, no window,
no leakage. Restricted to deviations from the mean over atoms and over states (N - 1 degrees of freedom per
slice), it knows neither the rigid shift nor the mean positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from caviar_kit.vibrations.force_model import ForceModel
from caviar_kit.vibrations.occupation import mean_square, mean_square_slope
from caviar_kit.vibrations.patch import Patch, unit_grid, without_shift

__all__ = ["Evaluation", "Likelihood", "likelihood_of"]

_CLOSE = 1e-7  # relative; nearer eigenvalues take the derivative instead of the divided difference
_SOFTEST = 1e-6  # of the mean curvature: softer crystals are refused


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Log-likelihood at some parameters, its gradient, and what the information needs."""

    value: float
    gradient: np.ndarray
    bands: tuple[np.ndarray, np.ndarray]
    precisions: list[np.ndarray]


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Everything about patches and model that does not change during a fit."""

    model: ForceModel
    temperature_k: float
    statistics: str
    grid: tuple[int, int]
    matrices: np.ndarray
    """∂D/∂parameter on the half grid of `numpy.fft.rfft2`, (parameters, q, b, b)."""
    weights: np.ndarray
    """How often each q of the half grid counts, over the number of q, (q,)."""
    patches: list[Patch]
    indices: list[np.ndarray]

    def evaluate(self, parameters: np.ndarray, kept: np.ndarray) -> Evaluation | None:
        """Log-likelihood of the states ``kept`` (indices), up to a constant; None for an unstable crystal."""
        bands = self._bands(parameters)
        if bands is None:
            return None
        correlation = self._correlation(bands)
        value, precisions = 0.0, []
        pull = np.zeros_like(correlation)
        for patch, index in zip(self.patches, self.indices, strict=True):
            precision, log_det = _precision(correlation.ravel()[index])
            if precision is None:
                return None
            rows, freedom = _deviations(patch.moved, kept)
            fitted = precision @ rows.T
            value -= 0.5 * (freedom * log_det + float((rows.T * fitted).sum()))
            force = 0.5 * (fitted @ fitted.T - freedom * precision)
            pull += np.bincount(index.ravel(), force.ravel(), minlength=pull.size).reshape(pull.shape)
            precisions.append(precision)
        return Evaluation(value, self._gradient(pull, bands), bands, precisions)

    def information(self, at: Evaluation, states: int) -> np.ndarray:
        """Fisher information of (states - 1) × slices independent samples, (parameters, parameters)."""
        responses = self._responses(at.bands)
        total = np.zeros((self.model.parameters,) * 2)
        for patch, index, precision in zip(self.patches, self.indices, at.precisions, strict=True):
            change = np.stack([precision @ response.ravel()[index] for response in responses])
            turned = change.transpose(0, 2, 1).reshape(len(change), -1)
            total += 0.5 * (states - 1) * patch.moved.shape[1] * (change.reshape(len(change), -1) @ turned.T)
        return (total + total.T) / 2

    def _bands(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        matrix = np.tensordot(parameters, self.matrices, 1)
        scale = float(np.einsum("qii->", matrix).real) / matrix.shape[0] / matrix.shape[1]
        rigid = np.sqrt(self.model.masses / self.model.masses.sum())
        # a rigid motion of any size: contrasts do not see it
        matrix[0] += abs(scale) * np.kron(np.outer(rigid, rigid), np.eye(2))
        values, vectors = np.linalg.eigh(matrix)
        return (values, vectors) if values.min() > _SOFTEST * abs(scale) else None

    def _correlation(self, bands: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """C(R), (*grid, b, b) [Å²]."""
        values, vectors = bands
        spread = mean_square(values, self.temperature_k, self.statistics)
        return self._to_cells((vectors * spread[:, None]) @ vectors.conj().swapaxes(1, 2))

    def _responses(self, bands: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """∂C(R)/∂parameter, (parameters, *grid, b, b)."""
        vectors = bands[1]
        adjoint = vectors.conj().swapaxes(1, 2)
        factor = self._divided(bands[0])
        changes = (vectors @ (factor * (adjoint @ one @ vectors)) @ adjoint for one in self.matrices)
        return np.stack([self._to_cells(change) for change in changes])

    def _gradient(self, pull: np.ndarray, bands: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Σ pull · ∂C/∂parameter without forming ∂C: the adjoint of `_responses`."""
        values, vectors = bands
        adjoint = vectors.conj().swapaxes(1, 2)
        spectrum = np.fft.rfft2(pull, axes=(0, 1)).reshape(vectors.shape) * self._roots()
        back = vectors @ (self._divided(values) * (adjoint @ spectrum @ vectors)) @ adjoint
        back *= self.weights[:, None, None]
        return (self.matrices.reshape(len(self.matrices), -1) @ back.conj().ravel()).real

    def _to_cells(self, spectrum: np.ndarray) -> np.ndarray:
        n1, n2 = self.grid
        half = (spectrum * self._roots()).reshape(n1, n2 // 2 + 1, *spectrum.shape[1:])
        return np.fft.irfft2(half, s=self.grid, axes=(0, 1))

    def _roots(self) -> np.ndarray:
        root = 1 / np.sqrt(np.repeat(self.model.masses, 2))
        return root[:, None] * root

    def _divided(self, values: np.ndarray) -> np.ndarray:
        """(f(a) - f(b)) / (a - b) for every pair of eigenvalues: the derivative of a matrix function."""
        spread = mean_square(values, self.temperature_k, self.statistics)
        step = values[:, :, None] - values[:, None]
        middle = (values[:, :, None] + values[:, None]) / 2
        close = np.abs(step) <= _CLOSE * middle
        slope = mean_square_slope(middle, self.temperature_k, self.statistics)
        return np.where(close, slope, (spread[:, :, None] - spread[:, None]) / np.where(close, 1, step))


def likelihood_of(
    patches: list[Patch], model: ForceModel, temperature_k: float, statistics: str
) -> Likelihood:
    """Set up the grid of q and the tables."""
    n1, n2 = grid = unit_grid(patches)
    half = np.stack(np.meshgrid(np.arange(n1) / n1, np.arange(n2 // 2 + 1) / n2, indexing="ij"), -1)
    twice = np.full(n2 // 2 + 1, 2.0)
    twice[0] = 1
    if n2 % 2 == 0:
        twice[-1] = 1
    weights = np.tile(twice, n1) / (n1 * n2)
    indices = [patch.index(grid, len(model.masses)) for patch in patches]
    return Likelihood(
        model, temperature_k, statistics, grid, model.matrices(half.reshape(-1, 2)), weights, patches, indices
    )


def _deviations(moved: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, int]:
    """The kept states of all slices less their mean, as rows, and how many of them are independent."""
    some = moved[kept]
    return (some - some.mean(axis=0)).reshape(-1, some.shape[-1]), (len(kept) - 1) * moved.shape[1]


def _precision(covariance: np.ndarray) -> tuple[np.ndarray | None, float]:
    """Inverse and log-determinant among motions other than a rigid shift; None if not positive there."""
    size = len(covariance)
    matrix = without_shift(without_shift(covariance).T)
    level = float(np.trace(matrix)) / size
    rigid = np.tile(np.eye(2) * 2 / size, (size // 2, size // 2))  # projector on the two shifts
    factor, failed = lapack.dpotrf(matrix + level * rigid, lower=1)
    if failed:
        return None, 0.0
    lower = np.tril(lapack.dpotri(factor, lower=1)[0])
    inverse = lower + np.tril(lower, -1).T - rigid / level
    return inverse, 2 * float(np.log(np.diag(factor)).sum() - np.log(level))
