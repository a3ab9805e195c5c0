"""May correlations be read from an atomistic fit? What they explain, beside what nothing explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist

from caviar_kit import validation
from caviar_kit.atomistic.counting_noise import expected_noise_loss
from caviar_kit.atomistic.held_out import HeldOutSignal
from caviar_kit.atomistic.independent import (
    finished,
    independent_intensities,
    intensities,
    losses,
    measured,
)
from caviar_kit.atomistic.refine import AtomisticFit
from caviar_kit.atomistic.suspects import TESTED_PATTERNS, Suspect, suspects
from caviar_kit.atomistic.verdict import Evidence, verdict
from caviar_kit.backend import to_numpy
from caviar_kit.multislice.gradient import Evaluator

__all__ = ["Criticism", "criticise"]

_DISTANT = 0.25  # of all pairs, as in correlation_offset


@dataclass(frozen=True, eq=False)
class Criticism:
    """What speaks for and against the correlations of an atomistic fit.

    Losses are means per pattern, fractions of the beam.

    Attributes
    ----------
    loss : float
        Misfit of the fit.
    expected_noise_loss, noise_deviation : float
        Misfit that counting noise alone leaves where the model is right, and the standard deviation of its
        mean over the patterns; 0 for data without noise.
    signal : float
        Rise of the misfit if every column keeps its motion and the columns know nothing of each other.
    signal_noise : float
        Standard deviation of ``signal`` by counting noise; 0 for data without noise.
    misfit : float64 (positions,)
        Loss of each pattern less ``expected_noise_loss`` of that pattern.
    residual : float64 (y, x)
        Σ(D - I) / √ΣI over the patterns, centred; times √N where N electrons were counted in each, so that
        it has unit variance where the model is right.
    scan : float64 (positions, 2)
        Scan positions y, x [Å].
    held_out : HeldOutSignal or None
        The same of counts that were not fitted, where that was given.
    suspects : tuple of Suspect
        Quantities of the instrument whose change would lower the misfit, the greatest gain first.
    gain_noise : float
        Gain that counting noise alone makes on average; 0 for data without noise.
    offset : float
        Mean correlation of the farthest quarter of pairs of columns in the field over that of columns with
        themselves, both traces; 0 where there are fewer than 3 columns.
    supported : bool
        Whether correlations may be read.
    reason : str
        Why, or why not.
    """

    loss: float
    expected_noise_loss: float
    noise_deviation: float
    signal: float
    signal_noise: float
    misfit: np.ndarray
    residual: np.ndarray
    scan: np.ndarray
    held_out: HeldOutSignal | None
    suspects: tuple[Suspect, ...]
    gain_noise: float
    offset: float
    supported: bool
    reason: str

    @property
    def excess(self) -> float:
        """Misfit beyond counting noise."""
        return self.loss - self.expected_noise_loss

    def require_support(self) -> None:
        """Go no further if the patterns do not support correlations.

        Raises
        ------
        ValueError
            With the reason.
        """
        if not self.supported:
            raise ValueError(f"correlations are not supported by the patterns: {self.reason}\n{self}")

    def __str__(self) -> str:
        rows = (
            ("loss per pattern", self.loss, None),
            ("  expected of counting noise", self.expected_noise_loss, self.noise_deviation),
            ("  excess", self.excess, self.noise_deviation),
            ("signal of the correlations", self.signal, self.signal_noise),
            *(
                [("  share in counts held out", self.held_out.share, self.held_out.share_deviation)]
                if self.held_out is not None
                else []
            ),
        )
        lines = [
            f"{name:<30} {value:10.2e}" + (f" ± {error:.1e}" if error else "") for name, value, error in rows
        ]
        lines.append(f"{'excess / signal':<30} {self.excess / self.signal:10.2f}" if self.signal > 0 else "")
        first = self.suspects[0]
        lines.append(f"{f'gain by {first.name}':<30} {first.gain:10.2e}")
        lines.append(f"{'distant columns / self':<30} {self.offset:10.2f}")
        lines.append(("supported: " if self.supported else "not supported: ") + self.reason)
        return "\n".join(line for line in lines if line)


def criticise(
    fit: AtomisticFit,
    *,
    electrons_per_pattern: float | None = None,
    held_out: HeldOutSignal | None = None,
    shuffles: int = 8,
    seed: int = 0,
) -> Criticism:
    """Compare what correlations explain of the patterns with what stays unexplained.

    The ensemble without correlations is made of the fit's own: the states of every column are shuffled on
    their own, which keeps its self terms, and patterns are averaged over several shuffles, so that little of
    the chance of one is left.

    Parameters
    ----------
    fit : AtomisticFit
        After its iterations.
    electrons_per_pattern : float, optional
        Electrons of the beam during one pattern, where they were counted; None for data without noise.
    held_out : HeldOutSignal, optional
        From :func:`caviar_kit.atomistic.held_out_signal`. Counted data are not supported without it: states
        follow the noise, which the misfit of the fitted counts takes for correlation.
    shuffles : int
        How many are averaged; each costs as much as the patterns of the fit, about half an iteration.
    seed : int
        Of the shuffles.

    Returns
    -------
    Criticism

    Raises
    ------
    TypeError, ValueError
        If ``fit`` is something else, was not iterated or has one state, or a number is not usable.

    Notes
    -----
    Modelled patterns are kept in memory, one or two times as much as the measured ones.
    """
    objective, scene = finished(fit)
    if electrons_per_pattern is not None:
        validation.number("electrons_per_pattern", electrons_per_pattern, minimum=0, open_minimum=True)
    shuffles = validation.integer("shuffles", shuffles)
    rng = np.random.default_rng(validation.integer("seed", seed, minimum=0))
    evaluator = objective.evaluator
    modelled = intensities(objective, scene)
    alone = independent_intensities(fit, shuffles, rng)
    misfits, without = (losses(evaluator, patterns) for patterns in (modelled, alone))
    del alone
    noise, variance = np.zeros(len(misfits)), np.zeros(len(misfits))
    if electrons_per_pattern is not None:
        weights = None if evaluator.weights is None else to_numpy(evaluator.weights)
        noise, variance = expected_noise_loss(
            evaluator.loss_function, to_numpy(modelled), electrons_per_pattern, weights
        )
    signal = float((without - misfits).mean())
    found = suspects(objective, scene)
    evidence = Evidence(
        loss=float(misfits.mean()),
        expected_noise_loss=float(noise.mean()),
        noise_deviation=float(np.sqrt(variance.sum())) / len(misfits),
        signal=signal,
        signal_noise=_signal_noise(fit.loss_name, signal, electrons_per_pattern, len(misfits)),
        held_out=held_out,
        counted=electrons_per_pattern is not None,
        suspects=tuple(found),
        gain_noise=_gain_noise(fit.loss_name, electrons_per_pattern, min(len(misfits), TESTED_PATTERNS)),
        offset=_offset(fit),
    )
    supported, reason = verdict(evidence)
    return Criticism(
        **{name: value for name, value in vars(evidence).items() if name != "counted"},
        misfit=misfits - noise,
        residual=_mean_residual(evaluator, modelled, electrons_per_pattern),
        scan=fit._scan,
        supported=supported,
        reason=reason,
    )


def _signal_noise(loss_name: str, signal: float, electrons: float | None, patterns: int) -> float:
    """Standard deviation of a difference of two mean losses, to first order in the patterns' difference."""
    if electrons is None or signal <= 0:
        return 0.0
    factor = 2.0 if loss_name == "poisson" else 1.0
    return float(np.sqrt(factor * signal / (electrons * patterns)))


def _gain_noise(loss_name: str, electrons: float | None, patterns: int) -> float:
    """Half a unit of log-likelihood, as loss per pattern."""
    if electrons is None:
        return 0.0
    return (0.5 if loss_name == "poisson" else 0.25) / (electrons * patterns)


def _offset(fit: AtomisticFit) -> float:
    """What distant columns in the field share; pairs that never share a slice are left out."""
    result = fit.result
    result = result.of(result.in_field)
    if len(result.symbols) < 3:
        return 0.0
    traces = np.einsum("iaja->ij", result.greens_tensor)
    pairs = np.triu_indices(len(traces), 1)
    distances, shared = pdist(result.positions), traces[pairs]  # in the same order
    distant = (distances >= np.quantile(distances, 1 - _DISTANT)) & np.isfinite(shared)
    own = float(np.diag(traces).mean())
    return float(shared[distant].mean()) / own if own > 0 and distant.any() else 0.0


def _mean_residual(evaluator: Evaluator, modelled: Any, electrons: float | None) -> np.ndarray:
    """Of all patterns, in units of the square root of what is expected; centred."""
    difference = sum(to_numpy(data).astype(float) for data in measured(evaluator))
    expected = to_numpy(modelled).sum(axis=0, dtype=float)
    difference = difference - expected
    scaled = np.divide(difference, np.sqrt(expected), out=np.zeros_like(expected), where=expected > 0)
    if evaluator.weights is not None:
        scaled = np.where(to_numpy(evaluator.weights) > 0, scaled, 0.0)
    return np.fft.fftshift(scaled) * (1.0 if electrons is None else np.sqrt(electrons))
