"""Sub-pixel position of an atom: where its image balances inside a small disc.

A disc cut from whole pixels changes shape as it moves, which pulls positions towards pixel
centres and shrinks displacements. Here the disc is a fixed, symmetric set of points that
moves with the atom, and the image is read at these points by cubic-spline interpolation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

__all__ = ["FLAGS", "Refined", "inside", "refine"]

_POINTS_ACROSS = 9
_TOLERANCE = 1e-5  # Å, a thousandth of a picometre
_CONTRAST = 1e-3  # of the strongest atom: what the spline carries into an empty disc
_UNSETTLED = 5e-3  # Å, half a picometre: a last step this long has not found its place


FLAGS = ("good", "no contrast", "left its disc", "left the image", "not settled", "merged")
"""What the numbers in `Refined.flags` mean."""

_MERGED = 0.5  # of the distance at the start: two atoms that close have found the same maximum


class Refined(NamedTuple):
    """Positions and which of them can be trusted."""

    positions: np.ndarray  # float64 (atoms, 2), Å; meaningless where flagged
    flags: np.ndarray  # uint8 (atoms,), index into FLAGS; 0 is good


def refine(
    image: np.ndarray,
    start: np.ndarray,
    pixel: np.ndarray,
    radius: float,
    method: str = "com",
    max_iterations: int = 30,
) -> Refined:
    """Move every atom from ``start`` to its own balance point in ``image``.

    Parameters
    ----------
    image : float (y, x)
    start : float (atoms, 2), Å
    pixel : float (2,), Å
        Pixel size (y, x).
    radius : float, Å
        Radius of the disc.
    method : {"com", "gaussian"}
        Background-subtracted centre of mass, or Gaussian plus constant.

    Returns
    -------
    Refined
        Flagged atoms: no contrast in the disc, walked more than ``radius`` away, disc beyond
        the image, not settled after ``max_iterations``, or merged: within half of their distance
        at the start of another atom that is good otherwise. The first of these that applies.
    """
    disc = _disc(radius)
    coefficients = ndimage.spline_filter(image, order=3, output=np.float64, mode="mirror")
    step_of = _CentreOfMass(disc) if method == "com" else _GaussianFit(disc, radius)
    centre = start.copy()
    step = np.zeros_like(centre)
    for _ in range(max_iterations):
        values = _read(coefficients, centre[:, None] + disc, pixel)
        step = step_of(values)
        # a lost atom must not run to infinity while the others settle
        centre = start + np.clip(centre + step - start, -2 * radius, 2 * radius)
        if np.abs(step).max(initial=0) < _TOLERANCE:
            break
    flags = np.zeros(len(start), np.uint8)
    unsettled = ~np.isfinite(step).all(1) | (np.linalg.norm(step, axis=1) > _UNSETTLED)
    contrast = np.ptp(values, axis=1)
    flat = contrast <= max(_CONTRAST * contrast.max(), 1e-12 * np.abs(values).max())
    away = np.linalg.norm(centre - start, axis=1) > radius
    beyond = ~inside(centre, image.shape, pixel, radius)
    for flag, which in ((4, unsettled), (3, beyond), (2, away), (1, flat)):
        flags[which] = flag
    good = np.flatnonzero(flags == 0)
    flags[good[_merged(start[good], centre[good], 4 * radius)]] = 5
    return Refined(centre, flags)


def _merged(start: np.ndarray, centre: np.ndarray, reach: float) -> np.ndarray:
    """Whether another atom from within ``reach`` [Å] ended much closer than it began; bool (atoms,)."""
    if len(start) < 2:
        return np.zeros(len(start), bool)
    pairs = KDTree(start).query_pairs(reach, output_type="ndarray")
    before = np.linalg.norm(start[pairs[:, 0]] - start[pairs[:, 1]], axis=1)
    after = np.linalg.norm(centre[pairs[:, 0]] - centre[pairs[:, 1]], axis=1)
    both = np.zeros(len(start), bool)
    both[pairs[after < _MERGED * before].ravel()] = True
    return both


def inside(positions: np.ndarray, shape: tuple[int, ...], pixel: np.ndarray, margin: float) -> np.ndarray:
    """Whether a disc of radius ``margin`` [Å] about each position stays inside the image; bool (atoms,)."""
    last = (np.array(shape) - 1) * pixel
    slack = 1e-9 * pixel
    return ((positions - margin >= -slack) & (positions + margin <= last + slack)).all(axis=1)


def _disc(radius: float) -> np.ndarray:
    """Points of a square grid inside the disc, float64 (points, 2), Å; symmetric about 0."""
    line = np.linspace(-radius, radius, _POINTS_ACROSS)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    return grid[np.linalg.norm(grid, axis=1) <= radius * (1 + 1e-9)]


def _read(coefficients: np.ndarray, points: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Read the image at ``points`` (atoms, points, 2) [Å]; float64 (atoms, points)."""
    at = np.moveaxis(points / pixel, -1, 0)
    return ndimage.map_coordinates(coefficients, at, order=3, mode="mirror", prefilter=False)


class _CentreOfMass:
    """Step to the centre of mass with weight = value − minimum in the disc.

    The fixed point does not depend on a constant background, but the way there does: with the
    raw phase as weight a handful of iterations stops 16–22 % short of the full displacement.
    """

    def __init__(self, disc: np.ndarray) -> None:
        self._disc = disc

    def __call__(self, values: np.ndarray) -> np.ndarray:
        weight = values - values.min(axis=1, keepdims=True)
        total = weight.sum(axis=1, keepdims=True)
        return weight @ self._disc / np.where(total > 0, total, 1)


class _GaussianFit:
    """Gauss–Newton step of the least-squares fit of A exp(−|r−d|²/2s²) + b, all atoms at once.

    The disc is symmetric about the current centre, where d = 0, so the position separates from
    A, b and s. For each width of a fixed list, A and b follow by linear regression (variable
    projection, Golub & Pereyra 1973, doi:10.1137/0710036); the width that explains most is
    refined by a parabola, and the step in d follows from the first derivatives.
    """

    def __init__(self, disc: np.ndarray, radius: float) -> None:
        self._disc = disc
        self._squared = (disc**2).sum(axis=1)
        self._log_widths = np.linspace(np.log(radius / 4), np.log(radius * 3), 24)
        self._limit = radius / 3
        bells = self._bell(self._log_widths)
        self._shapes = bells - bells.mean(axis=1, keepdims=True)

    def _bell(self, log_width: np.ndarray) -> np.ndarray:
        return np.exp(-self._squared / (2 * np.exp(2 * log_width[:, None])))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        product = np.maximum(values @ self._shapes.T, 0)  # a dip is no atom
        explained = product**2 / (self._shapes**2).sum(axis=1)
        log_width = self._best_log_width(explained)
        variance = np.exp(2 * log_width)
        bell = self._bell(log_width)
        shape = bell - bell.mean(axis=1, keepdims=True)
        amplitude = (values * shape).sum(axis=1) / (shape**2).sum(axis=1)
        strength = bell**2 @ self._squared / 2  # Σ e² y² = Σ e² x² by the symmetry of the disc
        newton = variance / np.where(amplitude > 0, amplitude * strength, np.inf)
        step = (values * bell) @ self._disc * newton[:, None]
        return np.clip(step, -self._limit, self._limit)

    def _best_log_width(self, explained: np.ndarray) -> np.ndarray:
        best = np.clip(explained.argmax(axis=1), 1, explained.shape[1] - 2)
        rows = np.arange(len(explained))
        left, middle, right = (explained[rows, best + k] for k in (-1, 0, 1))
        bend = left - 2 * middle + right
        shift = np.where(bend < 0, (left - right) / np.where(bend < 0, 2 * bend, 1), 0)
        spacing = self._log_widths[1] - self._log_widths[0]
        return self._log_widths[best] + np.clip(shift, -1, 1) * spacing
