"""Loss against iteration."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.plotting._common import CYCLE, new_axes

__all__ = ["loss"]

_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.5, 1.5)))


def loss(
    error_iterations: ArrayLike | Mapping[str, ArrayLike],
    *,
    held_out: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one loss curve, or several by name, on a logarithmic axis.

    Where the held-out curve turns upwards while the other still falls, the fit has begun to explain noise.

    Parameters
    ----------
    error_iterations : array (iterations,), or mapping of name to such an array
        For example ``ptychography.error_iterations``; values above 0, first value at 1.
    held_out : array (iterations,), optional
        Loss of the patterns that one fit did not see, for example ``ptychography.held_out_iterations``;
        its lowest point is marked. NaN where nothing was held out.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If a curve is not 1-D, empty, not finite, or not above 0, or ``held_out`` belongs to no single
        curve of its length.
    """
    named = isinstance(error_iterations, Mapping)
    curves = dict(error_iterations) if isinstance(error_iterations, Mapping) else {"": error_iterations}
    if not curves:
        raise ValueError("error_iterations is empty: no curve to draw")
    checked = {str(name): _curve(str(name), values) for name, values in curves.items()}
    if held_out is not None:
        if named:
            raise ValueError("held_out belongs to a single curve, got several error_iterations by name")
        held_out = _held_out(held_out, len(checked[""]))

    ax = new_axes(ax, 5.5, 3.6)
    for number, (name, values) in enumerate(checked.items()):
        ax.semilogy(
            np.arange(1, len(values) + 1),
            values,
            color=CYCLE[number % len(CYCLE)],
            linestyle=_DASHES[number % len(_DASHES)],
            linewidth=1.8,
            label=name or (None if held_out is None else "fitted patterns"),
            marker="o" if len(values) == 1 else None,
        )
    ax.set(xlabel="iteration", ylabel="loss")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(which="major", alpha=0.3)
    if held_out is not None:
        _draw_held_out(ax, held_out)
    if named or held_out is not None:
        ax.legend(frameon=False)
    return ax


def _draw_held_out(ax: Axes, values: np.ndarray) -> None:
    iterations = np.arange(1, len(values) + 1)
    ax.semilogy(
        iterations, values, color=CYCLE[1], linestyle=_DASHES[1], linewidth=1.8, label="held-out patterns"
    )
    best = int(np.nanargmin(values))
    ax.plot(
        iterations[best],
        values[best],
        marker="o",
        markersize=8,
        markerfacecolor="none",
        markeredgewidth=1.8,
        color=CYCLE[1],
        linestyle="none",
        label=f"best: iteration {iterations[best]}",
    )


def _held_out(values: ArrayLike, count: int) -> np.ndarray:
    curve = np.asarray(values, float)
    if curve.shape != (count,):
        raise ValueError(f"held_out must have shape ({count},) like error_iterations, got {curve.shape}")
    known = curve[~np.isnan(curve)]
    if not known.size or not np.isfinite(known).all() or (known <= 0).any():
        raise ValueError("held_out must hold values above 0, finite or NaN where nothing was held out")
    return curve


def _curve(name: str, values: ArrayLike) -> np.ndarray:
    title = f"error_iterations[{name!r}]" if name else "error_iterations"
    curve = validation.as_array(title, values, shape=(None,))
    if (curve <= 0).any():
        raise ValueError(f"{title} must be above 0 for a logarithmic axis, got {curve.min():g}")
    return curve
