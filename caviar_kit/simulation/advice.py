"""Sampling advice: what an experiment's grids do to its probe and to the waves in the specimen."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from caviar_kit.simulation.experiment import Experiment
    from caviar_kit.simulation.snapshots import Snapshots

__all__ = ["advice", "check_positions", "specimen_advice"]

_LEAST_OVERLAP = 0.3
_LEAST_BAND = 1.95  # of α; discs 2α apart only touch
_THICKEST_SLICE = 0.25  # of the depth of focus λ/α²


def advice(experiment: Experiment) -> list[str]:
    """What is allowed but may be regretted, one sentence each; empty if all is well.

    Window against the probe at the entrance, detector and simulated band against the aperture, overlap of
    neighbouring probes, source against the probe.
    """
    lines = []
    if experiment.margin_angstrom < experiment.resolution_angstrom:
        lines.append(_tails(experiment, experiment.margin_angstrom))
    alpha = experiment.semiangle_mrad
    if experiment.detector_max_mrad < alpha:
        lines.append(
            f"the detector reaches {experiment.detector_max_mrad:.1f} mrad and cuts the bright-field disc of "
            f"{alpha:.1f} mrad"
        )
    if experiment.antialias_mrad < _LEAST_BAND * alpha:
        lines.append(
            f"the simulated band ends at {experiment.antialias_mrad:.1f} mrad, below 2α = {2 * alpha:.1f} "
            "mrad, up to which the specimen's frequencies interfere within the bright-field disc: raise "
            "grid_points"
        )
    diameter = 2 * (experiment.probe_radius_angstrom + experiment.resolution_angstrom)
    overlap = 1 - experiment.scan_step_angstrom / diameter
    if overlap < _LEAST_OVERLAP and max(experiment.scan_shape) > 1:
        lines.append(
            f"neighbouring probes overlap by {max(overlap, 0):.0%} of their diameter, ptychography wants "
            f"{_LEAST_OVERLAP:.0%} or more: reduce scan_step_angstrom"
        )
    if experiment.source_fwhm_angstrom > diameter:
        lines.append(
            f"the source is {experiment.source_fwhm_angstrom:.2f} Å wide, more than the probe with "
            f"{diameter:.2f} Å: hardly anything interferes; is source_fwhm_angstrom that of its image in the "
            "specimen?"
        )
    return lines


def specimen_advice(snapshots: Snapshots, experiment: Experiment) -> list[str]:
    """What an experiment alone cannot know: the thickness and the period of the specimen.

    At depth z the geometric probe has the radius |defocus - z|·α, largest at one of the surfaces. Within a
    slice nothing propagates: it must be thin against the depth of focus λ/α². A field larger than the
    specimen's cell shows the same displacements again.
    """
    lines, thickness = [], snapshots.thickness_angstrom
    alpha = 1e-3 * experiment.semiangle_mrad
    at_exit = abs(experiment.defocus_angstrom - thickness) * alpha
    margin = experiment.margin_angstrom + experiment.probe_radius_angstrom - at_exit
    if margin < experiment.resolution_angstrom and at_exit > experiment.probe_radius_angstrom:
        lines.append(
            f"at the exit surface, {thickness:.0f} Å down, the geometric probe has a radius of "
            f"{at_exit:.2f} Å; {_tails(experiment, margin)}; enlarge window_angstrom (with grid_points) "
            "or change the defocus"
        )
    depth_of_focus, slice_thickness = (
        experiment.wavelength_angstrom / alpha**2,
        thickness / experiment.num_slices,
    )
    if slice_thickness > _THICKEST_SLICE * depth_of_focus:
        lines.append(
            f"slices are {slice_thickness:.1f} Å thick, more than a quarter of the depth of focus "
            f"λ/α² = {depth_of_focus:.1f} Å: raise num_slices"
        )
    extent = (np.array(experiment.scan_shape) - 1) * experiment.scan_step_angstrom
    period = np.abs(snapshots.cell[:2, 1::-1]).max(axis=0)
    if (extent > period).any():
        lines.append(
            f"the scanned field of {extent[0]:.1f} × {extent[1]:.1f} Å is larger than the specimen's cell of "
            f"{period[0]:.1f} × {period[1]:.1f} Å: the same atoms are seen twice"
        )
    return lines


def check_positions(experiment: Experiment, positions_angstrom: np.ndarray) -> None:
    """Refuse positions (n, 2) y, x [Å] from the first nominal one that leave the window.

    Raises
    ------
    ValueError
        If a geometric probe reaches over the window's edge.

    Warns
    -----
    UserWarning
        If one comes closer to it than λ/2α.
    """
    window, radius = experiment.window_angstrom, experiment.probe_radius_angstrom
    placed = positions_angstrom + experiment.first_position_in_window_angstrom
    to_edge = np.minimum(placed, window - placed).min(axis=1)
    worst = int(to_edge.argmin())
    margin = float(to_edge[worst] - radius)
    if margin < 0:
        raise ValueError(
            f"positions_angstrom must keep the geometric probe, {radius:.2f} Å in radius, inside the window "
            f"of {window:g} Å; position {worst} at {positions_angstrom[worst].tolist()} leaves it by "
            f"{-margin:.2f} Å: enlarge the window (with grid_points); are the positions in Å, from the first "
            "nominal one?"
        )
    if margin < experiment.resolution_angstrom:
        warnings.warn(_tails(experiment, margin), UserWarning, stacklevel=4)


def _tails(experiment: Experiment, margin: float) -> str:
    return (
        f"the window leaves {margin:.2f} Å around the outermost probes, less than "
        f"λ/2α = {experiment.resolution_angstrom:.2f} Å: their tails wrap around"
    )
