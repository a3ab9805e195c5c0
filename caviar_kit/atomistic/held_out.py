"""What correlations explain of counts that the fit has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caviar_kit import validation
from caviar_kit.atomistic.bootstrap import refitted, with_patterns
from caviar_kit.atomistic.independent import finished, independent_intensities, intensities, losses, measured
from caviar_kit.atomistic.refine import AtomisticFit
from caviar_kit.backend import to_numpy
from caviar_kit.multislice.gradient import Evaluator

__all__ = ["HeldOutSignal", "held_out_signal", "share_in"]

_FEW, _MOST_OFF = 1000.0, 0.05  # counts; at random they would be off by 0.25


@dataclass(frozen=True, eq=False)
class HeldOutSignal:
    """The signal of correlations in held-out counts.

    Attributes
    ----------
    share : float
        Part t of the fitted correlations at which held-out counts fit best, where their patterns are those of
        independent columns plus t times what the correlations change: 1 if all of it is real, 0 if none.
    share_deviation : float
        Standard deviation of ``share`` by counting noise.
    fit : AtomisticFit
        Of the other half of the counts.
    """

    share: float
    share_deviation: float
    fit: AtomisticFit

    @property
    def significance(self) -> float:
        """``share`` in standard deviations."""
        return self.share / self.share_deviation


def held_out_signal(
    fit: AtomisticFit,
    electrons_per_pattern: float,
    *,
    iterations: int | None = None,
    shuffles: int = 8,
    seed: int = 0,
) -> HeldOutSignal:
    """Fit a random half of the electrons, and ask the other half what the correlations explain.

    Every electron goes to either half with equal chance: two sets of patterns with independent Poisson noise,
    at all scan positions. The misfit of the fitted half itself would count noise that the states follow as
    signal. Along the line from independent columns to the fitted ones the misfit of the held-out counts is,
    to second order, a parabola, whose minimum is the share that is real.

    Parameters
    ----------
    fit : AtomisticFit
        After its iterations.
    electrons_per_pattern : float
        Electrons of the beam during one pattern: what turns the fractions that are fitted into counts.
    iterations : int, optional
        Of the fit to one half; ``max_iter`` of the fit's settings by default.
    shuffles, seed
        As for :func:`caviar_kit.atomistic.criticise`; the seed also of the halves.

    Returns
    -------
    HeldOutSignal

    Raises
    ------
    TypeError, ValueError
        If ``fit`` is something else, was not iterated or has one state, its loss is not "poisson", or a
        number is not usable: the patterns times ``electrons_per_pattern`` must be counts.

    Notes
    -----
    Counts and both halves are kept in memory, four to five times as much as the measured patterns.
    """
    finished(fit)
    if fit.loss_name != "poisson":
        raise ValueError(f"fit must have loss='poisson' to have fitted counts, got {fit.loss_name!r}")
    electrons = validation.number(
        "electrons_per_pattern", electrons_per_pattern, minimum=0, open_minimum=True
    )
    shuffles = validation.integer("shuffles", shuffles)
    rng = np.random.default_rng(validation.integer("seed", seed, minimum=0))
    iterations = fit.settings.max_iter if iterations is None else iterations
    one, other = _halves(fit.evaluator, electrons, rng)
    half = refitted(fit, one, iterations=validation.integer("iterations", iterations))
    share, deviation = share_in(half, other, 0.5 * electrons, shuffles=shuffles, rng=rng)
    return HeldOutSignal(share, deviation, half)


def share_in(
    fit: AtomisticFit, unseen: np.ndarray, electrons: float, *, shuffles: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Share of the fitted correlations that patterns confirm which were not fitted, and its deviation.

    ``unseen`` (positions, y, x) has ``electrons`` per pattern, as fractions of the beam.
    """
    objective, scene = finished(fit)
    modelled, alone = intensities(objective, scene), independent_intensities(fit, shuffles, rng)
    evaluator = with_patterns(fit.evaluator, unseen)
    gain = float((losses(evaluator, alone) - losses(evaluator, modelled)).mean())
    weights = None if evaluator.weights is None else to_numpy(evaluator.weights)
    background = float(getattr(evaluator.loss_function, "epsilon", 0.0))
    curvature = 2 * _divergence(to_numpy(modelled), to_numpy(alone), weights, background)
    if curvature == 0:
        raise ValueError("fit must have correlations to look for, got columns that do not move")
    return gain / curvature + 0.5, float(np.sqrt(1 / (curvature * electrons * len(unseen))))


def _halves(
    evaluator: Evaluator, electrons: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of patterns, each as fractions of half the beam."""
    counts = np.stack([to_numpy(p).astype(float) * electrons for p in measured(evaluator)])
    _check_counts(counts, electrons)
    counts = np.rint(counts)
    one = rng.binomial(counts.astype(np.int64), 0.5)
    return one / (0.5 * electrons), (counts - one) / (0.5 * electrons)


def _check_counts(counts: np.ndarray, electrons: float) -> None:
    """Not the brightest pixels, where single precision may have lost the last count."""
    few = counts[(counts > 0) & (counts < _FEW)]
    off = np.abs(few - np.rint(few)).mean() if few.size else 0.0
    if off > _MOST_OFF:
        raise ValueError(
            f"electrons_per_pattern must turn the patterns into counts; with {electrons:g} they are off "
            f"whole numbers by {off:.2f} on average"
        )


def _divergence(one: np.ndarray, other: np.ndarray, weights: np.ndarray | None, background: float) -> float:
    """Σ(I - I')² / 2I per pattern: the Poisson loss of one model where the other holds, to second order."""
    terms = (other.astype(float) - one) ** 2 / (2 * (one.astype(float) + background))
    return float((terms if weights is None else weights * terms).sum()) / len(one)
