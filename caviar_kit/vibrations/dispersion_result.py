"""Phonon branches along a path, with intervals, corrections and warnings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["FLAGS", "PhononDispersion"]

FLAGS = {
    "": "measured",
    "sum rule": "0 at Γ, because a rigid shift costs nothing",
    "unresolved": "wavelength longer than the patch: continued from shorter waves",
    "unstable": "ω² below 0, here or in more than 1 of 40 bootstrap draws; negative stands for imaginary",
    "undetermined": "fewer samples than modes, or q has a part across a patch one cell wide",
}


@dataclass(frozen=True, eq=False, repr=False)
class PhononDispersion:
    """Result of `caviar_kit.phonon_dispersion`; branches ascend in frequency."""

    q: np.ndarray
    """Wave vectors, float (points, 2), y then x, rad/Å: 2π included, phases are exp(iq·r)."""
    fractions: np.ndarray
    """The same along the reciprocal vectors, float (points, 2)."""
    distance: np.ndarray
    """Along the path, float (points,), rad/Å."""
    labels: tuple[tuple[float, str], ...]
    """Distance and name of the special points."""
    frequencies_thz: np.ndarray
    """Corrected for the number of states, float (points, branches), THz."""
    uncorrected_thz: np.ndarray
    """Before that correction, float (points, branches), THz."""
    band_interval_thz: np.ndarray
    """Low and high end of the 95 % interval at each point, float (points, branches, 2), THz."""
    path_mean_thz: np.ndarray
    """Mean of ``frequencies_thz`` along the path, float (branches,), THz."""
    uncorrected_path_mean_thz: np.ndarray
    """Mean of ``uncorrected_thz`` along the path, float (branches,), THz."""
    interval_thz: np.ndarray
    """Low and high end of the 95 % interval of ``path_mean_thz``, float (branches, 2), THz."""
    flags: np.ndarray
    """What to beware of, str (points, branches): "" or a key of `FLAGS`."""
    branches: tuple[str, ...]
    """Name of each branch by its polarisation: TA, LA, TO, LO; numbered if there are several."""
    longitudinal: np.ndarray
    """Share of each mode's energy along q, float (points, branches), 0 to 1; NaN at Γ."""
    statistics: str
    """"quantum" or "classical"."""
    method: str
    """"likelihood" or "direct"."""
    states: int
    """Object states used."""
    cells: int
    """Cells of which at least one atom was used."""
    parameters: int
    """Free force constants fitted; 0 for "direct"."""
    operations: int
    """Point operations under which force constants were held equal; 1 is none."""
    reach_angstrom: float
    """Longest bond with a force constant of its own, Å; infinite for "direct"."""

    def __repr__(self) -> str:
        return f"<PhononDispersion\n{self}\n>"

    def __str__(self) -> str:
        title = f"{self.method}, {self.statistics}, {self.states} states, {self.cells} cells"
        lines = [title, f"{'branch':<7}{'path mean':>10}{'95 % interval':>17}{'uncorrected':>13}   THz"]
        for name, mean, (low, high), raw in zip(
            self.branches, self.path_mean_thz, self.interval_thz, self.uncorrected_path_mean_thz, strict=True
        ):
            interval = f"{low:.2f} – {high:.2f}"
            lines.append(f"{name:<7}{mean:>10.2f}{interval:>17}{raw:>13.2f}")
        counts = {flag: int((self.flags == flag).sum()) for flag in FLAGS if flag}
        lines += [
            f"{count} of {self.flags.size} {flag}: {FLAGS[flag]}" for flag, count in counts.items() if count
        ]
        return "\n".join(lines)
