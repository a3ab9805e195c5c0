"""Buttons that turn a panel's picture into links to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as ipw
from matplotlib.figure import Figure

from caviar_kit.widgets.exporting import FORMATS, figure_bytes, link

__all__ = ["ExportRow"]


class ExportRow(ipw.HBox):
    """The buttons "Export SVG" and "Export PNG": each makes a link that saves the picture.

    A link, because the files of the kernel may lie on another machine than the browser.

    Parameters
    ----------
    figure : callable
        Makes the picture.
    about : callable
        Returns the name of the file without suffix, the title, and what the metadata say of its origin.
    on_error : callable
        Gets a sentence if there is no picture.

    Attributes
    ----------
    buttons : dict of str to ipywidgets.Button
        By "svg" and "png".
    links : ipywidgets.HTML
        The link, empty before.
    """

    def __init__(
        self,
        figure: Callable[[], Figure],
        about: Callable[[], tuple[str, str, Mapping[str, Any]]],
        on_error: Callable[[str], None],
    ) -> None:
        self._figure, self._about, self._on_error = figure, about, on_error
        self.links = ipw.HTML()
        self.buttons = {kind: ipw.Button(description=f"Export {kind.upper()}") for kind in FORMATS}
        for kind, button in self.buttons.items():
            button.tooltip = f"Make a link to the picture as {kind.upper()}, with its origin inside"
            button.on_click(lambda _, kind=kind: self._press(kind))
        super().__init__([*self.buttons.values(), self.links])

    def clear(self) -> None:
        """Take the link away: the picture has changed."""
        self.links.value = ""

    def _press(self, kind: str) -> None:
        try:
            stem, title, provenance = self._about()
            data = figure_bytes(self._figure(), kind, title=title, provenance=provenance)
        except (TypeError, ValueError) as error:
            self._on_error(str(error))
            return
        name = f"{stem}.{kind}"
        self.links.value = link(name, data, FORMATS[kind], f"Save {name} ({len(data) / 1000:.0f} kB)")
