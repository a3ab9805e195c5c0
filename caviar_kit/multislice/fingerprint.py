"""A hash of everything that decides what a fit does: two fits that share it are the same fit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from caviar_kit.backend import to_numpy
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.settings import FitSettings

__all__ = ["fingerprint"]

_PATTERNS = 16  # hashed, spread over the scan: reading all of a large data set would take too long


def fingerprint(settings: FitSettings, evaluator: Evaluator, **start: Any) -> str:
    """Hash of settings, model, loss, weights, some of the patterns, and where the fit starts.

    Parameters
    ----------
    settings : FitSettings
        What the fit does.
    evaluator : Evaluator
        Model and data; 16 patterns, spread over the scan, stand for all.
    **start
        Probe, object, instrument from which it starts.

    Returns
    -------
    str
        The same in every process and on every device.
    """
    patterns = evaluator.patterns
    some = np.linspace(0, len(patterns) - 1, min(_PATTERNS, len(patterns))).astype(int)
    parts = [
        settings,
        evaluator.model,
        evaluator.loss_function,
        evaluator.weights,
        patterns.shape,
        *(patterns[int(n)] for n in some),
        start,
    ]
    digest = hashlib.sha256()
    for word in _words(parts):
        digest.update(word + b"\0")
    return digest.hexdigest()


def _words(value: Any) -> Iterator[bytes]:
    """``value`` in words that tell it from every other value, whatever the process."""
    yield type(value).__name__.encode()
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):  # NumPy or CuPy
        array = np.ascontiguousarray(to_numpy(np.asarray(value) if np.isscalar(value) else value))
        yield f"{array.dtype.str} {np.shape(value)}".encode()
        yield array.tobytes()
    elif isinstance(value, Mapping):
        for key in sorted(value, key=repr):
            yield repr(key).encode()
            yield from _words(value[key])
    elif isinstance(value, (list, tuple)):
        yield str(len(value)).encode()
        for item in value:
            yield from _words(item)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _words({f.name: getattr(value, f.name) for f in fields(value) if f.init})
    elif hasattr(value, "__dict__") and not callable(value):  # a constraint of the user's own
        yield from _words(vars(value))
    else:
        yield getattr(value, "__qualname__", repr(value)).encode()
