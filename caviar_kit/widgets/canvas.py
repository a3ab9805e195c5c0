"""An ipympl canvas made without pyplot, drawn by one thread at a time."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from caviar_kit.widgets.one_thread import one_thread
from caviar_kit.widgets.pyplot_backend import backend_kept

with backend_kept():
    from ipympl.backend_nbagg import Canvas, FigureManager

__all__ = ["PanelCanvas"]


class PanelCanvas(Canvas):
    """A canvas of ``figure`` without bars around it; its messages wait while a panel draws."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        FigureManager(self, 0)
        self.header_visible = self.footer_visible = self.toolbar_visible = self.resizable = False

    @one_thread
    def draw(self) -> None:
        """Draw the figure."""
        super().draw()

    @one_thread
    def _handle_message(self, *message: Any) -> None:
        super()._handle_message(*message)
