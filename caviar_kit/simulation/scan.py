"""4D-STEM by multislice: abTEM's potentials, probe and propagation, one run per snapshot."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit._py4dstem import datacube
from caviar_kit.simulation.experiment import Experiment
from caviar_kit.simulation.snapshots import Snapshots
from caviar_kit.simulation.source_size import SourcePoints
from caviar_kit.simulation.window import Window, cut_window

__all__ = ["scan", "vacuum_probe_intensity"]

_POINTS_TOGETHER = 1_000_000  # grid points of the waves propagated at once: as fast as more, little memory
_CONFIG: dict[str, Any] = {
    "device": "cpu",
    "precision": "float32",
    "diagnostics.progress_bar": False,
    "fft": "fftw",
    # Parallel over snapshots instead. ESTIMATE gives the same bits in each run (MEASURE picks the plan by
    # the clock) and never plans on top of data (two threads and MEASURE returned patterns of zeros).
    "fftw.threads": 1,
    "fftw.planning_effort": "FFTW_ESTIMATE",
}


def scan(
    snapshots: Snapshots,
    experiment: Experiment,
    progress: Callable[[int, int], None] | None = None,
    *,
    positions_angstrom: ArrayLike | None = None,
    workers: int | None = None,
) -> Any:
    """Simulate the 4D-STEM data set of ``snapshots``: the mean of their diffraction patterns.

    Per slice, ψ ← F⁻¹ D F (t ψ) with the transmission t = exp(iσV) of the projected Lobato potentials
    and the Fresnel propagator D; Kirkland, *Advanced Computing in Electron Microscopy* (2010), ch. 6.

    Parameters
    ----------
    snapshots : Snapshots
        The specimen, periodic in the plane.
    experiment : Experiment
        Optics, scan and grids.
    progress : callable, optional
        Called as ``progress(done, total)`` in the caller's thread after each snapshot; an exception
        raised there stops the simulation.
    positions_angstrom : array, shape (Ry · Rx, 2), optional
        Where the probe really is: y, x [Å] from the first nominal position, row by row, instead of
        ``experiment.scan_positions_angstrom`` (drift, distortion, a rotated scan). The window stays where
        the nominal scan has it, and the data cube is calibrated with the nominal step.
    workers : int, optional
        Threads, one snapshot each; by default one per core, up to four. The result does not depend on it.

    Returns
    -------
    py4DSTEM.DataCube
        float32 (Ry, Rx, Qy, Qx): fraction of the beam per detector pixel; the undiffracted
        beam is centred on pixel (N // 2, N // 2). R in A, Q in A^-1.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, the window holds no atoms, or a geometric probe leaves it.
    RuntimeError
        If abTEM returns patterns that are empty or brighter than the beam.
    """
    if not isinstance(snapshots, Snapshots):
        raise TypeError(f"snapshots must be Snapshots, got {type(snapshots).__name__}")
    _check_experiment(experiment)
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be callable as progress(done, total), got {progress!r}")
    workers = validation.integer("workers", min(os.cpu_count() or 1, 4) if workers is None else workers)

    points = _source_points(experiment, positions_angstrom)
    window = cut_window(snapshots, experiment)
    pixels = experiment.detector_pixels
    total = np.zeros((*experiment.scan_shape, pixels, pixels))
    single = _patterns_of_each(snapshots, window, experiment, points, workers)
    for done, patterns in enumerate(single, start=1):
        total += patterns.reshape(total.shape)
        if progress is not None:
            progress(done, len(snapshots))
    total /= len(snapshots)
    return datacube(
        total.astype(np.float32),
        scan_step_angstrom=experiment.scan_step_angstrom,
        detector_pixel_inverse_angstrom=experiment.detector_pixel_inverse_angstrom,
    )


def vacuum_probe_intensity(experiment: Experiment) -> np.ndarray:
    """Pattern of the same probe without specimen: float32 (Qy, Qx), centred as the data; its sum is 1.

    Raises
    ------
    TypeError
        If ``experiment`` is not an ``Experiment``.
    """
    import abtem

    _check_experiment(experiment)
    with abtem.config.set(_CONFIG):
        waves = _probe(experiment).build(lazy=False)
        patterns = waves.diffraction_patterns(max_angle="full", parity="same").array
    return _detected(patterns[None], experiment)[0]


def _source_points(experiment: Experiment, positions_angstrom: ArrayLike | None) -> SourcePoints:
    """Points of the nominal scan, or around ``positions_angstrom``, which are checked."""
    if positions_angstrom is None:
        return SourcePoints.of(experiment)
    wanted = (math.prod(experiment.scan_shape), 2)
    positions = validation.as_array("positions_angstrom", positions_angstrom, shape=wanted).astype(float)
    experiment.check_positions(positions)
    return SourcePoints.around(positions, experiment)


def _patterns_of_each(
    snapshots: Snapshots, window: Window, experiment: Experiment, points: SourcePoints, workers: int
) -> Iterator[np.ndarray]:
    """(positions, Qy, Qx) of one snapshot after the other."""
    import abtem

    numbers = snapshots.numbers[window.index]

    def simulate(positions: np.ndarray) -> np.ndarray:
        return _patterns(numbers, window.place(positions), window.size, experiment, points)

    # One thread also for one worker: a single code path. `map` keeps the order, hence the bits of the mean.
    executor = ThreadPoolExecutor(workers)
    try:
        with abtem.config.set(_CONFIG):
            yield from executor.map(simulate, snapshots.positions)
    finally:
        executor.shutdown(cancel_futures=True)


def _patterns(
    numbers: np.ndarray, placed: np.ndarray, size: np.ndarray, experiment: Experiment, points: SourcePoints
) -> np.ndarray:
    """(positions, Qy, Qx) of atoms at rest.

    Not abTEM's ``AtomsEnsemble``: abTEM 1.0.9 returns a wrong mean for it with ``lazy=False``.
    """
    import abtem
    from ase import Atoms

    potential = abtem.Potential(
        Atoms(numbers=numbers, positions=placed, cell=size, pbc=True),
        gpts=experiment.grid_points,
        slice_thickness=size[2] / experiment.num_slices,
        parametrization="lobato",
        projection="infinite",
        periodic=True,
    ).build(lazy=False)
    # abTEM orders axes x, y; so do its scan positions, here from the window's corner.
    positions = (points.positions_angstrom + experiment.first_position_in_window_angstrom)[:, ::-1]
    batch = max(1, _POINTS_TOGETHER // experiment.grid_points**2)  # lazy=False ignores abTEM's max_batch
    probe, detector = _probe(experiment), abtem.PixelatedDetector(max_angle="full")
    mean = np.zeros((math.prod(experiment.scan_shape), *2 * (experiment.detector_pixels,)), np.float32)
    for first in range(0, len(positions), batch):
        some = abtem.CustomScan(positions[first : first + batch])
        measured = probe.scan(potential, scan=some, detectors=detector, lazy=False)
        points.add(mean, first, _detected(measured.array, experiment))
    return mean


def _probe(experiment: Experiment) -> Any:
    import abtem

    return abtem.Probe(
        energy=experiment.energy_ev,
        semiangle_cutoff=experiment.semiangle_mrad,
        defocus=experiment.defocus_angstrom,
        extent=experiment.window_angstrom,
        gpts=experiment.grid_points,
    )


def _detected(patterns: np.ndarray, experiment: Experiment) -> np.ndarray:
    """From abTEM's centred (n, Qx, Qy) to the detector's (n, Qy, Qx), the beam on pixel N // 2."""
    brightness = patterns.sum(axis=(1, 2))
    # Band-limiting the transmission may add some 0.1 % near heavy atoms; more, or nothing, is a failure.
    if not (brightness.min() > 0.5 and brightness.max() < 1.05):
        raise RuntimeError(
            f"abTEM returned patterns of {brightness.min():.3g} to {brightness.max():.3g} of the beam, "
            "which cannot be right; are several programs or threads sharing its FFT plans?"
        )
    first = experiment.grid_points // 2 - experiment.detector_pixels // 2
    kept = slice(first, first + experiment.detector_pixels)
    return patterns[:, kept, kept].transpose(0, 2, 1)


def _check_experiment(experiment: Experiment) -> None:
    if not isinstance(experiment, Experiment):
        raise TypeError(f"experiment must be an Experiment, got {type(experiment).__name__}")
