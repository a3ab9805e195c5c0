"""What a fit by the engine needs besides model and data, and how its snapshots become results."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np

from caviar_kit import multislice, validation
from caviar_kit._adapter.parent import Parent
from caviar_kit.available_memory import require_memory
from caviar_kit.backend import default_threads, resolve_device
from caviar_kit.illumination import unit_probe
from caviar_kit.multislice.dask_client import check_client, running_workers
from caviar_kit.multislice.memory import estimate_memory

__all__ = ["Fitting", "releasing"]


class Fitting(Parent):
    """Settings, start, memory and results of a fit."""

    _num_object_states: int
    _constructor_arguments: dict[str, Any]
    _seed: int
    _fitted_object_type: str
    _engine_device: str
    _object_guess: np.ndarray | None
    _model: multislice.MultisliceModel
    _unit_probe: np.ndarray
    _streaming: str | None
    error_iterations: list[float]
    held_out_iterations: list[float]
    _fit_record: dict[str, Any] | None = None

    def _require_preprocess(self) -> None:
        if not getattr(self, "_preprocessed", False):
            raise ValueError("run preprocess() first")

    def _fit_settings(
        self, max_iter: int, one_state_iter: int, reset: bool, settings: dict[str, Any]
    ) -> tuple[multislice.FitSettings, Any]:
        settings = dict(settings)
        states = settings.pop("num_object_states", None)
        states = (
            self._num_object_states if states is None else validation.integer("num_object_states", states)
        )
        allowed = set(multislice.FitSettings.__dataclass_fields__) - {
            "num_states",
            "max_iter",
            "one_state_iter",
        }
        if unknown := sorted(set(settings) - allowed):
            raise TypeError(f"unknown setting {', '.join(unknown)}; allowed are {', '.join(sorted(allowed))}")
        start = self._object_guess if reset else self._object
        defaults: dict[str, Any] = {"seed": self._seed, "object_type": self._fitted_object_type}
        if start is not None:
            defaults["refine_after"] = 0  # there is something to see
        fit = multislice.FitSettings(
            num_states=states,
            max_iter=max_iter,
            one_state_iter=one_state_iter if reset else 0,
            **{**defaults, **settings, **({} if reset else {"stochastic_iter": 0})},
        )
        return fit, start

    @property
    def num_object_states(self) -> int:
        """States of the object in the next fit: the constructor's, or those of the last fit."""
        return self._num_object_states

    @property
    def object_shape(self) -> tuple[int, int]:
        """Pixels (y, x) of the object; after preprocess.

        Raises
        ------
        ValueError
            If preprocess was not run.
        """
        self._require_preprocess()
        return self._model.object_shape

    def _take_states(self, count: int) -> None:
        self._num_object_states = count
        self._constructor_arguments = {**self._constructor_arguments, "num_object_states": count}  # as saved

    @property
    def fit_record(self) -> dict[str, Any]:
        """Seed and device of the last fit, JSON-ready; empty if there was none, as after reading a file."""
        return dict(self._fit_record or {})

    def _take_record(self, fit: multislice.FitSettings) -> None:
        device = "cpu" if resolve_device(self._engine_device) is np else "gpu"
        self._fit_record = {"seed": fit.seed, "device": device}

    def _starting_probe(self, reset: bool) -> np.ndarray:
        return unit_probe(self._probe_initial) if reset else self._unit_probe

    def estimate_memory(
        self, *, checkpoint: bool = False, client: Any = None, **settings: Any
    ) -> dict[str, int]:
        """Bytes that ``reconstruct`` would take beside the data cube; after preprocess.

        Parameters
        ----------
        checkpoint : bool
            Whether checkpoints are to be written.
        client : distributed.Client, optional
            To a Dask cluster whose workers are to share the patterns; what they take is not counted.
        **settings
            ``max_iter``, ``one_state_iter``, ``num_object_states`` and further fields of
            :class:`caviar_kit.multislice.FitSettings`, as for :meth:`reconstruct`.

        Returns
        -------
        dict
            Of each part; on "host" and GPU "device"; their "total".

        Raises
        ------
        TypeError, ValueError
            If a setting is unknown or not usable, preprocess was not run, or ``client`` is no synchronous
            Dask client.
        """
        self._require_preprocess()
        iterations = settings.pop("max_iter", 100), settings.pop("one_state_iter", 20)
        fit, _ = self._fit_settings(*iterations, True, settings)
        estimate = self._estimate(fit, checkpoint, client)
        held = int(self._amplitudes.nbytes) if self._streaming is None else 0
        sums = {"host": estimate["host"] + held, "total": estimate["total"] + held}
        return {**estimate, "amplitudes that py4DSTEM keeps": held, **sums}

    def _estimate(self, fit: multislice.FitSettings, checkpoint: bool, client: Any) -> dict[str, int]:
        """What a fit takes beside what is taken already."""
        workers = 0
        if client is not None:
            check_client(client)
            workers = max(1, len(running_workers(client)))  # where there is none, the fit waits for one
        gpu = resolve_device(self._engine_device) is not np
        return estimate_memory(
            self._model,
            fit,
            num_probes=len(self._unit_probe),
            threads=default_threads(),
            gpu=gpu,
            streamed=self._streaming is not None,
            checkpoint=checkpoint,
            workers=workers,
        )

    def _require_memory(self, fit: multislice.FitSettings, checkpoint: bool, client: Any) -> None:
        require_memory(self._estimate(fit, checkpoint, client), resolve_device(self._engine_device), fit)

    def _iterate(
        self, steps: Iterator[multislice.Snapshot], reset: bool, fit: multislice.FitSettings
    ) -> Iterator[multislice.Snapshot]:
        """Pass the snapshots on; the last one complete becomes the result, however the fit ends.

        With the first one the earlier result is given up: a fit that never gets there leaves it whole.
        """
        snapshot, losses, held_out = None, [], []
        if not reset:
            losses, held_out = list(self.error_iterations), list(self.held_out_iterations)
        try:
            with closing(steps):  # type: ignore[type-var]
                for count, snapshot in enumerate(steps):
                    if count == 0:
                        self._take_states(fit.num_states)
                        self._take_record(fit)
                        if reset:
                            self._forget_instrument()
                    self.error_iterations = [*losses, *snapshot.losses]
                    self.held_out_iterations = [*held_out, *map(_or_nan, snapshot.held_out_losses)]
                    yield snapshot
        finally:
            if snapshot is not None:
                self._store(snapshot)


def releasing(
    steps: Iterator[multislice.Snapshot], evaluator: multislice.DistributedEvaluator
) -> Iterator[multislice.Snapshot]:
    """The same snapshots; when no more are asked for, the workers forget the patterns."""
    with closing(evaluator), closing(steps):  # type: ignore[type-var]
        yield from steps


def _or_nan(loss: float | None) -> float:
    return math.nan if loss is None else loss
