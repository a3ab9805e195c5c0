"""A diffraction pattern on which the mouse moves a virtual detector."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from caviar_kit import plotting
from caviar_kit.widgets.canvas import PanelCanvas

__all__ = ["DetectorCanvas"]

_GRIP = 0.05  # of the picture's width: how near to a ring the mouse takes hold of it


class DetectorCanvas:
    """The mean pattern with a detector's rings; ``widget`` is the live picture.

    A click moves the centre there. Dragging a ring changes its radius, dragging anywhere else the
    centre. ``moved(centre, inner, outer)`` is called when the button is released.

    Parameters
    ----------
    pattern : (y, x)
        Mean pattern.
    moved : callable
        Takes the centre (y, x), inner and outer radius [pixel].
    """

    def __init__(
        self, pattern: np.ndarray, moved: Callable[[tuple[float, float], float, float], None]
    ) -> None:
        self._moved, self._hold = moved, ""
        self._shape = pattern.shape
        figure = Figure(figsize=(3.8, 3.8), layout="constrained")
        self._ax = plotting.mean_pattern(pattern, ax=figure.add_subplot())
        self.widget = PanelCanvas(figure)
        self._rings: list[Any] = []
        for name, action in (
            ("button_press_event", self._take),
            ("motion_notify_event", self._drag),
            ("button_release_event", self._release),
        ):
            self.widget.mpl_connect(name, action)

    def show(
        self, centre: tuple[float, float], inner: float, outer: float, beam: tuple[float, float], rim: float
    ) -> None:
        """Draw the detector, and the aperture's rim, anew."""
        for ring in self._rings:
            ring.remove()
        self._place = (centre, inner, outer)
        self._rings = plotting.detector_rings(self._ax, centre, inner, outer, beam=beam, aperture=rim)
        self.widget.draw_idle()

    def _take(self, event: Any) -> None:
        if event.inaxes is not self._ax or event.button != 1:
            return
        (y, x), inner, outer = self._place
        distance, grip = math.hypot(event.ydata - y, event.xdata - x), _GRIP * max(self._shape)
        self._hold = "centre"
        for name, radius in (("inner", inner), ("outer", outer)):
            if radius > grip and abs(distance - radius) < grip:
                self._hold = name
        self._drag(event)

    def _drag(self, event: Any) -> None:
        if not self._hold or event.inaxes is not self._ax:
            return
        centre, inner, outer = self._place
        radius = math.hypot(event.ydata - centre[0], event.xdata - centre[1])
        if self._hold == "centre":
            centre = (float(event.ydata), float(event.xdata))
        elif self._hold == "inner":
            inner = min(radius, outer - 0.5)
        else:
            outer = max(radius, inner + 0.5)
        self._place = (centre, inner, outer)
        for ring, size in zip(self._rings, (outer, inner), strict=False):
            ring.set(center=centre[::-1], radius=size)
        self._rings[2].set_data([centre[1]], [centre[0]])
        self.widget.draw_idle()

    def _release(self, event: Any) -> None:
        if self._hold:
            self._hold = ""
            self._moved(*self._place)
