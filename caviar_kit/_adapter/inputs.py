"""Checks of what users hand over, beyond those that the parent class makes."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit._adapter.parent import Parent

__all__ = [
    "check_aperture",
    "check_defocus",
    "check_preprocess_arguments",
    "check_scan_rotation",
    "coherence",
    "frame_shape",
    "object_padding",
    "object_states",
    "positions_mask",
    "scan_positions",
    "thicknesses",
]

_FIGURES = {"figsize", "cmap", "chroma_boost", "power"}
_REFUSED = {
    "region_of_interest_shape": "bin or crop the data cube beforehand",
    "diffraction_intensities_shape": "bin or crop the data cube beforehand",
    "crop_patterns": "bin or crop the data cube beforehand",
    "in_place_datacube_modification": "the data cube is never changed",
    "device": "give device to the constructor, or use reinitialize_parameters",
}


def check_preprocess_arguments(arguments: dict[str, Any]) -> None:
    """Refuse what ``preprocess`` cannot do; the parent would swallow a misspelt name.

    Raises
    ------
    TypeError
        If a name is unknown.
    ValueError
        If an option is not supported.
    """
    known = set(inspect.signature(Parent.preprocess).parameters) - {"self", "kwargs"}
    if unknown := sorted(set(arguments) - known - _FIGURES):
        raise TypeError(
            f"preprocess got unknown argument {', '.join(unknown)}; allowed are "
            f"{', '.join(sorted(known - set(_REFUSED)))}"
        )
    for name, cure in _REFUSED.items():
        if arguments.get(name):
            raise ValueError(f"{name} is not supported: {cure}")
    if not arguments.get("store_initial_arrays", True):
        raise ValueError("store_initial_arrays=False is not supported: every fit starts from them")


def check_aperture(semiangle: float | None, vacuum: Any, others: Sequence[Any]) -> None:
    """Refuse an unusable convergence semi-angle [mrad] or vacuum pattern, or none of these and the others.

    Raises
    ------
    TypeError, ValueError
        If the probe's aperture is not known from them.
    """
    if semiangle is not None:
        hint = "was it given in radians?"
        validation.number("semiangle_cutoff", semiangle, minimum=0.5, maximum=200, unit="mrad", hint=hint)
    elif vacuum is None and all(other is None for other in others):
        raise ValueError("semiangle_cutoff [mrad] is needed unless vacuum_probe_intensity is given")
    if vacuum is not None:
        validation.as_array("vacuum_probe_intensity", vacuum, shape=(None, None))


def check_defocus(defocus: float) -> None:
    """Refuse a defocus [Å] that is not a number or looks as if it were in metres.

    Raises
    ------
    TypeError, ValueError
        Then.
    """
    validation.number("defocus", defocus, minimum=-1e6, maximum=1e6, unit="Å")
    if 0 < abs(defocus) < 1e-3:
        raise ValueError(f"defocus={defocus:g}: did you mean angstrom? ({1e10 * defocus:g} Å if in metres)")


def frame_shape(shape: Any, detector: tuple[int, int]) -> tuple[int, int]:
    """``padded_diffraction_intensities_shape`` as two pixel counts (y, x), not below the ``detector``'s.

    Raises
    ------
    TypeError, ValueError
        If it is something else.
    """
    name = "padded_diffraction_intensities_shape"
    if not isinstance(shape, Collection) or len(shape) != 2:
        raise TypeError(f"{name} must be a pair (y, x) [pixel], got {shape!r}")
    height, width = (validation.integer(name, n) for n in shape)
    if height < detector[0] or width < detector[1]:
        raise ValueError(f"{name} must be at least {detector}, got {(height, width)}")
    return height, width


def check_scan_rotation(degrees: float | None, transpose: bool | None) -> None:
    """Refuse a ``force_com_rotation`` that is no number, a ``force_com_transpose`` that is no boolean.

    Raises
    ------
    TypeError, ValueError
        Then.
    """
    if degrees is not None:
        validation.number("force_com_rotation", degrees, unit="degree")
    if transpose is not None and not isinstance(transpose, (bool, np.bool_)):
        raise TypeError(f"force_com_transpose must be True or False, got {transpose!r}")


def positions_mask(mask: Any, scan_shape: tuple[int, ...]) -> np.ndarray | None:
    """``positions_mask`` as booleans (Ry, Rx), True where a pattern is used.

    Raises
    ------
    TypeError, ValueError
        If it has another shape or keeps nothing.
    """
    if mask is None:
        return None
    kept = validation.as_array("positions_mask", mask, shape=scan_shape).astype(bool)
    if not kept.any():
        raise ValueError("positions_mask must be True somewhere")
    return kept


def scan_positions(positions: Any, scan_shape: tuple[int, ...], mask: np.ndarray | None) -> np.ndarray | None:
    """``initial_scan_positions`` (used positions, 2), from zero on, y then x [Å].

    One row per pattern of the scan, or per pattern that ``positions_mask`` keeps. An offset is taken
    out: the parent would make the object that much larger.

    Raises
    ------
    TypeError, ValueError
        If they are not finite numbers, or too few or too many.
    """
    if positions is None:
        return None
    rows = validation.as_array("initial_scan_positions", positions, shape=(None, 2)).astype(float)
    total = int(np.prod(scan_shape))
    if mask is not None and len(rows) == total:
        rows = rows[mask.ravel()]
    used = total if mask is None else int(mask.sum())
    if len(rows) != used:
        raise ValueError(f"initial_scan_positions must have one row per pattern ({used}), got {len(rows)}")
    return rows - rows.min(axis=0)


def object_padding(padding: Any) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """``object_padding_px`` as ((top, bottom), (left, right)) [pixel].

    Raises
    ------
    TypeError, ValueError
        If it is neither a pair of numbers nor a pair of pairs, or negative.
    """
    if padding is None:
        return None
    if not isinstance(padding, Collection) or len(padding) != 2:
        raise TypeError(f"object_padding_px must be a pair (y, x) [pixel], got {padding!r}")
    first, second = (tuple(p) if isinstance(p, Collection) else (p, p) for p in padding)
    if len(first) != 2 or len(second) != 2:
        raise TypeError(f"object_padding_px must hold numbers or pairs of numbers, got {padding!r}")
    before, after = (
        tuple(validation.integer("object_padding_px", n, minimum=0) for n in p) for p in (first, second)
    )
    return (before[0], before[1]), (after[0], after[1])


def object_states(guess: np.ndarray) -> np.ndarray:
    """An initial object with its axis of states, complex64 (states, slices, y, x)."""
    array = validation.as_array("initial_object_guess", guess, complex_allowed=True)
    if array.ndim not in (3, 4):
        raise ValueError(
            "initial_object_guess must have shape (slices, y, x) or (states, slices, y, x), "
            f"got {array.shape}"
        )
    return array.reshape(-1, *array.shape[-3:]).astype(np.complex64)


def thicknesses(value: float | Sequence[float], num_slices: int) -> list[float]:
    """num_slices - 1 positive distances [Å]."""
    values = [value] * (num_slices - 1) if np.ndim(value) == 0 else list(value)  # type: ignore[arg-type]
    if len(values) != num_slices - 1:
        raise ValueError(
            f"slice_thicknesses must be one number or num_slices - 1 = {num_slices - 1}, got {len(values)}"
        )
    hint = "was it given in metres or nanometres?"
    return [
        validation.number("slice_thicknesses", v, minimum=0.1, maximum=1e4, unit="Å", hint=hint)
        for v in values
    ]


def coherence(num_probes: int, source_fwhm_angstrom: float, defocus_fwhm_angstrom: float) -> dict[str, Any]:
    """Arguments of :func:`caviar_kit.illumination.probe_modes`, checked."""
    widths = {
        "source_fwhm_angstrom": source_fwhm_angstrom,
        "defocus_fwhm_angstrom": defocus_fwhm_angstrom,
    }
    for name, width in widths.items():
        hint = "was it given in picometres?"
        validation.number(name, width, minimum=0, maximum=1000, unit="Å", hint=hint)
    if validation.integer("num_probes", num_probes) == 1 and max(widths.values()) > 0:
        raise ValueError(
            f"num_probes must be at least 2 to hold a beam of finite width, got 1 with {widths}; "
            "six to nine are usual"
        )
    return {"num_modes": num_probes, **widths}
