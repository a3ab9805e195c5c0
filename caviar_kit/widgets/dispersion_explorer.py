"""Phonon branches and their path means, as path, temperature, masses and statistics are chosen."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import ipywidgets as ipw
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from caviar_kit import plotting
from caviar_kit.vibrations import Lattice, PhononDispersion, brillouin_path, phonon_dispersion
from caviar_kit.widgets.dispersion_controls import DispersionControls
from caviar_kit.widgets.dispersion_table import html_means, means_as_text
from caviar_kit.widgets.dispersion_theory import Theory, theory_at
from caviar_kit.widgets.export_row import ExportRow
from caviar_kit.widgets.exporting import link, write_figure
from caviar_kit.widgets.one_thread import heard, one_thread
from caviar_kit.widgets.picture import Picture, png, say
from caviar_kit.widgets.waiting import Waiting

__all__ = ["DispersionExplorer"]

_INCHES = (7.6, 5.0)
_TITLE = "Phonon dispersion from displacements"
_NOTICED = 1.0  # seconds: computing that takes longer is announced


class DispersionExplorer(ipw.VBox):
    """Panel with the phonon dispersion of displacements and a table of path means.

    Each choice is computed once, by `caviar_kit.phonon_dispersion`, and remembered. A script sets
    ``explorer.temperature.value = 500``, or several at once with ``explorer.choose(...)``, and reads
    ``explorer.result``, ``explorer.table()``, ``explorer.figure()``; ``explorer.export(path)`` writes a file.

    Parameters
    ----------
    displacements : array, (states, atoms, 2) or (states, slices, atoms, 2), Å
        From `caviar_kit.displacements`.
    lattice : Lattice
        From `caviar_kit.fit_lattice`, for the same atoms.
    masses : float or array (sites,), u
        One mean mass, or one per site of the basis.
    temperature_k : float, K
    path : str
        Special points, such as "GKMG".
    statistics : {"quantum", "classical"}
    theory : phonopy.Phonopy, callable or array (points, curves), THz, optional
        Drawn over the measured branches. A callable gets the `PhononDispersion` and returns frequencies
        (points, curves) at its ``q``, for example of an exact model. An array holds for the first path only.
    method : {"likelihood", "direct"}
    symmetry : bool
    reach, points, draws, seed
        As for `caviar_kit.phonon_dispersion`.

    Attributes
    ----------
    path, temperature, masses, statistics, method, symmetry, uncorrected, theory
        The controls; ``masses`` is a tuple, one for each mass given. ``uncorrected`` draws the branches
        before the correction for few states too.
    files : ExportRow
    page, message : ipywidgets.HTML
        The table, and what went wrong.

    Raises
    ------
    TypeError, ValueError
        If the first choice cannot be computed; later errors appear in the panel.
    """

    def __init__(
        self,
        displacements: ArrayLike,
        lattice: Lattice,
        *,
        masses: float | ArrayLike,
        temperature_k: float = 300,
        path: str = "GKMG",
        statistics: str = "quantum",
        theory: Theory | None = None,
        method: str = "likelihood",
        symmetry: bool = True,
        reach: float | str | None = None,
        points: int = 91,
        draws: int = 200,
        seed: int = 0,
    ) -> None:
        self._data, self._first_path, self._theory = (displacements, lattice), path, theory
        if not isinstance(path, str):
            raise TypeError(f"path must be a text such as 'GKMG', got {type(path).__name__}")
        self._points = points
        self._options = {"reach": reach, "points": points, "draws": draws, "seed": seed}
        self._known: dict[Any, tuple[PhononDispersion, str]] = {}
        self._seconds = np.inf
        first = (path, temperature_k, masses, statistics, method, symmetry)
        result, _ = self._compute(*first)  # raises what the caller should see
        if theory is not None:
            theory_at(theory, result, path, path)
        controls = DispersionControls(lattice, *first, theory=theory is not None)
        self.path, self.temperature, self.masses = controls.path, controls.temperature, controls.masses
        self.statistics, self.method = controls.statistics, controls.method
        self.symmetry, self.uncorrected, self.theory = (
            controls.symmetry,
            controls.uncorrected,
            controls.theory,
        )
        self._controls = controls
        self.picture = Picture(*_INCHES)
        self.page, self.message = ipw.HTML(), ipw.HTML()
        self.files = ExportRow(self.figure, self._about, self._say)
        left = ipw.VBox([controls, self.message], layout={"width": "27em"})
        top = ipw.HBox([left, self.picture], layout={"flex_flow": "row wrap"})
        super().__init__([top, self.files, self.page])
        self._draw()
        self._waiting = Waiting(self._draw)
        for control in controls.all:
            control.observe(self._waiting.call, names="value")

    @property
    def result(self) -> PhononDispersion:
        """Of the present choice; computed on first use.

        Raises
        ------
        ValueError
            If it cannot be computed.
        """
        return self._compute(*self._controls.choice())[0]

    def choose(self, **values: Any) -> None:
        """Set several controls, then compute once: ``choose(temperature=500, masses=(11, 14))``.

        Raises
        ------
        TypeError, ValueError
            If there is no such control, or it does not take the value.
        """
        with self._waiting.paused():
            self._controls.choose(values)

    @one_thread
    def figure(self) -> Figure:
        """The picture of the present choice.

        Raises
        ------
        ValueError
            If it cannot be computed, or the theory does not belong to the path.
        """
        figure = Figure(figsize=_INCHES, layout="constrained")
        self._paint(figure)
        return figure

    @one_thread
    def table(self, separator: str = "\t") -> str:
        """Path means with the ends of their intervals, THz, as text for a spreadsheet."""
        return means_as_text(self.result, self._theory_means(), separator)

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture as .svg or .png, its origin in the metadata; returns the path.

        Raises
        ------
        TypeError, ValueError
            If ``path`` is no path or has another suffix, or there is no picture.
        """
        return write_figure(path, self.figure(), title=_TITLE, provenance=self.provenance())

    def provenance(self) -> dict[str, Any]:
        """What exported files say about the data and the choice."""
        result = self.result
        names = ("path", "temperature_k", "masses_u", "statistics", "method", "symmetry")
        told = dict(zip(names, self._controls.choice(), strict=True)) | self._options
        told["masses_u"] = np.asarray(told["masses_u"]).tolist()
        return told | {
            "states": result.states,
            "cells": result.cells,
            "theory": self._theory is not None and self.theory.value,
        }

    @one_thread
    def _compute(self, *choice: Any) -> tuple[PhononDispersion, str]:
        """The dispersion of a choice, and what was warned of on the way."""
        path, kelvin, masses, statistics, method, symmetry = choice
        key = _key(choice)
        if key not in self._known:
            begin = time.perf_counter()
            with heard() as texts:
                way = {"method": method, "symmetry": symmetry, **self._options}
                result = phonon_dispersion(*self._data, masses, kelvin, path, statistics, **way)
            self._known[key] = result, "; ".join(texts)
            self._seconds = time.perf_counter() - begin
        return self._known[key]

    def _curves(self) -> np.ndarray | None:
        """Frequencies of the theory at the points of the result (points, curves) [THz]."""
        if self._theory is None or not self.theory.value:
            return None
        return theory_at(self._theory, self.result, self.path.value, self._first_path)

    def _theory_means(self) -> np.ndarray | None:
        curves = self._curves()
        if curves is None:
            return None
        way = brillouin_path(self._data[1].vectors, self.path.value, points=self._points)
        return np.asarray(way.weights @ curves)

    def _paint(self, figure: Figure) -> None:
        uncorrected = self.uncorrected.value
        plotting.dispersion(self.result, theory=self._curves(), uncorrected=uncorrected, ax=figure.subplots())

    @one_thread
    def _draw(self) -> None:
        self.files.clear()
        choice = self._controls.choice()
        # a new choice is likely to take as long as the last one
        slow = self._seconds > _NOTICED and _key(choice) not in self._known
        self.message.value = say("computing…") if slow else ""
        self._controls.show_use()
        try:
            result, warned = self._compute(*choice)
            words = f"Phonon branches along {self.path.value} with 95 % intervals; at the right path means"
            self.picture.show(self._paint, words)
            csv = link("path_means.csv", self.table(",").encode("utf-8-sig"), "text/csv", "Save as CSV")
            self.page.value = html_means(result, self._theory_means()) + f"<p>{csv}</p>"
            self.message.value = say(warned) if warned else ""
        except (TypeError, ValueError) as error:
            self.picture.blank()
            self.page.value, self.message.value = "", say(str(error))

    def _about(self) -> tuple[str, str, dict[str, Any]]:
        """Name of files, title and origin."""
        return f"dispersion_{self.path.value}_{self.temperature.value:g}K", _TITLE, self.provenance()

    def _say(self, sentence: str) -> None:
        self.message.value = say(sentence)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live panel; beside it a still picture for pages without a kernel."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if isinstance(bundle, dict) and self.page.value:
            bundle["image/png"] = png(self.figure())
        return bundle


def _key(choice: tuple[Any, ...]) -> tuple[Any, ...]:
    """The choice as a key of a dictionary."""
    path, kelvin, masses, *others = choice
    return path, kelvin, masses if np.ndim(masses) == 0 else tuple(np.ravel(masses)), *others
