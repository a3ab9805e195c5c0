"""What a fit yields after every iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from caviar_kit.multislice.checkpoint import Checkpoint
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.objective import Objective

__all__ = ["Snapshot"]

Array = Any


class Fit(Protocol):
    """What a snapshot asks of the fit that it shows."""

    turn: int  # which snapshot is the latest

    def checkpoint(self) -> Checkpoint:
        """Everything, as it is between two iterations."""
        ...


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Where the fit stands after an iteration.

    ``object``, ``probe`` and ``instrument`` are computed when asked for; they stay valid after the
    generator has moved on, but :meth:`checkpoint` is only to be had before.
    """

    stage: str
    iteration: int  # over all stages, from 1
    total_iterations: int
    loss: float  # misfit and penalties
    held_out_loss: float | None  # misfit of the patterns that the fit does not see
    seconds: float  # since the start of the fit
    losses: tuple[float, ...]  # of all snapshots up to this one
    held_out_losses: tuple[float | None, ...]
    _objective: Objective
    _vector: Array
    _fit: Fit
    _turn: int

    @property
    def object(self) -> Array:
        """Transmission functions, complex (states, slices, y, x)."""
        return self._objective.transmission(self._vector)

    @property
    def probe(self) -> Array:
        """Probe modes, complex (modes, y, x), centred in the window."""
        return self._objective.scene(self._vector).probe

    @property
    def instrument(self) -> Instrument:
        """Positions, tilts, thicknesses, beam and background."""
        return self._objective.scene(self._vector).instrument

    def checkpoint(self) -> Checkpoint:
        """What :func:`run` needs to go on from here.

        Raises
        ------
        RuntimeError
            If the generator has moved on.
        """
        if self._fit.turn != self._turn:
            raise RuntimeError(
                f"the fit has gone on after iteration {self.iteration}: take the latest snapshot's checkpoint"
            )
        return self._fit.checkpoint()
