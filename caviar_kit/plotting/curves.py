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


def loss(error_iterations: ArrayLike | Mapping[str, ArrayLike], *, ax: Axes | None = None) -> Axes:
    """Draw one loss curve, or several by name, on a logarithmic axis.

    Parameters
    ----------
    error_iterations : array (iterations,), or mapping of name to such an array
        For example ``ptychography.error_iterations``; values above 0, first value at 1.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If a curve is not 1-D, empty, not finite, or not above 0.
    """
    named = isinstance(error_iterations, Mapping)
    curves = dict(error_iterations) if isinstance(error_iterations, Mapping) else {"": error_iterations}
    if not curves:
        raise ValueError("error_iterations is empty: no curve to draw")
    checked = {str(name): _curve(str(name), values) for name, values in curves.items()}

    ax = new_axes(ax, 5.5, 3.6)
    for number, (name, values) in enumerate(checked.items()):
        ax.semilogy(
            np.arange(1, len(values) + 1),
            values,
            color=CYCLE[number % len(CYCLE)],
            linestyle=_DASHES[number % len(_DASHES)],
            linewidth=1.8,
            label=name or None,
            marker="o" if len(values) == 1 else None,
        )
    ax.set(xlabel="iteration", ylabel="loss")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(which="major", alpha=0.3)
    if named:
        ax.legend(frameon=False)
    return ax


def _curve(name: str, values: ArrayLike) -> np.ndarray:
    title = f"error_iterations[{name!r}]" if name else "error_iterations"
    curve = validation.as_array(title, values, shape=(None,))
    if (curve <= 0).any():
        raise ValueError(f"{title} must be above 0 for a logarithmic axis, got {curve.min():g}")
    return curve
