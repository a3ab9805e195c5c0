"""Reconstructions side by side with the truth, as in figure 2 of arXiv:2309.12017."""

from __future__ import annotations

import math
from collections.abc import Mapping
from string import ascii_lowercase
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.plotting._common import PM2_PER_ANGSTROM2, image_extent, scale_bar
from caviar_kit.plotting.arrows import correlation_arrows

if TYPE_CHECKING:
    from caviar_kit.results import EnsembleResult

__all__ = ["ensemble_comparison"]

_STAR = "#F0E442"  # as in correlation_arrows
_ARROW = 1.2  # longest arrow over shortest distance
_REACH = 2.8  # radius over shortest distance


def ensemble_comparison(
    results: Mapping[str, EnsembleResult],
    *,
    reference: ArrayLike | None = None,
    radius: float | None = None,
) -> Figure:
    """Draw the correlation arrows of several reconstructions above their truths, all on one scale.

    Parameters
    ----------
    results : mapping of title to EnsembleResult
        Of the same field; the first picture is the mean phase of the last one.
    reference : (y, x), Å, optional
        The reference is the column nearest to this place; the middle of the field by default.
    radius : float, Å, optional
        How far neighbours are drawn; 2.8 times the shortest distance by default.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    TypeError, ValueError
        If ``results`` is no mapping of results, is empty, or an argument is out of range.
    """
    from caviar_kit.results import EnsembleResult

    if not isinstance(results, Mapping) or not all(isinstance(r, EnsembleResult) for r in results.values()):
        raise TypeError(f"results must map titles to EnsembleResult, got {type(results).__name__}")
    if not results:
        raise ValueError("results is empty: nothing to draw")
    titles, ensembles = [str(title) for title in results], list(results.values())
    where = ensembles[-1].true_positions
    place = np.array(where.mean(axis=0) if reference is None else reference, dtype=float)
    place = validation.as_array("reference", place, shape=(2,))
    atoms = [int(np.linalg.norm(r.true_positions - place, axis=1).argmin()) for r in ensembles]
    apart = np.linalg.norm(where[:, None] - where, axis=-1)
    bond = float(apart[apart > 0].min()) if len(where) > 1 else 1.0
    reach = _REACH * bond if radius is None else radius
    longest = max(_longest(r, atom, reach) for r, atom in zip(ensembles, atoms, strict=True))
    scale = _ARROW * bond / longest if longest > 0 else 1.0

    columns = 1 + len(ensembles)
    figure, axes = plt.subplots(2, columns, figsize=(3.1 * columns, 7.2), layout="constrained", squeeze=False)
    _phase(axes[0, 0], ensembles[-1], atoms[-1], titles[-1])
    panels = zip(axes[:, 1:].T, titles, ensembles, atoms, strict=True)
    for number, (pair, title, result, atom) in enumerate(panels, start=1):
        tensors = (result.greens_tensor, result.true_greens_tensor)
        positions = (result.positions, result.true_positions)
        picture = {"image": result.phases.mean(axis=0), "sampling": result.sampling}
        for ax, tensor, points, behind in zip(pair, tensors, positions, (picture, {}), strict=True):
            correlation_arrows(tensor, points, atom, radius=reach, scale=scale, ax=ax, **behind)
            ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
        pair[0].set_title(f"{ascii_lowercase[number]}  {title}", loc="left")
        pair[0].set_xlabel(_similarity(result))
        pair[1].set_title(f"{title}: truth", loc="left", color="0.35")
    _explain(axes[1, 0], axes[0, 1])
    for ax in axes[:, 1:].ravel():
        if (legend := ax.get_legend()) is not None:
            legend.remove()
    return figure


def _longest(result: EnsembleResult, atom: int, reach: float) -> float:
    """Longest arrow [pm²] around ``atom``, found or true."""
    distance = np.linalg.norm(result.true_positions - result.true_positions[atom], axis=1)
    others = (distance <= reach) & (np.arange(len(distance)) != atom)
    tensors = (result.greens_tensor, result.true_greens_tensor)
    lengths = [np.linalg.norm(tensor[atom][:, others], axis=-1).max(initial=0) for tensor in tensors]
    return PM2_PER_ANGSTROM2 * float(max(lengths))


def _phase(ax: Axes, result: EnsembleResult, atom: int, title: str) -> None:
    mean = result.phases.mean(axis=0)
    ax.imshow(mean, cmap="viridis", extent=image_extent(mean.shape, result.sampling))
    y, x = result.positions[atom]
    ax.scatter(x, y, s=130, marker="*", color=_STAR, edgecolor="black", linewidth=0.8)
    ax.set(xticks=[], yticks=[], xlabel="★ reference column")
    ax.set_title(f"a  {title}: mean phase", loc="left")
    scale_bar(ax)


def _similarity(result: EnsembleResult) -> str:
    nearest = result.comparison["nearest"]
    if math.isnan(nearest.csm):
        return f"rms {result.summary()['rms_displacement_pm']:.1f} pm\n(truth: at rest)"
    share = result.summary()["nearest_to_self"]
    return f"nearest: CSM {nearest.csm:.2f}, LSM {nearest.lsm:.2f}\nnearest / self: {share:.0%}"


def _explain(ax: Axes, source: Axes) -> None:
    """One legend for all panels."""
    ax.set_axis_off()
    if (legend := source.get_legend()) is None:
        return
    entries = [entry for entry in legend.legend_handles if entry is not None]
    labels = [text.get_text() for text in legend.get_texts()]
    ax.legend(entries, labels, handler_map=legend.get_legend_handler_map(), loc="center", frameon=False)
