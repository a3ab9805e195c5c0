"""Resolution of a fit of two lattices: in the plane, in depth, and the angle between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.paper.cases import Case
from benchmarks.paper.detail import detail, detector_edge, field_of, transfer_limit
from benchmarks.paper.fit import Fit
from benchmarks.paper.inputs import Inputs
from caviar_kit import vibrations

__all__ = ["resolution", "slices_between"]


def slices_between(depths: np.ndarray, thickness: float, count: int) -> slice:
    """Slices whose middles lie between two ``depths`` [Å]."""
    middle = (np.arange(count) + 0.5) * thickness / count
    inside = np.flatnonzero((middle > depths[0]) & (middle < depths[1]))
    return slice(int(inside[0]), int(inside[-1]) + 1)


def resolution(case: Case, inputs: Inputs, found: Fit) -> dict[str, Any]:
    """Information limits in the plane and in depth; the twist of the two lattices."""
    thickness, count = inputs.optics["thickness_angstrom"], case.num_slices
    lattices = [_lattice(case, inputs, found, truth["depths"]) for truth in inputs.truth.values()]
    details = {
        "all": detail(inputs, found, slice(0, count), lattices),
        "lower": detail(inputs, found, slice(0, count // 2), lattices[:1]),
        "upper": detail(inputs, found, slice(count // 2, count), lattices[1:]),
    }
    field = field_of(found)
    depth = vibrations.depth_spectrum(found.object, found.sampling, thickness / count, field=field)
    return {
        **{key: {name: each[key] for name, each in details.items()} for key in ("limit_pm", "d_over_lambda")},
        "detector_edge_pm": round(100 / detector_edge(inputs.optics), 1),
        "transfer_limit_pm": round(100 / transfer_limit(inputs.optics), 1),
        "detail": details,
        "depth_resolution_angstrom": round(float(depth.depth_angstrom), 1),
        "twist_deg": _twist(lattices),
    }


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
