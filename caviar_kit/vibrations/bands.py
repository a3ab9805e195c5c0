"""Frequencies of fitted force constants along a path: correction for few states, and intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import isotonic_regression

from caviar_kit.vibrations.force_fit import ForceFit
from caviar_kit.vibrations.occupation import signed_thz

__all__ = ["Bands", "fitted_bands"]

_LEVEL = 0.95
_UNSTABLE_SHARE = 0.025
_ZERO = 1e-9  # of the largest ω²: rounding of the sum rule


@dataclass(frozen=True, eq=False)
class Bands:
    """Frequencies [THz] along a path and what is known about them."""

    corrected: np.ndarray
    """(points, branches)."""
    uncorrected: np.ndarray
    """(points, branches)."""
    interval: np.ndarray
    """(points, branches, 2)."""
    mean_interval: np.ndarray
    """(branches, 2)."""
    vectors: np.ndarray
    """Mass-weighted eigenvectors as columns, complex (points, 2 sites, branches)."""
    unstable: np.ndarray
    """bool (points, branches)."""


def fitted_bands(
    fit: ForceFit,
    matrices: np.ndarray,
    weights: np.ndarray,
    states: int,
    draws: int,
    rng: np.random.Generator,
) -> Bands:
    """Bands of a fit, corrected for the few states, with bootstrap intervals.

    *Correction.* Of the force constants' own bias: by the jackknife, which leaves out one group of states
    after the other. N states have N - 1 degrees of freedom, so the bias is c / (N - 1) and c / (N - 1 - k)
    without k of them; the difference gives c. Of what scatter does to frequencies, which are roots of sorted
    eigenvalues and so are drawn together or driven apart: by the mean of the parametric bootstrap. Corrected
    branches that would cross are set to their mean.

    *Intervals* are ± the larger of two bootstraps, both to first order around the fit. (1) Over states: the
    jackknife's changes of the force constants with random normal weights; slices of a state stay together,
    however correlated they are. Student's t makes up for the few groups. (2) Parametric: force constants
    drawn with the inverse Fisher information of the likelihood as covariance, which holds if slices are
    independent. No estimator without bias does better (Cramér and Rao), so an interval of (1) narrower than
    that is narrow by chance.

    Parameters
    ----------
    fit : ForceFit
    matrices : array, (parameters, points, b, b)
        ∂D/∂parameter at each point.
    weights : array, (points,)
        Of the mean along the path.
    states, draws : int
    rng : numpy.random.Generator
    """
    groups = len(fit.without)
    left_out = states / groups
    lever = (states - 1 - left_out) / left_out
    scatter = lever * (fit.without - fit.without.mean(axis=0))
    scatter *= np.sqrt((states - 1) / (states - 2) / (groups * (groups - 1)))
    normal = rng.standard_normal((draws // 2, len(fit.parameters)))
    changes = (
        rng.standard_normal((draws, groups)) @ scatter,
        np.concatenate([normal, -normal]) @ _principal_errors(fit),
    )
    over_states, parametric = (_frequencies(fit.parameters + change, matrices) for change in changes)

    raw = _frequencies(fit.parameters, matrices)
    bias = lever * (fit.without.mean(axis=0) - fit.parameters)
    corrected = _frequencies(fit.parameters - bias, matrices) - (parametric.mean(axis=0) - raw)
    stable = (raw >= 0).all(axis=1)
    corrected[stable] = [_ascending(point) for point in corrected[stable]]
    corrected[~stable] = raw[~stable]

    freedom = groups - 2 if left_out == 1 else groups - 1
    scales = (stats.t.ppf((1 + _LEVEL) / 2, freedom), stats.norm.ppf((1 + _LEVEL) / 2))
    pairs = list(zip(scales, (over_states, parametric), strict=True))
    half = np.max([scale * drawn.std(axis=0, ddof=1) for scale, drawn in pairs], axis=0)
    half_mean = np.max([scale * (weights @ drawn).std(axis=0, ddof=1) for scale, drawn in pairs], axis=0)
    imaginary = (np.concatenate([over_states, parametric]) < 0).mean(axis=0) > _UNSTABLE_SHARE
    return Bands(
        corrected=corrected,
        uncorrected=raw,
        interval=_around(corrected, half),
        mean_interval=_around(weights @ corrected, half_mean),
        vectors=np.linalg.eigh(np.tensordot(fit.parameters, matrices, 1))[1],
        unstable=(raw < 0) | imaginary,
    )


def _ascending(frequencies: np.ndarray) -> np.ndarray:
    """The nearest branches from 0 that do not cross."""
    return np.maximum(isotonic_regression(frequencies).x, 0)


def _frequencies(parameters: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """THz, (…, points, branches) for parameters (…, parameters)."""
    values = np.linalg.eigvalsh(np.tensordot(parameters, matrices, 1))
    values = np.where(np.abs(values) < _ZERO * np.abs(values).max(), 0, values)
    return signed_thz(values)


def _principal_errors(fit: ForceFit) -> np.ndarray:
    """Independent errors of the parameters as rows: with normal weights they have the covariance of the fit.

    Their order and signs depend on nothing but the fit, so that draws turn with a turned crystal.
    """
    values, vectors = np.linalg.eigh(fit.information)
    signs = np.where(fit.parameters @ vectors < 0, -1, 1)
    return (vectors * signs / np.sqrt(np.maximum(values, 1e-12 * values[-1]))).T


def _around(centre: np.ndarray, half: np.ndarray) -> np.ndarray:
    low = np.where(centre >= 0, np.maximum(centre - half, 0), centre - half)
    return np.stack([low, centre + half], axis=-1)
