"""What a pattern is made of: multiple scattering, vibration and source size against thickness.

Supplement S1 of CAVIAR (arXiv:2309.12017): multiple scattering, if left out of the model, does more harm than
vibration even in thin silicon. Here each effect is left out in turn, and the pattern changes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.simulation.born import born_patterns
from caviar_kit.simulation.experiment import Experiment, source_width
from caviar_kit.simulation.motion.einstein import coherent, einstein
from caviar_kit.simulation.runs import Runner
from caviar_kit.simulation.snapshots import Snapshots, check_snapshots
from caviar_kit.simulation.source_size import SourcePoints
from caviar_kit.simulation.thickness import thicken

__all__ = ["PatternContributions", "pattern_contributions"]

_KINDS = ("single scattering", "one slice", "atoms at rest", "point source", "independent columns", "chance")


@dataclass(frozen=True, eq=False)
class PatternContributions:
    """How much each effect changes a pattern, at several thicknesses.

    Attributes
    ----------
    thickness_angstrom : array, shape (thicknesses,)
        [Å].
    differences : mapping of str to array, shape (thicknesses, positions)
        Σ|I - I'| of each pattern, as a fraction of the beam, where I' leaves out an effect:
        "single scattering": the first Born approximation instead of multislice;
        "one slice": the projected potential in the middle of the thickness instead of multislice;
        "atoms at rest": no vibration;
        "point source": no source size, with the atoms at rest;
        "independent columns": Einstein's model, matched per column, instead of correlated motion;
        "chance": one draw of Einstein's model instead of another, the part of the line before that is due
        to the finite number of snapshots.
    """

    thickness_angstrom: np.ndarray
    differences: Mapping[str, np.ndarray]

    @property
    def mean(self) -> dict[str, np.ndarray]:
        """Mean over the positions, (thicknesses,) for each name."""
        return {name: values.mean(axis=1) for name, values in self.differences.items()}

    @property
    def spread(self) -> dict[str, np.ndarray]:
        """Standard deviation over the positions, (thicknesses,) for each name."""
        return {name: values.std(axis=1) for name, values in self.differences.items()}


def pattern_contributions(
    snapshots: Snapshots,
    experiment: Experiment,
    repeats: Sequence[int] = (1, 2, 4),
    *,
    source_fwhm_angstrom: float = 0.47,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> PatternContributions:
    """Simulate a specimen of several thicknesses with one effect left out at a time.

    Thickness is made by ``thicken``: the cell of ``snapshots`` stacked along the beam, every cell at another
    instant by a seeded permutation; displacements do not correlate between cells.

    Parameters
    ----------
    snapshots : Snapshots
        At least 3, of a thin cell that is periodic along the beam.
    experiment : Experiment
        With a point source; ``num_slices`` is that of one cell. A few positions suffice.
    repeats : sequence of int
        Cells along the beam, one thickness each.
    source_fwhm_angstrom : float
        Width of the source whose effect is asked for [Å].
    seed : int
        Of the permutations and of the Einstein model; same seed, same result.
    progress : callable, optional
        Called as ``progress(done, total)``, six times for each thickness.
    workers : int, optional
        As for ``scan``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, the experiment has a finite source already, or
        there are fewer than 3 snapshots.
    """
    check_snapshots(snapshots)
    if not isinstance(experiment, Experiment):
        raise TypeError(f"experiment must be an Experiment, got {type(experiment).__name__}")
    if experiment.source_fwhm_angstrom:
        raise ValueError(
            "experiment must have a point source, its size is one of the contributions; "
            f"got source_fwhm_angstrom={experiment.source_fwhm_angstrom:g}"
        )
    fwhm = validation.number("source_fwhm_angstrom", source_fwhm_angstrom, minimum=0, open_minimum=True)
    source_width(fwhm)
    counts = [
        validation.integer("repeats", n) for n in validation.as_array("repeats", repeats, shape=(None,))
    ]
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be callable as progress(done, total), got {progress!r}")
    draws = [einstein(snapshots, seed=seed + number) for number in range(2)]
    values: dict[str, list[np.ndarray]] = {name: [] for name in _KINDS}
    for number, count in enumerate(counts):
        task = _Thickness(snapshots, draws, experiment, count, fwhm, seed, workers)
        for step, name in enumerate(_KINDS):
            values[name].append(getattr(task, name.replace(" ", "_"))())
            if progress is not None:
                progress(number * len(_KINDS) + step + 1, len(counts) * len(_KINDS))
    thickness = snapshots.thickness_angstrom * np.array(counts)
    return PatternContributions(thickness, {name: np.stack(rows) for name, rows in values.items()})


class _Thickness:
    """One thickness: a method for each name in ``differences``."""

    def __init__(
        self,
        snapshots: Snapshots,
        draws: list[Snapshots],
        experiment: Experiment,
        count: int,
        fwhm: float,
        seed: int,
        workers: int | None,
    ) -> None:
        self.moving = thicken(snapshots, count, seed)
        self.resting = thicken(coherent(snapshots), count, seed)
        self.draws = [thicken(draw, count, seed) for draw in draws]
        self.experiment = _changed(experiment, num_slices=experiment.num_slices * count)
        self.fwhm, self.workers = fwhm, workers
        self.full = self._run(self.moving)
        self.at_rest = self._run(self.resting)
        self.einstein = self._run(self.draws[0])

    def single_scattering(self) -> np.ndarray:
        return _l1(born_patterns(Runner.of(self.moving, self.experiment, "cpu", 1)), self.full)

    def one_slice(self) -> np.ndarray:
        """The slices lie at 0, dz, ... (N-1) dz; their middle is the best place for one."""
        slices = self.experiment.num_slices
        middle = (slices - 1) / 2 * self.moving.thickness_angstrom / slices
        defocus = self.experiment.defocus_angstrom - middle
        return _l1(self._run(self.moving, num_slices=1, defocus_angstrom=defocus), self.full)

    def atoms_at_rest(self) -> np.ndarray:
        return _l1(self.at_rest, self.full)

    def point_source(self) -> np.ndarray:
        return _l1(self._run(self.resting, source_fwhm_angstrom=self.fwhm), self.at_rest)

    def independent_columns(self) -> np.ndarray:
        return _l1(self.einstein, self.full)

    def chance(self) -> np.ndarray:
        return _l1(self._run(self.draws[1]), self.einstein)

    def _run(self, snapshots: Snapshots, **changes: Any) -> np.ndarray:
        """Mean patterns float64 (positions, Qy, Qx)."""
        experiment = _changed(self.experiment, **changes)
        runner = Runner.of(snapshots, experiment, "cpu", self.workers)
        return runner.mean(SourcePoints.of(experiment), lambda: None)


def _changed(experiment: Experiment, **changes: Any) -> Experiment:
    """With other settings, without the same advice again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return replace(experiment, **changes)


def _l1(patterns: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Σ|I - I'| of each position."""
    difference: np.ndarray = np.abs(patterns - others).sum(axis=(1, 2))
    return difference
