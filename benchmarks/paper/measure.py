"""From a fit to what is kept of it: tracked columns, figures, thumbnails. NumPy and SciPy only."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.paper.cases import Case
from benchmarks.paper.fit import Fit, load_fit
from benchmarks.paper.inputs import Inputs
from benchmarks.paper.resolution import resolution, slices_between
from caviar_kit import vibrations
from caviar_kit.ensemble_result import EnsembleResult
from caviar_kit.multislice.ensemble import thermal_states
from caviar_kit.npz import read_npz, write_npz
from caviar_kit.results import measure_states

__all__ = ["made_with", "measure"]

LAYER_ANGSTROM = 3.33
MEAN_MASS = (10.81 + 14.007) / 2  # u, of boron and nitrogen
TEMPERATURE_K = 300.0


def measure(case: Case, inputs: Inputs, folder: Path) -> None:
    """Write ``<case>[-lattice].result.npz``, ``<case>.pictures.npz`` and, last, ``<case>.json``."""
    found = load_fit(folder / f"{case.stem}.fit.npz")
    simulated = float(read_npz(folder / f"{case.stem}.patterns.npz", ["seconds"])["seconds"])
    provenance = _provenance(case, inputs, found, simulated)
    figures: dict[str, Any] = {**provenance, "loss": float(found.loss[-1]), "lattices": {}}
    for lattice in inputs.truth:
        result = _result(case, inputs, found, lattice, provenance)
        stem = f"{case.name}-{lattice}-{case.size}" if lattice else case.stem
        result.save(folder / f"{stem}.result.npz")
        figures["lattices"][lattice or "all"] = {
            **_agreement(result),
            **(_vibrations(result) if lattice else {}),
            "start": _start(case, inputs, found, lattice),
        }
    if len(inputs.truth) > 1:
        figures |= resolution(case, inputs, found)
    write_npz(folder / f"{case.stem}.pictures.npz", _pictures(found), compress=True)
    (folder / f"{case.stem}.json").write_text(json.dumps(figures, indent=1) + "\n")


def _provenance(case: Case, inputs: Inputs, found: Fit, simulated: float) -> dict[str, Any]:
    optics = inputs.optics
    return {
        "made with": made_with(case),
        "device": found.device,
        "seconds": round(found.seconds, 1),
        "simulation_seconds": round(simulated, 1),
        "iterations": len(found.loss),
        "peak_memory_mb": round(found.peak_bytes / 1e6),
        "seed": case.fit.seed,
        "states": case.fit.num_states,
        "slices": case.num_slices,
        "probe_modes": case.num_probes,
        "source_fwhm_angstrom": case.source_fwhm_angstrom,
        "energy_ev": optics["energy_ev"],
        "semiangle_mrad": optics["semiangle_mrad"],
        "defocus_angstrom": optics["defocus_angstrom"],
        "scan_shape": optics["scan_shape"],
        "scan_step_angstrom": optics["scan_step_angstrom"],
        "detector_pixels": optics["detector_pixels"],
        "window_angstrom": optics["window_angstrom"],
        "thickness_angstrom": optics["thickness_angstrom"],
        "snapshots": optics["snapshots"],
        "data": "synthetic: multislice of benchmarks/paper/simulate.py",
    }


def made_with(case: Case) -> str:
    """The command."""
    what = f"--size {case.size} --cases {case.name}"
    return (
        f"python benchmarks/paper_scale.py --part fit {what} "
        f"--states {case.fit.num_states} --iterations {case.fit.max_iter}"
    )


def _start(case: Case, inputs: Inputs, found: Fit, lattice: str) -> dict[str, Any]:
    """What the warps with which the states begin do by themselves, on the mean of the states found."""
    fit = case.fit
    warped = thermal_states(
        np.angle(found.object).mean(axis=0, dtype=np.float32)[None],
        fit.num_states,
        tuple(found.sampling),  # type: ignore[arg-type]
        rms_angstrom=fit.thermal_rms_angstrom,
        correlation_angstrom=fit.thermal_correlation_angstrom,
        slices_together=fit.warp_slices_together,
        rng=np.random.default_rng(fit.seed),
    )
    result = _result(case, inputs, replace(found, object=np.exp(1j * warped)), lattice, {})
    nearest = result.comparison["nearest"]
    return {
        "self_pm2": round(1e4 * float((result.displacements**2).mean()), 2),
        "nearest_csm": None if np.isnan(nearest.csm) else nearest.csm,
    }


def _result(
    case: Case, inputs: Inputs, found: Fit, lattice: str, provenance: dict[str, Any]
) -> EnsembleResult:
    """Columns of a lattice, followed in the slices between its depths."""
    truth = inputs.truth[lattice]
    between = slices_between(truth["depths"], inputs.optics["thickness_angstrom"], case.num_slices)
    return measure_states(
        found.object[:, between],
        sampling=found.sampling,
        scan_positions_angstrom=found.positions,
        true_positions=truth["positions"],
        true_displacements=truth["displacements"],
        name=f"{case.name}-{lattice}" if lattice else case.name,
        preset=case.size,
        loss=found.loss,
        seconds=found.seconds,
        provenance={**provenance, **_place(lattice, inputs)},
    )


def _place(lattice: str, inputs: Inputs) -> dict[str, Any]:
    """Of one of two lattices: which, between which depths, and of how many layers."""
    if not lattice:
        return {}
    low, high = (float(depth) for depth in inputs.truth[lattice]["depths"])
    height = inputs.frames[..., 2].mean(axis=0)
    inside = height[(height > low) & (height < high)]
    layers = np.unique(np.rint((inside - height.min()) / LAYER_ANGSTROM))
    return {"lattice": lattice, "depths_angstrom": [low, high], "layers": len(layers)}


def _agreement(result: EnsembleResult) -> dict[str, Any]:
    """CSM and LSM by shell with intervals; the offset of all correlations."""
    tensor, positions = result.greens_tensor, result.positions
    own, true = (np.array([[t[i, :, i] for i in range(len(t))]]) for t in (tensor, result.true_greens_tensor))
    intervals = result.comparison_intervals
    corrected = vibrations.compare_correlations(
        result.true_greens_tensor, vibrations.subtract_offset(tensor, positions), result.true_positions
    )
    return {
        **result.summary(),
        "self_pm2": (1e4 * own.mean(axis=(0, 1)).diagonal()).round(1).tolist(),
        "true_self_pm2": (1e4 * true.mean(axis=(0, 1)).diagonal()).round(1).tolist(),
        "true_nearest_to_self": _nearest_to_self(result.true_greens_tensor, result.true_positions),
        "offset_pm2": (1e4 * vibrations.correlation_offset(tensor, positions)).round(1).tolist(),
        "less_offset": corrected.as_dict()["shells"],
        "nearest_intervals": {
            figure: [_finite(value) for value in intervals.of("nearest", figure)[1:]]
            for figure in ("csm", "lsm")
        },
    }


def _finite(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None


def _nearest_to_self(tensor: np.ndarray, positions: np.ndarray) -> float | None:
    """Mean trace of the nearest neighbours' blocks over that of the columns' own."""
    pairs = np.trace(tensor.transpose(0, 2, 1, 3), axis1=2, axis2=3)
    nearest = vibrations.neighbour_shells(positions).mask("nearest")
    own = float(np.diag(pairs).mean())
    return float(pairs[nearest].mean()) / own if own > 1e-16 and nearest.any() else None


def _vibrations(result: EnsembleResult) -> dict[str, Any]:
    """Path means by the quantum and the classical formula, of the columns and of the snapshots' own."""
    layers = result.provenance["layers"]
    lattice = vibrations.fit_lattice(result.positions, sites=2, occupied=0)
    out: dict[str, Any] = {"layers": layers, "mass_u": round(layers * MEAN_MASS, 1)}
    for kind, u in (("measured", result.displacements), ("snapshots", result.true_displacements)):
        out[f"{kind}_b_pm2"] = round(
            float(vibrations.debye_waller(vibrations.greens_tensor(u)).b_both_axes_pm2.mean()), 1
        )
        for statistics in ("quantum", "classical"):
            bands = vibrations.phonon_dispersion(
                u, lattice, layers * MEAN_MASS, TEMPERATURE_K, statistics=statistics
            )
            out[f"{kind}_{statistics}_thz"] = bands.path_mean_thz.round(2).tolist()
            out[f"{kind}_{statistics}_interval_thz"] = bands.interval_thz.round(2).tolist()
        direct = vibrations.phonon_dispersion(
            u, lattice, layers * MEAN_MASS, TEMPERATURE_K, statistics="classical", method="direct"
        )
        out[f"{kind}_eq6_thz"] = direct.path_mean_thz.round(2).tolist()
    return out


def _pictures(found: Fit) -> dict[str, np.ndarray]:
    """Mean phase of every slice, float16 (slices, y, x), with pixel and scan positions."""
    phases = np.angle(found.object).mean(axis=0)
    return {
        "slice_phases": phases.astype(np.float16),
        "sampling": found.sampling,
        "positions": found.positions,
        "loss": found.loss,
    }
