"""What the ensemble player shows at one setting of its controls, as a figure of fixed layout."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from caviar_kit.ensemble_view import EnsembleView
from caviar_kit.multislice.probe_modes import occupations
from caviar_kit.plotting.stills import column_displacements, complex_wave, phase_map

__all__ = ["Look", "caption", "draw", "provenance"]

_PICTURE, _PICTURE_OF_TWO = 5.0, 2.7  # inch, longer side
_NARROW, _LOW = 3.8, 2.0  # inch, room for title and labels
_GAP, _BAR, _LABELS, _TOP, _EDGE = 0.12, 0.18, 0.8, 0.55, 0.15  # inch
_DPI = 100


@dataclass(frozen=True)
class Look:
    """One setting of the controls; ``slice_index`` None is the sum of all slices."""

    show: str = "phase"
    state: int = 0
    slice_index: int | None = None
    mode: int = 0
    held: bool = True
    columns: bool = False
    magnify: float = 10.0

    def frames(self, view: EnsembleView) -> list[Look]:
        """The same setting for every state, or every mode of the probe."""
        if self.show == "probe":
            assert view.probe is not None
            return [replace(self, mode=mode) for mode in range(len(view.probe))]
        return [replace(self, state=state) for state in range(len(view.phases))]


def caption(view: EnsembleView, look: Look) -> str:
    """The title: what is shown, and which one."""
    if look.show == "probe":
        assert view.probe is not None
        words = [f"probe mode {look.mode}, {100 * occupations(view.probe)[look.mode]:.3g} % of the beam"]
    else:
        what = "" if look.show == "phase" else " − mean of the states"
        words = [f"state {look.state}{what}"]
        if view.phases.shape[1] > 1:
            chosen = look.slice_index
            words.append("all slices (projected)" if chosen is None else f"slice {chosen}")
        else:
            words.append("projected")
    return ", ".join(words if look.held else [*words, "own contrast"])


def contrast(view: EnsembleView, look: Look) -> tuple[float, float]:
    """Limits of the colours: phase [rad], or amplitude of the probe."""
    if look.show == "probe":
        assert view.probe is not None
        return 0.0, float(abs(view.probe if look.held else view.probe[look.mode]).max()) or 1.0
    projected = look.slice_index is None or view.phases.shape[1] == 1
    state = None if look.held else look.state
    return view.limits(look.show, projected=projected, state=state, slice_index=look.slice_index)


def draw(view: EnsembleView, look: Look) -> Figure:
    """The picture; axes stay in their place whatever is shown, so that frames fit each other."""
    if look.show == "probe":
        return _draw_probe(view, look)
    figure, ((ax, cax),) = _axes(view.phases.shape[-2:], view, 1)
    signed = look.show == "difference"
    phase_map(
        view.image(look.show, look.state, look.slice_index),
        view.sampling,
        limits=contrast(view, look),
        signed=signed,
        label="difference of phase (rad)" if signed else "phase (rad)",
        extend="both",  # of every frame, or the bar would jump
        cax=cax,
        ax=ax,
    )
    lines = [caption(view, look)]
    if look.columns and view.tracked is not None:
        mean = view.tracked.mean(axis=0)
        column_displacements(mean, view.tracked[look.state] - mean, magnify=look.magnify, ax=ax)
        lines.append(f"displacements of columns × {look.magnify:g}")
    _entitle(figure, lines)
    return figure


def _draw_probe(view: EnsembleView, look: Look) -> Figure:
    assert view.probe is not None
    mode, (_, largest) = view.probe[look.mode], contrast(view, look)
    figure, (left, right) = _axes(mode.shape, view, 2)
    amplitude: Any = {"limits": (0.0, largest), "label": "amplitude (largest of all modes: 1)"}
    phase_map(abs(mode), view.sampling, **amplitude, cax=left[1], ax=left[0])
    complex_wave(mode, view.sampling, largest=largest, cax=right[1], ax=right[0])
    _entitle(figure, [caption(view, look)])
    return figure


def provenance(view: EnsembleView, look: Look, frames_per_second: float) -> dict[str, Any]:
    """What a movie says about itself, JSON-ready: origin, versions, date, units, contrast limits."""
    from caviar_kit._storage import current_versions

    frames = look.frames(view)
    limits = [contrast(view, frame) for frame in (frames[:1] if look.held else frames)]
    return {
        **view.origin,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "written_by": current_versions(),
        "shown": {**asdict(look), "frames": "modes" if look.show == "probe" else "states"},
        "frame_count": len(frames),
        "frames_per_second": frames_per_second,
        "sampling": list(view.sampling),
        "units": {
            "sampling": "Å",
            "contrast_limits": "largest amplitude of all modes" if look.show == "probe" else "rad",
        },
        "contrast_limits": limits[0] if look.held else limits,
    }


def _entitle(figure: Figure, lines: list[str]) -> None:
    middle = 1 - 0.5 * _TOP / figure.get_size_inches()[1]
    figure.text(0.5, middle, "\n".join(lines), ha="center", va="center", fontsize="medium")


def _axes(shape: Any, view: EnsembleView, count: int) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """A figure with ``count`` pictures of this shape and the places of their colour bars."""
    height, width = shape[-2] * view.sampling[0], shape[-1] * view.sampling[1]
    scale = (_PICTURE if count == 1 else _PICTURE_OF_TWO) / max(height, width)
    high, wide = scale * height, scale * width
    column = max(wide, _NARROW if count == 1 else _PICTURE_OF_TWO)
    body = max(high, _LOW)
    step = _EDGE + column + _GAP + _BAR + _LABELS
    whole = _even(count * step), _even(_TOP + body + _EDGE)
    figure = Figure(figsize=whole, dpi=_DPI)

    def place(left: float, wide: float, high: float) -> Axes:
        bottom = _EDGE + (body - high) / 2
        return figure.add_axes((left / whole[0], bottom / whole[1], wide / whole[0], high / whole[1]))

    starts = [number * step + _EDGE + (column - wide) / 2 for number in range(count)]
    return figure, [(place(start, wide, high), place(start + wide + _GAP, _BAR, body)) for start in starts]


def _even(inches: float) -> float:
    """At least as much, and an even number of pixels, as movies need."""
    return 2 * math.ceil(_DPI * inches / 2) / _DPI
