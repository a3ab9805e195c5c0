"""Reconstructions of simulated data before their first iteration, with the true calibration."""

from __future__ import annotations

from typing import Any

import caviar_kit as ck
from caviar_kit.simulation import Experiment

__all__ = ["of_data", "of_example"]


def of_data(
    cube: Any,
    experiment: Experiment,
    thickness_angstrom: float,
    *,
    slices: int,
    states: int,
    vacuum_probe: Any = None,
    frame: int | None = None,
    dp_mask: Any = None,
    **arguments: Any,
) -> ck.MixedObjectMultislicePtychography:
    """Equal slices; ``frame`` is the side of the frame around the detector, ``arguments`` go to the class.

    ``dp_mask`` is False where a detector pixel does not count.
    """
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
        **arguments,
    )
    return ptycho.preprocess(
        force_com_rotation=0,
        force_com_transpose=False,
        dp_mask=dp_mask,
        padded_diffraction_intensities_shape=None if frame is None else (frame, frame),
    )


def of_example(
    example: Any,
    *,
    datacube: Any = None,
    slices: int | None = None,
    states: int | None = None,
    **others: Any,
) -> ck.MixedObjectMultislicePtychography:
    """As the example has it, but for what is given; ``others`` are those of `of_data`."""
    return of_data(
        example.datacube if datacube is None else datacube,
        example.experiment,
        example.snapshots.thickness_angstrom,
        slices=slices or example.num_slices,
        states=states or example.fit_settings.num_states,
        vacuum_probe=example.vacuum_probe,
        **others,
    )
