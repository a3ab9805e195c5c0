"""A figure in a panel: one that can be clicked where ipympl is there, else a plain picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as ipw
from matplotlib.figure import Figure

from caviar_kit.widgets.one_thread import one_thread
from caviar_kit.widgets.pyplot_backend import backend_kept

__all__ = ["Picture", "png", "say"]

_DPI = 90


class Picture(ipw.VBox):
    """Draws figures; tells where they are clicked.

    Parameters
    ----------
    width, height : float
        Of the figures [inch].
    on_click : callable, optional
        Called with matplotlib's MouseEvent when the left button is pressed within axes.

    Attributes
    ----------
    canvas : ipympl Canvas, or None
        None without ``on_click`` or ipympl: then ``image`` shows the figures.
    image : ipywidgets.HTML
        The figure as a picture, empty beside a canvas.
    caption : ipywidgets.HTML
        What the figure shows, in words.
    """

    def __init__(self, width: float, height: float, on_click: Callable[[Any], None] | None = None) -> None:
        self._inches = (width, height)
        self.canvas = None if on_click is None else _canvas(self._new_figure())
        self.image, self.caption = ipw.HTML(), ipw.HTML()
        self._on_click = on_click
        if self.canvas is not None:
            self.canvas.mpl_connect("button_press_event", self._clicked)
        super().__init__([self.image if self.canvas is None else self.canvas, self.caption])

    @one_thread
    def show(self, draw: Callable[[Figure], None], words: str) -> None:
        """Draw anew; ``words`` say what is to be seen."""
        if self.canvas is None:
            figure = self._new_figure()
        else:
            figure = self.canvas.figure
            figure.clear()
        draw(figure)
        self.caption.value = f'<span style="color:var(--jp-ui-font-color2,#555)">{escape(words)}</span>'
        if self.canvas is not None:
            self.canvas.draw_idle()
            return
        data = base64.b64encode(png(figure)).decode()
        # an HTML widget, unlike an Output, also works in a script, and says what the picture shows
        self.image.value = (
            f'<img alt="{escape(words)}" style="max-width:100%" src="data:image/png;base64,{data}">'
        )

    @one_thread
    def blank(self) -> None:
        """Show nothing."""
        self.image.value = self.caption.value = ""
        if self.canvas is not None:
            self.canvas.figure.clear()
            self.canvas.draw_idle()

    def _new_figure(self) -> Figure:
        return Figure(figsize=self._inches, dpi=_DPI, layout="constrained")

    def _clicked(self, event: Any) -> None:
        if self._on_click is not None and event.button == 1 and event.inaxes is not None:
            self._on_click(event)


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def say(sentence: str) -> str:
    """HTML of a sentence that readers should notice, read aloud by screen readers."""
    look = "border-left:4px solid #D55E00;padding-left:0.6em;line-height:1.4"
    return f'<p role="status" style="{look}">{escape(sentence)}</p>'


def _canvas(figure: Figure) -> Any:
    """An ipympl canvas of the figure, made without pyplot; None where ipympl cannot be had."""
    try:
        with backend_kept():
            import ipympl.backend_nbagg  # noqa: F401  # asked for anew each time, unlike our own module
    except ImportError:
        return None
    from caviar_kit.widgets.canvas import PanelCanvas

    return PanelCanvas(figure)
