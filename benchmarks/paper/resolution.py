"""Resolution of a fit of two lattices: in the plane, in depth, and the angle between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.components import components, mean_phase_of_atoms
from benchmarks.paper.cases import Case
from benchmarks.paper.fit import Fit
from benchmarks.paper.inputs import Inputs
from caviar_kit import vibrations
from caviar_kit.physics import electron_wavelength

__all__ = ["resolution", "slices_between", "transfer_limit"]

FIELD_MARGIN_ANGSTROM = 4.0  # around the scan, of spectra
NEAR = 1.6  # Å around the scan, where components are compared with those of the atoms
RIGHT_DEG = 20.0  # more than this, and a component of the phase is not that of the atoms


def slices_between(depths: np.ndarray, thickness: float, count: int) -> slice:
    """Slices whose middles lie between two ``depths`` [Å]."""
    middle = (np.arange(count) + 0.5) * thickness / count
    inside = np.flatnonzero((middle > depths[0]) & (middle < depths[1]))
    return slice(int(inside[0]), int(inside[-1]) + 1)


def resolution(case: Case, inputs: Inputs, found: Fit) -> dict[str, Any]:
    """Information limits in the plane and in depth; the twist of the two lattices."""
    field = (
        found.positions.min(axis=0) - FIELD_MARGIN_ANGSTROM,
        found.positions.max(axis=0) + FIELD_MARGIN_ANGSTROM,
    )
    thickness, count = inputs.optics["thickness_angstrom"], case.num_slices
    halves = {"all": slice(0, count), "lower": slice(0, count // 2), "upper": slice(count // 2, count)}
    every = {
        name: vibrations.information_limit(found.object, found.sampling, slices=part, field=field)
        for name, part in halves.items()
    }
    lattices = [_lattice(case, inputs, found, truth["depths"]) for truth in inputs.truth.values()]
    own = {"all": lattices, "lower": lattices[:1], "upper": lattices[1:]}
    band = min(transfer_limit(inputs.optics), _simulated_band(inputs.optics))
    known = {name: limit.on_lattices(*own[name]).within(band) for name, limit in every.items()}
    limits = {name: _right(known[name], inputs, found, part) for name, part in halves.items()}
    depth = vibrations.depth_spectrum(found.object, found.sampling, thickness / count, field=field)
    energy = inputs.optics["energy_ev"]
    return {
        "limit_pm": {name: round(100 * limit.angstrom, 1) for name, limit in limits.items()},
        "d_over_lambda": {name: round(limit.over_wavelength(energy), 2) for name, limit in limits.items()},
        "detector_edge_pm": round(100 / _detector_edge(inputs.optics), 1),
        "transfer_limit_pm": round(100 / transfer_limit(inputs.optics), 1),
        "peaks": {
            name: {
                "significant": len(every[name].peaks),
                "on_lattices": len(known[name].peaks),
                "right": len(limit.peaks),
                "significant_pm": round(100 * every[name].angstrom, 1),
            }
            for name, limit in limits.items()
        },
        "depth_resolution_angstrom": round(float(depth.depth_angstrom), 1),
        "twist_deg": _twist(lattices),
    }


def transfer_limit(optics: dict[str, Any]) -> float:
    """Highest spatial frequency that single scattering brings to the detector along its axes [1/Å].

    It turns a wave of one rim of the aperture to the opposite edge of the detector: (α + θ) / λ [Rodenburg &
    Bates (1992), doi:10.1098/rsta.1992.0050].
    """
    wavelength = electron_wavelength(optics["energy_ev"])
    return _detector_edge(optics) + 1e-3 * float(optics["semiangle_mrad"]) / wavelength


def _detector_edge(optics: dict[str, Any]) -> float:
    """Spatial frequency at the middle of the detector's edge [1/Å]."""
    return float(optics["detector_pixels"] / 2 / optics["window_angstrom"])


def _simulated_band(optics: dict[str, Any]) -> float:
    """What the simulation of the data kept of the waves [1/Å]."""
    return float(optics["grid_points"] / 3 / optics["window_angstrom"])


def _right(
    limit: vibrations.InformationLimit, inputs: Inputs, found: Fit, slices: slice
) -> vibrations.InformationLimit:
    """The same without peaks where the component is not in phase with that of the atoms in the slices."""
    sampling, side = found.sampling, inputs.optics["window_angstrom"]
    ends = (found.positions.min(axis=0) - NEAR, found.positions.max(axis=0) + NEAR)
    first, last = ((end / sampling).astype(int) for end in ends)
    near = (slice(first[0], last[0]), slice(first[1], last[1]))
    phase = vibrations.projected_phase(found.object, slices).mean(axis=0)[near]
    corner = inputs.first_position - (found.positions[0] - first * sampling)
    y, x = (start + step * np.arange(n) for start, step, n in zip(corner, sampling, phase.shape, strict=True))
    depth = inputs.frames[..., 2].mean(axis=0) / inputs.optics["thickness_angstrom"] * found.object.shape[1]
    inside = (depth >= slices.start) & (depth < slices.stop)
    count = inputs.form_factors.shape[-1]
    k = np.fft.fftfreq(count, side / count)
    carried = np.abs(k) < 0.5 / sampling.max()
    factors = inputs.form_factors[:, carried][:, :, carried]
    frames, kinds = inputs.frames[:, inside, 1::-1], inputs.species[inside]
    true = mean_phase_of_atoms(frames, kinds, factors, k[carried], side, (y, x))
    ratio = components(phase, sampling, limit.peaks) / components(true, sampling, limit.peaks)
    return limit._only(np.abs(np.angle(ratio)) < np.radians(RIGHT_DEG))


def _lattice(case: Case, inputs: Inputs, found: Fit, depths: np.ndarray) -> vibrations.Lattice:
    """The lattice of the columns between two depths, found in the mean phase."""
    between = slices_between(depths, inputs.optics["thickness_angstrom"], case.num_slices)
    phase = vibrations.projected_phase(found.object, between).mean(axis=0)
    return vibrations.fit_lattice(vibrations.find_atoms(phase, tuple(found.sampling)))


def _twist(lattices: list[Any]) -> float:
    """Angle between two lattices, modulo 60° [deg]."""
    turned = []
    for lattice in lattices:
        y, x = lattice.vectors.T
        turned.append(np.angle(np.exp(6j * np.arctan2(y, x)).mean()))
    return round(abs(float(np.degrees(np.angle(np.exp(1j * (turned[1] - turned[0])))))) / 6, 2)
