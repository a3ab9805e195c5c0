"""Silicon data under other conditions, fits that are measured on the way, and figures of each shell."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

import caviar_kit as ck
from benchmarks.reconstruction import of_example
from caviar_kit import simulation
from caviar_kit.atomistic import AtomisticFit
from caviar_kit.paths import cache_directory
from caviar_kit.recipes import RECIPES
from caviar_kit.simulation.cache import cache_key
from caviar_kit.vibrations.matching import match_atoms
from caviar_kit.vibrations.phase import projected_phase

__all__ = [
    "atoms",
    "conditioned",
    "counted",
    "measured_on_the_way",
    "shells",
    "white_states",
]

SHELLS = ("self", "nearest", "next")
_WITH_SOURCE = "si-sigma9-md-psc"
PIXELS_FIRST = 60  # iterations of pixels in one state that find the columns for a fit of atoms
_LIT_ANGSTROM = 9.0  # around the scan: columns that the defocused probe reaches


def conditioned(preset: str, changes: Mapping[str, Any]) -> Any:
    """The silicon example in motion with some fields of its experiment changed; simulated once, then read."""
    example = ck.load_example("si-sigma9-md", preset)
    if not changes:
        return example
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what may be regretted is what is studied
        experiment = replace(example.experiment, **changes)
        if RECIPES[_WITH_SOURCE].presets[preset].experiment() == experiment:
            return ck.load_example(_WITH_SOURCE, preset)
        path = cache_directory() / f"study-{preset}-{cache_key(example.snapshots, experiment)}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        datacube = simulation.scan(example.snapshots, experiment, path=path)
    return replace(
        example,
        experiment=experiment,
        datacube=datacube,
        ground_truth=simulation.ground_truth(example.snapshots, experiment),
        vacuum_probe=simulation.vacuum_probe_intensity(experiment),
    )


def counted(example: Any, electrons: float | None, seed: int) -> Any:
    """The example as counted electrons; as it is without a dose."""
    if electrons is None:
        return example
    return replace(
        example,
        datacube=simulation.apply_dose(example.datacube, electrons_per_pattern=electrons, seed=seed),
        vacuum_probe=example.vacuum_probe * np.float32(electrons),
    )


def white_states(shape: tuple[int, ...], rms: float, seed: int) -> np.ndarray:
    """Nearly vacuum: phases of white noise, complex64 (states, slices, y, x)."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    return np.exp(1j * rms * noise).astype(np.complex64)


def measured_on_the_way(
    ptycho: ck.MixedObjectMultislicePtychography,
    example: Any,
    steps: Iterator[Any],
    stops: Iterable[int],
    before: int = 0,
) -> Iterator[tuple[int, float, Any]]:
    """Iterate to the end; (iterations with all states, seconds of the fit, what `measure` found) at stops.

    ``before`` iterations with one state do not count among the stops. None is found where the columns cannot
    be found or followed yet. Measuring is no part of the seconds.
    """
    stops, seconds, begin = set(stops), 0.0, time.perf_counter()
    for snapshot in steps:
        done = snapshot.iteration - before
        if done not in stops:
            continue
        seconds += time.perf_counter() - begin
        ptycho._store(snapshot)
        yield done, seconds, measured(ptycho, example, seconds)
        begin = time.perf_counter()


def measured(ptycho: ck.MixedObjectMultislicePtychography, example: Any, seconds: float = 0.0) -> Any:
    """`ck.measure`, or None where columns cannot be found or followed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # columns lost on the way are counted in the lines
            return ck.measure(ptycho, example, seconds=seconds)
    except ValueError:
        return None


def shells(reference: np.ndarray, tracked: np.ndarray, positions: np.ndarray) -> dict[str, Any]:
    """CSM, LSM and global ratio of each shell as (value, low, high), over columns followed in all states.

    Ends are those of 95 % jackknife intervals over the states; None where undefined.
    """
    kept = ~np.isnan(tracked).any(axis=(0, 2))
    reference, positions = reference[kept][:, :, kept], positions[kept]
    u = ck.displacements(tracked[:, kept])
    pairs = ck.compare_correlations(reference, ck.greens_tensor(u), positions)
    intervals = ck.similarity_intervals(reference, u, positions, draws=0)
    found: dict[str, Any] = {"columns": int(kept.sum())}
    for shell in SHELLS:
        found[shell] = {"pairs": pairs[shell].pairs}
        for figure in ("csm", "lsm", "lsm_global"):
            found[shell][figure] = [plain(value) for value in intervals.of(shell, figure)]
    return found


def plain(value: float) -> float | None:
    """As JSON keeps it."""
    return None if math.isnan(value) else round(float(value), 4)


def atoms(
    example: Any,
    states: int,
    iterations: int,
    *,
    loss: str = "amplitude",
    device: str = "cpu",
    seed: int = 0,
    stops: Iterable[int] = (),
    **arguments: Any,
) -> dict[str, Any]:
    """Columns from a fit of pixels in one state, then their displacements in all states: the last figures.

    Scattering factors are Kirkland's; the data were simulated with those of Lobato and Van Dyck.
    """
    begin = time.perf_counter()
    ptycho = of_example(example, states=1, device=device, seed=seed, **arguments)
    ptycho.reconstruct(PIXELS_FIRST, progress_bar=False, loss=loss)
    columns = ck.find_atoms(projected_phase(ptycho.object)[0], tuple(ptycho.sampling))
    scan = ptycho.scan_positions_angstrom
    lit = columns[outside(columns, scan) < _LIT_ANGSTROM]
    fit = AtomisticFit(
        ptycho,
        lit,
        "Si",
        loss=loss,
        num_states=states,
        max_iter=iterations,
        parametrization="kirkland",
        seed=seed,
    )
    seconds, trace, stops = time.perf_counter() - begin, [], {*stops, iterations}
    begin = time.perf_counter()
    for snapshot in fit.iterate():
        if snapshot.iteration in stops:
            seconds += time.perf_counter() - begin
            trace.append({"iteration": snapshot.iteration, "seconds": round(seconds, 1)})
            trace[-1] |= moving(fit, example, scan[0])
            begin = time.perf_counter()
    return {**trace[-1], "trace": trace}


def moving(fit: AtomisticFit, example: Any, first: np.ndarray) -> dict[str, Any]:
    """Figures of the columns in the scanned field, as an atomistic fit has them now."""
    known = example.ground_truth.positions + first
    found, true = match_atoms(fit.result.positions, known)
    reference = example.ground_truth.greens_tensor[true][:, :, true]
    return {
        "loss": float(fit.result.misfit.mean()),
        **shells(reference, fit.result.tracked[:, found], known[true]),
    }


def outside(columns: np.ndarray, scan: np.ndarray) -> np.ndarray:
    """How far each column is from the scanned rectangle [Å]."""
    low, high = scan.min(axis=0), scan.max(axis=0)
    return np.asarray(np.linalg.norm(np.maximum(np.maximum(low - columns, columns - high), 0), axis=1))
