"""Choose settings by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as ipw

from caviar_kit.widgets.fit_form import FitForm

__all__ = ["PresetChoice"]

_NONE = "(choose)"


class PresetChoice(ipw.Dropdown):
    """Sets a form to the preset chosen; "(choose)" as soon as a setting of it is another.

    Parameters
    ----------
    presets : mapping of title to settings
        As `checked_presets` returns them.
    form : FitForm
        What is set.
    """

    value: Any

    def __init__(self, presets: Mapping[str, Mapping[str, Any]], form: FitForm) -> None:
        self._presets, self._form = presets, form
        super().__init__(
            options=[_NONE, *presets],
            description="preset",
            tooltip="Settings that suit an example; the others go back to their usual values",
            layout=ipw.Layout(width="22em"),
        )
        self.observe(self._set_form, names="value")
        form.on_change(self._follow_form)

    def _set_form(self, change: Any) -> None:
        if change["new"] in self._presets:
            self._form.set(self._presets[change["new"]])

    def _follow_form(self) -> None:
        chosen, now = self._presets.get(self.value, {}), self._form.values
        if any(now[name] != value for name, value in chosen.items()):
            self.value = _NONE  # so that it can be chosen again
