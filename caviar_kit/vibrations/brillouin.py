"""Paths through the Brillouin zone of a plane lattice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation

__all__ = ["BrillouinPath", "brillouin_path", "special_points"]

_LENGTH_TOLERANCE = 0.03  # relative; within it |a1| and |a2| count as equal
_ANGLE_TOLERANCE = 2.0  # degrees; within it an angle counts as 60°, 90° or 120°


@dataclass(frozen=True, eq=False)
class BrillouinPath:
    """Wave vectors along a path; phases are exp(iq·r), so 2π is part of q."""

    q: np.ndarray
    """float (points, 2), y then x, rad/Å."""
    fractions: np.ndarray
    """q along the reciprocal vectors b1, b2, with a_i · b_j = 2π δ_ij; float (points, 2)."""
    distance: np.ndarray
    """Length of the path up to each point, float (points,), rad/Å; jumps count as 0."""
    labels: tuple[tuple[float, str], ...]
    """Distance and name of the special points; empty for a path of points."""
    weights: np.ndarray
    """Of a mean along the path (trapezoidal rule), sum 1; float (points,)."""


def brillouin_path(
    vectors: ArrayLike,
    path: str | ArrayLike = "GKMG",
    *,
    points: int = 91,
    special_points: Mapping[str, ArrayLike] | None = None,
) -> BrillouinPath:
    """Wave vectors along a path of special points, or along points of your own.

    Parameters
    ----------
    vectors : array, (2, 2), Å
        Rows a1, a2; components y, x.
    path : str or array (points, 2)
        Names of special points for ``ase.cell.Cell.bandpath``, such as "GKMG"; a comma is a jump. Or wave
        vectors [rad/Å], y then x, 2π included, used as they are.
    points : int
        About how many, evenly spaced, along a path of names.
    special_points : mapping of name to (2,), optional
        Names of your own: fractions along b1, b2.

    Returns
    -------
    BrillouinPath

    Raises
    ------
    TypeError, ValueError
        If the vectors are not a plane lattice, or the lattice has no special point of that name (the message
        lists those it has).

    Notes
    -----
    The names depend on the shape of the cell alone, so rotated and mirrored lattices have equal fractions.
    Fitted lattices are never exactly hexagonal: within 3 % of length and 2° they count as hexagonal, square
    or rectangular.
    """
    rows = _rows(vectors)
    reciprocal = 2 * np.pi * np.linalg.inv(rows).T
    if not isinstance(path, str):
        q = validation.as_array("path", path, shape=(None, 2)).astype(float)
        steps = np.linalg.norm(np.diff(q, axis=0), axis=1)
        return _with_distance(q, q @ rows.T / (2 * np.pi), steps, ())
    count = validation.integer("points", points, minimum=2)
    band = _by_name(rows, path, count, special_points)
    distance, places, names = band.get_linear_kpoint_axis()
    fractions = band.kpts[:, :2]
    labels = tuple((float(x), "Γ" if n == "G" else n) for x, n in zip(places, names, strict=True))
    return _with_distance(fractions @ reciprocal, fractions, np.diff(distance), labels)


def special_points(vectors: ArrayLike) -> dict[str, np.ndarray]:
    """Names that a path may have, and where they are.

    Parameters
    ----------
    vectors : array, (2, 2), Å
        Rows a1, a2; components y, x.

    Returns
    -------
    dict of str to float64 (2,)
        Fractions along b1, b2; "G" is Γ. Names are those of ``ase.cell.Cell.bandpath``, which
        `brillouin_path` takes.

    Raises
    ------
    TypeError, ValueError
        If the vectors are not a plane lattice.
    """
    return {name: place[:2] for name, place in _named(_cell(_rows(vectors))).items()}


def _rows(vectors: ArrayLike) -> np.ndarray:
    rows = validation.as_array("vectors", vectors, shape=(2, 2)).astype(float)
    if abs(np.linalg.det(rows)) < 1e-6 * np.prod(np.linalg.norm(rows, axis=1)):
        raise ValueError(f"vectors must not be parallel, got {rows.tolist()}")
    return rows


def _cell(rows: np.ndarray) -> Any:
    """An ase.cell.Cell in the plane."""
    from ase.cell import Cell

    cell = np.zeros((3, 3))
    cell[:2, :2] = _ideal_shape(rows)
    return Cell(cell)


def _named(cell: Any) -> dict[str, np.ndarray]:
    return dict(cell.bandpath(npoints=0, pbc=[1, 1, 0]).special_points)


def _by_name(vectors: np.ndarray, path: str, points: int, own: Mapping[str, ArrayLike] | None) -> Any:
    """An ase.dft.kpoints.BandPath."""
    cell = _cell(vectors)
    extra = {}
    for name, place in (own or {}).items():
        extra[str(name)] = [*validation.as_array(f"special_points[{name!r}]", place, shape=(2,)), 0.0]
    known = _named(cell) | extra
    try:
        band = cell.bandpath(path, npoints=points, special_points=known, pbc=[1, 1, 0])
    except (KeyError, ValueError) as error:
        raise ValueError(f"path must name special points among {', '.join(known)}, got {path!r}") from error
    if len(band.kpts) < 2:
        raise ValueError(f"path must name at least two special points among {', '.join(known)}, got {path!r}")
    return band


def _ideal_shape(vectors: np.ndarray) -> np.ndarray:
    """Rows a1 along x and a2 above it, of the near ideal lengths and angle."""
    a, b = np.linalg.norm(vectors, axis=1)
    angle = np.degrees(np.arccos(np.clip(vectors[0] @ vectors[1] / (a * b), -1, 1)))
    if abs(a - b) < _LENGTH_TOLERANCE * (a + b) / 2:
        a = b = (a + b) / 2
    for ideal in (90.0, *((60.0, 120.0) if a == b else ())):
        if abs(angle - ideal) < _ANGLE_TOLERANCE:
            angle = ideal
    return np.array([[a, 0], [b * np.cos(np.radians(angle)), b * np.sin(np.radians(angle))]])


def _with_distance(
    q: np.ndarray, fractions: np.ndarray, steps: np.ndarray, labels: tuple[tuple[float, str], ...]
) -> BrillouinPath:
    distance = np.concatenate([[0.0], np.cumsum(steps)])
    weights = np.concatenate([[0.0], steps]) / 2 + np.concatenate([steps, [0.0]]) / 2
    weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(q), 1 / len(q))
    return BrillouinPath(q, fractions, distance, labels, weights)
