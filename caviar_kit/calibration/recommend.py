"""What to choose for a data set: slices, step, window, likelihood, each with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.calibration.virtual_detector import check_four_axes
from caviar_kit.physics import electron_wavelength

__all__ = [
    "Recommendation",
    "probe_diameter",
    "recommend_loss",
    "recommend_slices",
    "recommend_step",
    "recommend_window",
    "thickest_slice",
]

_GOOD_OVERLAP = 0.6
_LEAST_WINDOW = 1.25  # window over probe diameter: its tails fall off slowly


@dataclass(frozen=True)
class Recommendation:
    """One choice.

    Attributes
    ----------
    values : dict
        Keyword arguments, or the figures that a choice in the laboratory concerns.
    good : bool
        False if the data do not meet what is recommended.
    reason : str
        One sentence.
    """

    values: dict[str, Any]
    good: bool
    reason: str


def thickest_slice(energy: float, max_angle_mrad: float) -> float:
    """Thickest slice [Å] within which propagation may be left out: λ / (2 θ²).

    Propagation over dz turns the phase of a wave at the angle θ by π dz θ² / λ (the Fresnel propagator
    exp(-iπλ dz k²), Kirkland (2010), doi:10.1007/978-1-4419-6533-2). An atom lies at most dz / 2 away from
    where its slice acts; the error stays below π / 4 for dz ≤ λ / (2 θ²). That is a quarter of
    the depth 2λ / θ² over which frequencies up to θ / λ can tell two slices apart: thinner ones add unknowns
    that the patterns hardly determine.

    Parameters
    ----------
    energy : float
        [eV].
    max_angle_mrad : float
        Largest angle θ at which the specimen's frequencies are wanted [mrad].

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.
    """
    theta = 1e-3 * validation.number("max_angle_mrad", max_angle_mrad, minimum=0.1, maximum=1e3, unit="mrad")
    return electron_wavelength(energy) / (2 * theta**2)


def recommend_slices(
    thickness: float, energy: float, semiangle_cutoff: float, detector_mrad: float = math.inf
) -> Recommendation:
    """Slices of equal thickness, none above `thickest_slice`.

    The angle is 2α, up to which the specimen's frequencies interfere inside the bright-field disc, or
    ``detector_mrad``, the edge of the detector, if that is less.

    Parameters
    ----------
    thickness : float
        Of the specimen [Å].
    energy, semiangle_cutoff
        [eV], [mrad].
    detector_mrad : float
        From the beam to the middle of the detector's edge [mrad].

    Returns
    -------
    Recommendation
        ``num_slices``, ``slice_thicknesses`` [Å].

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.
    """
    hint = "was it given in metres?"
    thickness = validation.number("thickness", thickness, minimum=0.1, maximum=1e5, unit="Å", hint=hint)
    angle = min(2 * _semiangle(semiangle_cutoff), detector_mrad)
    most = thickest_slice(energy, angle)
    count = max(1, math.ceil(thickness / most - 1e-9))
    return Recommendation(
        {"num_slices": count, "slice_thicknesses": thickness / count},
        True,
        f"{count} slice{'s' * (count > 1)} of {_short(thickness / count)} Å: within λ/2θ² = {_short(most)} "
        f"Å, where propagation up to θ = {_short(angle)} mrad errs by less than π/4; thinner ones are hardly "
        "determined.",
    )


def probe_diameter(energy: float, semiangle_cutoff: float, defocus: float, thickness: float = 0.0) -> float:
    """Largest diameter of the probe in the specimen [Å]: 2 (|defocus - z| α + λ/2α), z = 0 or ``thickness``.

    The geometric cone plus Abbe's λ/2α, as in `Experiment.advice`.

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.
    """
    alpha = 1e-3 * _semiangle(semiangle_cutoff)
    defocus = validation.number("defocus", defocus, minimum=-1e6, maximum=1e6, unit="Å")
    thickness = validation.number("thickness", thickness, minimum=0, maximum=1e5, unit="Å")
    reach = max(abs(defocus), abs(defocus - thickness))
    return 2 * (reach * alpha + electron_wavelength(energy) / (2 * alpha))


def recommend_step(scan_step: float, diameter: float) -> Recommendation:
    """Scan step at which neighbouring probes overlap by 60 % of their diameter.

    Bunk et al., Ultramicroscopy 108, 481 (2008), doi:10.1016/j.ultramic.2007.08.003, found an overlap
    1 - step / diameter of about 60 % best.

    Parameters
    ----------
    scan_step : float
        Of the data [Å].
    diameter : float
        Of the probe at the entrance surface, `probe_diameter` [Å].

    Returns
    -------
    Recommendation
        ``scan_step`` [Å] at most, and the ``overlap`` of the data; good if it is 60 % or more.

    Raises
    ------
    TypeError, ValueError
        If a value is not above 0.
    """
    step = validation.number("scan_step", scan_step, minimum=0, open_minimum=True, unit="Å")
    diameter = validation.number("diameter", diameter, minimum=0, open_minimum=True, unit="Å")
    overlap = max(0.0, 1 - step / diameter)
    good, most = overlap >= _GOOD_OVERLAP - 1e-9, (1 - _GOOD_OVERLAP) * diameter
    return Recommendation(
        {"scan_step": most, "overlap": overlap},
        good,
        f"steps of {_short(step)} Å let probes {_short(diameter)} Å wide overlap by {overlap:.0%}"
        + (": enough." if good else f"; for 60 % take at most {_short(most)} Å, or more defocus."),
    )


def recommend_window(
    detector: tuple[int, int],
    frame: tuple[int, int],
    pixel: float,
    diameter: float,
    scan_step: float,
    scan_shape: tuple[int, int],
) -> Recommendation:
    """The frame of the patterns, and whether the probe fits into the window that it implies.

    The window's side is 1 / pixel; the object is that of the scan plus one window, half of it on each side.

    Parameters
    ----------
    detector, frame : (y, x)
        Pixels of a pattern, and of the frame it is embedded in (`caviar_kit.detector.DetectorFrame.around`).
    pixel : float
        Side of a detector pixel [1/Å].
    diameter : float
        Largest `probe_diameter` [Å].
    scan_step, scan_shape
        [Å], (Ry, Rx).

    Returns
    -------
    Recommendation
        ``padded_diffraction_intensities_shape``; ``window`` [Å] and ``object_shape`` [pixel] of what follows;
        good if the window is at least 1.25 probe diameters wide.

    Raises
    ------
    TypeError, ValueError
        If a number is not above 0.
    """
    window = 1 / validation.number("pixel", pixel, minimum=0, open_minimum=True, unit="1/Å")
    good = window >= _LEAST_WINDOW * validation.number("diameter", diameter, minimum=0, unit="Å")
    shape = tuple(
        math.ceil((count - 1) * scan_step * side * pixel) + side
        for count, side in zip(scan_shape, frame, strict=True)
    )
    cure = (
        ""
        if good
        else "; too small: less defocus, or a longer camera length or less binning (smaller pixels)"
    )
    return Recommendation(
        {"padded_diffraction_intensities_shape": frame, "window": window, "object_shape": shape},
        good,
        f"patterns of {detector[0]} × {detector[1]} go into a frame of {frame[0]} × {frame[1]}, so that the "
        f"model may scatter beyond the detector; its window of {_short(window)} Å, which also pads the "
        f"object ({shape[0]} × {shape[1]} pixels without rotation), is for a probe of {_short(diameter)} Å"
        f"{cure}.",
    )


def recommend_loss(patterns: Any) -> Recommendation:
    """The likelihood: "poisson" for counted electrons, "amplitude" else.

    Counts are whole numbers, none negative.

    Parameters
    ----------
    patterns : (Ry, Rx, Qy, Qx)
        Read row by row.

    Returns
    -------
    Recommendation
        ``loss``.

    Raises
    ------
    TypeError, ValueError
        If an axis is missing.
    """
    check_four_axes(patterns)
    mean = float(np.mean([np.asarray(row).sum(dtype=np.float64) / len(row) for row in patterns]))
    if all(_counted(np.asarray(row)) for row in patterns):
        per_pixel = mean / math.prod(patterns.shape[-2:])
        reason = (
            f"whole numbers, {_short(mean)} per pattern and {per_pixel:.2g} per pixel: counts, whose noise "
            "is Poisson's; the amplitude loss is biased where counts are few."
        )
        return Recommendation({"loss": "poisson"}, True, reason)
    reason = (
        f"intensities of {_short(mean)} per pattern are no whole numbers of electrons: amplitudes, unless "
        "the data are divided by the detector's gain (then Poisson)."
    )
    return Recommendation({"loss": "amplitude"}, True, reason)


def _short(value: float) -> str:
    """Three digits, and no powers of ten."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _counted(row: np.ndarray) -> bool:
    whole = row.dtype.kind in "biu" or bool((row == np.round(row)).all())
    return whole and not bool((row < 0).any())


def _semiangle(value: float) -> float:
    hint = "was it given in radians?"
    return validation.number("semiangle_cutoff", value, minimum=0.5, maximum=200, unit="mrad", hint=hint)
