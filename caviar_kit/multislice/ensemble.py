"""From one mean object to an ensemble of states: how the fit of the states begins.

White noise as a start needs five times as many iterations as thermally warped copies of
the mean object, and loses more of the amplitude on the way. What the warps themselves correlate stays
partly in the result, so they are smooth over less than a bond length; see docs/theory.md for
what longer ones, and a longer one-state fit before, did to Einstein data and to amplitudes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from caviar_kit import validation
from caviar_kit.backend import array_module, to_numpy

__all__ = ["displacement_fields", "thermal_states"]

Array = Any


def displacement_fields(
    count: int,
    shape: tuple[int, int],
    sampling: tuple[float, float],
    rms_angstrom: float,
    correlation_angstrom: float | Sequence[float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Smooth random vector fields (count, 2, y, x) [pixel] whose mean over ``count`` is zero.

    Parameters
    ----------
    count : int
        Fields, at least 2.
    shape, sampling : (y, x)
        Pixels and pixel size [Å].
    rms_angstrom : float
        Root-mean-square displacement per axis [Å].
    correlation_angstrom : float or sequence of float
        Standard deviation [Å] of the Gaussian that smooths white noise; of several lengths each
        contributes the same variance.
    rng : numpy.random.Generator
        Source of the noise.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.
    """
    validation.integer("count", count, minimum=2)
    validation.number("rms_angstrom", rms_angstrom, minimum=0, unit="Å")
    lengths = np.atleast_1d(np.asarray(correlation_angstrom, float)).tolist()
    for length in lengths:
        validation.number("correlation_angstrom", length, minimum=0, unit="Å")
    pixel = validation.as_array("sampling", sampling, shape=(2,))
    fields = np.zeros((count, 2, *shape))
    for length in lengths:
        noise = rng.standard_normal(fields.shape)
        smooth = gaussian_filter(noise, (0, 0, *(length / pixel)), mode="wrap")
        smooth -= smooth.mean(axis=0)
        fields += smooth / smooth.std()
    fields *= rms_angstrom / fields.std()
    return fields / pixel[:, None, None]


def thermal_states(
    mean_object: Array,
    num_states: int,
    sampling: tuple[float, float],
    *,
    rms_angstrom: float = 0.03,
    correlation_angstrom: float | Sequence[float] = 0.5,
    slices_together: bool = True,
    rng: np.random.Generator,
) -> Array:
    """Copies of a one-state object, warped by thermal displacements, with the mean restored.

    Parameters
    ----------
    mean_object : (1, slices, y, x) real or complex
        Unknowns of the converged one-state fit.
    num_states : int
        Copies; 1 returns the object unchanged.
    sampling : (y, x)
        Pixel size [Å].
    rms_angstrom : float
        Displacement per axis [Å]; less than the thermal one will do, it only has to tell states apart.
    correlation_angstrom : float or sequence of float
        Smoothness of the displacement field [Å], below a bond length.
    slices_together : bool
        Whether all slices of a state move together, as bonded atoms of one column mostly do, or each on
        its own.
    rng : numpy.random.Generator
        Source of the displacements.

    Returns
    -------
    (num_states, slices, y, x), dtype and array module of ``mean_object``.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or ``mean_object`` has several states.
    """
    validation.integer("num_states", num_states)
    if mean_object.ndim != 4 or len(mean_object) != 1:
        raise ValueError(f"mean_object must have shape (1, slices, y, x), got {mean_object.shape}")
    if num_states == 1:
        return mean_object.copy()
    mean = to_numpy(mean_object)[0]
    grid = np.indices(mean.shape[-2:])
    states = np.empty((num_states, *mean.shape), mean.dtype)
    for z, layer in enumerate(mean):  # one slice after the other: in double precision they take much memory
        if z == 0 or not slices_together:
            fields = displacement_fields(
                num_states, layer.shape, sampling, rms_angstrom, correlation_angstrom, rng
            )
        warped = np.stack([_sample(layer, grid + field) for field in fields])
        states[:, z] = warped + (layer - warped.mean(axis=0))
    return array_module(mean_object).asarray(states)


def _sample(image: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
    """Cubic interpolation of a real or complex image (y, x) at coordinates (2, y, x)."""
    if image.dtype.kind == "c":
        return _sample(image.real, coordinates) + 1j * _sample(image.imag, coordinates)
    return map_coordinates(image, coordinates, order=3, mode="nearest")
