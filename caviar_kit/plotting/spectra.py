"""Power spectra and depth: what a reconstruction resolves."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Circle

from caviar_kit.plotting._common import BLUE, CYCLE, VERMILION, new_axes
from caviar_kit.vibrations.column_profiles import ColumnProfiles
from caviar_kit.vibrations.depth_spectrum import DepthSpectrum
from caviar_kit.vibrations.information_limit import InformationLimit
from caviar_kit.vibrations.ring_correlation import RingCorrelation

__all__ = ["depth_map", "depth_profile", "depth_power", "power_spectrum", "ring_correlation"]


def power_spectrum(limit: InformationLimit, *, decades: float = 6, ax: Axes | None = None) -> Axes:
    """Power spectrum of the phase with its significant peaks and the information limit as a circle.

    Parameters
    ----------
    limit : InformationLimit
        From :func:`caviar_kit.information_limit`.
    ax : matplotlib axes, optional
        Where to draw; new ones by default.
    decades : float
        How many powers of ten below the largest value to show.
    """
    ax = new_axes(ax, 5.5, 4.8)
    spectrum = limit.spectrum
    (rows, columns), (dy, dx) = spectrum.power.shape, spectrum.step
    extent = (
        (-(columns // 2) - 0.5) * dx,
        (columns - columns // 2 - 0.5) * dx,
        (rows - rows // 2 - 0.5) * dy,
        (-(rows // 2) - 0.5) * dy,
    )
    top = float(spectrum.power.max())
    image = ax.imshow(
        np.maximum(spectrum.power, top * 10.0**-decades),
        cmap="cividis",
        norm=LogNorm(top * 10.0**-decades, top),
        extent=extent,
        interpolation="nearest",
    )
    ax.figure.colorbar(image, ax=ax, label="power (rad² Å²)")
    if len(limit.peaks):
        ax.scatter(limit.peaks[:, 1], limit.peaks[:, 0], s=40, facecolors="none", edgecolors="white", lw=0.6)
        ax.add_patch(Circle((0, 0), limit.frequency, fill=False, color=VERMILION, lw=1.5))
        sign = "≤ " if limit.at_nyquist else ""
        ax.set_title(f"information limit {sign}{100 * limit.angstrom:.0f} pm", loc="left")
    ax.set(xlabel="$k_x$ (1/Å)", ylabel="$k_y$ (1/Å)")
    return ax


def ring_correlation(correlation: RingCorrelation, *, ax: Axes | None = None) -> Axes:
    """Fourier ring correlation with its threshold and the resolution."""
    ax = new_axes(ax)
    ax.plot(correlation.frequency, correlation.correlation, color=BLUE, label="correlation")
    ax.plot(correlation.frequency, correlation.threshold, color="0.4", ls="--", label="threshold")
    if np.isfinite(correlation.limit) and correlation.limit > 0:
        ax.axvline(correlation.limit, color=VERMILION, lw=1)
        ax.set_title(f"resolution {100 * correlation.resolution_angstrom:.0f} pm", loc="left")
    ax.set(xlabel="spatial frequency (1/Å)", ylabel="Fourier ring correlation", ylim=(-0.2, 1.05))
    ax.legend(frameon=False)
    return ax


def depth_power(spectrum: DepthSpectrum, *, decades: float = 6, ax: Axes | None = None) -> Axes:
    """Ring means of the three-dimensional power spectrum: frequency in the plane and along the beam."""
    ax = new_axes(ax)
    frequency, mean = (values[..., 2:] for values in spectrum.radial_mean())  # within is the window's own
    top = float(mean.max())
    mesh = ax.pcolormesh(
        frequency,
        spectrum.k_z,
        np.maximum(mean, top * 10.0**-decades),
        norm=LogNorm(top * 10.0**-decades, top),
        cmap="cividis",
        shading="nearest",
    )
    ax.figure.colorbar(mesh, ax=ax, label="power (rad² Å³)")
    if spectrum.limit > 0:
        ax.axhline(spectrum.limit, color=VERMILION, lw=1.5)
        ax.set_title(f"depth: modulations down to {spectrum.depth_angstrom:.0f} Å", loc="left")
    ax.set(xlabel="frequency in the plane (1/Å)", ylabel="$k_z$ (1/Å)")
    return ax


def depth_profile(profiles: dict[str, ColumnProfiles], *, ax: Axes | None = None) -> Axes:
    """Mean phase of columns against depth, one line with its standard deviation for each lattice.

    Parameters
    ----------
    profiles : mapping of str to ColumnProfiles
        By the name of the lattice, from :func:`caviar_kit.column_profiles`.
    ax : matplotlib axes, optional
        Where to draw; new ones by default.

    Raises
    ------
    TypeError, ValueError
        If ``profiles`` is not such a mapping, or is empty.
    """
    if not isinstance(profiles, dict) or not all(isinstance(p, ColumnProfiles) for p in profiles.values()):
        raise TypeError("profiles must map names to ColumnProfiles")
    if not profiles:
        raise ValueError("profiles is empty")
    ax = new_axes(ax)
    for (name, profile), colour, marker in zip(profiles.items(), CYCLE, "os^Dvx*", strict=False):
        mean, spread = profile.phase.mean(axis=0), profile.phase.std(axis=0)
        ax.plot(profile.depth_angstrom, mean, color=colour, marker=marker, ms=4, label=name)
        ax.fill_between(profile.depth_angstrom, mean - spread, mean + spread, color=colour, alpha=0.2, lw=0)
    ax.set(xlabel="depth (Å)", ylabel="phase above the slice's mean (rad)")
    ax.legend(frameon=False)
    return ax


def depth_map(profiles: ColumnProfiles, *, ax: Axes | None = None) -> Axes:
    """Phase against distance from the column and depth, the beam going down (r–z map)."""
    ax = new_axes(ax, 4.0, 4.5)
    mesh = ax.pcolormesh(
        profiles.radius_angstrom,
        profiles.depth_angstrom,
        profiles.depth_map,
        cmap="cividis",
        shading="nearest",
    )
    ax.figure.colorbar(mesh, ax=ax, label="phase above the slice's mean (rad)")
    ax.invert_yaxis()
    ax.set(xlabel="distance from the column (Å)", ylabel="depth (Å)")
    return ax
