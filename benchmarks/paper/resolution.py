"""Resolution of a fit of two lattices: in the plane, in depth, and the angle between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.paper.cases import Case
from benchmarks.paper.fit import Fit
from benchmarks.paper.inputs import Inputs
from caviar_kit import vibrations
from caviar_kit.physics import electron_wavelength

__all__ = ["resolution", "slices_between", "transfer_limit"]

FIELD_MARGIN_ANGSTROM = 4.0  # around the scan, of spectra


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
    farthest, edge = transfer_limit(inputs.optics), _detector_edge(inputs.optics)
    limits = {name: limit.on_lattices(*lattices).within(farthest) for name, limit in every.items()}
    depth = vibrations.depth_spectrum(found.object, found.sampling, thickness / count, field=field)
    energy = inputs.optics["energy_ev"]
    return {
        "limit_pm": {name: round(100 * limit.angstrom, 1) for name, limit in limits.items()},
        "d_over_lambda": {name: round(limit.over_wavelength(energy), 2) for name, limit in limits.items()},
        "detector_edge_pm": round(100 / edge, 1),
        "transfer_limit_pm": round(100 / farthest, 1),
        "peaks": {
            name: {
                "all": len(every[name].peaks),
                "counted": len(limit.peaks),
                "outside": _outside(limit, edge),
            }
            for name, limit in limits.items()
        },
        "depth_resolution_angstrom": round(float(depth.depth_angstrom), 1),
        "twist_deg": _twist(lattices),
    }


def transfer_limit(optics: dict[str, Any]) -> float:
    """Highest spatial frequency that single scattering brings to the detector [1/Å].

    It turns a wave of one rim of the aperture to the opposite edge of the detector: (α + θ) / λ [Rodenburg &
    Bates (1992), doi:10.1098/rsta.1992.0050].
    """
    wavelength = electron_wavelength(optics["energy_ev"])
    return _detector_edge(optics) + 1e-3 * float(optics["semiangle_mrad"]) / wavelength


def _detector_edge(optics: dict[str, Any]) -> float:
    """Spatial frequency at the middle of the detector's edge [1/Å]."""
    return float(optics["detector_pixels"] / 2 / optics["window_angstrom"])


def _outside(limit: vibrations.InformationLimit, edge: float) -> int:
    """Peaks outside the detector's square."""
    return int((np.abs(limit.peaks).max(axis=1, initial=0) > edge).sum())


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
