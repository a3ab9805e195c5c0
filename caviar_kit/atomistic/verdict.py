"""When correlations may be read from an atomistic fit: the rules, and their thresholds.

The thresholds are set between fits that are known to be right and wrong, see docs/results.md, "Atomistic
refinement".
"""

from __future__ import annotations

from dataclasses import dataclass

from caviar_kit.atomistic.held_out import HeldOutSignal
from caviar_kit.atomistic.suspects import Suspect

__all__ = ["Evidence", "verdict"]

_SIGNIFICANT = 5.0  # standard deviations
_SEEN_AGAIN = 5.0  # standard deviations, in counts held out; independent columns reach 4
_LEAST_SHARE = 0.5  # of what correlations change, in counts held out
_MOST_GAIN = 0.1  # of the signal, by refinement of one quantity of the instrument
_MOST_EXCESS = 10.0  # times the signal
_MOST_OFFSET = 0.3  # of the self terms


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on: attributes of :class:`caviar_kit.atomistic.Criticism`."""

    loss: float
    expected_noise_loss: float
    noise_deviation: float
    signal: float
    signal_noise: float
    held_out: HeldOutSignal | None
    counted: bool
    suspects: tuple[Suspect, ...]
    gain_noise: float
    offset: float


def verdict(evidence: Evidence) -> tuple[bool, str]:
    """Whether correlations are supported, and why or why not."""
    signal, excess = evidence.signal, evidence.loss - evidence.expected_noise_loss
    if signal <= max(0.0, _SIGNIFICANT * evidence.signal_noise):
        return False, "the patterns fit as well without correlations"
    if evidence.held_out is not None:
        seen = evidence.held_out
        if seen.significance < _SEEN_AGAIN or seen.share < _LEAST_SHARE:
            return False, (
                f"counts held out confirm {seen.share:.2f} ± {seen.share_deviation:.2f} of what correlations "
                f"change: most may be noise"
            )
    elif evidence.counted:
        return False, "states follow counting noise, too: give held_out=held_out_signal(...)"
    first = evidence.suspects[0]
    if first.gain > max(_MOST_GAIN * signal, _SIGNIFICANT**2 * evidence.gain_noise):
        return False, (
            f"a change of {first.name} alone would lower the loss by {first.gain / signal:.2g} times what "
            f"correlations explain: correct it, or refine the instrument"
        )
    if excess > _MOST_EXCESS * signal + _SIGNIFICANT * evidence.noise_deviation:
        return False, (
            f"what nothing explains is {excess / signal:.0f} times what correlations explain: "
            "are all lit atoms there, and is the probe right?"
        )
    if evidence.offset > _MOST_OFFSET:
        return False, (
            f"distant columns share {evidence.offset:.0%} of their motion, as a source of finite size makes "
            "them: give probe modes for it, or subtract the offset"
        )
    return True, "what correlations explain is seen, and no error of the instrument is of its size"
