"""What is kept of a reconstruction: small, saved as .npz, compared with the truth."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.npz import read_npz, write_npz
from caviar_kit.vibrations.correlations import displacements, greens_tensor
from caviar_kit.vibrations.shells import neighbour_shells
from caviar_kit.vibrations.similarity import CorrelationComparison, compare_correlations
from caviar_kit.vibrations.similarity_intervals import SimilarityIntervals, similarity_intervals

__all__ = ["EnsembleResult", "load_result"]

_PHASE_STEP = 1e-3  # rad: phases are stored in whole numbers of it, which compress well


@dataclass(frozen=True, eq=False)
class EnsembleResult:
    """Columns followed through the states of one reconstruction, beside the truth.

    All positions are in the frame of ``phases``: pixel (0, 0) is the origin.

    Attributes
    ----------
    name, preset : str
        The example it came from.
    phases : (states, y, x) float32
        Projected phase of each state around the scanned field [rad]; a file holds it to 0.0005 rad.
    sampling : (2,) float
        Pixel size (y, x) [Å].
    tracked : (states, atoms, 2) float
        Positions (y, x) of the found columns in every state [Å].
    true_positions : (atoms, 2) float
        Where the columns are [Å].
    true_displacements : (snapshots, atoms, 2) float
        From the mean, in the very snapshots that are in the data [Å].
    loss : (iterations,) float
        Misfit per pattern after each iteration.
    seconds : float
        Duration of the reconstruction.
    provenance : dict
        How it was made, in texts, numbers, lists and dicts that JSON can hold.

    Raises
    ------
    TypeError, ValueError
        If an array has another shape than here, is not finite, or ``provenance`` does not fit into JSON.
    """

    name: str
    preset: str
    phases: np.ndarray
    sampling: np.ndarray
    tracked: np.ndarray
    true_positions: np.ndarray
    true_displacements: np.ndarray
    loss: np.ndarray
    seconds: float
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("name", "preset"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} must be a text, got {getattr(self, name)!r}")
        validation.as_array("phases", self.phases, shape=(None, None, None))
        validation.as_array("sampling", self.sampling, shape=(2,))
        states, atoms, _ = validation.as_array("tracked", self.tracked, shape=(None, None, 2)).shape
        if states != len(self.phases):
            raise ValueError(f"tracked must hold the {len(self.phases)} states of phases, got {states}")
        validation.as_array("true_positions", self.true_positions, shape=(atoms, 2))
        validation.as_array("true_displacements", self.true_displacements, shape=(None, atoms, 2))
        validation.as_array("loss", self.loss, shape=(None,))
        validation.number("seconds", self.seconds, minimum=0, unit="s")
        _as_json(self.provenance)

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
    def true_greens_tensor(self) -> np.ndarray:
        """Eq. 2 of the true displacements: (atoms, 2, atoms, 2) [Å²]; 0 of a single snapshot, at rest."""
        flat = self.true_displacements.reshape(len(self.true_displacements), -1)
        return np.asarray(flat.T @ flat / len(flat)).reshape(2 * self.true_displacements.shape[1:])

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
        """Write to ``path`` (.npz without pickles), complete or not at all.

        Phases are rounded to 0.001 rad, which makes the file half as large; the rest is kept as is.
        """
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self) if f.name != "provenance"}
        arrays["phases"] = np.rint(arrays["phases"] / _PHASE_STEP).astype(np.int32)
        arrays["provenance"] = np.asarray(_as_json(self.provenance))
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
    try:
        arrays["phases"] = (arrays["phases"] * _PHASE_STEP).astype(np.float32)
        texts = {name: str(arrays[name]) for name in ("name", "preset", "provenance")}
        provenance = json.loads(texts.pop("provenance"))
        return EnsembleResult(
            **{**arrays, **texts, "seconds": float(arrays["seconds"]), "provenance": provenance}
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)} is damaged or of another kind: {error}") from error


def _as_json(provenance: Any) -> str:
    """``provenance`` as text, refused if reading it back would give something else."""
    if not isinstance(provenance, dict):
        raise TypeError(f"provenance must be a dict, got {type(provenance).__name__}")
    try:
        text = json.dumps(provenance, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"provenance must hold texts, finite numbers, lists and dicts only: {error}"
        ) from error
    if json.loads(text) != provenance:
        raise TypeError(f"provenance must have texts as keys, and lists for tuples, got {provenance!r}")
    return text
