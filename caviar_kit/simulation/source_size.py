"""Partial spatial coherence: an electron source of finite size.

Every point of the source makes its own probe, shifted in the specimen, and their patterns add up:
I(r) = ∫ S(s) I₀(r + s) d²s with the source's image S, here a Gaussian [Thibault & Menzel (2013),
doi:10.1038/nature11806; Gaussian weights over neighbouring patterns: CAVIAR, arXiv:2309.12017].

The integral is a sum over a grid of positions, and the grid must be fine enough. I₀(k, r) is the square
of a wave made of plane waves within the aperture α, so its Fourier transform in r ends at 2α/λ; a step of
λ/4α (0.21 Å at 200 kV and 30 mrad) samples it. With 0.5 Å, Gaussian weights do not make a Gaussian source.
A much narrower source takes few Gauss-Hermite points around each position instead.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from caviar_kit import validation
from caviar_kit.physics import FWHM_PER_RMS
from caviar_kit.simulation.effects.common import (
    calibrated_like,
    check_order,
    new_array,
    record,
    scan_step_angstrom,
)
from caviar_kit.simulation.experiment import Experiment, source_width

__all__ = ["SourcePoints", "apply_source_size", "gaussian_weights", "largest_step"]

_REACH = 3.0  # in rms widths of the source; amplitude loss 2e-10 of the beam (benchmarks/source_step.py)
_LARGEST_STEP = 1.05  # in rms widths: sums of a Gaussian at such steps are exact to 3e-8
_NODES = 5  # of Gauss and Hermite, for a source narrower than that: amplitude loss below 4e-8
_ROUNDING = 1e-6


def gaussian_weights(fwhm_angstrom: float, step_angstrom: float) -> np.ndarray:
    """Weights of -n … n steps [Å] from the centre, at least 3 rms widths far; their sum is 1."""
    sigma = source_width(fwhm_angstrom) / FWHM_PER_RMS
    validation.number("step_angstrom", step_angstrom, minimum=0, open_minimum=True, unit="Å")
    if sigma == 0:
        return np.ones(1)
    reach = math.ceil(_REACH * sigma / step_angstrom - _ROUNDING)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step_angstrom / sigma) ** 2)
    return weights / weights.sum()


def largest_step(fwhm_angstrom: float, experiment: Experiment | None = None) -> float:
    """Coarsest step [Å] of a grid that samples both the Gaussian and the intensity.

    The smaller of 1.05 rms widths and λ/4α; without ``experiment`` only the former.
    """
    gaussian = _LARGEST_STEP * fwhm_angstrom / FWHM_PER_RMS
    if experiment is None:
        return gaussian
    return min(gaussian, experiment.wavelength_angstrom / (4e-3 * experiment.semiangle_mrad))


@dataclass(frozen=True, eq=False)
class SourcePoints:
    """Where probes are simulated, and how their patterns make those of the scan.

    Attributes
    ----------
    positions_angstrom : array, shape (points, 2)
        y, x [Å] from the first scan position; the scan positions are among them.
    weights : sparse array, shape (scan positions, points)
        Each row sums to 1.
    """

    positions_angstrom: np.ndarray
    weights: sparse.csc_array

    @classmethod
    def of(cls, experiment: Experiment) -> SourcePoints:
        """Points for the scan, shared by neighbouring positions where the source is wide enough for that."""
        y, x = (_points(count, experiment) for count in experiment.scan_shape)
        positions = np.stack(np.meshgrid(y[0], x[0], indexing="ij"), axis=-1).reshape(-1, 2)
        return cls(positions, sparse.csc_array(sparse.kron(y[1], x[1], format="csc")))

    @classmethod
    def around(cls, positions_angstrom: np.ndarray, experiment: Experiment) -> SourcePoints:
        """Points around any (positions, 2) y, x [Å] from the first scan position; none are shared."""
        offsets, weights = _offsets(experiment)
        square = np.stack(np.meshgrid(offsets, offsets, indexing="ij"), axis=-1).reshape(-1, 2)
        points = (positions_angstrom[:, None] + square).reshape(-1, 2)
        each = sparse.eye_array(len(positions_angstrom))
        return cls(points, sparse.csc_array(sparse.kron(each, np.outer(weights, weights).reshape(1, -1))))

    def subset(self, positions: slice) -> SourcePoints:
        """What some of the scan positions need."""
        rows = self.weights.tocsr()[positions].tocsc()
        needed = np.flatnonzero(np.diff(rows.indptr))
        return SourcePoints(self.positions_angstrom[needed], rows[:, needed])

    def add(self, mean: np.ndarray, first: int, patterns: np.ndarray) -> None:
        """Add ``patterns`` (n, Qy, Qx) of points ``first`` … to ``mean`` (scan positions, Qy, Qx)."""
        share = self.weights[:, first : first + len(patterns)]
        lit = np.unique(share.indices)
        part = share.tocsr()[lit].astype(mean.dtype) @ patterns.reshape(len(patterns), -1)
        mean[lit] += part.reshape(len(lit), *mean.shape[1:])


def _points(count: int, experiment: Experiment) -> tuple[np.ndarray, sparse.coo_array]:
    """Points along one axis (points,) [Å] and their weights (count, points)."""
    fwhm, step = experiment.source_fwhm_angstrom, experiment.scan_step_angstrom
    sigma, finest = fwhm / FWHM_PER_RMS, largest_step(math.inf, experiment)
    if _LARGEST_STEP * sigma < finest:  # a grid would be finer than the intensity needs
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES if fwhm > 0 else 1)
        places = np.arange(count)[:, None] * step + nodes * sigma
        return places.ravel(), _windows(count, len(nodes), weights / weights.sum())
    division = math.ceil(step / finest - _ROUNDING)
    matrix = _windows(count, division, kernel := gaussian_weights(fwhm, step / division))
    return (np.arange(matrix.shape[1]) - len(kernel) // 2) * (step / division), matrix


def _offsets(experiment: Experiment) -> tuple[np.ndarray, np.ndarray]:
    """Points along one axis around a single position [Å], and their weights."""
    fwhm, finest = experiment.source_fwhm_angstrom, largest_step(math.inf, experiment)
    if _LARGEST_STEP * fwhm / FWHM_PER_RMS < finest:
        return _points(1, experiment)[0], _points(1, experiment)[1].toarray()[0]
    kernel = gaussian_weights(fwhm, finest)
    return (np.arange(len(kernel)) - len(kernel) // 2) * finest, kernel


def _windows(count: int, division: int, kernel: np.ndarray) -> sparse.coo_array:
    """Matrix (count, points): row i holds ``kernel`` from column i · ``division`` on."""
    row = np.repeat(np.arange(count), len(kernel))
    column = row * division + np.tile(np.arange(len(kernel)), count)
    shape = (count, (count - 1) * division + len(kernel))
    return sparse.coo_array((np.tile(kernel, count), (row, column)), shape=shape)


def apply_source_size(datacube: Any, fwhm_angstrom: float, *, experiment: Experiment | None = None) -> Any:
    """Blur a finely stepped data set by a Gaussian source: weighted means over neighbouring patterns.

    For data with a step of about λ/4α or less. To simulate any scan with a finite source, set
    ``Experiment.source_fwhm_angstrom`` and call ``scan``, which finds the patterns in between.

    Parameters
    ----------
    datacube : py4DSTEM.DataCube
        (Ry, Rx, Qy, Qx), scan step calibrated in A or nm; left as it is.
    fwhm_angstrom : float
        Full width at half maximum of the source's image in the specimen [Å]; 0 changes nothing.
    experiment : Experiment, optional
        Its aperture tells which step is fine enough; without it only the Gaussian's own width does.

    Returns
    -------
    py4DSTEM.DataCube
        float32, calibrated as the input. Only positions with all their
        neighbours, up to 3 rms widths away, are kept: n = ⌈3σ / step⌉ rows and columns are lost at each
        border, and the first position is the input's (n, n).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, the data cube is not calibrated in real
        space, or no position has all its neighbours, or its positions or noise are no longer ideal.

    Warns
    -----
    UserWarning
        If the step is too coarse: the weights then make a few separate source points.
    """
    fwhm = source_width(fwhm_angstrom)
    if experiment is not None and not isinstance(experiment, Experiment):
        raise TypeError(f"experiment must be an Experiment, got {type(experiment).__name__}")
    step = scan_step_angstrom(datacube)
    check_order(datacube, "source size")
    weights = gaussian_weights(fwhm, step)
    if fwhm > 0:
        _warn_if_coarse(step, fwhm, weights, experiment)
    shape = tuple(count - len(weights) + 1 for count in datacube.data.shape[:2])
    if min(shape) < 1:
        raise ValueError(
            f"datacube has {datacube.data.shape[:2]} scan positions, but fwhm_angstrom={fwhm:g} at a step of "
            f"{step:g} Å needs {len(weights)} or more along y and x"
        )
    blurred = new_array(datacube.data, (*shape, *datacube.data.shape[2:]))
    for row in range(shape[0]):
        rows = np.tensordot(weights, datacube.data[row : row + len(weights)], axes=1)
        for column in range(shape[1]):
            blurred[row, column] = np.tensordot(weights, rows[column : column + len(weights)], axes=1)
    return record(
        calibrated_like(datacube, blurred), "source size", fwhm_angstrom=fwhm, left_out=len(weights) // 2
    )


def _warn_if_coarse(step: float, fwhm: float, weights: np.ndarray, experiment: Experiment | None) -> None:
    limit = largest_step(fwhm, experiment)
    if step <= limit * (1 + _ROUNDING):
        return
    offsets = (np.arange(len(weights)) - len(weights) // 2) * step
    wanted, got = fwhm / FWHM_PER_RMS, math.sqrt(weights @ offsets**2)
    warnings.warn(
        f"the scan step of {step:g} Å is too coarse for this source, it should be at most {limit:.2g} Å: "
        f"these weights make separate source points with an rms width of {got:.2g} Å instead of "
        f"{wanted:.2g} Å; to simulate it, use Experiment(source_fwhm_angstrom=...)",
        UserWarning,
        stacklevel=3,
    )
