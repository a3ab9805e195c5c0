"""Binning of detector pixels, and where the beam is afterwards.

A data cube has its undiffracted beam in the middle of pixel (N // 2, M // 2). Blocks of 2 x 2 pixels that
start at pixel 0, as a camera adds them up, have no pixel with the beam in its middle: the origin lies a
quarter of a binned pixel off, which a reconstruction that does not know has to explain by something else.
Bins centred on the beam avoid it.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.simulation.effects import applied_effects, check_cube, each_pattern, patterns_of, record
from caviar_kit.simulation.experiment import Experiment

__all__ = ["apply_binning", "beam_pixel"]


def apply_binning(
    patterns: Any, factor: int, *, centred: bool = True, experiment: Experiment | None = None
) -> Any:
    """Add up detector pixels by ``factor`` x ``factor``.

    Parameters
    ----------
    patterns : py4DSTEM.DataCube or (Qy, Qx) array
        With the beam on pixel (N // 2, M // 2); treat the vacuum pattern alike. Left as they are.
    factor : int
        Pixels per bin along each axis.
    centred : bool
        True: bins centred on the beam, which stays on pixel (n // 2, m // 2). Those of an even factor share
        the pixels on their common border, half to each; as counts would be halved, bin before ``apply_dose``.
        False: blocks from pixel (0, 0), as a camera adds them up. For an even factor the beam then lies
        between pixels: ``beam_pixel`` tells where, to be handed to ``preprocess(force_com_shifts=...)``.
    experiment : Experiment, optional
        Its probe and window tell whether binned pixels are fine enough.

    Returns
    -------
    py4DSTEM.DataCube or (Qy, Qx) array
        float32; incomplete bins at the border are left out. The calibrated detector pixel is larger and
        the calibrated origin (qx0, qy0) is the beam's pixel. The real-space window, 1 / detector pixel,
        shrinks by ``factor``: the probe must still fit.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, fewer than 4 bins remain along an axis, counts would be halved,
        or a data cube's beam is known to lie between pixels already.

    Warns
    -----
    UserWarning
        If the probe of ``experiment`` does not fit into the window that remains.
    """
    factor = validation.integer("factor", factor)
    if not isinstance(centred, (bool, np.bool_)):
        raise TypeError(f"centred must be True or False, got {centred!r}")
    shape = patterns_of(patterns).shape[2:]
    cube = None if isinstance(patterns, np.ndarray) else patterns
    if cube is not None:
        _check_history(cube, shape, factor, centred)
    matrices, origin = [], []
    for length in shape:
        matrix, beam = _centred_bins(length, factor) if centred else _blocks(length, factor)
        matrices.append(matrix)
        origin.append(beam)
    if experiment is not None:
        _warn_if_probe_does_not_fit(experiment, factor, cube)
    rows, columns = matrices
    result = each_pattern(patterns, lambda pattern, _: rows @ pattern @ columns.T, (len(rows), len(columns)))
    if cube is None:
        return result
    result.calibration.set_Q_pixel_size(factor * cube.calibration.get_Q_pixel_size())
    result.calibration.set_origin((origin[0], origin[1]))
    return record(result, "binning", factor=factor, centred=bool(centred), beam_pixel=np.array(origin))


def beam_pixel(datacube: Any) -> tuple[float, float]:
    """Pixel (y, x), possibly between two, on which the beam of a simulated ``datacube`` is centred.

    (N // 2, M // 2), or what ``apply_binning`` made of it.

    Raises
    ------
    TypeError
        If ``datacube`` is not a py4DSTEM.DataCube.
    """
    check_cube(datacube)
    for done in reversed(applied_effects(datacube)):
        if done["effect"] == "binning":
            y, x = done["beam_pixel"]
            return float(y), float(x)
    height, width = datacube.data.shape[2:]
    return float(height // 2), float(width // 2)


def _centred_bins(length: int, factor: int) -> tuple[np.ndarray, float]:
    """Matrix (bins, length) of complete bins about pixel length // 2, and the beam's bin."""
    reach, middle = factor // 2, length // 2
    below, above = (middle - reach) // factor, (length - 1 - middle - reach) // factor
    count = max(min(2 * below + 1, 2 * above + 2), 0)
    _check_count(count, length, factor)
    profile = np.ones(2 * reach + 1)
    if factor % 2 == 0:
        profile[[0, -1]] = 0.5
    matrix = np.zeros((count, length))
    for row, centre in enumerate(middle + factor * (np.arange(count) - count // 2)):
        matrix[row, centre - reach : centre + reach + 1] = profile
    return matrix, float(count // 2)


def _blocks(length: int, factor: int) -> tuple[np.ndarray, float]:
    """Matrix (blocks, length) of the blocks from pixel 0, and the beam's place in units of blocks."""
    count = length // factor
    _check_count(count, length, factor)
    matrix = np.zeros((count, length))
    for row in range(count):
        matrix[row, row * factor : (row + 1) * factor] = 1
    return matrix, (length // 2 - (factor - 1) / 2) / factor


def _check_count(count: int, length: int, factor: int) -> None:
    if count < 4:
        raise ValueError(f"factor must leave 4 bins or more of {length} detector pixels, got factor={factor}")


def _check_history(cube: Any, shape: tuple[int, ...], factor: int, centred: bool) -> None:
    names = {done["effect"] for done in applied_effects(cube)}
    if centred and factor % 2 == 0 and "dose" in names:
        raise ValueError(
            "factor must be odd for counted electrons, half an electron is none: use centred=False"
        )
    beam, middle = beam_pixel(cube), (shape[0] // 2, shape[1] // 2)
    if beam != middle:
        raise ValueError(f"the beam lies at {beam}, not on pixel {middle}: bin once only")


def _warn_if_probe_does_not_fit(experiment: Experiment, factor: int, cube: Any) -> None:
    if not isinstance(experiment, Experiment):
        raise TypeError(f"experiment must be an Experiment, got {type(experiment).__name__}")
    pixel = experiment.detector_pixel_inverse_angstrom
    window = 1 / (factor * (pixel if cube is None else float(cube.calibration.get_Q_pixel_size())))
    resolution = experiment.wavelength_angstrom / (2e-3 * experiment.semiangle_mrad)
    probe = 2 * (abs(experiment.defocus_angstrom) * 1e-3 * experiment.semiangle_mrad + resolution)
    if probe > window:
        warnings.warn(
            f"factor={factor} leaves a real-space window of {window:.1f} Å, but the probe is {probe:.1f} Å "
            "wide (2|defocus|·α + λ/α): it wraps around, and no reconstruction can fit the patterns",
            UserWarning,
            stacklevel=3,
        )
