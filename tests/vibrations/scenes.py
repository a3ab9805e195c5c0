"""Drawn scenes that can be turned by any angle, mirrored and shifted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as some

from tests.vibrations import structures as st

CENTRE = np.array([11.3, 10.6])  # Å
SHAPE = (150, 142)
PIXEL = 0.15  # Å


@dataclass(frozen=True)
class Motion:
    """Rows (y, x) become rows @ matrix + shift, about `CENTRE`."""

    matrix: np.ndarray
    shift: np.ndarray

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        return rows @ self.matrix

    def points(self, rows: np.ndarray) -> np.ndarray:
        return (rows - CENTRE) @ self.matrix + CENTRE + self.shift

    def tensor(self, G: np.ndarray) -> np.ndarray:
        return np.einsum("ba,ibjc,cd->iajd", self.matrix, G, self.matrix)


def _motion(angle: float, mirror: bool, y: float, x: float) -> Motion:
    return Motion(st.turn(angle) @ np.diag([-1.0 if mirror else 1.0, 1.0]), np.array([y, x]))


def motions(reach: float) -> some.SearchStrategy[Motion]:
    """Any rotation, mirror or not, shifts of up to ``reach`` [Å]."""
    shift = some.floats(-reach, reach)
    return some.builds(_motion, some.floats(0, 360), some.booleans(), shift, shift)


def quarter_motions(reach: float) -> some.SearchStrategy[Motion]:
    """The same with quarter turns only: what maps the image's axes onto each other."""
    shift = some.floats(-reach, reach)
    return some.builds(_motion, some.sampled_from([0.0, 90.0, 180.0, 270.0]), some.booleans(), shift, shift)


def bells(atoms: np.ndarray, heights: np.ndarray | float = 1.0) -> np.ndarray:
    """Image of Gaussian atoms of 0.32 Å at exactly these positions, SHAPE."""
    y, x = (np.arange(n) * PIXEL for n in SHAPE)
    rows = np.exp(-((y[:, None] - atoms[:, 0]) ** 2) / (2 * 0.32**2))
    columns = np.exp(-((x[:, None] - atoms[:, 1]) ** 2) / (2 * 0.32**2))
    return (rows * heights) @ columns.T
