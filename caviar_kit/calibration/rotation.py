"""The rotation of the scan against the detector, and whether the detector's axes are swapped."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.calibration.centre_of_mass import (
    integrate_centre_of_mass,
    turn_centre_of_mass,
    without_descan,
)

__all__ = ["RotationFit", "find_rotation"]

_CLEAR = 0.8  # curl at its minimum over curl at its maximum, above which the angle is a guess


@dataclass(frozen=True)
class RotationFit:
    """How curl and divergence of the centre of mass depend on the angle, and the angle of least curl.

    Turned by θ, curl C and divergence D of a field become C cos θ + D sin θ and D cos θ - C sin θ: three
    averages say everything.

    Attributes
    ----------
    degrees : float
        θ in [-180, 180) [degree], for ``force_com_rotation``: its curl is the least. Curl cannot tell it from
        θ + 180°.
    transpose : bool
        For ``force_com_transpose``.
    moments : (2, 3) tuple
        Mean of C², D², CD [pixel² per step²], as measured and after swapping y and x.
    witness : {"phase", "shadow"}
        What decided between θ and θ + 180°.
    """

    degrees: float
    transpose: bool
    moments: tuple[tuple[float, float, float], tuple[float, float, float]]
    witness: str = "phase"

    def curl(self, degrees: ArrayLike, transpose: bool | None = None) -> np.ndarray:
        """Root-mean-square curl [pixel per step] if the scan were turned by these angles [degree]."""
        c2, d2, cd = self.moments[self.transpose if transpose is None else transpose]
        theta = np.deg2rad(validation.as_array("degrees", degrees))
        cosine, sine = np.cos(theta), np.sin(theta)
        return np.sqrt(np.maximum(c2 * cosine**2 + d2 * sine**2 + 2 * cd * sine * cosine, 0))

    def divergence(self, degrees: ArrayLike, transpose: bool | None = None) -> np.ndarray:
        """Root-mean-square divergence [pixel per step] if the scan were turned by these angles [degree]."""
        return self.curl(validation.as_array("degrees", degrees) + 90.0, transpose)

    def least_curl(self, transpose: bool) -> float:
        """Angle of least curl for this choice, in [0, 180) [degree]."""
        return _least_curl(self.moments[transpose])

    @property
    def contrast(self) -> float:
        """Curl at its minimum over curl at its maximum: 0 is perfect, 1 says nothing."""
        most = float(self.curl(self.degrees + 90.0))
        return float(self.curl(self.degrees)) / most if most > 0 else 1.0

    @property
    def clear(self) -> bool:
        """Whether the curl depends on the angle enough to believe it."""
        return self.contrast < _CLEAR


def find_rotation(
    com: np.ndarray,
    *,
    transpose: bool | None = None,
    shadow: np.ndarray | None = None,
    defocus: float = 0.0,
) -> RotationFit:
    """The angle, and the choice of axes, that make the centre of mass a gradient: least curl.

    py4DSTEM's criterion (Savitzky et al., Microsc. Microanal. 27, 712 (2021),
    doi:10.1017/S1431927621000477), with the root-mean-square curl instead of the mean absolute one, so that
    the minimum is exact, θ = ½ (π + atan2(2⟨CD⟩, ⟨C²⟩ - ⟨D²⟩)). A plane is taken out of ``com`` before
    (`without_descan`).

    θ and θ + 180° have the same curl. Out of focus the motion of the shadow image decides between them,
    if the sign of the defocus is right; else the phase, which atoms make positive and peaked (skewness of
    `integrate_centre_of_mass`). A thin specimen's patterns are exactly those of its negative, turned by
    180° with the opposite defocus: nothing but the sign of the phase can tell these two apart.

    Parameters
    ----------
    com : (2, Ry, Rx)
        From `centre_of_mass` [pixel]; scan steps alike along y and x.
    transpose : bool, optional
        If known; by default the choice with less curl.
    shadow : (2, 2) array, optional
        From `shadow_motion`; used if ``defocus`` is not 0. It must be well sampled: steps much smaller
        than the probe's geometric radius.
    defocus : float
        Defocus [Å], positive as everywhere in the kit.

    Raises
    ------
    TypeError, ValueError
        If ``com`` is not finite, has fewer than 3 × 3 positions, or does not vary.
    """
    com = without_descan(com)
    if min(com.shape[1:]) < 3:
        raise ValueError(f"com must have at least 3 × 3 scan positions, got {com.shape[1:]}")
    if transpose is not None and not isinstance(transpose, (bool, np.bool_)):
        raise TypeError(f"transpose must be True, False or None, got {transpose!r}")
    moments = (_moments(com), _moments(com[::-1]))
    if sum(moments[0][:2]) <= 1e-20:
        raise ValueError("com does not vary over the scan: it tells no rotation")
    fits = [RotationFit(_least_curl(moments[flip]), bool(flip), moments) for flip in (0, 1)]
    fit = min(fits, key=lambda f: float(f.curl(f.degrees))) if transpose is None else fits[bool(transpose)]
    witness = "phase"
    if shadow is not None and validation.number("defocus", defocus, unit="Å") != 0:
        witness = "shadow"
        right = _follows(validation.as_array("shadow", shadow, shape=(2, 2)), defocus, fit)
    else:
        image = integrate_centre_of_mass(turn_centre_of_mass(com, fit.degrees, fit.transpose))
        right = (image**3).sum() >= 0
    degrees = fit.degrees - (0.0 if right else 180.0)
    return replace(fit, degrees=degrees, witness=witness)


def _follows(shadow: np.ndarray, defocus: float, fit: RotationFit) -> bool:
    """Whether shadows move as this rotation says, and not the opposite way."""
    to_scan = turn_centre_of_mass(np.eye(2)[:, None], fit.degrees, fit.transpose)[:, 0]
    return bool(-defocus * np.trace(to_scan @ shadow) >= 0)


def _moments(com: np.ndarray) -> tuple[float, float, float]:
    """Mean of C², D², CD, with differences over two steps inside the scan."""
    along_y = (com[:, 2:, 1:-1] - com[:, :-2, 1:-1]) / 2
    along_x = (com[:, 1:-1, 2:] - com[:, 1:-1, :-2]) / 2
    curl, divergence = along_y[1] - along_x[0], along_y[0] + along_x[1]
    return float((curl**2).mean()), float((divergence**2).mean()), float((curl * divergence).mean())


def _least_curl(moments: tuple[float, float, float]) -> float:
    c2, d2, cd = moments
    return math.degrees(math.pi + math.atan2(2 * cd, c2 - d2)) / 2 % 180.0
