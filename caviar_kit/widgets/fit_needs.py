"""Memory and time that a fit with the settings of a panel needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from caviar_kit.available_memory import available_memory
from caviar_kit.multislice import Snapshot
from caviar_kit.multislice.timing import TimeEstimate
from caviar_kit.widgets.fit_fields import arguments

__all__ = ["FitNeeds", "duration", "progress"]

_GIB = 2**30


class FitNeeds:
    """Estimates for one ptychography object; the latest measured time is kept."""

    def __init__(self, ptychography: Any) -> None:
        self._ptychography = ptychography
        self._measured: tuple[dict[str, Any], TimeEstimate] | None = None

    def arguments(self, settings: dict[str, Any]) -> dict[str, Any]:
        """What ``iterate`` is called with.

        Raises
        ------
        TypeError, ValueError
            If a setting is not usable, or preprocess was not run.
        """
        me = self._ptychography
        shape = me.object_shape  # before sampling: it says what is missing
        return arguments(settings, sampling=me.sampling, object_shape=shape)

    def time(
        self, settings: dict[str, Any], between_batches: Callable[[], None] | None = None
    ) -> TimeEstimate:
        """Measured now, unless these settings were measured last."""
        if self._measured is None or self._measured[0] != settings:
            found = self._ptychography.estimate_time(
                between_batches=between_batches, **self.arguments(settings)
            )
            self._measured = dict(settings), found
        return self._measured[1]

    def text(self, settings: dict[str, Any]) -> str:
        """Memory, and time if these settings were measured last."""
        chosen = self.arguments(settings)
        del chosen["loss"], chosen["reset"]
        estimate, free = self._ptychography.estimate_memory(**chosen), available_memory(np)
        text = f"Memory: about {_gib(estimate['host'])}"
        text += "" if free is None else f" of {_gib(free)} free"
        if estimate["device"]:
            text += f"; on the GPU {_gib(estimate['device'])}"
        if self._measured is None or self._measured[0] != settings:
            return f"{text}. Time: press “Estimate time”."
        return f"{text}. Time: about {duration(self._measured[1].seconds)}."


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, rounded as estimates should be."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def progress(snapshot: Snapshot) -> str:
    """Where a fit is, in words."""
    text = f"{snapshot.stage}, iteration {snapshot.iteration} of {snapshot.total_iterations}"
    text += f", loss {snapshot.loss:.3g}"
    return text if snapshot.held_out_loss is None else f"{text}, held out {snapshot.held_out_loss:.3g}"


def _gib(count: int) -> str:
    return f"{count / _GIB:.2g} GiB" if count >= _GIB / 10 else f"{count / 2**20:.0f} MiB"
