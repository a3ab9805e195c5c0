"""Counting noise: electrons arrive one by one.

The counts of a pixel are Poisson-distributed about the mean number of electrons that hit it. An ideal
counting detector is assumed: blur by the detector (``apply_mtf``) moves electrons but counts each once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.simulation.effects import (
    check_cube,
    check_order,
    each_pattern,
    record,
    scan_step_angstrom,
)

__all__ = ["apply_dose"]

_BRIGHTEST = 1.05  # of the beam; band-limiting the transmission may add 0.1 % near heavy atoms
_NEGATIVE = 1e-6  # of the beam: rounding


def apply_dose(
    patterns: Any,
    *,
    electrons_per_pattern: float | None = None,
    electrons_per_square_angstrom: float | None = None,
    seed: int,
    dtype: str = "float32",
) -> Any:
    """Turn fractions of the beam into counted electrons.

    Each pixel is drawn from a Poisson distribution with the mean intensity · electrons_per_pattern.
    Every pattern has its own stream of random numbers, made from the seed and its place in the scan: the bits
    do not depend on how the data are read.

    Parameters
    ----------
    patterns : py4DSTEM.DataCube or (Qy, Qx) array
        Fractions of the beam, as from ``scan`` or ``vacuum_probe_intensity``; left as they are. Those
        on disk (h5py.Dataset, numpy.memmap) are read one scan row at a time, and their result is kept in
        a temporary file.
    electrons_per_pattern : float, optional
        Electrons of the beam during one pattern, before the specimen; those that miss the detector are
        not counted.
    electrons_per_square_angstrom : float, optional
        Or the dose [1/Å²], electrons per pattern divided by the area of a scan step. For a vacuum pattern
        give the electrons per pattern, which ``applied_effects(datacube)`` reports.
    seed : int
        Seed of the random numbers: same seed, same bits.
    dtype : {"float32", "uint16", "uint32"}
        Of the counts, which are whole numbers in any case; float32 holds them exactly up to 16.7 million
        per pixel. It is what a reconstruction works with; uint16 halves a file.

    Returns
    -------
    py4DSTEM.DataCube or (Qy, Qx) array
        Counted electrons, not divided by the dose: a fit with the Poisson likelihood needs them so. Give the
        reconstruction a vacuum pattern in the same unit: times electrons_per_pattern, or as counted in
        n exposures, ``apply_dose(vacuum, electrons_per_pattern=n * dose, seed=...) / n``.

    Raises
    ------
    TypeError, ValueError
        If not exactly one dose is given, an argument is out of range, the patterns are not fractions of the
        beam, they are noisy already, or a count does not fit into ``dtype``.
    """
    check_order(patterns, "dose")
    seed = validation.integer("seed", seed, minimum=0)
    kind = np.dtype(validation.choice("dtype", dtype, ("float32", "uint16", "uint32")))
    dose = _dose(patterns, electrons_per_pattern, electrons_per_square_angstrom)
    electrons = dose["electrons_per_pattern"]

    def count(pattern: np.ndarray, index: int) -> np.ndarray:
        stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
        counts = stream.poisson(electrons * _fractions(pattern, index))
        if kind.kind == "u" and counts.max() > np.iinfo(kind).max:
            raise ValueError(f"dtype={dtype!r} cannot hold {counts.max()} electrons in a pixel: use float32")
        return counts

    result = each_pattern(patterns, count, dtype=kind)
    return result if isinstance(result, np.ndarray) else record(result, "dose", **dose, seed=seed)


def _dose(patterns: Any, per_pattern: Any, per_area: Any) -> dict[str, float]:
    """The dose in both units, as far as they can be known."""
    if (per_pattern is None) == (per_area is None):
        raise ValueError(
            "give either electrons_per_pattern or electrons_per_square_angstrom, got "
            f"{per_pattern!r} and {per_area!r}"
        )
    if isinstance(patterns, np.ndarray):
        if per_area is not None:
            raise ValueError(
                "electrons_per_square_angstrom needs a scan: for one pattern, give electrons_per_pattern"
            )
        return {"electrons_per_pattern": _positive("electrons_per_pattern", per_pattern)}
    check_cube(patterns)
    if per_area is not None:
        area = scan_step_angstrom(patterns) ** 2
        density = _positive("electrons_per_square_angstrom", per_area)
        return {"electrons_per_pattern": density * area, "electrons_per_square_angstrom": density}
    electrons = _positive("electrons_per_pattern", per_pattern)
    if patterns.calibration.get_R_pixel_units() == "pixels":
        return {"electrons_per_pattern": electrons}
    density = electrons / scan_step_angstrom(patterns) ** 2
    return {"electrons_per_pattern": electrons, "electrons_per_square_angstrom": density}


def _positive(name: str, value: Any) -> float:
    return validation.number(name, value, minimum=0, maximum=1e15, open_minimum=True)


def _fractions(pattern: np.ndarray, index: int) -> np.ndarray:
    """``pattern`` without negative rounding errors, if it can be fractions of the beam."""
    total, lowest = pattern.sum(), pattern.min()
    if not 0 < total <= _BRIGHTEST:
        raise ValueError(
            f"patterns must hold fractions of the beam, pattern {index} sums to {total:g}: divide all by the "
            "sum of the vacuum pattern (were they counted already?)"
        )
    if lowest < -_NEGATIVE:
        raise ValueError(f"patterns must not be negative, pattern {index} reaches {lowest:g} of the beam")
    return pattern.clip(0)
