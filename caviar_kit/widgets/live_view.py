"""What a running fit looks like: phase, probe, loss and how much the states differ."""

from __future__ import annotations

import base64
import io
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets as ipw
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from caviar_kit import plotting
from caviar_kit.backend import to_numpy
from caviar_kit.field import scanned_window
from caviar_kit.plotting._common import CYCLE, image_extent, label, scale_bar
from caviar_kit.vibrations.diversity import state_diversity
from caviar_kit.vibrations.phase import projected_phase

__all__ = ["LiveView", "View"]

_SIZE, _DPI = (10.0, 7.2), 80  # inch, and pixels per inch: 800 pixels wide
_EVERY_SECONDS = 0.5
_SHARE = 5  # of the time at most one part in so many is spent on pictures


@dataclass(frozen=True, eq=False)
class View:
    """What is drawn of one moment.

    Attributes
    ----------
    phases : (states, y, x) float32
        Projected phase around the scanned field [rad].
    origin : (2,)
        Where its pixel (0, 0) is in the object [Å].
    sampling : (2,)
        Pixel size (y, x) [Å].
    probe : (y, x)
        Intensity of all probe modes, brightest 1.
    losses, held_out : (iterations,)
        NaN where nothing is held out.
    diversity : tuple of (iteration, rad)
        Of `caviar_kit.state_diversity`, at the moments that were drawn.
    """

    phases: np.ndarray
    origin: np.ndarray
    sampling: np.ndarray
    probe: np.ndarray
    losses: np.ndarray
    held_out: np.ndarray
    diversity: tuple[tuple[int, float], ...] = ()

    @classmethod
    def of(cls, ptychography: Any, obj: Any, probe: Any, diversity: Any = ()) -> View:
        """The view of an object and a probe, with the curves that ``ptychography`` has so far."""
        sampling = np.array(ptychography.sampling)
        window = scanned_window(ptychography.scan_positions_angstrom, sampling)
        field = to_numpy(obj[(..., *window)])
        intensity = (abs(to_numpy(probe)) ** 2).sum(axis=0)
        iteration = len(ptychography.error_iterations)
        return cls(
            phases=projected_phase(field).astype(np.float32),
            origin=np.array([part.start for part in window]) * sampling,
            sampling=sampling,
            probe=intensity / intensity.max(),
            losses=np.array(ptychography.error_iterations),
            held_out=np.array(ptychography.held_out_iterations, float),
            diversity=(*diversity, (iteration, state_diversity(field))),
        )


class LiveView(ipw.VBox):
    """The picture of a fit, drawn at most twice a second, by any thread.

    ``view.shown.value = "state 2"`` chooses the state, and ``view.figure()`` returns the picture.

    Parameters
    ----------
    truth : (columns, 2) array, optional
        Positions of columns from the first scan position, y then x [Å], drawn as rings.
    clock : callable
        Seconds from any moment.
    """

    def __init__(
        self, truth: np.ndarray | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._truth, self._clock = truth, clock
        self._view: View | None = None
        self._first = np.zeros(2)  # scan position [Å]
        self._png: bytes | None = None
        self._lock = threading.RLock()
        self._next, self._offering = -math.inf, False
        self.shown = ipw.Dropdown(
            options=["mean of the states"],
            description="phase of",
            tooltip="Whose projected phase is drawn",
            style={"description_width": "6em"},
            layout=ipw.Layout(width="20em"),
        )
        self._picture = ipw.HTML()
        super().__init__([self.shown, self._picture])
        self.shown.observe(self._choose, names="value")

    @property
    def due(self) -> bool:
        """Whether it is time for another picture: pictures take a fifth of the time at most."""
        return self._clock() >= self._next

    def clear(self, *, keep_curves: bool = False) -> None:
        """Forget the diversity seen so far, for a fit that starts afresh."""
        with self._lock:
            self._next = -math.inf
            if self._view is not None and not keep_curves:
                self._view = replace(self._view, diversity=())

    def show(self, ptychography: Any, obj: Any, probe: Any) -> None:
        """Draw an object (states, slices, y, x) and a probe (modes, y, x) of ``ptychography``."""
        begin = self._clock()
        before = self._view.diversity if self._view is not None else ()
        iteration = len(ptychography.error_iterations)
        view = View.of(ptychography, obj, probe, [point for point in before if point[0] < iteration])
        with self._lock:
            self._view, self._first = view, ptychography.scan_positions_angstrom[0]
            self._offer_states(len(view.phases))
            self._draw()
            now = self._clock()
            self._next = now + max(_EVERY_SECONDS, (_SHARE - 1) * (now - begin))

    def figure(self) -> Figure:
        """The picture.

        Raises
        ------
        ValueError
            If there is nothing to draw yet.
        """
        with self._lock:
            if self._view is None:
                raise ValueError("there is nothing to draw yet: run the fit first")
            return _figure(self._view, self._chosen(), self._rings(self._view))

    def png(self) -> bytes | None:
        """The picture as it stands, if there is one."""
        return self._png

    def _offer_states(self, count: int) -> None:
        states = ["mean of the states", *(f"state {n}" for n in range(count))] if count > 1 else ["one state"]
        wanted = self.shown.value
        if tuple(states) != tuple(self.shown.options):
            self._offering = True  # the picture is drawn right after
            try:
                self.shown.options = states
                if wanted in states:
                    self.shown.value = wanted
            finally:
                self._offering = False

    def _chosen(self) -> str:
        return str(self.shown.value)

    def _rings(self, view: View) -> np.ndarray | None:
        return None if self._truth is None else self._truth + self._first - view.origin

    def _choose(self, change: Any) -> None:
        if not self._offering:
            self._draw()

    def _draw(self) -> None:
        with self._lock:
            if self._view is None:
                return
            self._png = _png(self.figure())
            iteration = len(self._view.losses)
            alt = f"Phase of {self._chosen()}, probe, loss and diversity after iteration {iteration}"
            width, height = (round(_DPI * inches) for inches in _SIZE)
            self._picture.value = (
                f'<img alt="{alt}" width="{width}" height="{height}" '
                f'src="data:image/png;base64,{base64.b64encode(self._png).decode()}">'
            )


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def _figure(view: View, chosen: str, rings: np.ndarray | None) -> Figure:
    figure = Figure(figsize=_SIZE)  # fixed margins: a layout engine would take twice as long
    (phase, probe), (loss, diversity) = figure.subplots(2, 2, height_ratios=(1.6, 1))
    figure.subplots_adjust(left=0.08, right=0.96, bottom=0.08, top=0.98, wspace=0.2, hspace=0.12)
    _draw_phase(phase, view, chosen, rings)
    _draw_probe(probe, view)
    watched = not np.isnan(view.held_out).all()
    plotting.loss(view.losses, held_out=view.held_out if watched else None, ax=loss)
    _plain_logarithm(loss)
    _draw_diversity(diversity, view)
    return figure


def _draw_phase(ax: Axes, view: View, chosen: str, rings: np.ndarray | None) -> None:
    image = view.phases[int(chosen.split()[1])] if chosen.startswith("state ") else view.phases.mean(axis=0)
    extent = image_extent(image.shape, view.sampling)
    low, high = np.percentile(image, (0.1, 99.9))
    shown = ax.imshow(image, cmap="cividis", vmin=low, vmax=max(high, low + 1e-6), extent=extent)
    if rings is not None:
        ax.scatter(rings[:, 1], rings[:, 0], s=50, facecolor="none", edgecolor="white", linewidth=0.8)
        ax.set(xlim=extent[:2], ylim=extent[2:])
    label(ax, chosen + (", rings: true columns" if rings is not None else ""))
    scale_bar(ax)
    ax.set(xticks=[], yticks=[])
    ax.figure.colorbar(shown, ax=ax, label="projected phase (rad)", shrink=0.85)


def _draw_probe(ax: Axes, view: View) -> None:
    shown = ax.imshow(
        np.sqrt(view.probe),
        cmap="cividis",
        vmin=0,
        extent=image_extent(view.probe.shape, view.sampling),
    )
    label(ax, "probe, all modes")
    scale_bar(ax)
    ax.set(xticks=[], yticks=[])
    ax.figure.colorbar(shown, ax=ax, label="√ intensity (brightest 1)", shrink=0.85)


def _draw_diversity(ax: Axes, view: View) -> None:
    iterations, values = np.array(view.diversity, float).reshape(-1, 2).T
    ax.plot(iterations, 1e3 * values, marker="o", markersize=4, color=CYCLE[2])
    ax.set(xlabel="iteration", ylabel="difference of states (mrad)", xlim=(0, max(2, len(view.losses) + 1)))
    ax.set_ylim(bottom=0, top=None if values.max() > 0 else 1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)


def _plain_logarithm(ax: Axes) -> None:
    """Ticks without mathtext, whose parser serves one thread at a time."""
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
