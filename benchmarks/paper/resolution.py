"""Resolution of a fit of two lattices: in the plane, in depth, and the angle between them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.paper.cases import Case
from benchmarks.paper.fit import Fit
from benchmarks.paper.inputs import Inputs
from caviar_kit import vibrations

__all__ = ["detector_edge", "resolution", "slices_between", "within"]

FIELD_MARGIN_ANGSTROM = 4.0  # around the scan, of spectra
ON_LATTICE = 0.04  # 1/Å, from a reciprocal lattice vector to a peak: half a resolution element of some 17 Å


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
    edge = detector_edge(inputs.optics)
    limits = {name: within(limit, edge) for name, limit in every.items()}
    lattices = [_lattice(case, inputs, found, truth["depths"]) for truth in inputs.truth.values()]
    depth = vibrations.depth_spectrum(found.object, found.sampling, thickness / count, field=field)
    energy = inputs.optics["energy_ev"]
    return {
        "limit_pm": {name: round(100 * limit.angstrom, 1) for name, limit in limits.items()},
        "d_over_lambda": {name: round(limit.over_wavelength(energy), 2) for name, limit in limits.items()},
        "detector_edge_pm": round(100 / edge, 1),
        "beyond_edge": {name: _beyond(limit, edge, lattices) for name, limit in every.items()},
        "depth_resolution_angstrom": round(float(depth.depth_angstrom), 1),
        "twist_deg": _twist(lattices),
    }


def detector_edge(optics: dict[str, Any]) -> float:
    """Spatial frequency at the middle of the detector's edge [1/Å]."""
    return float(optics["detector_pixels"] / 2 / optics["window_angstrom"])


def within(limit: vibrations.InformationLimit, edge: float) -> vibrations.InformationLimit:
    """The same without peaks beyond ``edge`` [1/Å].

    Beyond it nothing was measured on the axes of a square detector, and what stands out there (in the fits of
    docs/results.md, hardly ever on a lattice) is no information.
    """
    frequency = np.linalg.norm(limit.peaks, axis=1)
    kept = frequency <= edge
    highest = float(frequency[kept].max(initial=0.0))
    return replace(limit, peaks=limit.peaks[kept], frequency=highest, at_nyquist=False)


def _beyond(limit: vibrations.InformationLimit, edge: float, lattices: list[Any]) -> dict[str, int]:
    """Peaks beyond the detector's edge, and how many of them lie on either lattice."""
    far = limit.peaks[np.linalg.norm(limit.peaks, axis=1) > edge]
    order = np.stack(np.meshgrid(np.arange(-9, 10), np.arange(-9, 10)), axis=-1).reshape(-1, 2)
    vectors = np.concatenate([order @ np.linalg.inv(lattice.vectors).T for lattice in lattices])
    away = np.linalg.norm(far[:, None] - vectors, axis=-1).min(axis=1, initial=np.inf)
    return {"peaks": len(far), "on_a_lattice": int((away < ON_LATTICE).sum())}


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
