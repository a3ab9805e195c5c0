"""What each embedded example is made of: its specimen, and the experiment and fit of each preset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from caviar_kit import simulation
from caviar_kit.multislice import FitSettings
from caviar_kit.simulation import Experiment, Snapshots

__all__ = ["PRESETS", "RECIPES", "Preset", "Recipe", "Specimen"]

PRESETS = ("tutorial", "quick", "paper")
_EINSTEIN_SEED = 3  # of the first few, draws in which neighbours in the fields correlate little by chance
_HBN_SEED = 1
_DECIMALS = 4  # drawn snapshots are rounded to 1e-4 Å, as stored ones are: the cache knows them again


@dataclass(frozen=True, eq=False)
class Specimen:
    """Thermal snapshots; ``upper`` tells which atoms are the upper of two crystals, if there are two."""

    snapshots: Snapshots
    upper: np.ndarray | None = None


@dataclass(frozen=True)
class Preset:
    """How large an example is: the experiment, the slices and settings of a reconstruction that suit it."""

    experiment: Callable[[], Experiment]
    fit: FitSettings
    num_slices: int = 4


@dataclass(frozen=True)
class Recipe:
    """``specimen(preset)`` makes the specimen; ``presets`` has one entry for each name in ``PRESETS``."""

    specimen: Callable[[str], Specimen]
    presets: Mapping[str, Preset]


SILICON_PRESETS = {
    "tutorial": Preset(Experiment.tutorial, FitSettings(num_states=10, one_state_iter=20, max_iter=45)),
    "quick": Preset(Experiment.quick, FitSettings(num_states=8, one_state_iter=20, max_iter=50)),
    "paper": Preset(Experiment.paper, FitSettings(num_states=20, one_state_iter=20, max_iter=200)),
}
_SOURCE_FWHM_ANGSTROM = 0.47  # CAVIAR's


def _silicon(of: Callable[[Snapshots], Snapshots]) -> Callable[[str], Specimen]:
    return lambda preset: Specimen(of(simulation.silicon_sigma9_snapshots()))


def _with_source(preset: Preset) -> Preset:
    """The same with a source of finite size."""
    return replace(
        preset, experiment=lambda: replace(preset.experiment(), source_fwhm_angstrom=_SOURCE_FWHM_ANGSTROM)
    )


def _hbn_experiment(**changes: object) -> Experiment:
    """60 kV, 40 mrad as in CAVIAR, a point source; the rest by preset. The twist axis is off the middle.

    A source of 0.4 Å would take 25 times as many probes at a step of 0.3 Å.
    """
    values: dict[str, object] = {
        "energy_ev": 60e3,
        "semiangle_mrad": 40,
        "centre_angstrom": (9.0, 14.0),
        **changes,
    }
    return Experiment(**values)  # type: ignore[arg-type]


_HBN_LAYERS = {"tutorial": 3, "quick": 3, "paper": 22}  # in each half; the paper's preset has one more above
_HBN_SNAPSHOTS = {"tutorial": 30, "quick": 24, "paper": 30}


def _hbn_fit(num_states: int, max_iter: int, stochastic_iter: int = 15, batch_size: int = 8) -> FitSettings:
    """A stochastic start for a thick crystal, and layers that move on their own."""
    return FitSettings(
        num_states=num_states,
        max_iter=max_iter,
        one_state_iter=0,
        stochastic_iter=stochastic_iter,
        batch_size=batch_size,
        step_size=0.02,
        state_gain=3,
        warp_slices_together=False,
    )


HBN_PRESETS = {
    "tutorial": Preset(
        lambda: _hbn_experiment(
            defocus_angstrom=120,
            scan_step_angstrom=0.6,
            scan_shape=(14, 14),
            window_angstrom=20,
            grid_points=144,
            detector_pixels=64,
            num_slices=6,
        ),
        _hbn_fit(num_states=12, max_iter=60),
        num_slices=6,
    ),
    "quick": Preset(
        lambda: _hbn_experiment(
            defocus_angstrom=110,
            scan_step_angstrom=0.6,
            scan_shape=(10, 10),
            window_angstrom=18,
            grid_points=128,
            detector_pixels=56,
            num_slices=6,
        ),
        _hbn_fit(num_states=8, max_iter=30),
        num_slices=6,
    ),
    "paper": Preset(
        lambda: _hbn_experiment(
            defocus_angstrom=75,
            scan_step_angstrom=0.3,
            scan_shape=(40, 40),
            window_angstrom=26,
            grid_points=256,
            detector_pixels=128,
            num_slices=45,
        ),
        _hbn_fit(num_states=10, max_iter=200, stochastic_iter=20, batch_size=32),
        num_slices=30,
    ),
}


def _hbn(preset: str) -> Specimen:
    """Twisted by 10.99°, vibrating as at 300 K; the layers as a whole are held.

    Of the waves in a cell of 109 unit cells, one in 109 moves each layer as a whole; in a crystal hardly any
    do. Left in, these slow motions would double the squared displacements in the plane.
    """
    layers = _HBN_LAYERS[preset]
    atoms = simulation.twisted_hbn(layers, layers + (preset == "paper"), 10.99)
    drawn = simulation.harmonic(
        atoms,
        simulation.hbn_force_constants(atoms),
        seed=_HBN_SEED,
        temperature_k=300.0,
        snapshots=_HBN_SNAPSHOTS[preset],
        statistics="quantum",
        bodies=atoms.arrays["mol-id"],
        tolerance=0.01,
    )
    rounded = np.round(drawn.positions, _DECIMALS)
    provenance = {
        **drawn.provenance,
        "specimen": f"synthetic: hBN, {layers} + {layers + (preset == 'paper')} layers twisted by "
        f"{atoms.info['angle_deg']:.2f}°",
        "force constants": "caviar_kit.simulation.HbnSprings(), each layer's centre of mass held",
    }
    return Specimen(replace(drawn, positions=rounded, provenance=provenance), atoms.arrays["half"] == 1)


RECIPES: dict[str, Recipe] = {
    "si-sigma9-coherent": Recipe(_silicon(simulation.coherent), SILICON_PRESETS),
    "si-sigma9-einstein": Recipe(
        _silicon(lambda md: simulation.einstein(md, seed=_EINSTEIN_SEED, match="column")), SILICON_PRESETS
    ),
    "si-sigma9-md": Recipe(_silicon(lambda md: md), SILICON_PRESETS),
    "si-sigma9-md-psc": Recipe(
        _silicon(lambda md: md), {name: _with_source(preset) for name, preset in SILICON_PRESETS.items()}
    ),
    "hbn-twisted": Recipe(_hbn, HBN_PRESETS),
}
