"""The sliders and menus of the correlation explorer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as ipw

from caviar_kit.widgets.correlation_picture import CHOICES
from caviar_kit.widgets.correlation_source import CorrelationSource

__all__ = ["CorrelationControls"]


class CorrelationControls(ipw.HBox):
    """Controls, side by side where there is room; `CorrelationExplorer` describes them.

    Parameters
    ----------
    sources : mapping of title to CorrelationSource
        Not empty.
    """

    def __init__(self, sources: Mapping[str, CorrelationSource]) -> None:
        first = next(iter(sources.values()))
        self.dataset = ipw.Dropdown(options=list(sources), description="data set", **_wide())
        self.dataset.layout.display = None if len(sources) > 1 else "none"
        self.reference = ipw.IntSlider(
            value=first.central, min=0, max=first.atoms - 1, description="reference atom", **_slow()
        )
        bond, span = first.extent
        low, high = _reach(first)
        self.radius = ipw.FloatSlider(
            value=min(2.8 * bond, span),
            min=low,
            max=high,
            step=0.1,
            readout_format=".1f",
            description="radius (Å)",
            **_slow(),
        )
        self.shell = ipw.Dropdown(
            options=[("within the radius", "radius"), *((name, name) for name in CHOICES[1:])],
            description="neighbours",
            tooltip="All within the radius, or one shell of neighbours; self: the atom's own variances",
            **_wide(),
        )
        self.axes = ipw.Dropdown(
            options=[("image: x, y", "image"), ("lattice: x′, y′", "lattice")],
            description="axes",
            tooltip="x′ points from a site of the lattice to its nearest neighbour",
            **_wide(),
        )
        self.slices = ipw.IntRangeSlider(
            description="slices", tooltip="First and last slice; slice 0 meets the beam first", **_slow()
        )
        self.intervals = ipw.Checkbox(value=True, description="95 % intervals", **_wide())
        left = ipw.VBox([self.dataset, self.reference, self.radius, self.slices])
        right = ipw.VBox([self.shell, self.axes, self.intervals])
        super().__init__([left, right], layout={"flex_flow": "row wrap"})
        self.limit(first)

    @property
    def atom(self) -> int:
        """Index of the reference atom."""
        # a slider checks a value before it takes it; the ends may come in from another thread between
        return min(self.reference.value, self.reference.max)

    @property
    def chosen_slices(self) -> tuple[int, int]:
        """First and last slice."""
        first, last = self.slices.value
        return min(first, self.slices.max), min(last, self.slices.max)

    def settle(self) -> None:
        """Bring values back within the ends, which another thread may have moved while they were set."""
        for slider in (self.reference, self.radius, self.slices):
            ends = slider.value if slider is self.slices else (slider.value, slider.value)
            if ends[0] < slider.min or ends[1] > slider.max:  # others may be on their way to another value
                slider.value = slider.value  # checked once more

    def limit(self, source: CorrelationSource) -> None:
        """Fit ranges to a data set; values that are still allowed stay."""
        self.reference.max = source.atoms - 1
        low, high = _reach(source)
        if low > self.radius.max:  # a slider refuses ends in the wrong order
            self.radius.max, self.radius.min = high, low
        else:
            self.radius.min, self.radius.max = low, high
        self.slices.layout.display = None if source.slices else "none"
        last = max(source.slices - 1, 0)
        if self.slices.max != last:
            self.slices.max = last
            self.slices.value = (0, last)
        can = source.displacements is not None
        self.intervals.disabled = not can


def _reach(source: CorrelationSource) -> tuple[float, float]:
    """Least and greatest radius that make sense [Å]; all atoms are within the greatest."""
    shortest, longest = source.extent
    return round(shortest, 1), round(longest + 0.1, 1)


def _wide() -> dict[str, Any]:
    return {"style": {"description_width": "8em"}, "layout": {"width": "28em"}}


def _slow() -> dict[str, Any]:
    # one drawing when the slider rests, not one per step
    return {**_wide(), "continuous_update": False}
