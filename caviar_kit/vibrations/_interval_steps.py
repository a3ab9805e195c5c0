"""Steps that all intervals share: check the settings, sum unit by unit, resample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations._resampling import Pairs, UnitSums, bootstrap, jackknife, unit_sums
from caviar_kit.vibrations.correlations import states_first

__all__ = ["Settings", "four_axes", "interval", "settings_of", "units_of"]


class Settings(NamedTuple):
    """Checked arguments."""

    over: tuple[str, ...]
    place: str
    method: str
    level: float
    resamples: int
    seed: int


def settings_of(
    over: str | Sequence[str], place: str, method: str, level: float, resamples: int, seed: int
) -> Settings:
    """Check what the public functions were given; ``place`` is their name of a unit in space."""
    names = _over(over, place)
    validation.choice("method", method, ("jackknife", "bootstrap"))
    if method == "jackknife" and len(names) > 1:
        raise ValueError(
            f"over must name one kind of unit for the jackknife, got {names}; try method='bootstrap'"
        )
    return Settings(
        names,
        place,
        method,
        validation.number("level", level, minimum=0, maximum=0.9999, open_minimum=True),
        validation.integer("resamples", resamples, minimum=100),
        validation.integer("seed", seed, minimum=0),
    )


def units_of(u: np.ndarray, pairs: Pairs, settings: Settings) -> tuple[UnitSums, np.ndarray]:
    """Sums per unit, of the classes that have pairs only; and which classes these are."""
    present, kinds = np.unique(pairs.kinds, return_inverse=True)
    compact = replace(pairs, kinds=kinds.reshape(-1), classes=len(present))
    units = unit_sums(u, compact, settings.over, settings.place)
    for k, many in enumerate(units.units):
        least = 3 if units.states_first and k == 0 else 2
        if many < least:
            raise ValueError(
                f"over={settings.over} needs at least {least} units of each kind, got {units.units}"
            )
    return units, present


def interval(units: UnitSums, present: np.ndarray, classes: int, settings: Settings) -> np.ndarray:
    """Value, lower and upper end and standard error, (4, classes, 4)."""
    if settings.method == "jackknife":
        error, low, high = jackknife(units, settings.level)
    else:
        rng = np.random.default_rng(settings.seed)
        error, low, high = bootstrap(units, settings.level, settings.resamples, rng)
    full = np.full((4, classes, 4), np.nan)
    full[:, present] = units.value, low, high, error
    return full


def _over(over: str | Sequence[str], place: str) -> tuple[str, ...]:
    names = (over,) if isinstance(over, str) else tuple(over)
    for name in names:
        validation.choice("over", name, ("states", "slices", place))
    if not names or len(set(names)) < len(names):
        raise ValueError(f"over must name units once each, got {names}")
    return names


def four_axes(u: ArrayLike) -> np.ndarray:
    """Return ``u`` as float64 (states, slices, atoms, 2), NaN allowed."""
    array = states_first("u", u)
    return array[:, None] if array.ndim == 3 else array
