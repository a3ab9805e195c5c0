"""When correlations may be read: the thresholds, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Evidence", "verdict"]


@dataclass(frozen=True)
class Evidence:
    """Losses per pattern, as in :class:`caviar_kit.atomistic.criticism.Criticism`."""

    loss: float
    expected_noise_loss: float
    noise_deviation: float
    signal: float
    signal_noise: float


def verdict(evidence: Evidence) -> tuple[bool, str]:
    """Whether correlations are supported, and why."""
    return True, "not yet calibrated"
