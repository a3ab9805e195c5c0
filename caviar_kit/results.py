"""From a reconstruction to what is kept of it.

Needs NumPy and SciPy only, so that a machine with nothing else can measure and save what it reconstructed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import __version__, validation
from caviar_kit.ensemble_result import EnsembleResult, load_result
from caviar_kit.field import scanned_window
from caviar_kit.vibrations.atoms import find_atoms, track_atoms
from caviar_kit.vibrations.matching import match_atoms
from caviar_kit.vibrations.phase import projected_phase

if TYPE_CHECKING:
    from caviar_kit.examples import Example
    from caviar_kit.ptychography import MixedObjectMultislicePtychography

__all__ = ["EnsembleResult", "load_result", "measure", "measure_states"]

_MARGIN_ANGSTROM = 1.0  # of the picture around the scanned field


def measure(
    ptychography: MixedObjectMultislicePtychography, example: Example, *, seconds: float = 0.0
) -> EnsembleResult:
    """Find the columns in a reconstruction of an example, follow them through the states.

    As :func:`measure_states`, with what is known of the fit as provenance.

    Parameters
    ----------
    ptychography : MixedObjectMultislicePtychography
        After ``reconstruct``.
    example : Example
        The data set that was reconstructed.
    seconds : float
        Duration to be kept with the result [s].

    Raises
    ------
    TypeError, ValueError
        As :func:`measure_states`.
    """
    return measure_states(
        ptychography.object,
        sampling=ptychography.sampling,
        scan_positions_angstrom=ptychography.scan_positions_angstrom,
        true_positions=example.ground_truth.positions,
        true_displacements=example.ground_truth.displacements,
        name=example.name,
        preset=example.preset,
        loss=ptychography.error_iterations,
        seconds=seconds,
        provenance={
            "made with": "caviar_kit.measure",
            "probe_modes": len(ptychography.probe),
            **ptychography.fit_record,
        },
    )


def measure_states(
    obj: ArrayLike,
    *,
    sampling: ArrayLike,
    scan_positions_angstrom: ArrayLike,
    true_positions: ArrayLike,
    true_displacements: ArrayLike,
    name: str,
    preset: str,
    loss: ArrayLike,
    seconds: float = 0.0,
    provenance: Mapping[str, Any] | None = None,
) -> EnsembleResult:
    """Find the columns in an object with states, and follow them through the states.

    Columns are found in the mean phase without knowledge of the truth and then matched to it. Those that are
    lost in some state are left out; `track_atoms` warns of them.

    Parameters
    ----------
    obj : array, complex, (states, slices, y, x)
        The reconstructed states.
    sampling : (2,) float
        Pixel size (y, x) [Å].
    scan_positions_angstrom : (positions, 2) float
        y, x in the frame of ``obj``, whose pixel (0, 0) is the origin [Å].
    true_positions : (atoms, 2) float
        y, x of the true columns from the *first scan position*, as in ``GroundTruth.positions`` [Å].
    true_displacements : (snapshots, atoms, 2) float
        Of these columns from their means, in the very snapshots that are in the data [Å].
    name, preset : str
        What the data are called.
    loss : (iterations,) float
        Misfit per pattern after each iteration.
    seconds : float
        Duration of the reconstruction [s].
    provenance : mapping, optional
        How it was made, JSON-ready. The versions of the kit and of NumPy, and the numbers of states, slices,
        iterations and scan positions are added.

    Raises
    ------
    TypeError, ValueError
        If an argument has another shape or type, no column of the truth is found, or none can be followed
        through all states.
    """
    pixel = validation.as_array("sampling", sampling, shape=(2,)).astype(float)
    scanned = validation.as_array("scan_positions_angstrom", scan_positions_angstrom, shape=(None, 2))
    places = validation.as_array("true_positions", true_positions, shape=(None, 2))
    moves = validation.as_array("true_displacements", true_displacements, shape=(None, len(places), 2))
    states = validation.as_array("obj", obj, shape=(None,) * 4, complex_allowed=True)
    losses = validation.as_array("loss", loss, shape=(None,))
    if not isinstance(provenance, Mapping | None):
        raise TypeError(f"provenance must be a mapping or None, got {type(provenance).__name__}")
    window = scanned_window(scanned, pixel, margin_angstrom=_MARGIN_ANGSTROM)
    first = np.array([part.start for part in window])
    phases = projected_phase(states[(..., *window)])
    known = places + scanned[0] - first * pixel
    found = find_atoms(phases.mean(axis=0), tuple(pixel))
    found_index, known_index = match_atoms(found, known)
    tracked = track_atoms(phases, found[found_index], tuple(pixel))
    followed = ~np.isnan(tracked).any(axis=(0, 2))
    if not followed.any():
        raise ValueError("obj: no column could be followed through all states")
    return EnsembleResult(
        name=name,
        preset=preset,
        phases=phases.astype(np.float32),
        sampling=pixel,
        tracked=tracked[:, followed],
        true_positions=known[known_index[followed]],
        true_displacements=moves[:, known_index[followed]],
        loss=losses.astype(float),
        seconds=validation.number("seconds", seconds, minimum=0, unit="s"),
        provenance={
            "versions": {"caviar_kit": __version__, "numpy": np.__version__},
            "states": len(states),
            "slices": states.shape[1],
            "iterations": len(losses),
            "scan_positions": len(scanned),
            **(provenance or {}),
        },
    )
