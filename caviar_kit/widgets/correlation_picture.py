"""The arrows around one atom, as the correlation explorer draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from caviar_kit import plotting
from caviar_kit.vibrations.shells import SHELLS
from caviar_kit.widgets.correlation_source import CorrelationSource

__all__ = ["CHOICES", "chosen_atoms", "draw_arrows"]

_PM2 = 1e4
CHOICES = ("radius", *SHELLS)


def chosen_atoms(source: CorrelationSource, atom: int, choice: str, radius: float) -> np.ndarray:
    """Atoms to be shown for a reference, nearest first, int (n,).

    Parameters
    ----------
    source : CorrelationSource
    atom : int
        The reference.
    choice : {"radius", "self", "nearest", "next", "all"}
        All within ``radius`` but the atom itself, or a shell of `neighbour_shells`.
    radius : float, Å
    """
    distance = np.linalg.norm(source.positions - source.positions[atom], axis=1)
    if choice == "radius":
        mask = (distance <= radius) & (np.arange(source.atoms) != atom)
    else:
        mask = source.shells.mask(choice)[atom]
    order = np.argsort(distance, kind="stable")
    return order[mask[order]]


def draw_arrows(
    figure: Figure,
    source: CorrelationSource,
    atom: int,
    atoms: np.ndarray,
    *,
    radius: float,
    axes: np.ndarray | None = None,
    title: str = "",
) -> None:
    """Reconstruction, and the truth beside it on the same scale where it is known.

    Parameters
    ----------
    figure : matplotlib Figure
        Empty.
    source : CorrelationSource
        In the image's axes.
    atom : int
        The reference.
    atoms : int array (n,)
        Those with arrows.
    radius : float, Å
        How far the picture reaches, at least: all ``atoms`` are within.
    axes : array (2, 2), optional
        Rows y', x' along which the reference moves.
    title : str
        Before the words above the left picture.
    """
    tensors = [np.nan_to_num(source.tensor)]  # pairs never seen together have no arrow
    places = [source.positions]
    if source.true_tensor is not None and source.true_positions is not None:
        tensors.append(source.true_tensor)
        places.append(source.true_positions)
    mask = np.zeros(source.atoms, bool)
    mask[atoms] = True
    longest = max(_PM2 * np.linalg.norm(t[atom][:, atoms], axis=-1).max(initial=0) for t in tensors)
    shared: dict[str, Any] = {
        "radius": radius,
        "scale": 1.2 * source.extent[0] / longest if longest > 0 else None,
        "include_self": bool(mask[atom]),
        "neighbours": mask,
        "axes": axes,
    }
    panels = figure.subplots(1, len(tensors), squeeze=False)[0]
    image: dict[str, Any] = (
        {} if source.image is None else {"image": source.image, "sampling": source.sampling}
    )
    for ax, tensor, where, behind in zip(panels, tensors, places, (image, dict[str, Any]()), strict=False):
        plotting.correlation_arrows(tensor, where, atom, ax=ax, **shared, **behind)
    panels[0].set_title(f"{title}atom {atom}: reconstructed", pad=24)
    if len(panels) > 1:
        panels[1].set_title("truth", pad=24)
        panels[1].set_ylabel("")
