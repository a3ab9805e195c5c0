"""Where a fit and its data disagree: over the scan, and on the detector."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from caviar_kit.atomistic.criticism import Criticism

__all__ = ["residual_maps"]

_SHOWN = 99.5  # per cent of the detector's pixels within the range of colours


def residual_maps(criticism: Criticism, *, ax: ArrayLike | None = None) -> np.ndarray:
    """Draw the misfit of each pattern beyond counting noise, and the mean residual on the detector.

    Parameters
    ----------
    criticism : Criticism
        From :func:`caviar_kit.atomistic.criticise`.
    ax : array of two matplotlib Axes, optional
        A new figure by default.

    Returns
    -------
    array of matplotlib Axes, (2,)
        The title of the left panel has excess and signal.

    Raises
    ------
    TypeError, ValueError
        If ``criticism`` is something else, or ``ax`` is not two axes.
    """
    if not isinstance(criticism, Criticism):
        raise TypeError(f"criticism must be a Criticism, got {type(criticism).__name__}")
    if ax is None:
        axes = plt.subplots(1, 2, figsize=(9.6, 4.2), layout="constrained")[1]
    else:
        axes = np.asarray(ax, dtype=object)
        if axes.shape != (2,) or not all(isinstance(one, Axes) for one in axes):
            raise ValueError(f"ax must be two matplotlib axes, got shape {axes.shape}")
    _over_the_scan(axes[0], criticism)
    _on_the_detector(axes[1], criticism)
    return np.asarray(axes)


def _over_the_scan(ax: Axes, criticism: Criticism) -> None:
    y, x = criticism.scan.T
    largest = float(np.abs(criticism.misfit).max()) or 1.0
    signed = criticism.misfit.min() < 0
    points = ax.scatter(
        x,
        y,
        c=criticism.misfit,
        cmap="RdBu_r" if signed else "viridis",
        vmin=-largest if signed else 0.0,
        vmax=largest,
        marker="s",
        s=60,
    )
    ax.figure.colorbar(points, ax=ax, label="misfit beyond counting noise (fraction of the beam)")
    ax.set(xlabel="x (Å)", ylabel="y (Å)", aspect="equal")
    ax.invert_yaxis()
    ax.set_title(f"excess {criticism.excess:.2g}, signal {criticism.signal:.2g}", fontsize="medium")


def _on_the_detector(ax: Axes, criticism: Criticism) -> None:
    range_ = float(np.percentile(np.abs(criticism.residual), _SHOWN)) or 1.0
    image = ax.imshow(criticism.residual, cmap="RdBu_r", vmin=-range_, vmax=range_)
    ax.figure.colorbar(image, ax=ax, label=r"$\Sigma(D - I)\,/\,\sqrt{\Sigma I}$")
    ax.set(xlabel="detector x (pixel)", ylabel="detector y (pixel)")
    ax.set_title("mean residual", fontsize="medium")
