"""An ensemble of states as something to look at: pictures, common contrast, origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations.phase import slice_phases

if TYPE_CHECKING:
    from caviar_kit.datasets import ObjectEnsemble
    from caviar_kit.ptychography import MixedObjectMultislicePtychography
    from caviar_kit.results import EnsembleResult

__all__ = ["KINDS", "EnsembleView", "view_ensemble"]

KINDS = ("phase", "difference")
_CLIPPED_PERCENT = 0.1  # of the pixels at either end lie outside the contrast limits
_COUNTED_PIXELS = 2_000_000  # about as many are enough for the common limits


@dataclass(frozen=True, eq=False)
class EnsembleView:
    """Phases of all states and slices, with probe modes and columns where they are known.

    Attributes
    ----------
    phases : (states, slices, y, x) float32
        Phase of each slice [rad]. The constant that ptychography leaves free is taken out: the mean of a
        slice over all states and pixels is 0.
    sampling : (2,) float
        Pixel size (y, x) [Å].
    probe : (modes, y, x) complex, optional
        Probe modes, centred, on the same pixels; the largest amplitude of all is 1.
    tracked : (states, atoms, 2) float, optional
        Columns in every state, y then x [Å], from pixel (0, 0) of ``phases``.
    origin : dict
        Where it comes from: parameters, seed, loss, name, JSON-ready.
    """

    phases: np.ndarray
    sampling: np.ndarray
    probe: np.ndarray | None = None
    tracked: np.ndarray | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def _projected(self) -> np.ndarray:
        return np.asarray(self.phases.sum(axis=1, dtype=np.float64), dtype=np.float32)

    def image(self, kind: str, state: int, slice_index: int | None = None) -> np.ndarray:
        """One picture (y, x) [rad].

        Parameters
        ----------
        kind : {"phase", "difference"}
            The state itself, or what differs from the mean over the states. The mean of a difference is 0:
            patterns do not determine the constant phase of a state.
        state : int
        slice_index : int, optional
            One slice; the sum of all slices by default.

        Raises
        ------
        TypeError, ValueError
            If there is no such kind, state or slice.
        """
        stack = self._stack(kind, slice_index)
        state = validation.integer("state", state, minimum=0, maximum=len(stack) - 1)
        if kind == "phase":
            return np.asarray(stack[state])
        away = stack[state] - stack.mean(axis=0)
        return np.asarray(away - away.mean())

    def limits(
        self, kind: str, *, projected: bool, state: int | None = None, slice_index: int | None = None
    ) -> tuple[float, float]:
        """Contrast limits [rad], one pixel in a thousand beyond either of them.

        Parameters
        ----------
        kind : {"phase", "difference"}
            Of "difference" the limits are symmetric about 0.
        projected : bool
            Of the sums over all slices, else of slices.
        state, slice_index : int, optional
            Of this picture only; by default of all states and slices.

        Returns
        -------
        (low, high)
            Different even where all pixels are equal.
        """
        validation.choice("kind", kind, KINDS)
        if state is not None:
            low, high = _spread(self.image(kind, state, None if projected else slice_index))
        elif (kind, projected) in self._held:
            low, high = self._held[kind, projected]
        else:
            low, high = self._held[kind, projected] = self._common(kind, projected)
        if kind == "difference":
            high = max(abs(low), abs(high))
            low = -high
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    @cached_property
    def _held(self) -> dict[tuple[str, bool], tuple[float, float]]:
        return {}

    def _common(self, kind: str, projected: bool) -> tuple[float, float]:
        stack = self._projected if projected else self.phases
        step = max(1, stack.size // _COUNTED_PIXELS)
        some = stack.reshape(len(stack), -1)[:, ::step]
        if kind == "phase":
            return _spread(some)
        constant = stack.mean(axis=(-2, -1), keepdims=True)  # of each picture: free, as in `image`
        constant = np.broadcast_to(constant, stack.shape).reshape(len(stack), -1)[:, ::step]
        own = some - constant
        return _spread(own - own.mean(axis=0))

    def _stack(self, kind: str, slice_index: int | None) -> np.ndarray:
        validation.choice("kind", kind, KINDS)
        if slice_index is None:
            return self._projected
        last = self.phases.shape[1] - 1
        return self.phases[:, validation.integer("slice_index", slice_index, minimum=0, maximum=last)]


def view_ensemble(source: Any, tracked: ArrayLike | None = None) -> EnsembleView:
    """Take from ``source`` what can be looked at.

    Parameters
    ----------
    source : MixedObjectMultislicePtychography, ObjectEnsemble or EnsembleResult
        Of a reconstruction the scanned field is shown.
    tracked : (states, atoms, 2), optional
        Columns in every state, as `caviar_kit.track_atoms` returns them in the frame of the whole object,
        y then x [Å]. An EnsembleResult has its own.

    Raises
    ------
    TypeError
        If ``source`` is something else.
    ValueError
        If it was not reconstructed, or ``tracked`` has other states.
    """
    from caviar_kit.datasets import ObjectEnsemble
    from caviar_kit.ptychography import MixedObjectMultislicePtychography
    from caviar_kit.results import EnsembleResult

    columns = None if tracked is None else validation.as_array("tracked", tracked, shape=(None, None, 2))
    if isinstance(source, MixedObjectMultislicePtychography):
        view = _of_ptychography(source, columns)
    elif isinstance(source, ObjectEnsemble):
        view = _of_states(source, columns)
    elif isinstance(source, EnsembleResult):
        view = _of_result(source, columns)
    else:
        raise TypeError(
            "source must be a MixedObjectMultislicePtychography, an ObjectEnsemble or an EnsembleResult, "
            f"got {type(source).__name__}"
        )
    if view.tracked is not None and len(view.tracked) != len(view.phases):
        raise ValueError(
            f"tracked must have the {len(view.phases)} states of the source, got {len(view.tracked)}"
        )
    return view


def _of_ptychography(source: MixedObjectMultislicePtychography, tracked: np.ndarray | None) -> EnsembleView:
    if not getattr(source, "error_iterations", None):
        raise ValueError("source has no states yet: run preprocess() and reconstruct() first")
    field_of_scan, first = source._scanned_field()
    sampling = np.array(source.sampling, dtype=float)
    known = source.constructor_parameters()
    parameters = {key: value for key, value in known.items() if np.ndim(value) < 2}
    return EnsembleView(
        phases=_centred(field_of_scan),
        sampling=sampling,
        probe=_scaled(np.asarray(source.probe)),
        tracked=None if tracked is None else tracked - first * sampling,
        origin={
            "source": type(source).__name__,
            "name": source.name,
            "parameters": parameters,
            "seed": parameters["seed"],
            **_losses(source.error_iterations),
        },
    )


def _of_states(source: ObjectEnsemble, tracked: np.ndarray | None) -> EnsembleView:
    return EnsembleView(
        phases=_centred(source.object),
        sampling=source.sampling,
        tracked=tracked,
        origin={
            "source": "ObjectEnsemble",
            "name": source.name,
            "parameters": dict(source.parameters),
            "seed": source.seed,
            "versions": dict(source.versions),
            **_losses(source.loss),
        },
    )


def _of_result(source: EnsembleResult, tracked: np.ndarray | None) -> EnsembleView:
    phases = source.phases - source.phases.mean(dtype=np.float64)
    return EnsembleView(
        phases=phases[:, None].astype(np.float32),
        sampling=np.asarray(source.sampling, dtype=float),
        tracked=source.tracked if tracked is None else tracked,
        origin={
            "source": "EnsembleResult",
            "name": source.name,
            "preset": source.preset,
            "seconds": source.seconds,
            "seed": None,  # the result does not keep it
            **_losses(source.loss),
        },
    )


def _centred(obj: np.ndarray) -> np.ndarray:
    """Phase of each slice, float32 (states, slices, y, x), its mean over states and pixels taken out."""
    phases = np.empty(obj.shape, np.float32)
    for index in range(obj.shape[1]):  # one slice at a time: in double precision an object can be large
        phase = slice_phases(obj, [index])[:, 0]
        phases[:, index] = phase - phase.mean()
    return phases


def _scaled(probe: np.ndarray) -> np.ndarray:
    largest = abs(probe).max()
    return probe / largest if largest > 0 else probe


def _losses(loss: Any) -> dict[str, Any]:
    values = [] if loss is None else [float(value) for value in loss]
    return {"iterations": len(values), "loss": values[-1] if values else None}


def _spread(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, (_CLIPPED_PERCENT, 100 - _CLIPPED_PERCENT))
    return float(low), float(high)
