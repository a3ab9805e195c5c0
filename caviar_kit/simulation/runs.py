"""abTEM at work: the patterns of one snapshot after the other, on a CPU or a GPU."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.backend import default_threads, resolve_device, to_numpy
from caviar_kit.multislice.operators import FourierShift
from caviar_kit.simulation.experiment import Experiment
from caviar_kit.simulation.snapshots import Snapshots
from caviar_kit.simulation.source_size import SourcePoints
from caviar_kit.simulation.window import Window, cut_window

__all__ = ["Runner", "built_potential", "probe_wave", "vacuum_pattern"]

_CONFIG: dict[str, Any] = {
    "precision": "float32",
    "diagnostics.progress_bar": False,
    "fft": "fftw",
    # Parallel over snapshots instead. ESTIMATE gives the same bits in each run (MEASURE picks the plan by
    # the clock) and never plans on top of data (two threads and MEASURE returned patterns of zeros).
    "fftw.threads": 1,
    "fftw.planning_effort": "FFTW_ESTIMATE",
}
# Grid points of the waves propagated at once: on a CPU as fast as more, with little memory.
_POINTS_TOGETHER = {"cpu": 1_000_000, "gpu": 16_000_000}
_PLANNING = threading.RLock()  # FFTW's wisdom and abTEM's settings belong to the whole process


@dataclass(frozen=True, eq=False)
class Runner:
    """The specimen cut to the window, and the machine that simulates it.

    Attributes
    ----------
    snapshots, experiment
        What is simulated.
    window : Window
        Atoms in the window.
    device : {"cpu", "gpu"}
        Where abTEM runs.
    workers : int
        Threads, one snapshot each; 1 on a GPU.
    """

    snapshots: Snapshots
    experiment: Experiment
    window: Window
    device: str
    workers: int

    @classmethod
    def of(cls, snapshots: Snapshots, experiment: Experiment, device: str, workers: int | None) -> Runner:
        """Check ``device`` and ``workers``, and cut the window.

        Raises
        ------
        TypeError, ValueError
            If ``workers`` is not a positive integer, or more than 1 on a GPU; if ``device`` is none of
            "cpu", "gpu", "auto"; if the window holds no atoms.
        RuntimeError
            If ``device`` is "gpu" and CuPy finds none.
        """
        where = "cpu" if resolve_device(device) is np else "gpu"
        default = 1 if where == "gpu" else min(default_threads(), 4)
        count = validation.integer("workers", default if workers is None else workers)
        if where == "gpu" and count > 1:
            raise ValueError(f"workers must be 1 on a GPU, which takes one snapshot at a time, got {count}")
        return cls(snapshots, experiment, cut_window(snapshots, experiment), where, count)

    def mean(self, points: SourcePoints, tick: Callable[[], None]) -> np.ndarray:
        """Mean over the snapshots, float64 (positions, Qy, Qx); ``tick`` is called after each of them.

        The order of summation is that of the snapshots, whatever the number of threads.
        """
        total = np.zeros((points.weights.shape[0], *2 * (self.experiment.detector_pixels,)))
        with _configured(self.device):
            for patterns in _in_order(
                lambda frame: self._patterns(frame, points), self.snapshots.positions, self.workers
            ):
                total += patterns
                tick()
        total /= len(self.snapshots)
        return total

    def _patterns(self, frame: np.ndarray, points: SourcePoints) -> np.ndarray:
        """float32 (positions, Qy, Qx) of the atoms at rest where ``frame`` (atoms, 3) has them.

        Not abTEM's ``AtomsEnsemble``: abTEM 1.0.9 returns a wrong mean for it with ``lazy=False``.
        """
        import abtem

        experiment = self.experiment
        potential = self.potential(frame).build(lazy=False)
        # abTEM orders axes x, y; so do its scan positions, here from the window's corner.
        positions = (points.positions_angstrom + experiment.first_position_in_window_angstrom)[:, ::-1]
        # lazy=False ignores abTEM's max_batch
        batch = max(1, _POINTS_TOGETHER[self.device] // experiment.grid_points**2)
        probe, detector = _probe(experiment), abtem.PixelatedDetector(max_angle="full")
        mean = np.zeros((points.weights.shape[0], *2 * (experiment.detector_pixels,)), np.float32)
        for first in range(0, len(positions), batch):
            some = abtem.CustomScan(positions[first : first + batch])
            measured = probe.scan(potential, scan=some, detectors=detector, lazy=False)
            points.add(mean, first, _detected(measured.array, experiment))
        return mean

    def potential(self, frame: np.ndarray) -> Any:
        """The potential of the atoms in the window, not yet built."""
        import abtem
        from ase import Atoms

        size = self.window.size
        atoms = Atoms(
            numbers=self.snapshots.numbers[self.window.index],
            positions=self.window.place(frame),
            cell=size,
            pbc=True,
        )
        return abtem.Potential(
            atoms,
            gpts=self.experiment.grid_points,
            slice_thickness=size[2] / self.experiment.num_slices,
            parametrization="lobato",
            projection="infinite",
            periodic=True,
        )


def built_potential(runner: Runner, frame: np.ndarray) -> np.ndarray:
    """Projected potential of each slice (slices, y, x) [V Å], float32."""
    with _configured("cpu"):
        array = runner.potential(frame).build(lazy=False).array
    return np.ascontiguousarray(array.swapaxes(1, 2))


def probe_wave(experiment: Experiment) -> np.ndarray:
    """The probe about pixel (0, 0) of its periodic window, complex64 (y, x), Σ|ψ|² = 1."""
    with _configured("cpu"):
        wave = _probe(experiment).build(lazy=False).array
    middle = experiment.grid_points / 2  # where abTEM builds it
    wave = FourierShift(wave.shape, (-middle, -middle)).forward(wave.T)
    return wave / np.linalg.norm(wave)


def vacuum_pattern(experiment: Experiment) -> np.ndarray:
    """float32 (Qy, Qx) of the probe without specimen."""
    with _configured("cpu"):
        waves = _probe(experiment).build(lazy=False)
        patterns = waves.diffraction_patterns(max_angle="full", parity="same").array
    return _detected(patterns[None], experiment)[0]


@contextmanager
def _configured(device: str) -> Iterator[None]:
    """Settings of abTEM, and FFTW without what it learned before: the same plans, hence the same bits.

    Even ESTIMATE follows wisdom, of a transform of another batch or of a fit, and rounds differently.
    """
    import abtem

    with _PLANNING, abtem.config.set(_CONFIG | {"device": device}):
        try:
            import pyfftw
        except ImportError:
            yield
            return
        known = pyfftw.export_wisdom()
        pyfftw.forget_wisdom()
        try:
            yield
        finally:
            pyfftw.forget_wisdom()
            pyfftw.import_wisdom(known)


def _probe(experiment: Experiment) -> Any:
    import abtem

    return abtem.Probe(
        energy=experiment.energy_ev,
        semiangle_cutoff=experiment.semiangle_mrad,
        defocus=experiment.defocus_angstrom,
        extent=experiment.window_angstrom,
        gpts=experiment.grid_points,
    )


def _detected(patterns: Any, experiment: Experiment) -> np.ndarray:
    """From abTEM's centred (n, Qx, Qy), NumPy or CuPy, to NumPy (n, Qy, Qx), the beam on pixel N // 2."""
    patterns = to_numpy(patterns)
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


def _in_order(
    function: Callable[[np.ndarray], np.ndarray], frames: np.ndarray, workers: int
) -> Iterator[np.ndarray]:
    """``executor.map``, but no more results wait than there are threads: memory does not grow with frames."""
    pending: deque[Future[np.ndarray]] = deque()
    executor = ThreadPoolExecutor(workers)  # one thread also for one worker: a single code path
    try:
        for frame in frames:
            pending.append(executor.submit(function, frame))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
