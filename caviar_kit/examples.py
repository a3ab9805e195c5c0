"""The embedded examples: data simulated on first use, with the truth that made them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from caviar_kit import simulation, validation
from caviar_kit._py4dstem import datacube
from caviar_kit.multislice import FitSettings
from caviar_kit.paths import cache_directory
from caviar_kit.simulation.cache import cache_key, read_arrays, write_arrays

__all__ = ["Example", "load_example"]

_EINSTEIN_SEED = 3  # of the first few, draws in which neighbours in the fields correlate little by chance

_SPECIMENS: dict[str, Callable[[simulation.Snapshots], simulation.Snapshots]] = {
    "si-sigma9-coherent": simulation.coherent,
    "si-sigma9-einstein": lambda md: simulation.einstein(md, seed=_EINSTEIN_SEED, match="column"),
    "si-sigma9-md": lambda md: md,
    "si-sigma9-md-psc": lambda md: md,
}
_SOURCE_FWHM_ANGSTROM = {"si-sigma9-md-psc": 0.47}  # CAVIAR's; the others have a point source
_PRESETS: dict[str, Callable[[], simulation.Experiment]] = {
    "tutorial": simulation.Experiment.tutorial,
    "quick": simulation.Experiment.quick,
    "paper": simulation.Experiment.paper,
}
_FITS: dict[str, FitSettings] = {
    "tutorial": FitSettings(num_states=10, one_state_iter=20, max_iter=45),
    "quick": FitSettings(num_states=8, one_state_iter=20, max_iter=50),
    "paper": FitSettings(num_states=20, one_state_iter=20, max_iter=200),
}


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
        Columns in the scanned field, their displacements and Green's tensor.
    vacuum_probe : array of float32, shape (Qy, Qx)
        Diffraction pattern without specimen, centred as the data: ``vacuum_probe_intensity``.
    fit_settings : FitSettings
        States and iterations that suit the preset.
    """

    name: str
    preset: str
    datacube: Any
    snapshots: simulation.Snapshots
    experiment: simulation.Experiment
    ground_truth: simulation.GroundTruth
    vacuum_probe: np.ndarray
    fit_settings: FitSettings


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
        "si-sigma9-coherent": atoms at rest in their mean positions.
    preset : {"tutorial", "quick", "paper"}
        Optics, scan and grids: ``Experiment.tutorial()`` and so on.
    cache : bool
        Read and write a file in $CAVIAR_KIT_CACHE, else $XDG_CACHE_HOME/caviar_kit, else
        ~/.cache/caviar_kit. Its name depends on all that the data depend on; a damaged one is made again.
    progress : callable, optional
        Called as ``progress(done, total)`` after each simulated snapshot.

    Raises
    ------
    TypeError, ValueError
        If there is no such example or preset (the message lists them), or an argument is of the wrong type.
    """
    name = validation.choice("name", name, _SPECIMENS)
    preset = validation.choice("preset", preset, _PRESETS)
    if not isinstance(cache, bool):
        raise TypeError(f"cache must be True or False, got {cache!r}; the place is set by $CAVIAR_KIT_CACHE")
    snapshots = _SPECIMENS[name](simulation.silicon_sigma9_snapshots())
    experiment = replace(_PRESETS[preset](), source_fwhm_angstrom=_SOURCE_FWHM_ANGSTROM.get(name, 0.0))
    arrays = _arrays(f"{name}-{preset}", snapshots, experiment, cache, progress)
    return Example(
        name=name,
        preset=preset,
        datacube=datacube(
            arrays["patterns"],
            scan_step_angstrom=experiment.scan_step_angstrom,
            detector_pixel_inverse_angstrom=experiment.detector_pixel_inverse_angstrom,
        ),
        snapshots=snapshots,
        experiment=experiment,
        ground_truth=simulation.ground_truth(snapshots, experiment),
        vacuum_probe=arrays["vacuum_probe"],
        fit_settings=_FITS[preset],
    )


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
    if cache and (found := read_arrays(path, shapes)) is not None:
        return found
    arrays = {
        "patterns": simulation.scan(snapshots, experiment, progress).data,
        "vacuum_probe": simulation.vacuum_probe_intensity(experiment),
    }
    if cache:
        write_arrays(path, arrays)
    return arrays
