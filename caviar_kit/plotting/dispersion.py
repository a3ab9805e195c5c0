"""Phonon branches along a path, with intervals, path means and theory."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.plotting._common import CYCLE, new_axes
from caviar_kit.vibrations.dispersion_result import PhononDispersion

__all__ = ["dispersion"]

_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.5, 1.5)))
_MARGIN = 0.16  # of the path's length, at the right, for the path means


def dispersion(
    result: PhononDispersion,
    *,
    theory: ArrayLike | None = None,
    uncorrected: bool = False,
    top_thz: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw branches with their 95 % intervals; path means with theirs stand at the right.

    A branch is dotted where it is not measured (``result.flags``). Imaginary frequencies are drawn below 0.

    Parameters
    ----------
    result : PhononDispersion
    theory : array (points, curves), THz, optional
        Frequencies at the same points, for example from `caviar_kit.vibrations.phonopy_dispersion`: thin
        black lines.
    uncorrected : bool
        Draw the branches before the correction for few states too, thin and in the same colour.
    top_thz : float, optional
        Upper end of the axis; by default all finite intervals and the theory fit in.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If ``result`` is no PhononDispersion or ``theory`` belongs to other points.
    """
    if not isinstance(result, PhononDispersion):
        raise TypeError(f"result must be a PhononDispersion, got {type(result).__name__}")
    curves = None if theory is None else _theory(theory, len(result.q))
    if top_thz is not None:
        top_thz = validation.number("top_thz", top_thz, minimum=0, open_minimum=True, unit="THz")
    ax = new_axes(ax, 6.0, 4.5)
    for number, name in enumerate(result.branches):
        _branch(ax, result, number, name, uncorrected)
    if curves is not None:
        lines = ax.plot(result.distance, curves, color="black", linewidth=0.9, zorder=3)
        lines[0].set_label("theory")
    _path_means(ax, result, curves)
    _frame(ax, result, curves, top_thz)
    handles, names = ax.get_legend_handles_labels()
    columns = min(len(names), 5)
    ax.legend(handles, names, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, frameon=False)
    return ax


def _branch(ax: Axes, result: PhononDispersion, number: int, name: str, uncorrected: bool) -> None:
    color, dash = CYCLE[number % len(CYCLE)], _DASHES[number % len(_DASHES)]
    frequency = _drawable(result.frequencies_thz[:, number])
    interval = _drawable(result.band_interval_thz[:, number])
    measured = np.isin(result.flags[:, number], ("", "sum rule"))
    ax.fill_between(result.distance, interval[:, 0], interval[:, 1], color=color, alpha=0.2, linewidth=0)
    ax.plot(
        result.distance,
        np.where(_grown(measured), frequency, np.nan),
        color=color,
        linestyle=dash,
        linewidth=1.8,
        label=name,
    )
    ax.plot(result.distance, np.where(measured, np.nan, frequency), color=color, linestyle=":", linewidth=1.2)
    if uncorrected:
        ax.plot(
            result.distance,
            _drawable(result.uncorrected_thz[:, number]),
            color=color,
            linewidth=0.7,
            zorder=1,
        )


def _path_means(ax: Axes, result: PhononDispersion, curves: np.ndarray | None) -> None:
    """One bar per branch beyond the end of the path, and the theory's means as ticks."""
    length = result.distance[-1]
    places = length * (1 + _MARGIN * (np.arange(len(result.branches)) + 1) / (len(result.branches) + 1))
    for number, place in enumerate(places):
        mean, (low, high) = result.path_mean_thz[number], result.interval_thz[number]
        color = CYCLE[number % len(CYCLE)]
        if np.isfinite(high):
            ax.plot([place, place], [low, high], color=color, linewidth=2.2, solid_capstyle="butt")
        if np.isfinite(mean):
            ax.plot(place, mean, marker="o", markersize=5, color=color, linestyle="none")
    ax.axvline(length, color="0.4", linewidth=0.8)
    if curves is not None:
        steps = np.diff(result.distance)
        weights = (np.append(steps, 0) + np.append(0, steps)) / 2
        for mean in weights @ curves / weights.sum():
            ax.plot([length, length * (1 + _MARGIN)], [mean, mean], color="black", linewidth=0.9)


def _frame(ax: Axes, result: PhononDispersion, curves: np.ndarray | None, top: float | None) -> None:
    length = result.distance[-1]
    for distance, _ in result.labels:
        ax.axvline(distance, color="0.8", linewidth=0.8, zorder=0)
    ticks = list(result.labels)
    if ticks:
        ax.set_xticks([d for d, _ in ticks] + [length * (1 + _MARGIN / 2)], [n for _, n in ticks] + ["mean"])
        ax.set_xlabel("wave vector")
    else:
        ax.set_xlabel("along the path [rad/Å]")
    shown = [result.frequencies_thz, result.band_interval_thz, result.interval_thz]
    shown += [] if curves is None else [curves]
    finite = np.concatenate([one[np.isfinite(one)].ravel() for one in shown])
    low = float(min(finite.min(initial=0), 0))
    high = float(1.04 * finite.max(initial=1)) if top is None else top
    ax.set(xlim=(0, length * (1 + _MARGIN)), ylim=(1.04 * low, high), ylabel="frequency (THz)")
    if low < 0:
        ax.axhline(0, color="0.4", linewidth=0.8)


def _theory(theory: ArrayLike, points: int) -> np.ndarray:
    array = validation.as_array("theory", theory)
    if array.ndim != 2 or len(array) != points:
        raise ValueError(f"theory must have shape ({points}, curves), got {array.shape}")
    return array.astype(float)


def _drawable(values: np.ndarray) -> np.ndarray:
    """Infinite values are left out of the drawing; the flags of the result name them."""
    return np.where(np.isfinite(values), values, np.nan)


def _grown(measured: np.ndarray) -> np.ndarray:
    """One point more at each end, so that a dotted line joins on."""
    grown = measured.copy()
    grown[1:] |= measured[:-1]
    grown[:-1] |= measured[1:]
    return grown
