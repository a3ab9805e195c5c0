"""Twisted hBN as the benchmarks use it: at rest, of any thickness and optics; and the start of its fits."""

from __future__ import annotations

from typing import Any

import caviar_kit as ck
from caviar_kit.simulation import Experiment, Snapshots

__all__ = ["TWIST_DEG", "at_rest", "prepared"]

TWIST_DEG = 10.99


def at_rest(layers: int) -> Snapshots:
    """``layers`` and as many again on top of them, twisted; one snapshot of atoms that do not move."""
    atoms = ck.simulation.twisted_hbn(layers, layers, TWIST_DEG)
    return Snapshots(
        atoms.positions[None], atoms.numbers, atoms.cell.array, atoms.positions, temperature_k=0.0
    )


def prepared(
    cube: Any,
    experiment: Experiment,
    thickness_angstrom: float,
    *,
    slices: int,
    states: int,
    vacuum_probe: Any = None,
    device: str = "auto",
) -> Any:
    """A reconstruction that is ready to run, of equal slices."""
    if vacuum_probe is None:
        vacuum_probe = ck.simulation.vacuum_probe_intensity(experiment)
    ptycho = ck.MixedObjectMultislicePtychography(
        datacube=cube,
        energy=experiment.energy_ev,
        semiangle_cutoff=experiment.semiangle_mrad,
        defocus=experiment.defocus_angstrom,
        num_slices=slices,
        slice_thicknesses=thickness_angstrom / slices,
        num_object_states=states,
        vacuum_probe_intensity=vacuum_probe,
        device=device,
    )
    ptycho.preprocess(force_com_rotation=0, force_com_transpose=False)
    return ptycho
