"""What a data set says about itself, measured once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from caviar_kit.calibration.centre_of_mass import centre_of_mass, without_descan
from caviar_kit.calibration.recommend import (
    Recommendation,
    probe_diameter,
    recommend_loss,
    recommend_slices,
    recommend_step,
    recommend_window,
)
from caviar_kit.calibration.rotation import RotationFit, find_rotation
from caviar_kit.calibration.shadow import shadow_motion
from caviar_kit.detector import (
    DetectorFrame,
    check_patterns,
    disc_radius,
    find_origin,
    mean_pattern,
    suspicious_pixels,
)
from caviar_kit.physics import electron_wavelength

__all__ = ["Survey", "doubts", "recommend", "survey"]

_SHADOW_STEP = 0.5  # of the probe's geometric radius
_DISAGREE = 0.03  # of the semi-angle


@dataclass(frozen=True, eq=False)
class Survey:
    """Figures of a data cube that no slider changes.

    Attributes
    ----------
    patterns : (Ry, Rx, Qy, Qx)
        The data cube's, not copied.
    scan_step : float
        [Å].
    pixel : float
        Side of a detector pixel [1/Å].
    mean : (Qy, Qx) float64
        Mean pattern, 0 where ``bad``.
    bad : (Qy, Qx) bool
        Pixels that look hot or dead, see `caviar_kit.suspicious_pixels`; centre, radius and ``com`` are
        found without them.
    centre, radius
        Of the bright-field disc (y, x) [pixel].
    com : (2, Ry, Rx) float64
        Centre of mass along the detector's axes, without descan [pixel].
    shadow : (2, 2) float64
        See `shadow_motion`.
    loss : Recommendation
        See `recommend_loss`.
    """

    patterns: Any
    scan_step: float
    pixel: float
    mean: np.ndarray
    bad: np.ndarray
    centre: tuple[float, float]
    radius: float
    com: np.ndarray
    shadow: np.ndarray
    loss: Recommendation

    @property
    def scan_shape(self) -> tuple[int, int]:
        """(Ry, Rx)."""
        return int(self.patterns.shape[0]), int(self.patterns.shape[1])

    @property
    def detector(self) -> tuple[int, int]:
        """(Qy, Qx) [pixel]."""
        return int(self.patterns.shape[2]), int(self.patterns.shape[3])

    def mrad_per_pixel(self, energy: float) -> float:
        """Angle of a detector pixel [mrad] at ``energy`` [eV]."""
        return 1e3 * self.pixel * electron_wavelength(energy)

    def rotation(self, energy: float, defocus: float, *, transpose: bool | None = None) -> RotationFit:
        """`find_rotation` for this ``energy`` [eV] and ``defocus`` [Å], with axes swapped or not if known.

        Shadows are a witness if a step moves them by less than a quarter of the disc: step < |defocus| α / 2.
        """
        cone = abs(defocus) * 1e-3 * self.radius * self.mrad_per_pixel(energy)
        shadow = self.shadow if self.scan_step < _SHADOW_STEP * cone else None
        return find_rotation(self.com, transpose=transpose, shadow=shadow, defocus=defocus)


def survey(datacube: Any, *, energy: float | None = None) -> Survey:
    """Measure beam, disc, centre of mass and shadow motion of a data cube.

    Parameters
    ----------
    datacube : py4DSTEM.DataCube
        Calibrated in A and A^-1, or mrad where ``energy`` is given, at least 3 × 3 positions.
    energy : float, optional
        Of the electrons [eV].

    Raises
    ------
    TypeError, ValueError
        If it is no data cube, not calibrated, too small, or its patterns are not usable.
    """
    data: Any = getattr(datacube, "data", None)
    calibration = getattr(datacube, "calibration", None)
    if calibration is None or len(getattr(data, "shape", ())) != 4:
        raise TypeError(f"datacube must be a py4DSTEM.DataCube, got {type(datacube).__name__}")
    if min(data.shape[:2]) < 3:
        raise ValueError(f"datacube must have at least 3 × 3 scan positions, got {data.shape[:2]}")
    angles = ("A^-1",) if energy is None else ("A^-1", "mrad")
    for axis, units, allowed in (
        ("R", calibration.get_R_pixel_units(), ("A",)),
        ("Q", calibration.get_Q_pixel_units(), angles),
    ):
        if units not in allowed:
            raise ValueError(
                f"datacube must be calibrated in {' or '.join(allowed)} along {axis}, got {units!r}: "
                f"use datacube.calibration.set_{axis}_pixel_size and set_{axis}_pixel_units"
            )
    check_patterns(data)
    pixel = float(calibration.get_Q_pixel_size())
    if energy is not None and calibration.get_Q_pixel_units() == "mrad":
        pixel *= 1e-3 / electron_wavelength(energy)
    whole = mean_pattern(data)
    bad = suspicious_pixels(whole)
    mean = np.where(bad, 0.0, whole)
    centre, radius = find_origin(mean), disc_radius(mean)
    return Survey(
        patterns=data,
        scan_step=float(calibration.get_R_pixel_size()),
        pixel=pixel,
        mean=mean,
        bad=bad,
        centre=centre,
        radius=radius,
        com=without_descan(centre_of_mass(data, measured=~bad)),
        shadow=shadow_motion(data, centre, radius),
        loss=recommend_loss(data),
    )


def recommend(
    measured: Survey, *, energy: float, semiangle_cutoff: float, defocus: float, thickness: float
) -> dict[str, Recommendation]:
    """All recommendations for a data set, by name: "slices", "window", "step", "likelihood".

    Parameters
    ----------
    measured : Survey
        From `survey`.
    energy, semiangle_cutoff, defocus, thickness : float
        [eV], [mrad], [Å], [Å].

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.
    """
    y, x = measured.centre
    height, width = measured.detector
    nearest = min(y, x, height - 1 - y, width - 1 - x) + 0.5
    frame = DetectorFrame.around(measured.detector, (round(y), round(x))).frame
    optics = (energy, semiangle_cutoff, defocus)
    return {
        "slices": recommend_slices(
            thickness, energy, semiangle_cutoff, nearest * measured.mrad_per_pixel(energy)
        ),
        "window": recommend_window(
            measured.detector,
            frame,
            measured.pixel,
            probe_diameter(*optics, thickness),
            measured.scan_step,
            measured.scan_shape,
        ),
        "step": recommend_step(measured.scan_step, probe_diameter(*optics)),
        "likelihood": measured.loss,
    }


def doubts(measured: Survey, *, energy: float, semiangle_cutoff: float, defocus: float) -> list[str]:
    """What speaks against the calibration or the rotation found, one sentence each; empty if all is well.

    Parameters
    ----------
    measured : Survey
        From `survey`.
    energy, semiangle_cutoff, defocus : float
        [eV], [mrad], [Å].

    Raises
    ------
    TypeError, ValueError
        If the energy is out of range.
    """
    fit = measured.rotation(energy, defocus)
    found, lines = measured.radius * measured.mrad_per_pixel(energy), []
    if abs(found - semiangle_cutoff) > _DISAGREE * semiangle_cutoff:
        lines.append(
            f"The disc's radius of {measured.radius:.1f} pixels is {found:.2f} mrad by the detector's "
            f"calibration, not {semiangle_cutoff:.2f} mrad: one of the two is off by "
            f"{abs(found / semiangle_cutoff - 1):.0%}."
        )
    if measured.bad.any():
        lines.append(
            f"{measured.bad.sum()} detector pixels look hot or dead, such as "
            f"{tuple(map(int, np.argwhere(measured.bad)[0]))}: give preprocess a dp_mask that is False there."
        )
    if not fit.clear:
        lines.append(
            f"The least curl is still {fit.contrast:.0%} of the most: the rotation is uncertain, the data "
            "are noisy or few."
        )
    if fit.witness == "phase":
        lines.append(
            "Only the sign of the phase tells the rotation from one 180° further: the probe is too small "
            "for its shadow image to be followed. Try both in a short fit."
        )
    return lines
