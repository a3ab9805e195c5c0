"""Three ways to say where a column is, on reconstructed phases and on the true potentials."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import ndimage

import caviar_kit as ck
from caviar_kit.physics import interaction_parameter
from caviar_kit.simulation.runs import Runner, built_potential

__all__ = ["TRACKERS", "raw_centre_of_mass", "track", "true_phases"]

TRACKERS = ("raw 1", "raw 2", "raw 3", "raw 5", "raw 10", "minimum subtracted", "gaussian")
"""Raw centres of mass are named with their passes."""
RADIUS = 0.45  # Å, that of `ck.track_atoms`
_ACROSS = 9


def track(tracker: str, phases: np.ndarray, positions: np.ndarray, sampling: Any) -> np.ndarray:
    """Follow columns through phases (states, y, x): (states, columns, 2) [Å], NaN where lost."""
    if tracker.startswith("raw "):
        return raw_centre_of_mass(phases, positions, sampling, int(tracker.removeprefix("raw ")))
    method = {"minimum subtracted": "com", "gaussian": "gaussian"}[tracker]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ck.track_atoms(phases, positions, sampling, radius=RADIUS, method=method)


def raw_centre_of_mass(phases: np.ndarray, positions: np.ndarray, sampling: Any, passes: int) -> np.ndarray:
    """Centre of mass of the phase itself in a disc, its background not subtracted (CAVIAR).

    The disc of points moves with the column, as in `ck.track_atoms`: only the weight differs. Each pass
    begins where the one before ended, the first at the mean position. A background pulls towards the middle
    of the disc, so a few passes stop short of the displacement.

    Parameters
    ----------
    phases : (states, y, x) [rad]
    positions : (columns, 2) [Å]
    sampling : (2,) [Å]
    """
    line = np.linspace(-RADIUS, RADIUS, _ACROSS)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    disc = grid[np.linalg.norm(grid, axis=1) <= RADIUS * (1 + 1e-9)]
    tracked = np.empty((len(phases), *np.shape(positions)))
    for target, phase in zip(tracked, phases, strict=True):
        spline = ndimage.spline_filter(phase, order=3, output=np.float64, mode="mirror")
        centre = np.array(positions, float)
        for _ in range(passes):
            at = np.moveaxis((centre[:, None] + disc) / np.asarray(sampling), -1, 0)
            weight = ndimage.map_coordinates(spline, at, order=3, mode="mirror", prefilter=False)
            centre += (weight @ disc) / weight.sum(axis=1, keepdims=True)
        target[:] = centre
    return tracked


def true_phases(example: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Projected phase of every snapshot in the data, at the pixels of a reconstruction.

    The potentials of the simulation summed along the beam, times the interaction parameter, their spectrum
    cut to the detector's grid.

    Returns
    -------
    phases : (snapshots, y, x) [rad]
    positions : (columns, 2) [Å]
        Mean positions of the columns in the scanned field, in the frame of ``phases``.
    sampling : (2,) [Å]
    """
    experiment, snapshots = example.experiment, example.snapshots
    runner = Runner.of(snapshots, experiment, "cpu", 1)
    sigma = interaction_parameter(experiment.energy_ev)
    pixels = experiment.detector_pixels
    phases = np.array(
        [band_limited(sigma * built_potential(runner, f).sum(axis=0), pixels) for f in snapshots.positions]
    )
    positions = example.ground_truth.positions + experiment.first_position_in_window_angstrom
    return phases, positions, np.full(2, experiment.object_sampling_angstrom)


def band_limited(image: np.ndarray, pixels: int) -> np.ndarray:
    """A periodic image (y, x) at fewer pixels: its spectrum cut to them."""
    spectrum = np.fft.fftshift(np.fft.fft2(image))
    first = image.shape[0] // 2 - pixels // 2
    cut = spectrum[first : first + pixels, first : first + pixels]
    return np.fft.ifft2(np.fft.ifftshift(cut)).real * (pixels / image.shape[0]) ** 2
