"""From settings to a well-posed fit: which unknowns, which positions, and is the start usable."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caviar_kit.multislice.aberrations import AberratedModes
from caviar_kit.multislice.conditioning import StateGain
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.instrument import QUANTITIES, Instrument, InstrumentModel
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.object_model import make_object_model
from caviar_kit.multislice.objective import Unknowns
from caviar_kit.multislice.probe_masks import aperture_mask, window_mask
from caviar_kit.multislice.probe_model import FreeModes
from caviar_kit.multislice.settings import FitSettings, Stage

__all__ = ["check_start", "make_unknowns", "split_positions", "thinned"]

Array = Any
ABERRATIONS = ("C10", "C12", "C21", "C23", "C30")


def split_positions(
    count: int, held_out_fraction: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of scan positions that are fitted, and of those held out (at least one, if any)."""
    held_out = 0 if held_out_fraction == 0 else max(1, round(held_out_fraction * count))
    if held_out >= count:
        raise ValueError(f"held_out_fraction={held_out_fraction:g} leaves none of {count} patterns to fit")
    order = rng.permutation(count) if held_out else np.arange(count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def thinned(positions: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Every other scan position, like the black fields of a chess board on a regular scan.

    Parameters
    ----------
    positions : (positions, 2)
        All of them, in any unit.
    indices : (n,) int
        Those to choose from; fewer than 8 are all kept.
    """
    if len(indices) < 8:
        return indices
    chosen = positions[indices]
    away = np.linalg.norm(chosen[:, None] - chosen[None, : min(len(chosen), 200)], axis=-1)
    step = float(np.median(np.where(away > 1e-9, away, np.inf).min(axis=0)))
    black = np.rint((chosen - chosen[0]) / step).astype(int).sum(axis=1) % 2 == 0
    return indices[black] if 0.4 < black.mean() < 0.6 else indices[::2]


def make_unknowns(
    settings: FitSettings, evaluator: Evaluator, stage: Stage, probe: Array, instrument: Instrument
) -> Unknowns:
    """Models of everything that a stage fits, starting from ``probe`` and ``instrument``."""
    model = evaluator.model
    quantities = tuple(name for name in stage.refine if name in QUANTITIES)
    return Unknowns(
        object_model=make_object_model(settings.object_type, model.object_limit()),
        projections=tuple(c for c in settings.constraints if hasattr(c, "forward")),
        penalties=tuple(c for c in settings.constraints if hasattr(c, "value_and_gradient")),
        gain=StateGain(settings.state_gain if stage.states > 1 else 1.0),
        probe_model=_probe_model(settings, stage, model, probe),
        instrument_model=InstrumentModel(instrument, quantities, evaluator.mean_pixel)
        if quantities
        else None,
    )


def _probe_model(
    settings: FitSettings, stage: Stage, model: MultisliceModel, probe: Array
) -> FreeModes | AberratedModes | None:
    if "aberrations" in stage.refine:
        return AberratedModes(probe, model.sampling, model.wavelength, ABERRATIONS)
    if "probe" not in stage.refine:
        return None
    aperture = window = None
    if settings.probe_aperture_mrad is not None:
        aperture = aperture_mask(model.window, model.sampling, model.wavelength, settings.probe_aperture_mrad)
    if settings.probe_window is not None:
        window = window_mask(model.window, settings.probe_window)
    return FreeModes(aperture, window)


def check_start(initial: Array, probe: Array, model: MultisliceModel, settings: FitSettings) -> None:
    """Refuse an object or a probe from which the fit cannot begin."""
    shape = (model.num_slices, *model.object_shape)
    allowed = {settings.stages[0].states, 1}
    if initial.ndim != 4 or initial.shape[1:] != shape or len(initial) not in allowed:
        states = " or ".join(map(str, sorted(allowed)))
        raise ValueError(
            f"initial_object must have shape ({states}, {', '.join(map(str, shape))}) "
            f"(states, slices, y, x), got {initial.shape}"
        )
    if not math.isfinite(float(abs(initial).sum())):
        raise ValueError("initial_object must be finite, got NaN or infinity")
    if probe.ndim != 3 or probe.shape[1:] != model.window or not len(probe):
        raise ValueError(
            f"probe must have shape (modes, {model.window[0]}, {model.window[1]}), got {probe.shape}"
        )
    brightness = float((abs(probe) ** 2).sum())
    if not (math.isfinite(brightness) and brightness > 0):
        raise ValueError(f"probe must be finite and not all zero, got Σ|probe|² = {brightness}")
