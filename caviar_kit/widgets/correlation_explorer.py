"""Pick a reference atom, see how its neighbours follow it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as ipw
import numpy as np
from matplotlib.figure import Figure

from caviar_kit.vibrations import Lattice, fit_lattice
from caviar_kit.widgets.correlation_controls import CorrelationControls
from caviar_kit.widgets.correlation_picture import chosen_atoms, draw_arrows
from caviar_kit.widgets.correlation_source import CorrelationSource, Explorable, sources_of
from caviar_kit.widgets.correlation_table import (
    as_text,
    correlation_rows,
    html_rows,
    html_shells,
    shell_means,
)
from caviar_kit.widgets.export_row import ExportRow
from caviar_kit.widgets.exporting import link, write_figure
from caviar_kit.widgets.one_thread import heard, one_thread
from caviar_kit.widgets.picture import Picture, png, say

__all__ = ["CorrelationExplorer"]

_INCHES = (9.0, 5.3)  # fits beside the side bar of JupyterLab at 1280 pixels
_INCHES_WITHOUT_TRUTH = (5.6, 5.3)
_MARGIN = 0.3  # Å: found and true places of an atom differ by less


class CorrelationExplorer(ipw.VBox):
    """Panel with the correlation arrows around one atom, its neighbours' figures below.

    Click an atom, or move the sliders with the arrow keys. A script does the same with
    ``explorer.reference.value = 3`` or ``explorer.select(y, x)``; ``explorer.figure()`` is the picture,
    ``explorer.neighbours()`` and ``explorer.table()`` the numbers, ``explorer.export(path)`` a file.

    Parameters
    ----------
    results : EnsembleResult, AtomisticResult, AtomicDisplacements, DisplacementCorrelations, or mapping
        One, or several by title. The truth is shown where it is known. Intervals need displacements, so there
        are none for DisplacementCorrelations.
    lattice : Lattice, optional
        Whose axes are the local ones; by default fitted to the atoms when asked for.

    Attributes
    ----------
    dataset, reference, shell, radius, axes, slices, intervals
        The controls: title, index of the reference atom, which neighbours ("radius" or a shell of
        `caviar_kit.vibrations.neighbour_shells`), how far they are shown [Å], "image" or "lattice" axes,
        first and last slice (shown where slices were followed one by one), whether 95 % intervals are shown.
    picture : Picture
        With ``picture.canvas``, an ipympl canvas, or None where ipympl cannot be had.
    files : ExportRow
        "Export SVG" and "Export PNG".
    page, message : ipywidgets.HTML
        The tables, and what went wrong.

    Raises
    ------
    TypeError, ValueError
        If ``results`` is something else, or empty, or ``lattice`` is no Lattice.
    """

    def __init__(
        self, results: Explorable | Mapping[str, Explorable], *, lattice: Lattice | None = None
    ) -> None:
        self._sources = sources_of(results)
        if lattice is not None and not isinstance(lattice, Lattice):
            raise TypeError(f"lattice must be a Lattice from fit_lattice, got {type(lattice).__name__}")
        self._lattice = lattice
        truth = any(source.true_tensor is not None for source in self._sources.values())
        self._inches = _INCHES if truth else _INCHES_WITHOUT_TRUTH
        self._known: dict[Any, Any] = {}  # what takes long and does not change
        controls = CorrelationControls(self._sources)
        self.dataset, self.reference, self.intervals = (
            controls.dataset,
            controls.reference,
            controls.intervals,
        )
        self.shell, self.radius = controls.shell, controls.radius
        self.axes, self.slices = controls.axes, controls.slices
        self._controls, self._title = controls, self.dataset.value  # which other threads may change
        self.picture = Picture(*self._inches, on_click=self._clicked)
        self.page, self.message = ipw.HTML(), ipw.HTML()
        self.files = ExportRow(self.figure, self._about, self._say)
        self._drawing = True
        super().__init__([controls, self.message, self.picture, self.files, self.page])
        self.dataset.observe(self._change_data, names="value")
        for control in (self.reference, self.shell, self.radius, self.axes, self.slices, self.intervals):
            control.observe(self._draw, names="value")
        self._draw()

    @property
    def result(self) -> Any:
        """The chosen data set."""
        return self._sources[self._title].result

    def select(self, y: float, x: float) -> None:
        """Make the atom nearest to a place [Å] the reference, as a click does."""
        self.reference.value = self._source.nearest(y, x)

    @one_thread
    def figure(self) -> Figure:
        """The picture of the present choice, on one scale where the truth is beside it.

        Raises
        ------
        ValueError
            If local axes are asked for and the atoms form no lattice.
        """
        figure = Figure(figsize=self._inches, layout="constrained")
        self._paint(figure)
        return figure

    @one_thread
    def neighbours(self) -> list[dict[str, float]]:
        """The chosen atoms, nearest first: index, distance [Å], found and true G [pm²], ends of intervals.

        Keys: "atom", "distance", "xx", "xx low", "xx high", "true xx" and so on, in the chosen axes. The
        intervals are those of `caviar_kit.tensor_intervals`: of N/(N−1) times G, free of few-state bias.
        """
        source, axes = self._source, self._local_axes()
        source = source if axes is None else source.along(axes)
        return correlation_rows(source, self._controls.atom, self._chosen(), intervals=self.intervals.value)

    def table(self, separator: str = "\t") -> str:
        """`neighbours` as text for a spreadsheet."""
        return as_text(self.neighbours(), separator)

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture as .svg or .png, its origin in the metadata; returns the path.

        Raises
        ------
        TypeError, ValueError
            If ``path`` is no path or has another suffix.
        """
        return write_figure(path, self.figure(), title=self._words(), provenance=self.provenance())

    @one_thread
    def provenance(self) -> dict[str, Any]:
        """What exported files say about the data and the choice."""
        source, choice = self._source, self.shell.value
        told: dict[str, Any] = {"data": self._title, **(source.origin or {}), "atoms": source.atoms}
        told |= {"states": source.states or None, "reference atom": self._controls.atom}
        told |= {"neighbours": choice, "axes": self.axes.value}
        if choice == "radius":
            told["radius_angstrom"] = round(self.radius.value, 3)
        if source.slices:
            told["slices"] = list(self._controls.chosen_slices)
        return told

    @property
    def _source(self) -> CorrelationSource:
        """The chosen data set and slices, in the image's axes."""
        title, whole = self._title, self._sources[self._title]
        if not whole.slices:
            return whole
        first, last = self._controls.chosen_slices
        return self._once((title, first, last), lambda: whole.of_slices(first, last))

    def _local_axes(self) -> np.ndarray | None:
        """Rows y', x'; None for those of the image."""
        if self.axes.value == "image":
            return None
        if self._lattice is not None:
            return self._lattice.axes
        title = self._title
        return self._once((title, "axes"), lambda: fit_lattice(self._sources[title].positions).axes)

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def _chosen(self) -> np.ndarray:
        return chosen_atoms(self._source, self._controls.atom, self.shell.value, self.radius.value)

    def _paint(self, figure: Figure) -> None:
        source, atom, atoms = self._source, self._controls.atom, self._chosen()
        reach = self.radius.value
        if self.shell.value not in ("radius", "self") and len(atoms):
            far = np.linalg.norm(source.positions[atoms] - source.positions[atom], axis=1).max()
            reach = float(far) + _MARGIN
        title = f"{self._title}, " if len(self._sources) > 1 else ""
        draw_arrows(figure, source, atom, atoms, radius=reach, axes=self._local_axes(), title=title)

    def _words(self) -> str:
        """What the picture shows."""
        known = self._source.true_tensor is not None
        return f"Correlation arrows around atom {self._controls.atom}, reconstructed" + " and true" * known

    @one_thread
    def _change_data(self, change: Any) -> None:
        # one drawing at the end, not one for every control that is set
        self._drawing = False
        try:
            self._title = self.dataset.value
            self._controls.limit(self._sources[self._title])
        finally:
            self._drawing = True
        self._draw()

    def _clicked(self, event: Any) -> None:
        self.select(event.ydata, event.xdata)

    @one_thread
    def _draw(self, change: Any = None) -> None:
        if not self._drawing:
            return
        self._controls.settle()
        self.message.value = ""
        self.files.clear()
        self.radius.disabled = self.shell.value not in ("radius", "self")
        try:
            with heard() as texts:
                click = "; click an atom to make it the reference" if self.picture.canvas else ""
                self.picture.show(self._paint, self._words() + click)
                self.page.value = self._tables()
            self.message.value = say("; ".join(texts)) if texts else ""
        except (TypeError, ValueError) as error:
            self.picture.blank()
            self.page.value = ""
            self.message.value = say(str(error))

    def _tables(self) -> str:
        """The figures as HTML."""
        source, rows, local = self._source, self.neighbours(), self._local_axes()
        prime = "" if local is None else "′"
        csv = link(f"{self._stem()}.csv", as_text(rows, ",").encode("utf-8-sig"), "text/csv", "Save as CSV")
        parts = [
            f"<p>{escape(self._heading(prime))} {csv}</p>",
            html_rows(rows, prime),
        ]
        means = self._once((source, "shells"), lambda: shell_means(source))
        if means is not None and self.intervals.value:
            parts += ["<p>Means over all atoms, along and across the line between two, in pm²:</p>"]
            parts += [html_shells(means)]
        if source.agreement:
            parts += [f"<p>Agreement over all atoms:</p><pre>{escape(source.agreement)}</pre>"]
        return "".join(parts)

    def _heading(self, prime: str) -> str:
        source = self._source
        words = "Correlation with the reference in pm²"
        if self.intervals.value and source.states:
            words += f" [95 % interval of N/(N−1) times it, N = {source.states} states]"
        if source.true_tensor is not None:
            words += " (truth)"
        words += f"; x{prime}y{prime}: the reference along x{prime}, the neighbour along y{prime}."
        return words

    def _stem(self) -> str:
        name = "".join(c if c.isalnum() else "_" for c in self._title)
        return f"correlations_{name}_atom{self._controls.atom}"

    def _about(self) -> tuple[str, str, dict[str, Any]]:
        """Name of files, title and origin."""
        return self._stem(), self._words(), self.provenance()

    def _say(self, sentence: str) -> None:
        self.message.value = say(sentence)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live panel; beside it a still picture for pages without a kernel."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if isinstance(bundle, dict) and not self.message.value:
            bundle["image/png"] = png(self.figure())
        return bundle
