"""The object states side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.plotting._common import image_extent, label, scale_bar
from caviar_kit.vibrations._inputs import pixel_size
from caviar_kit.vibrations.phase import projected_phase

__all__ = ["object_states"]


def object_states(
    obj: ArrayLike,
    sampling: float | ArrayLike,
    *,
    states: Sequence[int] | None = None,
    slices: slice | Sequence[int] | None = None,
    statistics: bool = True,
    columns: int = 4,
    ax: ArrayLike | None = None,
) -> np.ndarray:
    """Draw the projected phase of object states with one common contrast.

    Parameters
    ----------
    obj : array, complex, (states, slices, y, x)
    sampling : float or (y, x) pair, Å per pixel
    states : sequence of int, optional
        Which states to draw; the first six by default.
    slices : slice or sequence of int, optional
        Slices to project; all by default.
    statistics : bool
        Add the mean over all states, and their standard deviation: bright rims where atoms
        move.
    columns : int
        Panels per row in a new figure.
    ax : array of matplotlib Axes, optional
        One per panel; a new figure by default.

    Returns
    -------
    array of matplotlib Axes, (panels,)

    Raises
    ------
    TypeError, ValueError
        If the object is not complex 4-D, a state does not exist, or ``ax`` has too few axes.
    """
    phases = projected_phase(obj, slices)
    pixel = pixel_size(sampling)
    columns = validation.integer("columns", columns)
    chosen = _chosen(states, len(phases))
    panels = {f"state {index}": phases[index] for index in chosen}
    if statistics:
        panels["mean"] = phases.mean(axis=0)
    shared = np.stack(list(panels.values()))
    low, high = np.percentile(shared, (0.1, 99.9))
    if not high > low:
        low, high = low - 0.5, low + 0.5
    axes = _axes(ax, len(panels) + statistics, columns, phases.shape[1:], pixel)

    extent = image_extent(phases.shape[1:], pixel)
    pictures = []
    for panel, (title, phase) in zip(axes, panels.items(), strict=False):
        pictures.append(panel.imshow(phase, cmap="viridis", vmin=low, vmax=high, extent=extent))
        label(panel, title)
    if statistics:
        last = axes[len(panels)]
        spread = last.imshow(1e3 * phases.std(axis=0), cmap="magma", vmin=0, extent=extent)
        label(last, "standard deviation")
        last.figure.colorbar(spread, ax=last, label="mrad", location="bottom", shrink=0.9, pad=0.02)
    for panel in axes:
        panel.set(xticks=[], yticks=[])
    scale_bar(axes[0])
    axes[0].figure.colorbar(pictures[-1], ax=list(axes), label="phase (rad)", shrink=0.6)
    return axes


def _chosen(states: Sequence[int] | None, count: int) -> list[int]:
    if states is None:
        return list(range(min(count, 6)))
    chosen = [validation.integer("states", s, minimum=0, maximum=count - 1) for s in states]
    if not chosen:
        raise ValueError("states is empty: no state to draw")
    return chosen


def _axes(
    ax: ArrayLike | None, panels: int, columns: int, shape: tuple[int, ...], pixel: np.ndarray
) -> np.ndarray:
    if ax is not None:
        given = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        if len(given) < panels or not all(isinstance(one, Axes) for one in given):
            raise ValueError(f"ax must be at least {panels} matplotlib axes, one per panel, got {ax!r}")
        return given[:panels]
    columns = min(columns, panels)
    rows = -(-panels // columns)
    tall = shape[0] * pixel[0] / (shape[1] * pixel[1])
    size = (2.6 * columns + 1, 2.6 * float(np.clip(tall, 0.3, 3)) * rows + 0.6)
    figure, grid = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for spare in grid.ravel()[panels:]:
        figure.delaxes(spare)
    return grid.ravel()[:panels]
