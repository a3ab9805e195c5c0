"""4D-STEM by multislice: abTEM's potentials, probe and propagation, one run per snapshot."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit._py4dstem import datacube
from caviar_kit.simulation.advice import check_positions, specimen_advice
from caviar_kit.simulation.cache import simulation_record
from caviar_kit.simulation.effects.common import record
from caviar_kit.simulation.experiment import Experiment
from caviar_kit.simulation.runs import Runner, vacuum_pattern
from caviar_kit.simulation.scan_file import ScanFile, open_scan
from caviar_kit.simulation.snapshots import Snapshots, check_snapshots
from caviar_kit.simulation.source_size import SourcePoints

__all__ = ["scan", "vacuum_probe_intensity"]

_BLOCK_BYTES = 64_000_000  # of the float64 sum of the positions that are simulated before they are written


def scan(
    snapshots: Snapshots,
    experiment: Experiment,
    progress: Callable[[int, int], None] | None = None,
    *,
    positions_angstrom: ArrayLike | None = None,
    path: str | os.PathLike[str] | None = None,
    device: str = "cpu",
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
        Called as ``progress(done, total)`` in the caller's thread after each snapshot (with ``path``: of
        each block of positions); an exception raised there stops the simulation.
    positions_angstrom : array, shape (Ry · Rx, 2), optional
        Where the probe really is: y, x [Å] from the first nominal position, row by row, instead of
        ``experiment.scan_positions_angstrom`` (drift, distortion, a rotated scan). The window stays where
        the nominal scan has it, and the data cube is calibrated with the nominal step;
        ``true_positions`` tells them again.
    path : path, optional
        Write the patterns to this HDF5 file (EMD 1.0: ``ck.read``, ``py4DSTEM.read``), some positions after
        the other, so that memory does not grow with the data. An interrupted simulation leaves
        ``path``.part; the same call goes on from there. A finished file is opened as it is. See
        ``open_scan``.
    device : {"cpu", "gpu", "auto"}
        Where abTEM runs; "gpu" needs CuPy, "auto" takes a GPU if one answers. They agree to rounding.
    workers : int, optional
        Threads, one snapshot each; by default one per core, up to four, and one on a GPU. The result does
        not depend on it.

    Returns
    -------
    py4DSTEM.DataCube
        float32 (Ry, Rx, Qy, Qx): fraction of the beam per detector pixel; the undiffracted
        beam is centred on pixel (N // 2, N // 2). R in A, Q in A^-1. With ``path``, its ``data`` is a
        read-only ``numpy.memmap``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, the window holds no atoms, a geometric probe leaves it, or
        ``path`` holds something else than this simulation.
    RuntimeError
        If abTEM returns patterns that are empty or brighter than the beam, "gpu" is asked for and there is
        none, or another process writes to ``path``.
    OSError
        If the file cannot be written, or the disk has no room for it.

    Warns
    -----
    UserWarning
        If probes spread over the window's edge within the specimen's thickness, slices are thick against
        the depth of focus, the field is larger than the specimen's cell, or ``positions_angstrom`` lie
        near the edge.
    """
    check_snapshots(snapshots)
    _check_experiment(experiment)
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be callable as progress(done, total), got {progress!r}")
    points = _source_points(experiment, positions_angstrom)
    for line in specimen_advice(snapshots, experiment):
        warnings.warn(line, UserWarning, stacklevel=2)
    runner = Runner.of(snapshots, experiment, device, workers)
    actual = None if positions_angstrom is None else np.asarray(positions_angstrom, float)
    if path is None:
        tick = _Ticker(progress, len(snapshots))
        cube = datacube(
            runner.mean(points, tick).astype(np.float32).reshape(_data_shape(experiment)),
            scan_step_angstrom=experiment.scan_step_angstrom,
            detector_pixel_inverse_angstrom=experiment.detector_pixel_inverse_angstrom,
        )
    else:
        origin = simulation_record(snapshots, experiment, actual)
        file = ScanFile(
            validation.path_like("path", path), _data_shape(experiment), _block(experiment), origin
        )
        if not file.finished():
            _fill(file, runner, points, progress)
        cube = open_scan(file.path)
    return cube if actual is None else record(cube, "positions", true_positions_angstrom=actual)


def vacuum_probe_intensity(experiment: Experiment) -> np.ndarray:
    """Pattern of the same probe without specimen: float32 (Qy, Qx), centred as the data; its sum is 1.

    Raises
    ------
    TypeError
        If ``experiment`` is not an ``Experiment``.
    """
    _check_experiment(experiment)
    return vacuum_pattern(experiment)


def _fill(
    file: ScanFile, runner: Runner, points: SourcePoints, progress: Callable[[int, int], None] | None
) -> None:
    """Simulate the blocks that ``file`` lacks."""
    with file.writing() as blocks:
        tick = _Ticker(progress, len(runner.snapshots) * blocks.count)
        tick.done = len(runner.snapshots) * (blocks.count - len(blocks.missing))
        for block in tuple(blocks.missing):
            part = points.subset(blocks.positions(block))
            blocks.write(block, runner.mean(part, tick).astype(np.float32))


class _Ticker:
    """Counts calls and tells ``progress``."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self.progress, self.done, self.total = progress, 0, total

    def __call__(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def _data_shape(experiment: Experiment) -> tuple[int, int, int, int]:
    return (*experiment.scan_shape, experiment.detector_pixels, experiment.detector_pixels)


def _block(experiment: Experiment) -> int:
    """Positions simulated and written together; it does not depend on the machine."""
    return max(1, _BLOCK_BYTES // (8 * experiment.detector_pixels**2))


def _source_points(experiment: Experiment, positions_angstrom: ArrayLike | None) -> SourcePoints:
    """Points of the nominal scan, or around ``positions_angstrom``, which are checked."""
    if positions_angstrom is None:
        return SourcePoints.of(experiment)
    wanted = (math.prod(experiment.scan_shape), 2)
    positions = validation.as_array("positions_angstrom", positions_angstrom, shape=wanted).astype(float)
    check_positions(experiment, positions)
    return SourcePoints.around(positions, experiment)


def _check_experiment(experiment: Experiment) -> None:
    if not isinstance(experiment, Experiment):
        raise TypeError(f"experiment must be an Experiment, got {type(experiment).__name__}")
