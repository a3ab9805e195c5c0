"""Bands of equation 6 as printed: no correction, intervals by plain resampling of states."""

from __future__ import annotations

import numpy as np

from caviar_kit.vibrations.bands import Bands
from caviar_kit.vibrations.dynamical_matrix import mode_frequencies

__all__ = ["direct_bands"]


def direct_bands(
    fourier: np.ndarray,
    masses: np.ndarray,
    temperature_k: float,
    statistics: str,
    weights: np.ndarray,
    draws: int,
    rng: np.random.Generator,
) -> Bands:
    """Bands of G(q) averaged over states and slices, inverted at each q on its own.

    Parameters
    ----------
    fourier : array, complex, (states, slices, points, 2 sites), Å
        From `fourier_displacements`.
    """
    greens = np.einsum("nsqi,nsqj->nqij", fourier, fourier.conj(), optimize=True) / fourier.shape[1]

    def bands(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return mode_frequencies(greens[chosen].mean(axis=0), masses, temperature_k, statistics)

    states = len(greens)
    frequencies, vectors = bands(np.arange(states))
    drawn = np.array([bands(rng.integers(0, states, states))[0] for _ in range(draws)])
    interval = np.moveaxis(_percentiles(drawn), 0, -1)
    mean_interval = np.moveaxis(_percentiles(_means(weights, drawn)), 0, -1)
    nothing = np.zeros(frequencies.shape, bool)
    return Bands(frequencies, frequencies, interval, mean_interval, vectors, nothing)


def _percentiles(drawn: np.ndarray) -> np.ndarray:
    """2.5 and 97.5 % of draws, some of which may be infinite."""
    return np.quantile(drawn, (0.025, 0.975), axis=0, method="inverted_cdf")


def _means(weights: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Mean along the path, infinite if a point is."""
    used = weights > 0
    return np.einsum("q,nqb->nb", weights[used], frequencies[:, used])
