"""Patterns at other probe positions, from those of a fine scan.

As a function of the probe's position r, the intensity I(k, r) is the square of a wave made of plane waves
within the aperture α: its Fourier transform in r ends at B = 2α/λ. A scan with a step of λ/4α or less
holds the patterns in between. They are found by the linear interpolation with the least mean square error for
signals with a given spectrum (Wiener, Kolmogorov; "kriging"), here ∝ (1 - |f|/B)⁴ along y and x: the contrast
transfer of an aperture falls to zero at B, that of a real specimen sooner. Ten neighbours along each axis are
used, the nearest ones at the scan's border.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.simulation.effects.common import (
    applied_effects,
    calibrated_like,
    check_cube,
    check_order,
    new_array,
    record,
    scan_step_angstrom,
)
from caviar_kit.simulation.effects.probe_positions import drift_displacements
from caviar_kit.simulation.experiment import Experiment

__all__ = ["apply_drift", "apply_positions", "interpolation_weights", "true_positions"]

_NEIGHBOURS = 10
_FALL_OFF = 4
_RIDGE = 1e-10  # of the signal's variance: keeps the equations solvable where the scan is much finer
_ROUNDING = 1e-6  # of a step


def apply_drift(
    datacube: Any,
    *,
    experiment: Experiment,
    drift_angstrom: tuple[float, float] = (0.0, 0.0),
    random_walk_angstrom: float = 0.0,
    jitter_angstrom: float = 0.0,
    seed: int | None = None,
) -> Any:
    """Let a finely stepped data set drift: interpolation between neighbouring patterns.

    For data with a step of λ/4α or less. To simulate any scan with drift, hand ``drifted_positions`` to
    ``scan``.

    Parameters
    ----------
    datacube, experiment
        As for ``apply_positions``.
    drift_angstrom, random_walk_angstrom, jitter_angstrom, seed
        As for ``drifted_positions``; the time is that of the whole scan of ``datacube``.

    Returns
    -------
    py4DSTEM.DataCube
        As of ``apply_positions``; ``true_positions`` tells where the probe was.

    Raises
    ------
    TypeError, ValueError
        As those two functions.
    """
    nominal = _nominal(datacube)
    moved = nominal + drift_displacements(
        len(nominal), drift_angstrom, random_walk_angstrom, jitter_angstrom, seed
    )
    return apply_positions(datacube, moved, experiment=experiment)


def apply_positions(datacube: Any, positions_angstrom: ArrayLike, *, experiment: Experiment) -> Any:
    """Move the probe of every pattern of a finely stepped data set elsewhere.

    Parameters
    ----------
    datacube : py4DSTEM.DataCube
        (Ry, Rx, Qy, Qx) at its nominal positions, scan step calibrated in A or nm; left as it is.
    positions_angstrom : array, shape (Ry · Rx, 2)
        Where the probe is to be: y, x [Å] from the first nominal position, row by row.
    experiment : Experiment
        Its energy and aperture give the band limit of the intensity, hence which step is fine enough.

    Returns
    -------
    py4DSTEM.DataCube
        float32, calibrated as the input, with the nominal step. Outer rows and columns are left out until all
        positions lie within the scanned area: nothing is extrapolated. ``true_positions`` gives them,
        and the last of ``applied_effects`` the number of rows and columns left out before the first one kept.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or shape, the data cube is not calibrated in real space, its
        patterns are noisy or no longer at their nominal positions, or nothing is left.

    Warns
    -----
    UserWarning
        If the step is coarser than λ/4α.
    """
    nominal, step = _nominal(datacube), scan_step_angstrom(datacube)
    check_order(datacube, "positions")
    band = _band_limit(step, experiment)
    scan_shape = datacube.data.shape[:2]
    positions = validation.as_array("positions_angstrom", positions_angstrom, shape=nominal.shape)
    places = (positions / step).reshape(*scan_shape, 2)
    kept = _inside(places)
    first = np.array([kept[0].start, kept[1].start])
    places = places[kept]
    result = new_array(datacube.data, (*places.shape[:2], *datacube.data.shape[2:]))
    for y, row in enumerate(places):
        windows_y, windows_x = (
            interpolation_weights(row[:, axis], scan_shape[axis], band) for axis in (0, 1)
        )
        for x in range(len(row)):
            (from_y, weights_y), (from_x, weights_x) = (
                (start[x], weights[x]) for start, weights in (windows_y, windows_x)
            )
            block = datacube.data[from_y : from_y + len(weights_y), from_x : from_x + len(weights_x)]
            pattern = np.tensordot(weights_x, np.tensordot(weights_y, block, axes=1), axes=1)
            result[y, x] = pattern.clip(0)
    true = ((places - first) * step).reshape(-1, 2)
    cube = calibrated_like(datacube, result)
    return record(cube, "positions", true_positions_angstrom=true, left_out=first)


def true_positions(datacube: Any) -> np.ndarray:
    """Where the probe was: (Ry · Rx, 2) y, x [Å] from the first nominal position, row by row.

    What ``scan(positions_angstrom=...)``, ``apply_drift`` or ``apply_positions`` did, else the nominal grid
    (also of a file that ``open_scan`` opens: it keeps a digest of the positions only). Compare with refined
    positions after removing the mean difference, as only differences count.

    Raises
    ------
    TypeError, ValueError
        If ``datacube`` is not a DataCube calibrated in A or nm.
    """
    for done in applied_effects(datacube):
        if done["effect"] == "positions":
            return np.array(done["true_positions_angstrom"])
    return _nominal(datacube)


def interpolation_weights(places: np.ndarray, count: int, band: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the samples 0 … count - 1 for values at ``places`` between them.

    Parameters
    ----------
    places : array, shape (n,)
        In steps.
    count : int
        Samples along the axis.
    band : float
        Highest frequency, per step; at most 0.5 is sampled.

    Returns
    -------
    first : array of int, shape (n,)
        First sample used.
    weights : array, shape (n, neighbours)
        Each row sums to 1.
    """
    neighbours = min(_NEIGHBOURS, count)
    samples = np.arange(neighbours)
    first = np.clip(np.floor(places - neighbours / 2 + 1).astype(int), 0, count - neighbours)
    among = _correlation(samples[:, None] - samples, band) + _RIDGE * np.eye(neighbours)
    with_place = _correlation((places - first)[:, None] - samples, band)
    weights = np.linalg.solve(among, with_place.T).T
    return first, weights / weights.sum(axis=1, keepdims=True)


def _correlation(distance: np.ndarray, band: float) -> np.ndarray:
    """Fourier transform of (1 - |f| / band)^4, 1 at no distance."""
    nodes, weights = np.polynomial.legendre.leggauss(32)
    frequencies = (nodes + 1) / 2
    spectrum = weights * (1 - frequencies) ** _FALL_OFF
    return np.cos(2 * math.pi * band * distance[..., None] * frequencies) @ (spectrum / spectrum.sum())


def _nominal(datacube: Any) -> np.ndarray:
    """Positions of the scan (Ry · Rx, 2) [Å]."""
    check_cube(datacube)
    indices = np.indices(datacube.data.shape[:2]).reshape(2, -1).T
    return indices * scan_step_angstrom(datacube)


def _band_limit(step: float, experiment: Experiment) -> float:
    """2α/λ per step, at most 0.5, and a warning if it is more."""
    if not isinstance(experiment, Experiment):
        raise TypeError(f"experiment must be an Experiment, got {type(experiment).__name__}")
    band = 2e-3 * experiment.semiangle_mrad / experiment.wavelength_angstrom * step
    if band > 0.5 * (1 + _ROUNDING):
        warnings.warn(
            f"the scan step of {step:g} Å is too coarse to find patterns in between, it should be at most "
            f"λ/4α = {0.5 * step / band:.2g} Å; to simulate the scan, hand positions_angstrom to scan",
            UserWarning,
            stacklevel=3,
        )
    return min(band, 0.5)


def _inside(places: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of ``places`` (Ry, Rx, 2) [step] that stay in the scan; worst border first."""
    limit = np.array(places.shape[:2]) - 1
    low, high = np.zeros(2, int), limit + 1
    while (low < high).all():
        rest = places[low[0] : high[0], low[1] : high[1]]
        over = np.stack([-rest.min(axis=(0, 1)), rest.max(axis=(0, 1)) - limit])
        side, axis = np.unravel_index(over.argmax(), over.shape)
        if over[side, axis] <= _ROUNDING:
            return slice(low[0], high[0]), slice(low[1], high[1])
        (low if side == 0 else high)[axis] += 1 if side == 0 else -1
    raise ValueError(
        "positions_angstrom must lie within the scanned area for some rows and columns, got none; "
        "are they in Å, from the first nominal position?"
    )
