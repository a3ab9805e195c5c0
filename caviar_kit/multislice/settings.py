"""What a fit does, validated on construction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from caviar_kit import validation
from caviar_kit.multislice.instrument import QUANTITIES

__all__ = ["REFINABLE", "FitSettings", "Stage"]

REFINABLE = ("probe", "aberrations", *QUANTITIES)


@dataclass(frozen=True)
class Stage:
    """A part of the fit that keeps its unknowns.

    Attributes
    ----------
    name : str
        "stochastic start", "object alone", "one state", "thinned scan" or "states".
    states, iterations : int
        States of the object, iterations at most.
    refine : tuple of str
        Unknowns besides the object.
    thinned : bool
        Whether only every other scan position counts.
    stochastic : bool
        Whether it is one of Adam with a falling step, whatever the optimiser of the others.
    """

    name: str
    states: int
    iterations: int
    refine: tuple[str, ...] = ()
    thinned: bool = False
    stochastic: bool = False


@dataclass(frozen=True)
class FitSettings:
    """What the fit does; validated on construction.

    Parameters
    ----------
    num_states : int
        States of the object.
    max_iter : int
        Iterations of the ensemble fit over all positions.
    one_state_iter : int
        Iterations of the one-state fit before it, each ``num_states`` times cheaper; 0 to go
        on from a given object with ``num_states`` states (and ``stochastic_iter=0``).
    stochastic_iter : int
        Epochs of Adam with ``batch_size`` positions per update that come before all else, with one
        state and the object alone; the step falls from ``step_size`` to a tenth. In thick crystals 15
        epochs in small batches do more than 60 iterations of L-BFGS. No part of a fit that goes on
        (``reconstruct(reset=False)``).
    thinned_iter : int
        Iterations of the ensemble fit over every other position, between the two: each costs
        half, and neighbouring patterns share most of what they tell.
    object_type : {"phase", "complex"}
        Unknowns of the object, see :mod:`caviar_kit.multislice.object_model`.
    refine : str or sequence of str
        Unknowns besides the object: "probe", "aberrations", and those of
        :class:`caviar_kit.multislice.instrument.InstrumentModel`: "positions", "tilt", "position tilt",
        "thickness", "beam", "background".
    refine_first : str or sequence of str
        Unknowns of the one-state fit only, kept as found there by the ensemble fit.
    refine_after : int
        Iterations of the one-state fit that see the object alone, before the other unknowns join: in
        vacuum no pattern depends on a position or a tilt, so an empty object cannot tell how large a
        change of them is. 0 if the fit begins with an object.
    constraints : sequence
        Of :mod:`caviar_kit.multislice.projections` and :mod:`caviar_kit.multislice.penalties`.
    probe_aperture_mrad : float or None
        Semi-angle beyond which a refined probe has no intensity [mrad].
    probe_window : float or None
        Radius of the disc to which a refined probe is confined, as a fraction of half the window.
    optimizer : {"lbfgs", "adam"}
        L-BFGS over all positions, or Adam over random batches of ``batch_size``.
    batch_size : int or "auto"
        Positions per update of Adam. "auto" is an eighth of those fitted, 8 at least and 64 at most.
        Memory does not depend on it: the waves are those of one position at a time.
    step_size : float
        Step of Adam [rad, for a phase object].
    history : int
        Pairs kept by L-BFGS.
    state_gain : float
        Conditioning, see :class:`caviar_kit.multislice.conditioning.StateGain`.
    held_out_fraction : float
        Fraction of the patterns that the fit does not see; their loss shows over-fitting.
    patience : int
        Iterations without a lower held-out loss after which a stage ends with its best iteration;
        0 never ends one early.
    thermal_rms_angstrom : float
    thermal_correlation_angstrom : float or sequence of float
        Random warps that split one state into many, see
        :func:`caviar_kit.multislice.ensemble.thermal_states`.
    warp_slices_together : bool
        Whether all slices of a state share a warp, as bonded columns move; False for layers that hardly
        feel each other.
    seed : int
        Seed of everything random.

    Raises
    ------
    TypeError, ValueError
        If a value is not usable.
    """

    num_states: int = 12
    max_iter: int = 100
    one_state_iter: int = 20
    stochastic_iter: int = 0
    thinned_iter: int = 0
    object_type: str = "phase"
    refine: str | Sequence[str] = ()
    refine_first: str | Sequence[str] = ()
    refine_after: int = 5
    constraints: Sequence[Any] = ()
    probe_aperture_mrad: float | None = None
    probe_window: float | None = None
    optimizer: str = "lbfgs"
    batch_size: int | str = 32
    step_size: float = 0.01
    history: int = 20
    state_gain: float = 2.0
    held_out_fraction: float = 0.0
    patience: int = 0
    thermal_rms_angstrom: float = 0.03
    thermal_correlation_angstrom: float | Sequence[float] = 0.5
    warp_slices_together: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.batch_size, str):
            validation.choice("batch_size", self.batch_size, ("auto",))
        else:
            validation.integer("batch_size", self.batch_size)
        for name in ("num_states", "history"):
            validation.integer(name, getattr(self, name))
        counts = "max_iter", "one_state_iter", "stochastic_iter", "thinned_iter", "refine_after", "patience"
        for name in (*counts, "seed"):
            validation.integer(name, getattr(self, name), minimum=0)
        for name in ("step_size", "state_gain"):
            validation.number(name, getattr(self, name), minimum=0, open_minimum=True)
        self._check_warps()
        validation.choice("object_type", self.object_type, ("complex", "phase"))
        validation.choice("optimizer", self.optimizer, ("adam", "lbfgs"))
        validation.number("held_out_fraction", self.held_out_fraction, minimum=0, maximum=0.5)
        if self.patience and not self.held_out_fraction:
            raise ValueError("patience needs held_out_fraction above 0: it watches the held-out patterns")
        for name in ("refine", "refine_first"):
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        if {"probe", "aberrations"} <= {*self.refine, *self.refine_first}:
            raise ValueError(
                "refine must name 'probe' or 'aberrations', not both: a free probe has any phase"
            )
        own = {"positions", "position tilt", "beam"} & {*self.refine, *self.refine_first}
        if self.patience and own:
            raise ValueError(
                f"patience cannot go with refining {' and '.join(sorted(own))}: each pattern has its own, "
                "and nothing refines those of held-out patterns; refine first, then fit again with patience"
            )
        self._check_probe_constraints()
        object.__setattr__(self, "constraints", _constraints(self.constraints))

    def _check_warps(self) -> None:
        if not isinstance(self.warp_slices_together, bool):
            raise TypeError(f"warp_slices_together must be True or False, got {self.warp_slices_together!r}")
        hint = "atoms vibrate by some 0.05 to 0.15 Å"
        validation.number(
            "thermal_rms_angstrom", self.thermal_rms_angstrom, minimum=0, maximum=1, unit="Å", hint=hint
        )
        sizes = self.thermal_correlation_angstrom
        sizes = sizes if isinstance(sizes, (tuple, list)) else (sizes,)
        if not sizes:
            raise ValueError("thermal_correlation_angstrom must name at least one length")
        for size in sizes:
            validation.number("thermal_correlation_angstrom", size, minimum=0, open_minimum=True, unit="Å")

    def _check_probe_constraints(self) -> None:
        if self.probe_aperture_mrad is not None:
            validation.number(
                "probe_aperture_mrad", self.probe_aperture_mrad, minimum=0.5, maximum=500, unit="mrad"
            )
        if self.probe_window is not None:
            validation.number("probe_window", self.probe_window, minimum=0, maximum=1.5, open_minimum=True)
        given = self.probe_aperture_mrad is not None or self.probe_window is not None
        if given and "probe" not in {*self.refine, *self.refine_first}:
            raise ValueError("probe_aperture_mrad and probe_window constrain a refined probe: refine 'probe'")

    def batch(self, positions: int) -> int:
        """Positions per update of Adam if so many are fitted."""
        return min(64, max(8, positions // 8)) if isinstance(self.batch_size, str) else self.batch_size

    @property
    def stages(self) -> list[Stage]:
        """What is done, in order."""
        refine = tuple(self.refine)
        first = (*refine, *(name for name in self.refine_first if name not in refine))
        single = self.max_iter if self.num_states == 1 else self.one_state_iter
        alone = min(self.refine_after, single - 1) if first and single else 0
        stages = [
            Stage("stochastic start", 1, self.stochastic_iter, stochastic=True),
            Stage("object alone", 1, alone),
            Stage("one state", 1, single - alone, first),
        ]
        if self.num_states > 1:
            stages += [
                Stage("thinned scan", self.num_states, self.thinned_iter, refine, thinned=True),
                Stage("states", self.num_states, self.max_iter, refine),
            ]
        return [stage for stage in stages[:-1] if stage.iterations] + stages[-1:]

    @property
    def total_iterations(self) -> int:
        """Iterations of all stages, if none ends early."""
        return sum(stage.iterations for stage in self.stages)


def _names(argument: str, value: str | Sequence[str]) -> tuple[str, ...]:
    if not isinstance(value, Iterable):
        raise TypeError(f"{argument} must be a name or a sequence of names, got {value!r}")
    names = (value,) if isinstance(value, str) else tuple(value)
    for name in names:
        validation.choice(argument, name, REFINABLE)
    if len(set(names)) < len(names):
        raise ValueError(f"{argument} must not name a quantity twice, got {names}")
    return names


def _constraints(value: Any) -> tuple[Any, ...]:
    constraints = tuple(value) if isinstance(value, Iterable) else (value,)
    for constraint in constraints:
        if not (hasattr(constraint, "forward") or hasattr(constraint, "value_and_gradient")):
            raise TypeError(
                "constraints must be projections or penalties of caviar_kit.multislice, "
                f"got {type(constraint).__name__}"
            )
    return constraints
