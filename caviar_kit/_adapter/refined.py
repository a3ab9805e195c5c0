"""What a fit found besides object and probe: the instrument, and the loss of patterns held out."""

from __future__ import annotations

import math
import os
from dataclasses import fields, replace
from typing import Any, Self

import numpy as np

from caviar_kit import multislice
from caviar_kit._adapter.handover import Handover
from caviar_kit._saved import SavedReconstruction
from caviar_kit.backend import to_numpy
from caviar_kit.reading import read

__all__ = ["Refined"]


class Refined(SavedReconstruction, Handover):
    """The refined instrument: kept, shown, saved, and where the next fit begins."""

    _instrument: multislice.Instrument | None = None
    _num_object_states: int
    _model: multislice.MultisliceModel
    held_out_iterations: list[float]

    @property
    def instrument(self) -> multislice.Instrument:
        """Positions [pixel], tilts, slice distances, beam and background as the last fit left them.

        Before one, or where nothing was refined, those of calibration and constructor.

        Raises
        ------
        ValueError
            If preprocess was not run.
        """
        if self._instrument is not None:
            return self._instrument
        if not hasattr(self, "_model"):
            raise ValueError("run preprocess() first")
        return multislice.Instrument.nominal(self._model)

    def _store(self, snapshot: multislice.Snapshot) -> None:
        super()._store(snapshot)
        found = snapshot.instrument
        background = None if found.background is None else to_numpy(found.background)
        self._instrument = replace(found, background=background)
        if not np.array_equal(found.positions, self._model.positions):
            self._positions_px = found.positions.astype(self._positions_px_initial.dtype)

    def _forget_instrument(self) -> None:
        """Back to the instrument as calibrated."""
        self._instrument, self._model = None, self._nominal_model()
        self._positions_px = self._positions_px_initial.copy()

    def _forget_results(self) -> None:
        super()._forget_results()
        self._instrument, self.held_out_iterations = None, []

    def _take_over_positions(self) -> None:
        """After py4DSTEM's own gradient descent, which moves positions and holds nothing out."""
        self._model = self._make_model()
        if self._instrument is not None:
            self._instrument = replace(self._instrument, positions=self._model.positions)
        missing = len(self.error_iterations) - len(self.held_out_iterations)
        self.held_out_iterations += [math.nan] * missing

    def restore(self, path: str | os.PathLike[str]) -> Self:
        """Go back to a reconstruction of these data that was saved.

        Parameters
        ----------
        path : path
            A file that :meth:`save` wrote.

        Returns
        -------
        self

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        TypeError, ValueError
            If it is damaged or holds something else, preprocess was not run, or object, probe, pixels or scan
            are others here. Nothing is changed then.
        """
        if not getattr(self, "_preprocessed", False):
            raise ValueError("run preprocess() first")
        saved = read(path)
        state = getattr(saved, "_saved_state", None)
        if not isinstance(saved, Refined) or state is None:
            raise TypeError(f"{os.fspath(path)} holds a {type(saved).__name__}, not a reconstruction")
        before = self._saved_state, self._num_object_states
        try:
            self._take_states(saved._num_object_states)
            self._check_resumable(state)
            self._saved_state = state
            self._resume()
        except ValueError:
            self._take_states(before[1])
            raise
        finally:
            self._saved_state = before[0]
        return self

    # Saving --------------------------------------------------------------------------------

    def _fitted_besides(self) -> dict[str, Any]:
        now, saved = self._instrument, self._saved_state
        nominal = self._model.positions if hasattr(self, "_model") else None
        if nominal is None and saved is not None:  # read, and not preprocessed since
            nominal = saved.besides.get("nominal_positions_px")
        return {
            "nominal_positions_px": nominal,
            "held_out_loss": np.array(self.held_out_iterations, float),
            "instrument": {} if now is None else {f.name: getattr(now, f.name) for f in fields(now)},
        }

    def _restore_besides(self, fitted: dict[str, Any]) -> None:
        found = fitted.get("instrument") or None
        self._instrument = None if found is None else multislice.Instrument(**found)
        self.held_out_iterations = list(map(float, fitted.get("held_out_loss", ())))
        nominal = fitted.get("nominal_positions_px")
        if getattr(self, "_preprocessed", False) and nominal is not None:
            self._model = replace(self._model, positions=nominal)
