"""Cells that two hexagonal lattices share when one is twisted against the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from caviar_kit import validation

__all__ = ["CommensurateCell", "commensurate_cell"]

_SAME_ANGLE_DEG = 1e-9


@dataclass(frozen=True)
class CommensurateCell:
    """A hexagonal cell of both lattices; lengths in units of the unstrained lattice constant.

    Attributes
    ----------
    indices_lower, indices_upper : (int, int)
        (m, n): one side of the cell is m·a₁ + n·a₂ of that lattice, with 60° between a₁ and a₂.
    angle_deg : float
        By how much the upper lattice is turned against the lower one, anticlockwise about +z [°].
    side : float
        Side of the cell.
    strain_lower, strain_upper : float
        Relative change of the lattice constants that makes the sides equal; 0 for an exact cell.
    """

    indices_lower: tuple[int, int]
    indices_upper: tuple[int, int]
    angle_deg: float
    side: float
    strain_lower: float
    strain_upper: float

    @property
    def strain(self) -> float:
        """The larger of the two strains, without sign."""
        return max(abs(self.strain_lower), abs(self.strain_upper))

    @property
    def points(self) -> tuple[int, int]:
        """Lattice points in the cell, of the lower and of the upper lattice: m² + mn + n²."""
        return _norm(*self.indices_lower), _norm(*self.indices_upper)


def commensurate_cell(
    angle_deg: float,
    *,
    angle_tolerance_deg: float = 0.05,
    max_points: int = 500,
    max_strain: float = 0.005,
) -> CommensurateCell:
    """The cell of two hexagonal lattices twisted by about ``angle_deg``.

    A vector (m, n) of one lattice and (r, s) of the other coincide when one lattice is turned by the
    angle between them, without strain if m² + mn + n² = r² + rs + s². Of the exact cells whose angle
    is within the tolerance the smallest is taken. Where there is none, both lattices are strained by
    about the same amount, in opposite directions, and the cell with the least strain is taken.

    Parameters
    ----------
    angle_deg : float
        From 0 to 60 [°]; hexagonal lattices look alike again after 60°.
    angle_tolerance_deg : float
        Largest difference from ``angle_deg`` [°].
    max_points : int
        Largest number of lattice points of either lattice in the cell.
    max_strain : float
        Largest strain of either lattice, 0 to insist on an exact cell.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or there is no such cell; the message names the nearest exact one.
    """
    angle = validation.number(
        "angle_deg", angle_deg, minimum=0.0, maximum=60.0, unit="°", hint="60° ± θ and -θ are mirror images"
    )
    tolerance = validation.number(
        "angle_tolerance_deg", angle_tolerance_deg, minimum=0.0, maximum=5.0, unit="°"
    )
    limit = validation.integer("max_points", max_points, minimum=1, maximum=20_000)
    strain = validation.number("max_strain", max_strain, minimum=0.0, maximum=0.05)

    first, second, turned = _coincidences(limit, angle)
    norms = _norm(*first.T), _norm(*second.T)
    side = (np.sqrt(norms[0]) + np.sqrt(norms[1])) / 2
    strains = np.maximum(*(np.abs(side / np.sqrt(norm) - 1) for norm in norms))
    points, error = np.maximum(*norms), np.abs(turned - angle)
    exact, near = norms[0] == norms[1], error <= tolerance + _SAME_ANGLE_DEG
    if (exact & near).any():
        order = np.lexsort((error, points, ~(exact & near)))
    elif (near & (strains <= strain)).any():
        order = np.lexsort((points, strains, ~near))
    else:
        twisted = (turned > _SAME_ANGLE_DEG) & (turned < 60 - _SAME_ANGLE_DEG)
        best = np.lexsort((points, error.round(9), ~exact, ~twisted))[0]
        raise ValueError(
            f"no cell of up to {limit} lattice points is twisted by {angle:g}° ± {tolerance:g}° under a "
            f"strain of at most {strain:g}; the nearest exact angle is {turned[best]:.4f}°. "
            "Raise max_points (max_atoms_per_layer), the tolerance or max_strain"
        )
    return _cell(first[order[0]], second[order[0]])


def _norm(m: Any, n: Any) -> Any:
    return m * m + m * n + n * n


def _polar_deg(vectors: np.ndarray) -> np.ndarray:
    m, n = vectors.T
    return np.degrees(np.arctan2(n * np.sqrt(0.75), m + n / 2))


def _coincidences(limit: int, angle: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of lattice vectors, (pairs, 2) each, and the twist [°] nearest to ``angle`` that joins them."""
    grid = np.indices(2 * (int(np.sqrt(limit)) + 1,)).reshape(2, -1).T
    sector = grid[(grid[:, 0] > 0) & (_norm(*grid.T) <= limit)]
    first, second = (sector[i.ravel()] for i in np.indices(2 * (len(sector),)))
    twist = _polar_deg(first) - _polar_deg(second)
    sixths = np.round((angle - twist) / 60)  # turns by 60° keep the lattice
    alike = np.abs(np.sqrt(_norm(*first.T)) - np.sqrt(_norm(*second.T))) < 0.1 * np.sqrt(_norm(*first.T))
    turned = twist + 60 * sixths
    kept = alike & (turned > -_SAME_ANGLE_DEG) & (turned < 60 + _SAME_ANGLE_DEG)
    return first[kept], _turned_back(second[kept], sixths[kept].astype(int)), turned[kept]


def _turned_back(vectors: np.ndarray, sixths: np.ndarray) -> np.ndarray:
    """Turn each (m, n) by -60° as often as ``sixths`` says."""
    result = vectors.copy()
    for turn in range(1, 6):
        again = sixths % 6 >= turn
        m, n = result[again].T
        result[again] = np.column_stack([m + n, -m])
    return result


def _cell(first: np.ndarray, second: np.ndarray) -> CommensurateCell:
    lengths = np.sqrt([float(_norm(*vector)) for vector in (first.tolist(), second.tolist())])
    side = float(lengths.mean())
    polar = _polar_deg(np.array([first, second]))
    low, up = (0.0, 0.0) if lengths[0] == lengths[1] else (side / lengths - 1).tolist()
    return CommensurateCell(
        indices_lower=(int(first[0]), int(first[1])),
        indices_upper=(int(second[0]), int(second[1])),
        angle_deg=float((polar[0] - polar[1]) % 360),
        side=side,
        strain_lower=low,
        strain_upper=up,
    )
