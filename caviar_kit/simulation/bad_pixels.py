"""Detector pixels that count nothing or far too much."""

from __future__ import annotations

from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.simulation.effects import applied_effects, check_cube, each_pattern, patterns_of, record, rows

__all__ = ["apply_bad_pixels", "bad_pixels"]


def apply_bad_pixels(
    datacube: Any, *, hot: int = 0, dead: int = 0, hot_value: float | None = None, seed: int
) -> Any:
    """Make some detector pixels hot or dead, the same ones in all patterns.

    Parameters
    ----------
    datacube : py4DSTEM.DataCube
        Left as it is.
    hot, dead : int
        How many, at random places.
    hot_value : float, optional
        What hot pixels show, in the unit of the data; by default 20 times the brightest pixel of all.
    seed : int
        Seed of the random places: same seed, same bits.

    Returns
    -------
    py4DSTEM.DataCube
        With the data type of the input. ``bad_pixels`` tells where they are.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or the data type cannot hold ``hot_value``.
    """
    check_cube(datacube)
    hot = validation.integer("hot", hot, minimum=0)
    dead = validation.integer("dead", dead, minimum=0)
    rng = np.random.default_rng(validation.integer("seed", seed, minimum=0))
    shape, dtype = datacube.data.shape[2:], np.dtype(datacube.data.dtype)
    if hot + dead > shape[0] * shape[1] // 2:
        raise ValueError(f"hot + dead must be at most half of {shape} detector pixels, got {hot} + {dead}")
    if hot_value is None:
        hot_value = 20 * max(float(row.max()) for row in rows(patterns_of(datacube)))
    value = validation.number("hot_value", hot_value, minimum=0)
    if hot and dtype.kind in "iu" and value > np.iinfo(dtype).max:
        raise ValueError(f"hot_value must fit into {dtype}, at most {np.iinfo(dtype).max}, got {value:g}")
    places = rng.choice(shape[0] * shape[1], hot + dead, replace=False)
    hot_pixels, dead_pixels = np.unravel_index(places[:hot], shape), np.unravel_index(places[hot:], shape)

    def spoilt(pattern: np.ndarray, index: int) -> np.ndarray:
        pattern[hot_pixels], pattern[dead_pixels] = value, 0
        return pattern

    result = each_pattern(datacube, spoilt, dtype=dtype)
    return record(result, "bad pixels", hot=np.array(hot_pixels).T, dead=np.array(dead_pixels).T, seed=seed)


def bad_pixels(datacube: Any) -> np.ndarray:
    """Boolean (Qy, Qx): True for the pixels that ``apply_bad_pixels`` spoilt.

    Its inverse is what ``preprocess(dp_mask=...)`` takes.

    Raises
    ------
    TypeError
        If ``datacube`` is not a py4DSTEM.DataCube.
    """
    check_cube(datacube)
    mask = np.zeros(datacube.data.shape[2:], bool)
    for done in applied_effects(datacube):
        if done["effect"] == "bad pixels":
            for kind in ("hot", "dead"):
                y, x = np.reshape(done[kind], (-1, 2)).T
                mask[y, x] = True
    return mask
