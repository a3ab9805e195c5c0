"""Controls for the settings of a fit, in groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ipywidgets as ipw

from caviar_kit.widgets.fit_fields import FIELDS, GROUPS, Field, checked

__all__ = ["FitForm"]

_STYLE = {"description_width": "9em"}
_WIDTH = "20em"


class FitForm(ipw.Tab):
    """One tab per group of settings.

    Attributes
    ----------
    controls : dict of name → widget
        Each has a ``value``.
    """

    def __init__(self) -> None:
        self.controls: dict[str, Any] = {field.name: _control(field) for field in FIELDS}
        wrapped = ipw.Layout(display="flex", flex_flow="row wrap", align_items="flex-start")
        groups = [[self.controls[field.name] for field in FIELDS if field.group == name] for name in GROUPS]
        super().__init__(
            [
                ipw.VBox([ipw.Label(about), ipw.Box(group, layout=wrapped)])
                for about, group in zip(GROUPS.values(), groups, strict=True)
            ],
            titles=list(GROUPS),
        )
        self._observers: list[Callable[[], None]] = []
        self._quiet = False
        for control in self.controls.values():
            control.observe(self._changed, names="value")

    @property
    def values(self) -> dict[str, Any]:
        """The settings, by name; texts, numbers, booleans and tuples of texts."""
        return {name: control.value for name, control in self.controls.items()}

    def set(self, settings: Mapping[str, Any]) -> None:
        """Set some of the values, or, if one is not usable, none.

        Raises
        ------
        TypeError, ValueError
            If a name is unknown or a value not usable.
        """
        usable = checked(settings)
        with self._one_change():
            for name, value in usable.items():
                self.controls[name].value = value

    def on_change(self, function: Callable[[], None]) -> None:
        """Call ``function`` after every change of a value; once for :meth:`set`."""
        self._observers.append(function)

    @contextmanager
    def _one_change(self) -> Iterator[None]:
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False
        self._changed()

    def _changed(self, change: Any = None) -> None:
        if not self._quiet:
            for function in self._observers:
                function()


def _control(field: Field) -> Any:
    shared: dict[str, Any] = {
        "description": field.label,
        "tooltip": field.tooltip,
        "style": _STYLE,
        "layout": ipw.Layout(width=_WIDTH),
    }
    value = field.default
    if isinstance(value, tuple):
        return ipw.SelectMultiple(options=field.options, value=value, rows=len(field.options), **shared)
    if isinstance(value, str):
        return ipw.Dropdown(options=field.options, value=value, **shared)
    if isinstance(value, bool):
        return ipw.Checkbox(value=value, indent=True, **shared)
    if isinstance(value, int):
        return ipw.BoundedIntText(value=value, min=field.minimum, max=field.maximum, **shared)
    return ipw.FloatText(value=value, step=None, **shared)
