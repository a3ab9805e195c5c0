"""Phase of atomic columns against depth, and how sharply a reconstruction resolves depth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import curve_fit
from scipy.special import erf

from caviar_kit import validation
from caviar_kit.physics import FWHM_PER_RMS
from caviar_kit.vibrations._inputs import pixel_size, positions_2d
from caviar_kit.vibrations.phase import slice_phases

__all__ = ["ColumnProfiles", "DepthEdge", "column_profiles", "fit_depth_edge"]


@dataclass(frozen=True, eq=False)
class ColumnProfiles:
    """Phase of columns, slice by slice, above the mean of each slice.

    Attributes
    ----------
    depth_angstrom : array, (slices,)
        Middle of each slice below the entrance surface [Å].
    phase : array, (columns, slices)
        Mean phase in a disc around the column [rad], averaged over the states.
    spread : array, (columns, slices)
        Standard deviation of that between the states [rad].
    radius_angstrom : array, (rings,)
        Mean radius of each ring of the map [Å].
    depth_map : array, (slices, rings)
        Phase against depth and distance from the column [rad], averaged over columns and states: the r–z map.
    """

    depth_angstrom: np.ndarray
    phase: np.ndarray
    spread: np.ndarray
    radius_angstrom: np.ndarray
    depth_map: np.ndarray


@dataclass(frozen=True)
class DepthEdge:
    """Where a profile steps from one level to another, and how sharply.

    Attributes
    ----------
    depth_angstrom : float
        Middle of the step [Å].
    fwhm_angstrom : float
        Full width at half maximum of the Gaussian that blurs the step [Å]: the depth resolution, by
        the knife-edge criterion.
    before, after : float
        Levels above and below it [rad].
    residual : float
        Root-mean-square misfit in units of the step.
    """

    depth_angstrom: float
    fwhm_angstrom: float
    before: float
    after: float
    residual: float


def column_profiles(
    obj: ArrayLike,
    positions: ArrayLike,
    sampling: float | ArrayLike,
    slice_thickness_angstrom: float,
    *,
    radius: float = 0.5,
    map_radius: float = 1.5,
) -> ColumnProfiles:
    """Phase at the columns against depth, for the columns of one lattice at a time.

    The phase of every slice is free up to a constant, so that what is given is the excess over the
    slice's mean in the rectangle around the columns.

    Parameters
    ----------
    obj : complex array, (states, slices, y, x)
        Transmission functions.
    positions : array, (columns, 2)
        y, x [Å] in the object frame.
    sampling : float or (y, x)
        Pixel [Å].
    slice_thickness_angstrom : float
        [Å].
    radius : float
        Of the disc around each column [Å].
    map_radius : float
        How far the r–z map reaches [Å]; its rings are one pixel wide.

    Raises
    ------
    TypeError, ValueError
        If ``obj`` is not complex and 4-D, an argument is out of range, a disc or map reaches beyond the
        object, or a disc holds no pixel.
    """
    pixel, places = pixel_size(sampling), positions_2d(positions)
    number = validation.number
    thickness = number(
        "slice_thickness_angstrom", slice_thickness_angstrom, minimum=0, open_minimum=True, unit="Å"
    )
    disc = number("radius", radius, minimum=0, open_minimum=True, unit="Å")
    reach = number("map_radius", map_radius, minimum=disc, unit="Å")
    phases = slice_phases(obj)
    _refuse_outside(places, reach, phases.shape[-2:], pixel)
    phases = phases - _field_mean(phases, places, reach, pixel)

    width = float(pixel.max())
    in_disc, rings, radii = [], [], []
    for y, x in places:
        distance, rows, columns = _distances((y, x), reach, pixel)
        patch = phases[..., rows, columns]
        inside = distance <= disc
        if not inside.any():
            raise ValueError(f"radius must be large enough for a pixel of {width:g} Å, got {disc:g}")
        in_disc.append(patch[..., inside].mean(axis=-1))
        index = np.floor(distance / width).astype(int)
        masks = [index == n for n in range(max(int(reach / width), 1))]
        rings.append([_mean(patch.mean(axis=0), m) for m in masks])
        radii.append([distance[m].mean() if m.any() else np.nan for m in masks])
    values = np.array(in_disc)
    return ColumnProfiles(
        depth_angstrom=(np.arange(phases.shape[1]) + 0.5) * thickness,
        phase=values.mean(axis=1),
        spread=values.std(axis=1),
        radius_angstrom=np.nanmean(radii, axis=0),
        depth_map=np.nanmean(np.array(rings), axis=0).T,
    )


def fit_depth_edge(depth_angstrom: ArrayLike, profile: ArrayLike) -> DepthEdge:
    """Fit a step blurred by a Gaussian: a + (b - a)·(1 + erf((z - z₀)/(√2 σ)))/2, by least squares.

    Parameters
    ----------
    depth_angstrom, profile : arrays, (slices,)
        At least 5 depths [Å] and, say, the mean phase of the columns of one lattice [rad].

    Raises
    ------
    TypeError, ValueError
        If they are not finite 1-D arrays of one length of at least 5, or hold no step that can be fitted.
    """
    depth = validation.as_array("depth_angstrom", depth_angstrom, shape=(None,)).astype(float)
    values = validation.as_array("profile", profile, shape=depth.shape).astype(float)
    if len(depth) < 5:
        raise ValueError(f"profile must have at least 5 slices to fit four numbers, got {len(depth)}")
    step, length = float(np.median(np.diff(depth))), float(np.ptp(depth))
    height = np.ptp(values)
    if height == 0 or step <= 0:
        raise ValueError("profile must vary with depth, and depth_angstrom must increase")
    start = (values[0], values[-1], depth[np.argmax(np.abs(np.gradient(values)))], step)
    bounds = ([-np.inf, -np.inf, depth[0], 1e-3 * step], [np.inf, np.inf, depth[-1], length])
    try:
        (a, b, place, sigma), _ = curve_fit(_blurred_step, depth, values, start, bounds=bounds)
    except RuntimeError as error:
        raise ValueError(f"profile has no step that can be fitted: {error}") from error
    misfit = np.sqrt(np.mean((_blurred_step(depth, a, b, place, sigma) - values) ** 2))
    return DepthEdge(
        float(place), float(sigma * FWHM_PER_RMS), float(a), float(b), float(misfit / max(abs(b - a), 1e-300))
    )


def _blurred_step(z: np.ndarray, before: float, after: float, place: float, sigma: float) -> np.ndarray:
    return before + (after - before) * (1 + erf((z - place) / (math.sqrt(2) * sigma))) / 2


def _refuse_outside(places: np.ndarray, reach: float, shape: tuple[int, ...], pixel: np.ndarray) -> None:
    far = (np.array(shape) - 1) * pixel
    outside = ((places < reach) | (places > far - reach)).any(axis=1)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise ValueError(
            f"positions must keep map_radius={reach:g} Å from the border of the object of {far[0]:.1f} × "
            f"{far[1]:.1f} Å, which {np.count_nonzero(outside)} of them do not: the first is "
            f"{np.round(places[first], 2).tolist()}"
        )


def _field_mean(phases: np.ndarray, places: np.ndarray, reach: float, pixel: np.ndarray) -> np.ndarray:
    """Mean of every state and slice over the rectangle that holds all columns, (states, slices, 1, 1)."""
    low = np.floor((places.min(axis=0) - reach) / pixel + 1e-9).astype(int)
    high = np.ceil((places.max(axis=0) + reach) / pixel - 1e-9).astype(int) + 1
    return phases[..., low[0] : high[0], low[1] : high[1]].mean(axis=(-2, -1), keepdims=True)


def _distances(
    place: tuple[float, float], reach: float, pixel: np.ndarray
) -> tuple[np.ndarray, slice, slice]:
    """Distance [Å] of the pixels in the square ± ``reach`` from ``place``, and their rows and columns."""
    spans = [
        slice(math.ceil((p - reach) / d - 1e-9), math.floor((p + reach) / d + 1e-9) + 1)
        for p, d in zip(place, pixel, strict=True)
    ]
    y, x = (np.arange(s.start, s.stop) * d - p for s, d, p in zip(spans, pixel, place, strict=True))
    return np.hypot(y[:, None], x[None, :]), spans[0], spans[1]


def _mean(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean of each slice's pixels in ``mask``, NaN where it is empty: (slices,)."""
    return images[:, mask].mean(axis=-1) if mask.any() else np.full(len(images), np.nan)
