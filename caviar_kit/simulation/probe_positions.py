"""Where probes really are: drift, jitter and a distorted scan, as maps of the nominal positions.

Exact when handed to ``scan(..., positions_angstrom=...)``, which simulates each probe where it is; existing
data are resampled by ``apply_positions``. Positions are the probe's in the specimen, (Ry · Rx, 2) y, x [Å]
from the first nominal position, row by row.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.simulation.experiment import Experiment
from caviar_kit.validation import as_array

__all__ = ["distorted_positions", "drift_displacements", "drifted_positions"]


def drifted_positions(
    experiment: Experiment,
    *,
    drift_angstrom: tuple[float, float] = (0.0, 0.0),
    random_walk_angstrom: float = 0.0,
    jitter_angstrom: float = 0.0,
    seed: int | None = None,
    positions_angstrom: ArrayLike | None = None,
) -> np.ndarray:
    """Positions of a scan that drifts while it runs.

    Patterns are taken row by row, equally long after each other; the flyback takes no time.

    Parameters
    ----------
    experiment : Experiment
        The nominal scan.
    drift_angstrom : (float, float)
        Steady drift y, x [Å] of the probe in the specimen from the first to the last pattern: minus that of
        the specimen. A velocity times the duration of the scan.
    random_walk_angstrom : float
        Random walk: root-mean-square per axis [Å] of the distance walked from the first to the last pattern.
    jitter_angstrom : float
        Root-mean-square per axis [Å] of independent normal errors of every position.
    seed : int, optional
        Seed of the random numbers, needed for a random walk or jitter.
    positions_angstrom : array, shape (Ry · Rx, 2), optional
        Positions to start from instead of the nominal ones, such as ``distorted_positions``.

    Returns
    -------
    array, shape (Ry · Rx, 2)
        y, x [Å] from the first nominal position, row by row.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or shape, out of range, or a seed is missing.
    """
    start = _start(experiment, positions_angstrom)
    return start + drift_displacements(
        len(start), drift_angstrom, random_walk_angstrom, jitter_angstrom, seed
    )


def drift_displacements(
    count: int, drift_angstrom: Any, random_walk_angstrom: Any, jitter_angstrom: Any, seed: Any
) -> np.ndarray:
    """Displacements (count, 2) [Å] of successive patterns; see ``drifted_positions``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, out of range, or a seed is missing.
    """
    drift = [_length("drift_angstrom", d) for d in as_array("drift_angstrom", drift_angstrom, shape=(2,))]
    walk = _length("random_walk_angstrom", random_walk_angstrom, minimum=0.0)
    jitter = _length("jitter_angstrom", jitter_angstrom, minimum=0.0)
    displacements = np.linspace(0, 1, count)[:, None] * np.array(drift)
    if walk == jitter == 0:
        return displacements
    if seed is None:
        raise ValueError("random_walk_angstrom and jitter_angstrom need a seed")
    rng = np.random.default_rng(validation.integer("seed", seed, minimum=0))
    steps = rng.standard_normal((count, 2)) * (walk / math.sqrt(max(count - 1, 1)))
    steps[0] = 0
    return displacements + steps.cumsum(axis=0) + jitter * rng.standard_normal((count, 2))


def distorted_positions(
    experiment: Experiment,
    *,
    rotation_degrees: float = 0.0,
    scale: float | tuple[float, float] = 1.0,
    shear: float = 0.0,
    positions_angstrom: ArrayLike | None = None,
) -> np.ndarray:
    """Positions of a scan that is rotated against the detector, wrongly scaled or oblique.

    Each position p becomes c + R K S (p - c), c the centre of the scan: S scales y and x, K moves x by
    shear · y, R turns (y, x) to (y cos θ + x sin θ, x cos θ - y sin θ), py4DSTEM's sense of rotation:
    ``preprocess(force_com_rotation=θ)`` undoes it. Specimen and detector keep their common axes, so
    that nothing is interpolated; ground truth is found where it was.

    Parameters
    ----------
    experiment : Experiment
        The nominal scan.
    rotation_degrees : float
        θ [degree]. To tell a reconstruction, ``calibration.set_QR_rotation_degrees`` of the data cube.
    scale : float or (float, float)
        True over nominal step, of both axes or of y and x.
    shear : float
        Movement along x of a row one unit farther along y.
    positions_angstrom : array, shape (Ry · Rx, 2), optional
        Positions to start from instead of the nominal ones.

    Returns
    -------
    array, shape (Ry · Rx, 2)
        y, x [Å] from the first *nominal* position, row by row; the first of them lies elsewhere.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or shape, or out of range.
    """
    start = _start(experiment, positions_angstrom)
    theta = math.radians(
        validation.number("rotation_degrees", rotation_degrees, minimum=-360, maximum=360, unit="degree")
    )
    both = (scale, scale) if np.isscalar(scale) else as_array("scale", scale, shape=(2,))
    stretch = np.diag([validation.number("scale", s, minimum=0.1, maximum=10) for s in both])
    oblique = np.eye(2)
    oblique[1, 0] = validation.number("shear", shear, minimum=-1, maximum=1)
    turn = np.array([[math.cos(theta), math.sin(theta)], [-math.sin(theta), math.cos(theta)]])
    centre = experiment.scan_positions_angstrom.mean(axis=0)
    return centre + (start - centre) @ (turn @ oblique @ stretch).T


def _start(experiment: Any, positions: ArrayLike | None) -> np.ndarray:
    """Checked positions, by default the nominal ones."""
    if not isinstance(experiment, Experiment):
        raise TypeError(f"experiment must be an Experiment, got {type(experiment).__name__}")
    if positions is None:
        return experiment.scan_positions_angstrom
    wanted = (math.prod(experiment.scan_shape), 2)
    return as_array("positions_angstrom", positions, shape=wanted).astype(float)


def _length(name: str, value: Any, minimum: float = -1e4) -> float:
    length = validation.number(name, value, minimum=minimum, maximum=1e4, unit="Å")
    if 0 < abs(length) < 1e-6:
        raise ValueError(f"{name} must be 0 or at least 1e-6 [Å], got {length:g}; was it given in metres?")
    return length
