"""Values that emdfile's Metadata writes and reads back without loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["plain", "revived"]

_LARGEST = 2**63


def plain(name: str, value: Any) -> Any:
    """``value`` as emdfile's Metadata can hold it: numbers, texts, None, arrays, and dicts of them.

    NumPy's scalars become Python's (``np.bool_`` would raise there), nested lists become arrays.

    Raises
    ------
    TypeError
        If there is something else in it.
    ValueError
        If a key holds a slash (HDF5's separator), or an integer needs more than 64 bits.
    """
    if isinstance(value, Mapping):
        return {_key(name, key): plain(f"{name}[{key!r}]", item) for key, item in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, str, float, complex)):
        return value
    if isinstance(value, int):
        if not -_LARGEST <= value < _LARGEST:
            raise ValueError(f"{name} must fit into 64 bits to be saved, got {value}")
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return value
    if isinstance(value, (list, tuple)):
        return _sequence(name, value)
    raise TypeError(
        f"{name} must be made of numbers, texts, None, arrays, lists and dicts to be saved, "
        f"got {type(value).__name__}"
    )


def _key(name: str, key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{name} must have texts as keys, got {key!r} ({type(key).__name__})")
    if not key or "/" in key or key == ".":
        raise ValueError(f"{name} must have keys without '/', not empty and not '.', got {key!r}")
    return key


def _sequence(name: str, value: list[Any] | tuple[Any, ...]) -> Any:
    """Numbers or texts in a row stay a list or tuple; nested numbers become an array."""
    kind = type(value) if type(value) in (list, tuple) else tuple
    if all(isinstance(item, str) for item in value):
        return kind(value)
    if any(isinstance(item, (str, Mapping)) or item is None for item in value):
        raise TypeError(f"{name} must hold only numbers or only texts to be saved, got {value!r}")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{name} must be a regular array to be saved: {error}") from error
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{name} must hold numbers to be saved, got {value!r}")
    return kind(array.tolist()) if array.ndim == 1 else array


def revived(value: Any) -> Any:
    """What Metadata read, with Python's numbers in lists and tuples again."""
    if isinstance(value, dict):
        return {key: revived(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(item.item() if isinstance(item, np.generic) else item for item in value)
    return value
