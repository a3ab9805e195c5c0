"""How large a loss counted electrons have where the model is right."""

from __future__ import annotations

import numpy as np
from scipy.stats import poisson

from caviar_kit import validation
from caviar_kit.multislice.loss import Loss

__all__ = ["expected_noise_loss"]

_LARGEST = 2000.0  # electrons per pixel, beyond which a loss has reached its limit to 1e-4
_PER_DECADE = 40
_TAIL = 10.0  # standard deviations


def expected_noise_loss(
    loss: Loss, intensities: np.ndarray, electrons_per_pattern: float, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the loss of each pattern if its counts come from ``intensities``.

    The mean is ⟨ℓ(I, n/N)⟩ with n Poisson-distributed about N·I: summed exactly for up to 2000 electrons in a
    pixel, read from a table of 40 values per decade; above, the limit of many electrons (1/2N for the
    Poisson loss, 1/4N for the amplitude loss).

    Parameters
    ----------
    loss : Loss
        Misfit per pixel.
    intensities : (patterns, y, x) real
        Expected patterns, as fractions of the beam.
    electrons_per_pattern : float
        N, electrons of the beam during one pattern.
    weights : (y, x) real, optional
        Of the pixels.

    Returns
    -------
    mean, variance : float64 (patterns,)

    Raises
    ------
    TypeError, ValueError
        If the patterns are not real, finite, not negative and 3-D, or ``electrons_per_pattern`` is not
        positive.
    """
    expected = validation.as_array("intensities", intensities, shape=(None, None, None)).astype(float)
    if expected.min() < 0:
        raise ValueError(f"intensities must not be negative, got {expected.min():g}")
    electrons = validation.number(
        "electrons_per_pattern", electrons_per_pattern, minimum=0, open_minimum=True
    )
    counts, means, squares = _table(loss, electrons)
    weight = np.ones(expected.shape[1:]) if weights is None else np.asarray(weights, float)
    mean, variance = np.empty(len(expected)), np.empty(len(expected))
    for number, pattern in enumerate(expected):
        one, two = (np.interp(pattern * electrons, counts, values) for values in (means, squares))
        mean[number] = (weight * one).sum()
        variance[number] = (weight**2 * (two - one**2)).sum()
    return mean, variance


def _table(loss: Loss, electrons: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected electrons in a pixel, and mean and mean square of the loss there."""
    expected = np.concatenate([[0.0], np.logspace(-6, np.log10(_LARGEST), round(9.3 * _PER_DECADE))])
    means, squares = np.empty(len(expected)), np.empty(len(expected))
    for number, count in enumerate(expected):
        spread = _TAIL * np.sqrt(count) + 20
        n = np.arange(max(0, int(count - spread)), int(count + spread) + 1)
        value = np.asarray(loss.value(np.full(len(n), count / electrons), n / electrons))
        probability = poisson.pmf(n, count)
        means[number], squares[number] = probability @ value, probability @ value**2
    return expected, means, squares
