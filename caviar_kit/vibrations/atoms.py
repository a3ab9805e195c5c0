"""Find the atoms of a phase image and follow each through the object states."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from caviar_kit import validation
from caviar_kit.vibrations._inputs import pixel_size, positions_2d, to_host
from caviar_kit.vibrations._peaks import local_maxima
from caviar_kit.vibrations.phase import projected_phase, slice_phases
from caviar_kit.vibrations.refinement import FLAGS, inside, refine

__all__ = ["find_atoms", "projected_phase", "track_atoms"]

_NAMED_AT_MOST = 8
_ABOVE_NOISE = 6.0  # standard deviations: about one false atom in 400 Å² of noise alone, none among atoms


def find_atoms(
    image: ArrayLike,
    sampling: float | ArrayLike,
    *,
    min_distance: float = 0.8,
    threshold: float = 0.35,
    smoothing: float = 0.15,
    border: float = 0.75,
    radius: float = 0.45,
    method: str = "com",
) -> np.ndarray:
    """Positions of the bright atoms or columns of a phase image.

    Local maxima of the smoothed image above the valleys around them, then refined as in
    `track_atoms`. The defaults part Si [110] dumbbells (1.36 Å) at pixels up to 0.25 Å, and find
    both elements of a honeycomb if one is half as high as the other.

    Parameters
    ----------
    image : array, real, (y, x)
        Phase, for example ``projected_phase(obj).mean(axis=0)``.
    sampling : float or (y, x) pair, Å per pixel
    min_distance : float, Å
        Of two maxima closer than this only the higher is kept.
    threshold : float, between 0 and 1
        Lowest height above the valleys, in units of a typical atom's height. Lower it for a light
        element beside a heavy one; noise then needs to be low. Nothing lower than 6 times the white
        noise of the smoothed image counts, whatever the threshold.
    smoothing : float, Å
        Standard deviation of the Gaussian that suppresses noise before the search.
    border : float, Å
        Atoms closer than this to the edge are left out. The default leaves room for the disc
        of `track_atoms` and four times a thermal displacement; never less than ``radius``.
    radius : float, Å
        Disc of the refinement.
    method : {"com", "gaussian"}
        Refinement, as for `track_atoms`.

    Returns
    -------
    array, float64, (atoms, 2), Å
        y then x, sorted by y and then x; pixel (0, 0) is the origin.

    Raises
    ------
    TypeError
        If the image is complex.
    ValueError
        If the image is not 2-D, holds NaN, or shows no atom.
    """
    if np.iscomplexobj(to_host(image)) or np.ndim(to_host(image)) != 2:
        raise (TypeError if np.iscomplexobj(to_host(image)) else ValueError)(
            f"image must be a real (y, x) phase, got dtype {np.asarray(to_host(image)).dtype} of shape "
            f"{np.shape(to_host(image))}; for a reconstructed object use projected_phase(obj).mean(axis=0)"
        )
    phase = validation.as_array("image", to_host(image)).astype(np.float64)
    pixel = pixel_size(sampling)
    min_distance = validation.number("min_distance", min_distance, minimum=0, open_minimum=True, unit="Å")
    threshold = validation.number("threshold", threshold, minimum=0, maximum=1)
    smoothing = validation.number("smoothing", smoothing, minimum=0, unit="Å")
    radius = _disc_radius(radius, pixel)
    validation.choice("method", method, ("com", "gaussian"))
    border = validation.number("border", border, minimum=radius, unit="Å", hint="border must hold the disc")

    height = _height_above_valleys(phase, pixel, smoothing, min_distance)
    peaks = local_maxima(height, _footprint(pixel, min_distance), threshold=0.0)
    strength = height[tuple(peaks.T)]
    # A typical height, weighted by height itself: thousands of noise maxima in the vacuum weigh little.
    typical = _weighted_median(strength, strength) if strength.size else 0.0
    keep = strength > max(threshold * typical, _ABOVE_NOISE * _noise(phase, smoothing / pixel))
    start = peaks[keep] * pixel
    start = start[inside(start, phase.shape, pixel, radius)]
    if len(start):
        refined = refine(phase, start, pixel, radius, method)
        start = refined.positions[refined.flags == 0]
    found = start[inside(start, phase.shape, pixel, border)]
    if len(found) == 0:
        size = (np.array(phase.shape) - 1) * pixel
        raise ValueError(
            f"no atom found in an image of {size[0]:.3g} × {size[1]:.3g} Å; "
            "is sampling in Å, is the phase positive at atoms, is border smaller than the image?"
        )
    return found[np.lexsort((found[:, 1], found[:, 0]))]


@overload
def track_atoms(
    obj: ArrayLike,
    positions: ArrayLike,
    sampling: float | ArrayLike,
    *,
    radius: float = ...,
    slices: slice | Sequence[int] | None = ...,
    per_slice: bool = ...,
    method: str = ...,
    return_flags: Literal[False] = ...,
) -> np.ndarray: ...


@overload
def track_atoms(
    obj: ArrayLike,
    positions: ArrayLike,
    sampling: float | ArrayLike,
    *,
    radius: float = ...,
    slices: slice | Sequence[int] | None = ...,
    per_slice: bool = ...,
    method: str = ...,
    return_flags: Literal[True],
) -> tuple[np.ndarray, np.ndarray]: ...


def track_atoms(
    obj: ArrayLike,
    positions: ArrayLike,
    sampling: float | ArrayLike,
    *,
    radius: float = 0.45,
    slices: slice | Sequence[int] | None = None,
    per_slice: bool = False,
    method: str = "com",
    return_flags: bool = False,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Position of every atom in every object state.

    Parameters
    ----------
    obj : array
        Complex object (states, slices, y, x), or real phases (states, y, x).
    positions : array, (atoms, 2), Å
        Where to start, for example from `find_atoms`.
    sampling : float or (y, x) pair, Å per pixel
    radius : float, Å
        Disc that is balanced or fitted; keep it below half the shortest distance.
    slices : slice or sequence of int, optional
        Slices to project; all by default.
    per_slice : bool
        Track each slice on its own instead of the projection.
    method : {"com", "gaussian"}
        "com": centre of mass of phase − minimum in the disc, iterated until it rests (the
        paper's tracker without its loss of amplitude). "gaussian": least-squares Gaussian plus
        constant in the same disc. On true Si [110] potentials both return the Green's tensor
        with LSM 0.97–1.03 at pixels of 0.15, 0.2 and 0.25 Å.

    return_flags : bool
        Return also why a position is NaN.

    Returns
    -------
    tracked : array, float64, (states, atoms, 2) or (states, slices, atoms, 2), Å
        NaN where an atom was lost: no contrast, more than ``radius`` from its start, disc
        beyond the image, not settled, or merged with another atom, i.e. the two are closer than
        half their distance at the start. A UserWarning then says how many.
    flags : array, uint8, (states, atoms) or (states, slices, atoms)
        With ``return_flags``: 0 where found, else the index of the reason in
        `caviar_kit.vibrations.TRACKING_FLAGS`.

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be used, or the disc of an atom leaves the image at the start
        (the message names those atoms).
    """
    pixel = pixel_size(sampling)
    start = positions_2d(positions)
    radius = _disc_radius(radius, pixel)
    validation.choice("method", method, ("com", "gaussian"))
    for name, value in (("per_slice", per_slice), ("return_flags", return_flags)):
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{name} must be True or False, got {value!r}")
    frames = _frames(obj, slices, bool(per_slice))
    outside = np.flatnonzero(~inside(start, frames.shape[-2:], pixel, radius))
    if outside.size:
        raise ValueError(
            f"positions: the disc of radius {radius:g} Å leaves the image for {_names(outside)}; "
            "leave these atoms out or use a smaller radius"
        )
    images = frames.reshape(-1, *frames.shape[-2:])
    tracked = np.empty((len(images), len(start), 2))
    flags = np.empty(tracked.shape[:-1], np.uint8)
    for target, flag, image in zip(tracked, flags, images, strict=True):
        target[:], flag[:] = refine(image, start, pixel, radius, method)
    tracked[flags > 0] = np.nan
    _warn_lost(flags, radius)
    tracked = tracked.reshape(*frames.shape[:-2], len(start), 2)
    return (tracked, flags.reshape(tracked.shape[:-1])) if return_flags else tracked


def _frames(obj: ArrayLike, slices: slice | Sequence[int] | None, per_slice: bool) -> np.ndarray:
    array = np.asarray(to_host(obj))
    if array.dtype.kind == "c":
        return slice_phases(array, slices) if per_slice else projected_phase(array, slices)
    if array.ndim != 3:
        raise ValueError(
            f"obj must be complex (states, slices, y, x) or real phases (states, y, x), "
            f"got dtype {array.dtype} of shape {array.shape}"
        )
    if slices is not None or per_slice:
        raise ValueError("slices and per_slice need a complex object (states, slices, y, x), got real phases")
    return validation.as_array("obj", array).astype(np.float64)


def _disc_radius(radius: float, pixel: np.ndarray) -> float:
    return validation.number(
        "radius", radius, minimum=float(pixel.max()), unit="Å", hint="the disc must be larger than a pixel"
    )


def _warn_lost(flags: np.ndarray, radius: float) -> None:
    lost = flags > 0
    if lost.any():
        atoms = np.flatnonzero(lost.any(axis=0))
        reasons = [f"{np.count_nonzero(flags == k)} {FLAGS[k]}" for k in np.unique(flags[lost])]
        warnings.warn(
            f"track_atoms lost {int(lost.sum())} of {lost.size} atom positions ({_names(atoms)}), "
            f"which are NaN: {', '.join(reasons)} (radius {radius:g} Å)",
            UserWarning,
            stacklevel=3,
        )


def _names(atoms: np.ndarray) -> str:
    shown = ", ".join(map(str, atoms[:_NAMED_AT_MOST]))
    more = f" and {atoms.size - _NAMED_AT_MOST} more" if atoms.size > _NAMED_AT_MOST else ""
    return f"atom{'s' if atoms.size > 1 else ''} {shown}{more}"


def _height_above_valleys(phase: np.ndarray, pixel: np.ndarray, smoothing: float, reach: float) -> np.ndarray:
    """Smoothed image less its valleys: the opening by a disc of radius ``reach`` [Å].

    Unlike a mean background the valleys do not rise with bright neighbours, beside which a light
    element would else vanish, and they follow slopes and the edge of the crystal.
    """
    smooth = ndimage.gaussian_filter(phase, smoothing / pixel, mode="nearest")
    return smooth - ndimage.grey_opening(smooth, footprint=_footprint(pixel, reach), mode="nearest")


def _noise(phase: np.ndarray, smoothing: np.ndarray) -> float:
    """Standard deviation of the image's white noise after smoothing (pixels), robustly.

    A mask that no smooth image answers to: Immerkær (1996), doi:10.1006/cviu.1996.0060; the median, not the
    mean, because atoms are not quite smooth.
    """
    mask = np.outer([1, -2, 1], [1, -2, 1])  # answers to noise of 1 with 6
    answer = np.abs(ndimage.convolve(phase, mask, mode="nearest"))
    kept = 1.0
    for width in smoothing:
        point = np.zeros(2 * int(4 * width + 1) + 1)
        point[len(point) // 2] = 1.0
        kept *= float(np.linalg.norm(ndimage.gaussian_filter1d(point, width))) if width > 0 else 1.0
    return kept * 1.4826 * float(np.median(answer)) / 6


def _footprint(pixel: np.ndarray, radius: float) -> np.ndarray:
    reach = np.maximum(np.floor(radius / pixel).astype(int), 1)
    y, x = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    return np.hypot(y * pixel[0], x * pixel[1]) <= max(radius, float(pixel.max()))


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)])
