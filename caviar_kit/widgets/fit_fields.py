"""The settings of a fit that a panel shows: a table, and how its values become arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from caviar_kit import validation
from caviar_kit.multislice import (
    FitSettings,
    IdenticalSlices,
    LowPass,
    Positivity,
    StateVariance,
    TotalVariation,
)
from caviar_kit.multislice.settings import REFINABLE

__all__ = ["FIELDS", "GROUPS", "Field", "arguments", "checked", "defaults", "values_of"]

GROUPS = {  # title: what it is about
    "Iterations": "First one state is fitted, then, from its warped copies, all of them.",
    "Method": "How well model and patterns agree, and how the fit goes downhill.",
    "Unknowns": "What is fitted besides the object.",
    "Thermal start": "How the copies of the one state are warped before they go their own ways.",
    "Constraints": "What is known of the object beforehand; 0 turns a constraint off.",
    "Held-out patterns": "Patterns that the fit does not see tell when it begins to explain noise; 0: none.",
}
_CONSTRAINTS = (
    *("positivity", "total_variation", "state_variance", "state_variance_cutoff"),
    *("low_pass", "identical_slices"),
)


@dataclass(frozen=True)
class Field:
    """One setting: its name as an argument or constraint, group, default, what it does, what is allowed."""

    name: str
    group: str
    default: Any
    label: str
    tooltip: str
    options: tuple[str, ...] = ()  # of a text, or of a tuple of texts
    minimum: int = 0  # of an integer
    maximum: int = 10**6


def _field(name: str, group: int, label: str, tooltip: str, default: Any = None, **more: Any) -> Field:
    value = getattr(FitSettings(), name) if default is None else default
    return Field(name, list(GROUPS)[group], value, label, tooltip, **more)


FIELDS = (
    _field("num_object_states", 0, "object states", "How many states the object has.", 12, minimum=1),
    _field("max_iter", 0, "iterations", "Iterations with all states."),
    _field("one_state_iter", 0, "with one state", "Iterations with one state, before."),
    _field("stochastic_iter", 0, "stochastic", "Epochs of Adam before all else; for thick crystals."),
    _field("thinned_iter", 0, "thinned scan", "Iterations over every other position, between the two."),
    _field("reset", 0, "start afresh", "Off: go on from the present states and probe.", True),
    _field(
        "loss",
        1,
        "loss",
        "Poisson for counted electrons; amplitude for high dose.",
        "amplitude",
        options=("amplitude", "poisson"),
    ),
    _field("optimizer", 1, "optimiser", "L-BFGS sees all patterns, Adam batches.", options=("lbfgs", "adam")),
    _field("batch_size", 1, "batch size", "Positions per update of Adam.", minimum=1),
    _field("step_size", 1, "step size", "Largest typical change per update of Adam."),
    _field("history", 1, "history", "Pairs that L-BFGS remembers; as large as two objects each.", minimum=1),
    _field("state_gain", 1, "state gain", "Conditioning of what differs between states; 1 for none."),
    _field(
        "object_type",
        2,
        "object",
        "A pure phase has half the unknowns and no absorption.",
        "as constructed",
        options=("as constructed", "phase", "complex"),
    ),
    _field("refine", 2, "refine", "Unknowns besides the object; Ctrl chooses several.", options=REFINABLE),
    _field("refine_first", 2, "refine first", "Unknowns of the one-state fit only.", options=REFINABLE),
    _field("refine_after", 2, "refine after", "Iterations of the object alone before they join."),
    _field("probe_aperture_mrad", 2, "aperture (mrad)", "Keeps a refined probe inside; 0 for none.", 0.0),
    _field("probe_window", 2, "probe window", "Part of the window a refined probe may fill; 0: all.", 0.0),
    _field("thermal_rms_angstrom", 3, "rms (Å)", "Displacement by which copies of one state are warped."),
    _field("thermal_correlation_angstrom", 3, "correlation (Å)", "Length over which a warp is smooth."),
    _field("warp_slices_together", 3, "slices together", "Off for layers that hardly feel each other."),
    _field("positivity", 4, "positivity", "Weight of negative phases; begin with 1e-2.", 0.0),
    _field("total_variation", 4, "total variation", "Weight of the mean slope; begin with 1e-5.", 0.0),
    _field("state_variance", 4, "state variance", "Weight of fine differences; begin with 1e-3.", 0.0),
    _field(
        "state_variance_cutoff",
        4,
        "fine: above (1/Å)",
        "Spatial frequency where fine differences begin.",
        1.5,
    ),
    _field("low_pass", 4, "low pass (1/Å)", "Highest spatial frequency of the object; 0: none.", 0.0),
    _field("identical_slices", 4, "identical slices", "All slices of a state are equal.", False),
    _field("held_out_fraction", 5, "held out", "Fraction of patterns that the fit does not see."),
    _field(
        "patience",
        5,
        "patience",
        "Iterations without a better held-out loss that end a stage.",
    ),
)
_BY_NAME = {field.name: field for field in FIELDS}


def defaults() -> dict[str, Any]:
    """Value of every setting unless chosen otherwise."""
    return {field.name: field.default for field in FIELDS}


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, each of the type of its field.

    Raises
    ------
    TypeError, ValueError
        If a name is unknown, or a value of another type or none of the options.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"settings must map names to values, got {type(values).__name__}")
    if unknown := sorted(set(map(str, values)) - set(_BY_NAME)):
        raise ValueError(f"unknown setting {', '.join(unknown)}; known are {', '.join(_BY_NAME)}")
    return {name: _checked(_BY_NAME[name], value) for name, value in values.items()}


def values_of(fit: FitSettings) -> dict[str, Any]:
    """What a panel shows for ``fit``: every field that it has, except for constraints.

    Raises
    ------
    TypeError, ValueError
        If ``fit`` has something that no field shows.
    """
    if not isinstance(fit, FitSettings):
        raise TypeError(f"a preset must be FitSettings or map names to values, got {type(fit).__name__}")
    if fit.constraints:
        raise ValueError("a preset's constraints are given by their names and weights, not as objects")
    known = {name: getattr(fit, name) for name in _BY_NAME if hasattr(fit, name)}
    missing = {"probe_aperture_mrad": 0.0, "probe_window": 0.0}
    known |= {name: value for name, value in missing.items() if known[name] is None}
    return checked({**known, "num_object_states": fit.num_states})


def arguments(
    values: Mapping[str, Any], *, sampling: Sequence[float], object_shape: Sequence[int]
) -> dict[str, Any]:
    """Arguments of ``iterate`` for values of all fields.

    Parameters
    ----------
    values : mapping
        Of all fields.
    sampling : (y, x)
        Pixel size of the object [Å].
    object_shape : (y, x)
        Its pixels.

    Raises
    ------
    TypeError, ValueError
        If a value is not usable.
    """
    found = {**defaults(), **checked(values)}
    chosen = {name: value for name, value in found.items() if name not in _CONSTRAINTS}
    for name in ("probe_aperture_mrad", "probe_window"):
        chosen[name] = chosen[name] or None
    if chosen["object_type"] == "as constructed":
        del chosen["object_type"]
    if chosen["refine_after"] == FitSettings().refine_after:
        del chosen["refine_after"]  # which is 0 where there is an object to begin with
    pixel, shape = (float(sampling[0]), float(sampling[1])), (int(object_shape[0]), int(object_shape[1]))
    return {**chosen, "constraints": tuple(_constraints(found, pixel, shape))}


def _constraints(values: Mapping[str, Any], pixel: tuple[float, float], shape: tuple[int, int]) -> list[Any]:
    chosen: list[Any] = []
    if values["low_pass"]:
        cutoff = float(values["low_pass"])
        chosen.append(LowPass(shape, pixel, cutoff, 0.1 * cutoff))
    if values["identical_slices"]:
        chosen.append(IdenticalSlices())
    if values["positivity"]:
        chosen.append(Positivity(values["positivity"]))
    if values["total_variation"]:
        chosen.append(TotalVariation(values["total_variation"], 0.05, pixel))
    if values["state_variance"]:
        chosen.append(StateVariance(values["state_variance"], values["state_variance_cutoff"], pixel))
    return chosen


def _checked(field: Field, value: Any) -> Any:
    name, default = field.name, field.default
    if isinstance(default, tuple):
        listed = (value,) if isinstance(value, str) else value
        if not isinstance(listed, Sequence):
            raise TypeError(f"{name} must be names out of {', '.join(field.options)}, got {value!r}")
        return tuple(validation.choice(name, one, field.options) for one in listed)
    if isinstance(default, str):
        return validation.choice(name, value, field.options)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, got {value!r}")
        return value
    if isinstance(default, Integral):
        return validation.integer(name, value, minimum=field.minimum, maximum=field.maximum)
    if isinstance(value, Real):
        return validation.number(name, value, minimum=0)
    raise TypeError(f"{name} must be one number here, got {value!r}")
