"""How long a fit of the prepared data is going to take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit._adapter.fitting import Fitting
from caviar_kit._adapter.handover import Handover
from caviar_kit.backend import resolve_device
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.loss import make_loss
from caviar_kit.multislice.timing import TimeEstimate, WorkingTime, measure_time

__all__ = ["Timing"]


class Timing(Fitting, Handover):
    """A measurement on a few patterns."""

    def estimate_time(
        self,
        *,
        loss: str = "amplitude",
        reset: bool = True,
        patterns: int = 16,
        between_batches: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        **settings: Any,
    ) -> TimeEstimate:
        """Measure what ``reconstruct`` would take on this device, in this process; after preprocess.

        Parameters
        ----------
        patterns : int
            How many are evaluated, spread over the scan; they take part for each number of states.
        between_batches : callable, optional
            As for :meth:`iterate`; a pause in it does not count.
        clock : callable
            Seconds from any moment.
        loss, reset, **settings
            ``max_iter``, ``one_state_iter``, ``num_object_states`` and further fields of
            :class:`caviar_kit.multislice.FitSettings`, as for :meth:`reconstruct`.

        Returns
        -------
        TimeEstimate
            ``.seconds`` for all, ``.stages``, ``.left(iteration, seconds)``.

        Raises
        ------
        TypeError, ValueError
            If a setting is unknown or not usable, there is not enough memory, or preprocess was not run.
        """
        self._require_preprocess()
        validation.integer("patterns", patterns, minimum=2)
        iterations = settings.pop("max_iter", 100), settings.pop("one_state_iter", 20)
        fit, _ = self._fit_settings(*iterations, reset, settings)
        self._require_memory(fit, False, None)
        evaluator = self._small_evaluator(loss, patterns)
        working = WorkingTime(between_batches, clock)
        evaluator.between_batches = working.between_batches
        return measure_time(
            evaluator,
            self._starting_probe(reset),
            fit,
            num_patterns=len(self._model.positions),
            clock=working,
        )

    def _small_evaluator(self, loss: str, patterns: int) -> Evaluator:
        """As the fit's, of some of the patterns."""
        xp, model = resolve_device(self._engine_device), self._nominal_model()
        some = np.unique(np.linspace(0, len(model.positions) - 1, patterns).astype(int))
        beam = self._beam if self._beam is not None else self._mean_diffraction_intensity
        measured = np.stack([np.square(self._amplitudes[n], dtype=np.float32) for n in some])
        measured /= np.float32(beam)
        weights = None if self._detector_weights.all() else xp.asarray(self._detector_weights)
        return Evaluator(
            replace(model, positions=model.positions[some]),
            xp.asarray(measured),
            make_loss(loss),
            weights=weights,
        )
