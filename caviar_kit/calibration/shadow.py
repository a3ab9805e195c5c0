"""How the shadow image in the bright-field disc moves with the probe."""

from __future__ import annotations

from typing import Any

import numpy as np

from caviar_kit.calibration.virtual_detector import annulus, check_four_axes

__all__ = ["shadow_motion"]


def shadow_motion(patterns: Any, centre: tuple[float, float], radius: float) -> np.ndarray:
    """Correlation of the patterns' slopes along the detector and along the scan, (2, 2) float64.

    Out of focus, the disc is a shadow of the specimen: the part k of a probe at R has passed it at
    R - λ·defocus·k (docs/conventions.md, "Defocus"), so that I(R, k) ≈ f(R - λ·defocus·k) and the mean of
    (∂I/∂k_i)(∂I/∂R_j) is -λ·defocus times that of the scan's rotation, up to a positive factor. Shadows of a
    scan turned by half a turn move the other way.

    Parameters
    ----------
    patterns : (Ry, Rx, Qy, Qx)
        At least 3 × 3 positions; array, ``h5py.Dataset`` or memmap, read row by row.
    centre, radius
        Of the bright-field disc (y, x) [pixel].

    Returns
    -------
    (2, 2) array
        Rows: detector's y, x; columns: scan's y, x.

    Raises
    ------
    TypeError, ValueError
        If an axis is missing, there are fewer than 3 × 3 positions, or no pixel lies in the disc.
    """
    check_four_axes(patterns)
    if min(patterns.shape[:2]) < 3:
        raise ValueError(f"patterns must have at least 3 × 3 scan positions, got {patterns.shape[:2]}")
    inside = annulus(patterns.shape[-2:], centre, 0.0, 0.9 * radius)[1:-1, 1:-1]
    found = np.zeros((2, 2))
    above, row = (np.asarray(patterns[i], np.float32) for i in (0, 1))
    for number in range(2, patterns.shape[0]):
        below = np.asarray(patterns[number], np.float32)
        middle = row[1:-1]
        along_detector = (
            (middle[:, 2:, 1:-1] - middle[:, :-2, 1:-1])[:, inside],
            (middle[:, 1:-1, 2:] - middle[:, 1:-1, :-2])[:, inside],
        )
        along_scan = (
            (below - above)[1:-1, 1:-1, 1:-1][:, inside],
            (row[2:] - row[:-2])[:, 1:-1, 1:-1][:, inside],
        )
        found += [[float(np.vdot(k, r)) for r in along_scan] for k in along_detector]
        above, row = row, below
    return found
