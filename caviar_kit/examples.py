"""The embedded examples: data simulated on first use, with the truth that made them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from caviar_kit import simulation, validation
from caviar_kit._py4dstem import datacube
from caviar_kit.multislice import FitSettings
from caviar_kit.paths import cache_directory
from caviar_kit.recipes import PRESETS, RECIPES, Specimen
from caviar_kit.simulation.cache import cache_key, read_arrays, write_arrays

__all__ = ["Example", "load_example"]

_STREAMED_BYTES = 64e6  # larger patterns go to a file of their own, block by block


@dataclass(frozen=True, eq=False)
class Example:
    """A simulated data set and everything it was made from.

    Attributes
    ----------
    name, preset : str
        As asked for.
    datacube : py4DSTEM.DataCube
        float32 (Ry, Rx, Qy, Qx), fraction of the beam per detector pixel, calibrated in A and A^-1.
    snapshots : Snapshots
        The snapshots averaged in it.
    experiment : Experiment
        Optics, source, scan and grids.
    ground_truth : GroundTruth
        Columns in the scanned field, their displacements and Green's tensor. Of two crystals on top of each
        other: the columns of the lower one, then those of the upper one.
    ground_truth_lower, ground_truth_upper : GroundTruth or None
        The same of each of two crystals; the beam meets the lower one first. None if there is one.
    vacuum_probe : array of float32, shape (Qy, Qx)
        Diffraction pattern without specimen, centred as the data: ``vacuum_probe_intensity``.
    fit_settings : FitSettings
        States and iterations that suit the preset.
    num_slices : int
        Slices of a reconstruction that suit the preset, over ``snapshots.thickness_angstrom``.
    """

    name: str
    preset: str
    datacube: Any
    snapshots: simulation.Snapshots
    experiment: simulation.Experiment
    ground_truth: simulation.GroundTruth
    vacuum_probe: np.ndarray
    fit_settings: FitSettings
    num_slices: int = 4
    ground_truth_lower: simulation.GroundTruth | None = None
    ground_truth_upper: simulation.GroundTruth | None = None


def load_example(
    name: str,
    preset: str = "tutorial",
    *,
    cache: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Example:
    """Load an embedded example; simulated on first use, from the cache afterwards.

    Parameters
    ----------
    name : str
        "si-sigma9-md": silicon Σ9 boundary, 30 molecular-dynamics snapshots at 300 K;
        "si-sigma9-md-psc": the same snapshots and truth, with a Gaussian source 0.47 Å wide (partial
        spatial coherence); eleven times as much to simulate;
        "si-sigma9-einstein": columns as restless as those, but independent;
        "si-sigma9-coherent": atoms at rest in their mean positions;
        "hbn-twisted": *synthetic* twisted hBN, two crystals on top of each other turned by 10.99°, harmonic
        snapshots at 300 K with Bose-Einstein statistics, drawn again at each load (seconds to minutes).
    preset : {"tutorial", "quick", "paper"}
        Optics, scan and grids; of hBN also the thickness: 6, 6 or 45 layers.
    cache : bool
        Read and write a file in $CAVIAR_KIT_CACHE, else $XDG_CACHE_HOME/caviar_kit, else
        ~/.cache/caviar_kit. Its name depends on all that the data depend on; a damaged one is made again. The
        patterns of the paper preset are streamed to an HDF5 file there, go on after an interruption, and
        are memory-mapped: ``simulation.scan(path=...)``.
    progress : callable, optional
        Called as ``progress(done, total)`` after each simulated snapshot.

    Raises
    ------
    TypeError, ValueError
        If there is no such example or preset (the message lists them), or an argument is of the wrong type.
    """
    recipe = RECIPES[validation.choice("name", name, RECIPES)]
    chosen = recipe.presets[validation.choice("preset", preset, PRESETS)]
    if not isinstance(cache, bool):
        raise TypeError(f"cache must be True or False, got {cache!r}; the place is set by $CAVIAR_KIT_CACHE")
    specimen, experiment = recipe.specimen(preset), chosen.experiment()
    arrays = _arrays(f"{name}-{preset}", specimen.snapshots, experiment, cache, progress)
    return Example(
        name=name,
        preset=preset,
        datacube=datacube(
            arrays["patterns"],
            scan_step_angstrom=experiment.scan_step_angstrom,
            detector_pixel_inverse_angstrom=experiment.detector_pixel_inverse_angstrom,
        ),
        snapshots=specimen.snapshots,
        experiment=experiment,
        vacuum_probe=arrays["vacuum_probe"],
        fit_settings=chosen.fit,
        num_slices=chosen.num_slices,
        **_truths(specimen, experiment),
    )


def _truths(specimen: Specimen, experiment: simulation.Experiment) -> dict[str, simulation.GroundTruth]:
    """``ground_truth`` and, of two crystals, that of each."""
    snapshots = specimen.snapshots
    if specimen.upper is None:
        return {"ground_truth": simulation.ground_truth(snapshots, experiment)}
    lower, upper = (
        simulation.ground_truth(snapshots, experiment, atoms=mask)
        for mask in (~specimen.upper, specimen.upper)
    )
    return {
        "ground_truth": lower.beside(upper),
        "ground_truth_lower": lower,
        "ground_truth_upper": upper,
    }


def _arrays(
    stem: str,
    snapshots: simulation.Snapshots,
    experiment: simulation.Experiment,
    cache: bool,
    progress: Callable[[int, int], None] | None,
) -> dict[str, np.ndarray]:
    """Patterns and vacuum probe, from the cache if it has them."""
    path = cache_directory() / f"{stem}-{cache_key(snapshots, experiment)}.npz"
    detector = (experiment.detector_pixels, experiment.detector_pixels)
    shapes = {"patterns": (*experiment.scan_shape, *detector), "vacuum_probe": detector}
    if cache and 4 * math.prod(shapes["patterns"]) > _STREAMED_BYTES:
        path.parent.mkdir(parents=True, exist_ok=True)
        patterns = simulation.scan(snapshots, experiment, progress, path=path.with_suffix(".h5")).data
        return {"patterns": patterns, "vacuum_probe": simulation.vacuum_probe_intensity(experiment)}
    if cache and (found := read_arrays(path, shapes)) is not None:
        return found
    arrays = {
        "patterns": simulation.scan(snapshots, experiment, progress).data,
        "vacuum_probe": simulation.vacuum_probe_intensity(experiment),
    }
    if cache:
        write_arrays(path, arrays)
    return arrays
