"""Memory that a fit needs, before it starts."""

from __future__ import annotations

import math

from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.settings import FitSettings

__all__ = ["estimate_memory"]


def estimate_memory(
    model: MultisliceModel, settings: FitSettings, *, num_probes: int = 1, threads: int = 1
) -> dict[str, int]:
    """Bytes that the parts of a single-precision fit need, and their "total".

    Parameters
    ----------
    model : MultisliceModel
        Geometry.
    settings : FitSettings
        States, optimiser and its history.
    num_probes : int
        Probe modes.
    threads : int
        CPU threads, each with its own waves and gradient; 1 on a GPU.
    """
    single, double = 4, 8
    window = math.prod(model.window)
    pixels = settings.num_states * model.num_slices * math.prod(model.object_shape)
    unknowns = pixels * (single if settings.object_type == "phase" else double)
    vectors = 2 * settings.history + 5 if settings.optimizer == "lbfgs" else 6
    waves = num_probes * settings.num_states * window * double
    parts = {
        "patterns": len(model.positions) * window * single,
        "object and gradients": (2 + threads) * pixels * double,
        "optimizer": vectors * unknowns,
        "waves": threads * (model.num_slices + 1) * waves,
    }
    return {**parts, "total": sum(parts.values())}
