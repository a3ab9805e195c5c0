"""What a pattern is made of, against thickness."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from caviar_kit.plotting._common import CYCLE, new_axes
from caviar_kit.simulation.contributions import PatternContributions

__all__ = ["pattern_contributions"]

_LINES = {  # name: what the figure calls it, marker, dashes
    "single scattering": ("multiple scattering (against Born)", "o", "-"),
    "one slice": ("propagation (against one slice)", "s", "-"),
    "atoms at rest": ("vibration (against atoms at rest)", "^", (0, (5, 1.5))),
    "point source": ("source size (against a point)", "D", (0, (1.5, 1.2))),
    "independent columns": ("correlation (against Einstein)", "v", (0, (5, 1.5, 1.5, 1.5))),
    "chance": ("chance (two Einstein draws)", "x", (0, (1, 3))),
}


def pattern_contributions(contributions: PatternContributions, *, ax: Axes | None = None) -> Axes:
    """Draw how much each effect changes a pattern, per cent of the beam, on logarithmic axes.

    Lines are means over the scan positions; bars, a little beside them, reach from mean / f to mean · f with
    f = 1 + standard deviation / mean: as much as the standard deviation where that is small, never below 0.

    Parameters
    ----------
    contributions : PatternContributions
        From ``simulation.pattern_contributions``.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError
        If ``contributions`` is something else.
    """
    if not isinstance(contributions, PatternContributions):
        raise TypeError(
            f"contributions must be PatternContributions, got {type(contributions).__name__}; "
            "see simulation.pattern_contributions"
        )
    ax = new_axes(ax, 7.4, 4.2)
    order = np.argsort(contributions.thickness_angstrom)
    thickness = contributions.thickness_angstrom[order]
    mean, spread = contributions.mean, contributions.spread
    for number, (name, (text, marker, dashes)) in enumerate(_LINES.items()):
        value = 100 * mean[name][order]
        factor = 1 + spread[name][order] / mean[name][order]
        ax.plot(
            thickness,
            value,
            label=text,
            marker=marker,
            linestyle=dashes,
            color=CYCLE[number],
            linewidth=1.6,
        )
        beside = thickness * 1.025 ** (number - 2.5)  # so that bars do not hide one another
        ax.vlines(beside, value / factor, value * factor, color=CYCLE[number], linewidth=0.9)
    ax.set(xscale="log", yscale="log", xlabel="thickness (Å)", ylabel="change of the pattern, L1 (% of beam)")
    ax.xaxis.set_major_locator(FixedLocator(list(thickness)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([f"{value:.3g}" for value in thickness])
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.grid(which="major", alpha=0.3)
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax
