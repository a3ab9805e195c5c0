"""Settings of a fit by name: those that suit the examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caviar_kit.recipes import RECIPES
from caviar_kit.widgets.fit_fields import checked, defaults, values_of

__all__ = ["checked_presets", "default_presets"]

_TITLES = {"si-sigma9-md": "silicon Σ9", "hbn-twisted": "twisted hBN"}
_ORDER = ("quick", "tutorial", "paper")


def default_presets() -> dict[str, dict[str, Any]]:
    """Settings that suit the embedded examples, by title."""
    return {
        f"{title}, {preset}": values_of(RECIPES[name].presets[preset].fit)
        for name, title in _TITLES.items()
        for preset in _ORDER
    }


def checked_presets(presets: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Title → values of all fields but the number of states, unless the preset names it.

    Parameters
    ----------
    presets : mapping of title to settings or FitSettings, optional
        What a preset does not name has its usual value; the default presets for None.

    Raises
    ------
    TypeError, ValueError
        If it is no mapping, or a preset has an unknown name or a value that is not usable.
    """
    if presets is None:
        presets = default_presets()
    if not isinstance(presets, Mapping):
        raise TypeError(f"presets must map titles to settings, got {type(presets).__name__}")
    usual = {name: value for name, value in defaults().items() if name != "num_object_states"}
    found = {}
    for title, settings in presets.items():
        try:
            chosen = checked(settings) if isinstance(settings, Mapping) else values_of(settings)
        except (TypeError, ValueError) as error:
            raise type(error)(f"presets[{title!r}]: {error}") from error
        found[str(title)] = {**usual, **chosen}
    return found
