"""What counting noise does to correlations: the fit repeated on patterns drawn from its own model."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np

from caviar_kit import validation
from caviar_kit.atomistic.independent import finished, intensities
from caviar_kit.atomistic.refine import AtomisticFit
from caviar_kit.backend import to_numpy
from caviar_kit.multislice.gradient import Evaluator

__all__ = ["BootstrapCorrelations", "bootstrap_correlations", "refitted", "with_patterns"]


@dataclass(frozen=True, eq=False)
class BootstrapCorrelations:
    """Green's tensors of fits to patterns drawn from a fit's own model.

    Attributes
    ----------
    greens_tensor : float64 (sites, 2, sites, 2)
        Of the fit itself [Å²].
    draws : float64 (repeats, sites, 2, sites, 2)
        Of the repeated fits [Å²].
    electrons_per_pattern : float
        Of the draws.
    warm : bool
        Whether repeated fits began where the fit had ended.
    """

    greens_tensor: np.ndarray
    draws: np.ndarray
    electrons_per_pattern: float
    warm: bool

    @property
    def mean(self) -> np.ndarray:
        """Mean of the draws [Å²]."""
        return np.asarray(self.draws.mean(axis=0))

    @property
    def standard_error(self) -> np.ndarray:
        """Standard deviation of the draws, which stands for that of the fit [Å²]."""
        return np.asarray(self.draws.std(axis=0, ddof=1))

    @property
    def bias(self) -> np.ndarray:
        """Mean of the draws less the tensor they were drawn from [Å²].

        Read it as an average over a shell. To subtract it element by element makes tensors worse: it holds
        minus the chance of this fit, which would then count twice.
        """
        return self.mean - self.greens_tensor


def bootstrap_correlations(
    fit: AtomisticFit,
    electrons_per_pattern: float,
    *,
    repeats: int = 8,
    iterations: int | None = None,
    warm: bool = False,
    seed: int = 0,
) -> BootstrapCorrelations:
    """Draw counted patterns from a fit's model, fit each set as the data were, and collect the tensors.

    A parametric bootstrap [Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 6]: it tells
    what counting noise and the chance of the start do, not what a wrong model does, see
    :func:`caviar_kit.atomistic.criticise` for that.

    Parameters
    ----------
    fit : AtomisticFit
        After its iterations.
    electrons_per_pattern : float
        Electrons of the beam during one pattern.
    repeats : int
        Sets of patterns, at least 2; each costs a fit.
    iterations : int, optional
        Of the repeated fits; ``max_iter`` of the fit's settings by default.
    warm : bool
        False starts every fit as the fit itself was started, from white displacements, of a new seed each
        time. True starts where the fit ended: what L-BFGS has not yet moved from there counts as certain,
        and the scatter comes out too small (docs/results.md), the more so the fewer the iterations.
    seed : int
        Of counts and starts; same seed, same bits.

    Returns
    -------
    BootstrapCorrelations

    Raises
    ------
    TypeError, ValueError
        If ``fit`` is something else, was not iterated or has one state, or a number is not usable.
    """
    objective, scene = finished(fit)
    result = fit.result
    validation.number("electrons_per_pattern", electrons_per_pattern, minimum=0, open_minimum=True)
    repeats = validation.integer("repeats", repeats, minimum=2)
    if iterations is None:
        iterations = fit.settings.max_iter
    validation.integer("iterations", iterations)
    rng = np.random.default_rng(validation.integer("seed", seed, minimum=0))
    expected = to_numpy(intensities(objective, scene))
    draws = []
    for number in range(repeats):
        counted = rng.poisson(expected.astype(float) * electrons_per_pattern) / electrons_per_pattern
        start = fit.settings.seed + (0 if warm else 1 + number)  # it is also that of a Gaussian's draws
        again = refitted(fit, counted, iterations=iterations, warm=warm, seed=start)
        draws.append(again.result.greens_tensor)
    return BootstrapCorrelations(result.greens_tensor, np.array(draws), float(electrons_per_pattern), warm)


def refitted(
    fit: AtomisticFit, patterns: np.ndarray, *, iterations: int, warm: bool = False, seed: int | None = None
) -> AtomisticFit:
    """The same fit of other patterns.

    Parameters
    ----------
    fit : AtomisticFit
        Which model, sites, loss and settings; iterated, if ``warm``.
    patterns : (positions, y, x) real
        As fractions of the beam, FFT order.
    iterations : int
        How many.
    warm : bool
        Begin where ``fit`` has ended.
    seed : int, optional
        Of the start; that of ``fit`` by default.

    Returns
    -------
    AtomisticFit
        After its iterations; ``fit`` itself is left as it was.
    """
    again = copy.copy(fit)
    again.evaluator, again.snapshot = with_patterns(fit.evaluator, patterns), None
    again.settings = replace(
        fit.settings, max_iter=iterations, seed=fit.settings.seed if seed is None else seed
    )
    start = None
    if warm:
        if fit.snapshot is None:
            raise ValueError("fit must have been iterated for a warm start")
        start = fit.snapshot.scene.atoms
    for _ in again.iterate(start=start):
        pass
    return again


def with_patterns(evaluator: Evaluator, patterns: np.ndarray) -> Evaluator:
    """The same model, loss and weights with other patterns."""
    return Evaluator(
        evaluator.model,
        evaluator.xp.asarray(patterns, evaluator.real_dtype),
        evaluator.loss_function,
        weights=evaluator.weights,
        threads=evaluator.threads,
    )
