"""What a lesson keeps of a reconstruction: small, saved as .npz, compared with the truth."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from caviar_kit.field import scanned_window
from caviar_kit.npz import read_npz, write_npz
from caviar_kit.vibrations.atoms import find_atoms, track_atoms
from caviar_kit.vibrations.correlations import displacements, greens_tensor
from caviar_kit.vibrations.matching import match_atoms
from caviar_kit.vibrations.phase import projected_phase
from caviar_kit.vibrations.shells import neighbour_shells
from caviar_kit.vibrations.similarity import CorrelationComparison, compare_correlations
from caviar_kit.vibrations.similarity_intervals import SimilarityIntervals, similarity_intervals

if TYPE_CHECKING:
    from caviar_kit.examples import Example
    from caviar_kit.ptychography import MixedObjectMultislicePtychography

__all__ = ["EnsembleResult", "load_result", "measure"]

_MARGIN_ANGSTROM = 1.0  # of the picture around the scanned field


@dataclass(frozen=True, eq=False)
class EnsembleResult:
    """Columns followed through the states of one reconstruction, beside the truth.

    All positions are in the frame of ``phases``: pixel (0, 0) is the origin.

    Attributes
    ----------
    name, preset : str
        The example it came from.
    phases : (states, y, x) float32
        Projected phase of each state around the scanned field [rad].
    sampling : (2,) float
        Pixel size (y, x) [Å].
    tracked : (states, atoms, 2) float
        Positions (y, x) of the found columns in every state [Å].
    true_positions : (atoms, 2) float
        Where the columns are [Å].
    true_greens_tensor : (atoms, 2, atoms, 2) float
        Of the very snapshots in the data [Å²].
    loss : (iterations,) float
        Misfit per pattern after each iteration.
    seconds : float
        Duration of the reconstruction.
    """

    name: str
    preset: str
    phases: np.ndarray
    sampling: np.ndarray
    tracked: np.ndarray
    true_positions: np.ndarray
    true_greens_tensor: np.ndarray
    loss: np.ndarray
    seconds: float

    @property
    def positions(self) -> np.ndarray:
        """Mean positions of the columns (atoms, 2) [Å]."""
        return np.asarray(self.tracked.mean(axis=0))

    @property
    def displacements(self) -> np.ndarray:
        """Eq. 1: (states, atoms, 2) [Å]."""
        return displacements(self.tracked)

    @property
    def greens_tensor(self) -> np.ndarray:
        """Eq. 2: (atoms, 2, atoms, 2) [Å²]."""
        return greens_tensor(self.displacements)

    @property
    def comparison(self) -> CorrelationComparison:
        """CSM and LSM per shell against the truth; NaN where the truth has no correlations."""
        return compare_correlations(self.true_greens_tensor, self.greens_tensor, self.true_positions)

    @property
    def comparison_intervals(self) -> SimilarityIntervals:
        """`comparison` with 95 % intervals over the states, and what a perfect fit would give."""
        return similarity_intervals(self.true_greens_tensor, self.displacements, self.true_positions)

    def summary(self) -> dict[str, Any]:
        """Figures for a report, JSON-ready.

        ``nearest_to_self`` is the mean trace of the nearest neighbours' blocks of G over that of the
        atoms' own, None if nothing moves; ``shells`` has CSM and LSM, None where undefined.
        """
        tensor = self.greens_tensor
        pairs = np.trace(tensor.transpose(0, 2, 1, 3), axis1=2, axis2=3)
        nearest = neighbour_shells(self.true_positions).mask("nearest")
        own = float(np.diag(pairs).mean())
        return {
            "seconds": round(self.seconds, 1),
            "iterations": len(self.loss),
            "states": len(self.phases),
            "columns": len(self.positions),
            "loss": float(self.loss[-1]),
            "rms_displacement_pm": 100 * float(np.sqrt((self.displacements**2).mean())),
            "nearest_to_self": float(pairs[nearest].mean()) / own if own > 1e-16 and nearest.any() else None,
            "position_error_pm": 100 * float(np.sqrt(((self.positions - self.true_positions) ** 2).mean())),
            **self.comparison.as_dict(),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to ``path`` (.npz without pickles), complete or not at all."""
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}
        write_npz(path, arrays, compress=True)


def load_result(path: str | os.PathLike[str]) -> EnsembleResult:
    """Read what :meth:`EnsembleResult.save` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or something else.
    """
    arrays: dict[str, Any] = read_npz(path, [f.name for f in fields(EnsembleResult)])
    for name in ("name", "preset"):
        arrays[name] = str(arrays[name])
    return EnsembleResult(**{**arrays, "seconds": float(arrays["seconds"])})


def measure(
    ptychography: MixedObjectMultislicePtychography, example: Example, *, seconds: float = 0.0
) -> EnsembleResult:
    """Find the columns in a reconstruction of an example, follow them through the states.

    Columns are found in the mean phase without knowledge of the truth and then matched to it. Those that are
    lost in some state are left out; `track_atoms` warns of them.

    Parameters
    ----------
    ptychography : MixedObjectMultislicePtychography
        After ``reconstruct``.
    example : Example
        The data set that was reconstructed.
    seconds : float
        Duration to be kept with the result.

    Raises
    ------
    ValueError
        If no column of the truth is found, or none can be followed through all states.
    """
    sampling = np.array(ptychography.sampling)
    scanned = ptychography.scan_positions_angstrom
    window = scanned_window(scanned, sampling, margin_angstrom=_MARGIN_ANGSTROM)
    first = np.array([part.start for part in window])
    phases = projected_phase(ptychography.object[(..., *window)])
    known = example.ground_truth.positions + scanned[0] - first * sampling
    found = find_atoms(phases.mean(axis=0), tuple(sampling))
    found_index, known_index = match_atoms(found, known)
    tracked = track_atoms(phases, found[found_index], tuple(sampling))
    followed = ~np.isnan(tracked).any(axis=(0, 2))
    if not followed.any():
        raise ValueError("ptychography: no column could be followed through all states")
    tracked, known_index = tracked[:, followed], known_index[followed]
    return EnsembleResult(
        name=example.name,
        preset=example.preset,
        phases=phases.astype(np.float32),
        sampling=sampling,
        tracked=tracked,
        true_positions=known[known_index],
        true_greens_tensor=example.ground_truth.greens_tensor[known_index][:, :, known_index],
        loss=np.array(ptychography.error_iterations),
        seconds=seconds,
    )
