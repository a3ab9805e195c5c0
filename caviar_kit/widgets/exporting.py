"""Figures and tables as files, and as links that a browser saves."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from caviar_kit import __version__, validation
from caviar_kit._replacing import replacing
from caviar_kit.widgets.one_thread import PANELS

__all__ = ["FORMATS", "figure_bytes", "link", "write_figure"]

FORMATS = {"svg": "image/svg+xml", "png": "image/png"}


def figure_bytes(
    figure: Figure, kind: str, *, title: str, provenance: Mapping[str, Any], dpi: float = 200
) -> bytes:
    """The figure as a file that says where it comes from; same figure, same bytes.

    Parameters
    ----------
    figure : matplotlib Figure
    kind : {"svg", "png"}
    title : str
        Title in the metadata.
    provenance : mapping
        What JSON can hold; "Description" in the metadata.
    dpi : float
        Of a PNG.

    Raises
    ------
    ValueError
        If ``kind`` is another one.
    """
    validation.choice("kind", kind, tuple(FORMATS))
    maker = f"caviar_kit {__version__}, matplotlib {matplotlib.__version__}"
    said: dict[str, str | None] = {
        "Title": title,
        "Description": json.dumps(dict(provenance), ensure_ascii=False, default=str),
    }
    # without a date; PNG and SVG (Dublin Core) have other words for the program
    said |= {"Creator": maker, "Date": None} if kind == "svg" else {"Software": maker}
    buffer = io.BytesIO()
    with PANELS, matplotlib.rc_context({"svg.hashsalt": "caviar_kit"}):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=said)
    return buffer.getvalue()


def write_figure(
    path: str | os.PathLike[str], figure: Figure, *, title: str, provenance: Mapping[str, Any]
) -> Path:
    """Write `figure_bytes`, complete or not at all; the suffix of ``path`` tells the kind.

    Raises
    ------
    TypeError, ValueError
        If ``path`` is no path, or ends neither in .svg nor in .png.
    """
    target = validation.path_like("path", path)
    kind = target.suffix[1:].lower()
    if kind not in FORMATS:
        raise ValueError(f"path must end in .svg or .png, got {os.fspath(target)!r}")
    data = figure_bytes(figure, kind, title=title, provenance=provenance)
    with replacing(target) as partial:
        partial.write_bytes(data)
    return target


def link(name: str, data: bytes, kind: str, text: str) -> str:
    """HTML of a link that saves ``data`` as the file ``name``, from the page itself."""
    encoded = base64.b64encode(data).decode()
    look = "text-decoration:underline;color:var(--jp-content-link-color,#0b57d0)"
    return (
        f'<a style="{look}" download="{escape(name)}" href="data:{kind};base64,{encoded}">{escape(text)}</a>'
    )
