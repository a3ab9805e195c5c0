"""Pick a reference atom, see how its neighbours follow it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets as ipw
import numpy as np
from matplotlib.figure import Figure

from caviar_kit import plotting
from caviar_kit.results import EnsembleResult

__all__ = ["CorrelationExplorer"]

_PM2 = 1e4
_ROWS_AT_MOST = 12
_PAIRS = (("xx", 1, 1), ("xy", 1, 0), ("yx", 0, 1), ("yy", 0, 0))


class CorrelationExplorer(ipw.VBox):
    """Panel with the correlation arrows around one atom, its neighbours' figures below.

    Arrow keys move the sliders. ``explorer.reference.value = 3`` does the same from a script,
    and ``explorer.figure()`` returns the picture.

    Parameters
    ----------
    results : EnsembleResult, or mapping of title to EnsembleResult
        From `caviar_kit.measure` or `caviar_kit.load_result`.

    Attributes
    ----------
    dataset, reference, radius
        The controls: title, index of the reference atom, how far neighbours are shown [Å].

    Raises
    ------
    TypeError, ValueError
        If ``results`` is something else, or empty.
    """

    def __init__(self, results: EnsembleResult | Mapping[str, EnsembleResult]) -> None:
        self._results = _checked(results)
        first = next(iter(self._results.values()))
        wide: dict[str, Any] = {
            "style": {"description_width": "8em"},
            "layout": {"width": "28em"},
            "continuous_update": False,  # one drawing when the slider rests, not one per step
        }
        self.dataset = ipw.Dropdown(
            options=list(self._results), description="data set", style=wide["style"], layout=wide["layout"]
        )
        self.dataset.layout.display = None if len(self._results) > 1 else "none"
        self.reference = ipw.IntSlider(
            value=_central(first), min=0, max=len(first.positions) - 1, description="reference atom", **wide
        )
        bond, span = _extent(first)
        self.radius = ipw.FloatSlider(
            value=min(2.8 * bond, span),
            min=round(bond, 1),
            max=round(span + 0.1, 1),
            step=0.1,
            readout_format=".1f",
            description="radius (Å)",
            **wide,
        )
        self._picture, self._table = ipw.HTML(), ipw.HTML()
        super().__init__([self.dataset, self.reference, self.radius, self._picture, self._table])
        self.dataset.observe(self._change_data, names="value")
        for control in (self.reference, self.radius):
            control.observe(self._draw, names="value")
        self._draw()

    @property
    def result(self) -> EnsembleResult:
        """The chosen data set."""
        return self._results[self.dataset.value]

    def figure(self) -> Figure:
        """The picture of the present choice: reconstruction beside truth, on one scale."""
        title = f"{self.dataset.value}, " if len(self._results) > 1 else ""
        result, atom = self.result, self.reference.value
        figure = Figure(figsize=(9.6, 5.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        tensors = (result.greens_tensor, result.true_greens_tensor)
        longest = max(_longest(result, tensor, atom, self.radius.value) for tensor in tensors)
        scale = 1.2 * _extent(result)[0] / longest if longest > 0 else None
        shared: dict[str, Any] = {"radius": self.radius.value, "scale": scale}
        phase = result.phases.mean(axis=0)
        plotting.correlation_arrows(
            tensors[0], result.positions, atom, image=phase, sampling=result.sampling, ax=left, **shared
        )
        plotting.correlation_arrows(tensors[1], result.true_positions, atom, ax=right, **shared)
        left.set_title(f"{title}atom {atom}: reconstructed", pad=24)
        right.set_title("truth", pad=24)
        right.set_ylabel("")
        return figure

    def neighbours(self) -> list[dict[str, float]]:
        """The atoms within the radius, nearest first: index, distance [Å], found and true G [pm²]."""
        result, atom = self.result, self.reference.value
        distance = np.linalg.norm(result.positions - result.positions[atom], axis=1)
        tensors = {"": _PM2 * result.greens_tensor, "true ": _PM2 * result.true_greens_tensor}
        rows = []
        for other in np.argsort(distance, kind="stable"):
            if other != atom and distance[other] <= self.radius.value:
                row = {"atom": int(other), "distance": float(distance[other])}
                for kind, tensor in tensors.items():
                    row |= {f"{kind}{name}": float(tensor[atom, a, other, b]) for name, a, b in _PAIRS}
                rows.append(row)
        return rows

    def _change_data(self, change: Any) -> None:
        self.reference.max = len(self.result.positions) - 1  # clips the value, and draws if that changes it
        self._draw()

    def _draw(self, change: Any = None) -> None:
        # an HTML widget, unlike an Output, also works in a script, and says what the picture shows
        data = base64.b64encode(_png(self.figure())).decode()
        alt = f"Correlation arrows around atom {self.reference.value}, reconstructed and true"
        self._picture.value = f'<img alt="{alt}" style="max-width:100%" src="data:image/png;base64,{data}">'
        self._table.value = self._page()

    def _page(self) -> str:
        """The figures as an HTML table."""
        rows = self.neighbours()
        names = [name for name, *_ in _PAIRS]
        heads = "".join(f'<th scope="col">{head}</th>' for head in ("atom", "distance (Å)", *names))
        lines = []
        for row in rows[:_ROWS_AT_MOST]:
            figures = (f"{row[name]:z.1f} ({row['true ' + name]:z.1f})" for name in names)
            cells = "".join(f"<td>{text}</td>" for text in (f"{row['distance']:.2f}", *figures))
            lines.append(f'<tr><th scope="row">{row["atom"]:.0f}</th>{cells}</tr>')
        more = f"<p>… and {len(rows) - _ROWS_AT_MOST} more</p>" if len(rows) > _ROWS_AT_MOST else ""
        return (
            "<p>Correlation with the reference in pm², truth in brackets; "
            "xy: the reference along x, the neighbour along y.</p>"
            '<table style="text-align:right;border-spacing:1em 0;border-collapse:separate">'
            f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>{more}"
            f"<p>Agreement over all atoms:</p><pre>{escape(str(self.result.comparison))}</pre>"
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live panel; beside it a still picture for pages without a kernel."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if isinstance(bundle, dict):
            bundle["image/png"] = _png(self.figure())
        return bundle


def _checked(results: Any) -> dict[str, EnsembleResult]:
    if isinstance(results, EnsembleResult):
        return {results.name: results}
    if not isinstance(results, Mapping) or not all(isinstance(r, EnsembleResult) for r in results.values()):
        raise TypeError(
            f"results must be an EnsembleResult or map titles to them, got {type(results).__name__}; "
            "make one with measure(ptychography, example)"
        )
    if not results:
        raise ValueError("results is empty: nothing to explore")
    return {str(title): result for title, result in results.items()}


def _central(result: EnsembleResult) -> int:
    """The atom nearest to the middle."""
    where = result.positions
    return int(np.linalg.norm(where - where.mean(axis=0), axis=1).argmin())


def _extent(result: EnsembleResult) -> tuple[float, float]:
    """Shortest and longest distance between atoms [Å]."""
    where = result.positions
    apart = np.linalg.norm(where[:, None] - where, axis=-1)
    return (float(apart[apart > 0].min()), float(apart.max())) if len(where) > 1 else (1.0, 2.0)


def _longest(result: EnsembleResult, tensor: np.ndarray, atom: int, radius: float) -> float:
    """Longest arrow [pm²] within the radius."""
    distance = np.linalg.norm(result.positions - result.positions[atom], axis=1)
    others = (distance <= radius) & (np.arange(len(distance)) != atom)
    return _PM2 * float(np.linalg.norm(tensor[atom][:, others], axis=-1).max(initial=0))


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()
