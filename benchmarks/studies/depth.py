"""Depth resolution in synthetic twisted hBN: how sharply one lattice gives way to the other along the beam.

Series: 6 layers in 2 to 12 slices of the same total thickness, vibrating at 300 K, and up to 18 with all
atoms at rest; at rest too, apertures of 20 to 50 mrad with equally wide probes at the specimen,
detectors of several sizes, and thicker crystals in slices of one layer or of half a layer. Fits begin with
random small batches, one start each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import caviar_kit as ck
from benchmarks.hbn_depth import (
    bragg_amplitudes,
    directions,
    field_of,
    found_directions,
    lattice_waves,
    twist,
)
from benchmarks.reconstruction import of_data
from benchmarks.studies.cases import Case, Line, Options
from benchmarks.twisted_hbn import at_rest
from caviar_kit.physics import electron_wavelength
from caviar_kit.recipes import HBN_PRESETS
from caviar_kit.simulation import Experiment, Snapshots

SLICES = (2, 3, 4, 6, 8, 12)
MORE_SLICES = (18,)  # at rest
SEMIANGLES_MRAD = (20, 30, 40, 50)
DETECTOR_PIXELS = (36, 44, 72)  # besides the preset's 56; one is λ over the window
THICK = ((5, 10), (5, 20), (8, 16), (8, 32))  # layers in each crystal, slices
LONG = ((12, 150), (6, 150), (6, 500), (12, 500))  # slices, iterations: whether the others went far enough
FEWEST_FOR_STEP = 5  # slices: four numbers are fitted
BEYOND_ANGSTROM = 4.0  # the beam is wider than the scan: power spectra take in so much around it
LEAST_POWER = 1e-7  # of the largest in the ring means of the depth spectrum that is kept
_STARTS = {"stochastic_iter": 15, "batch_size": 8, "step_size": 0.02, "one_state_iter": 0}
_VIBRATING = {"layers": 3, "semiangle_mrad": 40, "states": 4, "vibrating": True, "max_iter": 30}
_AT_REST = {"layers": 3, "semiangle_mrad": 40, "states": 1, "vibrating": False, "max_iter": 45}


def cases(options: Options) -> list[Case]:
    """The series over slices first; of the quick and tutorial presets, which have 3 + 3 layers."""
    if options.preset == "paper":
        raise ValueError("the study of depth has no preset 'paper': it varies layers and slices itself")
    wanted: list[dict[str, Any]] = []
    for kind, numbers in ((_VIBRATING, SLICES), (_AT_REST, SLICES + MORE_SLICES)):
        wanted += [{**kind, "slices": slices} for slices in numbers]
    wanted += [
        {**_AT_REST, "semiangle_mrad": angle, "slices": 12} for angle in SEMIANGLES_MRAD if angle != 40
    ]
    wanted += [{**_AT_REST, "slices": 12, "detector_pixels": pixels} for pixels in DETECTOR_PIXELS]
    wanted += [{**_AT_REST, "layers": layers, "slices": slices} for layers, slices in THICK]
    wanted += [{**_AT_REST, "slices": slices, "max_iter": iterations} for slices, iterations in LONG]
    return [
        Case("depth", {"preset": options.preset, **one, "seed": options.seed}, guess(one), options.device)
        for one in wanted
    ]


def guess(one: dict[str, Any]) -> float:
    """Seconds of the quick preset on one CPU thread."""
    return 4 + 0.04 * one["slices"] * (15 + one["states"] * one["max_iter"])


def run(case: Case) -> dict[str, Any]:
    """Simulate, reconstruct, measure."""
    snapshots, experiment, cube = data(
        case["preset"],
        case["layers"],
        case["semiangle_mrad"],
        case["vibrating"],
        case.get("detector_pixels"),
    )
    thickness = snapshots.thickness_angstrom
    sizes = {"slices": case["slices"], "states": case["states"]}
    ptycho = of_data(cube, experiment, thickness, **sizes, device=case.device)
    settings = {**_STARTS, "state_gain": 3, "warp_slices_together": False, "seed": case["seed"]}
    ptycho.reconstruct(progress_bar=False, max_iter=case["max_iter"], **settings)
    return {
        "thickness_angstrom": round(thickness, 3),
        "depth_of_focus_angstrom": round(depth_of_focus(experiment), 1),
        "loss": float(f"{ptycho.error:.3g}"),
        **measured(ptycho, snapshots, experiment),
    }


@lru_cache(maxsize=2)
def data(
    preset: str, layers: int, semiangle_mrad: float, vibrating: bool, detector_pixels: int | None = None
) -> tuple[Snapshots, Experiment, Any]:
    """Snapshots, experiment and data set."""
    if vibrating:
        example = ck.load_example("hbn-twisted", preset)
        return example.snapshots, example.experiment, example.datacube
    snapshots, experiment = at_rest(layers), experiment_of(preset, layers, semiangle_mrad, detector_pixels)
    return snapshots, experiment, ck.simulation.scan(snapshots, experiment)


def experiment_of(
    preset: str, layers: int, semiangle_mrad: float, detector_pixels: int | None = None
) -> Experiment:
    """The preset's, one slice per layer; of another aperture with a probe as wide on the specimen."""
    usual = HBN_PRESETS[preset].experiment()
    return replace(
        usual,
        semiangle_mrad=semiangle_mrad,
        defocus_angstrom=usual.defocus_angstrom * usual.semiangle_mrad / semiangle_mrad,
        num_slices=2 * layers,
        detector_pixels=detector_pixels or usual.detector_pixels,
    )


def measured(ptycho: Any, snapshots: Snapshots, experiment: Experiment) -> dict[str, Any]:
    """What a reconstruction knows about depth, JSON-ready; None where there is nothing to measure."""
    phases, places = field_of(ptycho)
    truth = directions(snapshots)
    amplitudes = bragg_amplitudes(phases, *(lattice_waves(angle, places) for angle in truth))
    share = amplitudes[0] / amplitudes.sum(axis=0)
    slices = len(phases)
    thickness = snapshots.thickness_angstrom / slices
    depth = np.arange(slices) * thickness  # a slice acts where the beam enters it
    scanned = ptycho.scan_positions_angstrom
    field = (scanned.min(axis=0) - BEYOND_ANGSTROM, scanned.max(axis=0) + BEYOND_ANGSTROM)
    limit = ck.information_limit(ptycho.object, ptycho.sampling, field=field)
    spectrum = ck.depth_spectrum(ptycho.object, ptycho.sampling, thickness, field=field)
    step = ck.fit_depth_edge(depth, share) if slices >= FEWEST_FOR_STEP else None
    return {
        "depth_angstrom": rounded(depth),
        "lower_share": rounded(share),
        "step_angstrom": step and round(step.depth_angstrom, 2),
        "true_step_angstrom": round(true_step(snapshots), 2),
        "fwhm_angstrom": step and round(step.fwhm_angstrom, 2),
        "step_residual": step and round(step.residual, 3),
        "twist_deg": round(abs(twist(found_directions(phases, places))), 2),
        "true_twist_deg": round(abs(twist(truth)), 2),
        "information_limit_pm": round(100 * limit.angstrom, 1),
        "d_over_lambda": round(limit.over_wavelength(experiment.energy_ev), 2),
        "finest_depth_angstrom": round(spectrum.depth_angstrom, 2) if spectrum.limit > 0 else None,
        "at_nyquist": spectrum.at_nyquist,
        "depth_power": ring_means(spectrum),
    }


def true_step(snapshots: Snapshots) -> float:
    """Depth between the planes in which the data's last lower and first upper layer act on the beam [Å].

    A slice acts where the beam enters it, and the data have one slice per layer.
    """
    layers = len(np.unique(np.round(snapshots.relaxed[:, 2], 1)))
    return snapshots.thickness_angstrom * (layers - 1) / (2 * layers)


def depth_of_focus(experiment: Experiment) -> float:
    """Full width at half maximum of the intensity along the axis of a probe in vacuum, 1.77 λ/α² [Å].

    The amplitude there is ∫₀^α exp(-iπθ²z/λ) θ dθ, so the intensity goes with sinc²(α²z/2λ).
    """
    return 1.772 * electron_wavelength(experiment.energy_ev) / (experiment.semiangle_mrad * 1e-3) ** 2


def detector_edge(experiment: Experiment) -> float:
    """Largest angle recorded along the detector's axes [mrad]."""
    return experiment.detector_pixel_mrad * experiment.detector_pixels / 2


def detector_edge_of(line: Line) -> float:
    """The same for a finished case."""
    case = line["case"]
    pixels = case.get("detector_pixels")
    return detector_edge(experiment_of(case["preset"], case["layers"], case["semiangle_mrad"], pixels))


def ring_means(spectrum: Any) -> dict[str, Any]:
    """Logarithms (base 10) of the ring means over their largest, against frequency in the plane and k_z."""
    frequency, mean = (values[..., 2:] for values in spectrum.radial_mean())  # within is the window's own
    kept = frequency < 2
    power = np.maximum(mean[:, kept] / mean[:, kept].max(), LEAST_POWER)
    return {
        "frequency": rounded(frequency[kept]),
        "k_z": rounded(spectrum.k_z, 4),
        "log10": rounded(np.log10(power), 2),
    }


def draw(lines: Sequence[Line], path: Path) -> None:
    """Shares against depth, width of the step, depth spectrum, aperture and thickness."""
    from benchmarks.studies.depth_figure import draw as draw_figure

    draw_figure(lines, path)


def rounded(values: np.ndarray, decimals: int = 3) -> list[Any]:
    """For a JSON line."""
    return np.round(np.asarray(values, float), decimals).tolist()


def table(lines: Sequence[Line]) -> str:
    """One row per reconstruction as Markdown."""
    from benchmarks.studies.depth_table import table as text

    return text(lines)
