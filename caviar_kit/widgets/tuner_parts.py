"""Controls and pictures as the calibration tuner wants them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from html import escape

import ipywidgets as ipw
from matplotlib.figure import Figure

__all__ = ["number_box", "picture", "png", "said", "slider"]


def slider(words: str, value: float, low: float, high: float, step: float) -> ipw.FloatSlider:
    """A slider that acts when it rests."""
    return ipw.FloatSlider(
        value=value,
        min=low,
        max=high,
        step=step,
        description=words,
        continuous_update=False,  # one drawing when the slider rests, not one per step
        readout_format=".1f",
        style={"description_width": "11em"},
        layout={"width": "28em"},
    )


def number_box(words: str, value: float, low: float, high: float, step: float) -> ipw.BoundedFloatText:
    """A box for a number without natural limits."""
    return ipw.BoundedFloatText(
        value=value,
        min=low,
        max=high,
        step=step,
        description=words,
        style={"description_width": "13em"},
        layout={"width": "21em"},
    )


def picture(draw: Callable[[Figure], None], size: tuple[float, float], alt: str) -> str:
    """An HTML image; unlike an Output it also works in a script, and says what it shows."""
    figure = Figure(figsize=size, layout="constrained")
    draw(figure)
    data = base64.b64encode(png(figure)).decode()
    return f'<img alt="{alt}" style="max-width:100%" src="data:image/png;base64,{data}">'


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=95)
    return buffer.getvalue()


def said(lines: Sequence[str]) -> str:
    """Sentences that readers should notice; screen readers read them aloud."""
    return "".join(f'<p role="status">⚠ {escape(line)}</p>' for line in lines)
