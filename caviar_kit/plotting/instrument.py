"""What was fitted besides the object: probe modes and scan positions."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.multislice.probe_modes import as_modes, occupations
from caviar_kit.plotting._common import VERMILION, image_extent, label, new_axes, scale_bar
from caviar_kit.vibrations._inputs import pixel_size, to_host

__all__ = ["probe_modes", "refined_positions"]


def probe_modes(
    probe: ArrayLike, sampling: float | ArrayLike, *, count: int = 5, ax: ArrayLike | None = None
) -> np.ndarray:
    """Draw the amplitude of probe modes in real (upper row) and reciprocal space (lower row).

    Each panel has its own contrast; how much of the beam a mode carries stands in it.

    Parameters
    ----------
    probe : complex (modes, y, x) or (y, x)
        Centred in the window, for example ``ptychography.probe``.
    sampling : float or (y, x) pair, Å per pixel
    count : int
        Modes drawn at most.
    ax : array of matplotlib Axes, (2, modes), optional
        A new figure by default.

    Returns
    -------
    array of matplotlib Axes, (2, modes)

    Raises
    ------
    TypeError, ValueError
        If the probe is not complex, finite and 2-D or 3-D, or ``ax`` has another shape.
    """
    modes = as_modes("probe", to_host(probe))
    pixel, shown = pixel_size(sampling), min(validation.integer("count", count), len(modes))
    if ax is None:
        size = (2.4 * shown + 0.4, 5.2)
        axes = plt.subplots(2, shown, figsize=size, layout="constrained", squeeze=False)[1]
    else:
        axes = np.asarray(ax, dtype=object)
        if axes.shape != (2, shown) or not all(isinstance(one, Axes) for one in axes.flat):
            raise ValueError(f"ax must be matplotlib axes of shape (2, {shown}), got {axes.shape}")
    spectra = np.fft.fftshift(np.fft.fft2(modes), axes=(-2, -1))
    shares = 100 * occupations(modes)
    shape = modes.shape[-2:]
    bin_size = 1 / (np.array(shape) * pixel)  # 1/Å
    half = np.array(shape) // 2 * bin_size
    left, right, bottom, top = image_extent(shape, bin_size)
    centred = (left - half[1], right - half[1], bottom - half[0], top - half[0])
    for number in range(shown):
        real, reciprocal = axes[:, number]
        real.imshow(abs(modes[number]), cmap="viridis", extent=image_extent(shape, pixel))
        label(real, f"mode {number + 1}: {shares[number]:.3g} %")
        real.set(xticks=[], yticks=[])
        reciprocal.imshow(abs(spectra[number]), cmap="viridis", extent=centred)
        reciprocal.set_xlabel("$k_x$ (1/Å)")
    axes[1, 0].set_ylabel("$k_y$ (1/Å)")
    for reciprocal in axes[1, 1:]:
        reciprocal.set_yticklabels([])
    scale_bar(axes[0, 0])
    return axes


def refined_positions(
    nominal: ArrayLike, refined: ArrayLike, *, magnify: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw how far each scan position was moved, as an arrow from where it was assumed to be.

    Parameters
    ----------
    nominal, refined : (positions, 2)
        y then x [Å]: ``scan_positions_angstrom`` before and after a fit.
    magnify : float, optional
        Factor on the length of the arrows; by default the longest is as long as the scan step.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        y downwards; the title says how long the arrows are.

    Raises
    ------
    TypeError, ValueError
        If the positions are not two finite arrays of the same shape.
    """
    before = validation.as_array("nominal", nominal, shape=(None, 2)).astype(float)
    after = validation.as_array("refined", refined, shape=before.shape).astype(float)
    shifts = after - before
    lengths = np.hypot(*shifts.T)
    longest = float(lengths.max())
    if magnify is None:
        magnify = _step(before) / longest if longest > 0 else 1.0
    magnify = validation.number("magnify", magnify, minimum=0, open_minimum=True)

    ax = new_axes(ax, 5.2, 5.2)
    ax.plot(before[:, 1], before[:, 0], "o", color="0.6", markersize=4)
    ax.quiver(
        before[:, 1],
        before[:, 0],
        shifts[:, 1],
        shifts[:, 0],
        angles="xy",
        scale_units="xy",
        scale=1 / magnify,
        color=VERMILION,
        width=0.005,
    )
    margin = _step(before)
    ax.set_xlim(before[:, 1].min() - margin, before[:, 1].max() + margin)
    ax.set_ylim(before[:, 0].max() + margin, before[:, 0].min() - margin)
    ax.set_aspect("equal")
    ax.set(xlabel="x (Å)", ylabel="y (Å)")
    rms = np.sqrt((lengths**2).mean())
    ax.set_title(
        f"{100 * rms:.3g} pm rms, longest {100 * longest:.3g} pm, drawn × {magnify:.3g}", fontsize="medium"
    )
    return ax


def _step(positions: np.ndarray) -> float:
    """Typical distance of a position to its nearest neighbour [Å]; 1 for a single one."""
    some = positions[:: max(1, len(positions) // 200)]
    away = np.linalg.norm(some[:, None] - positions[None], axis=-1)
    nearest = np.where(away > 1e-9, away, np.inf).min(axis=1)
    nearest = nearest[np.isfinite(nearest)]
    return float(np.median(nearest)) if nearest.size else 1.0
