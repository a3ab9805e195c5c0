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

__all__ = ["HeldOutSignal", "held_out_signal"]


@dataclass(frozen=True, eq=False)
class HeldOutSignal:
    """The signal of correlations in held-out counts.

    Attributes
    ----------
    signal : float
        Rise of the misfit of the held-out counts, per pattern as a fraction of the beam, if columns know
        nothing of each other; negative where correlations were fitted to noise.
    noise : float
        Standard deviation by counting noise.
    fit : AtomisticFit
        Of the other half of the counts.
    """

    signal: float
    noise: float
    fit: AtomisticFit


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
    signal.

    Parameters
    ----------
    fit : AtomisticFit
        After its iterations.
    electrons_per_pattern : float
        Electrons of the beam during one pattern: what turns the fractions that are fitted into counts.
    iterations : int, optional
        Of the fit to one half; as many as ``fit`` had by default.
    shuffles, seed
        As for :func:`caviar_kit.atomistic.criticise`; the seed also of the halves.

    Returns
    -------
    HeldOutSignal

    Raises
    ------
    TypeError, ValueError
        If ``fit`` is something else, was not iterated or has one state, its loss is not "poisson", or a
        number is not usable.
    """
    finished(fit)
    if fit.loss_name != "poisson":
        raise ValueError(f"fit must have loss='poisson' to have fitted counts, got {fit.loss_name!r}")
    electrons = validation.number(
        "electrons_per_pattern", electrons_per_pattern, minimum=0, open_minimum=True
    )
    shuffles = validation.integer("shuffles", shuffles)
    rng = np.random.default_rng(validation.integer("seed", seed, minimum=0))
    assert fit.snapshot is not None
    iterations = fit.snapshot.iteration if iterations is None else iterations
    one, other = _halves(fit.evaluator, electrons, rng)
    half = refitted(fit, one, iterations=validation.integer("iterations", iterations))
    objective, scene = finished(half)
    modelled = intensities(objective, scene)
    alone = independent_intensities(objective, scene, shuffles, rng)
    unseen = with_patterns(half.evaluator, other)
    signal = float((losses(unseen, alone) - losses(unseen, modelled)).mean())
    variance = 2 * _divergence(to_numpy(modelled), to_numpy(alone)) / (0.5 * electrons * len(other))
    return HeldOutSignal(signal, float(np.sqrt(variance)), half)


def _halves(
    evaluator: Evaluator, electrons: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of patterns, each as fractions of half the beam."""
    counts = np.stack([np.rint(to_numpy(p).astype(float) * electrons) for p in measured(evaluator)])
    one = rng.binomial(counts.astype(np.int64), 0.5)
    return one / (0.5 * electrons), (counts - one) / (0.5 * electrons)


def _divergence(one: np.ndarray, other: np.ndarray) -> float:
    """Σ(I - I')² / 2I per pattern: the Poisson loss of one model where the other holds, to second order."""
    expected = np.maximum(one.astype(float), 1e-12)
    return float(((other - expected) ** 2 / (2 * expected)).sum()) / len(one)
