"""Refuse bad input early, in words that name the argument, what came and what is allowed."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["as_array", "choice", "integer", "number", "path_like"]


def number(
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    open_minimum: bool = False,
    unit: str = "",
    hint: str = "",
) -> float:
    """Return ``value`` as a finite float inside ``[minimum, maximum]``.

    ``open_minimum`` excludes ``minimum`` itself; ``hint`` is appended to the message.

    Raises
    ------
    TypeError
        If ``value`` is not a real number (booleans are refused too).
    ValueError
        If it is not finite or out of range.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number{_of(unit)}, got {_show(value)}")
    result = float(value)
    low = result <= minimum if open_minimum else result < minimum
    if not math.isfinite(result) or low or result > maximum:
        allowed = _interval(minimum, maximum, open_minimum)
        raise ValueError(_sentence(f"{name} must be {allowed}{_of(unit)}, got {value!r}", hint))
    return result


def integer(name: str, value: Any, *, minimum: int = 1, maximum: int | None = None) -> int:
    """Return ``value`` as an int inside ``[minimum, maximum]``.

    Raises
    ------
    TypeError
        If ``value`` is not an integer (2.0 and True are refused too).
    ValueError
        If it is out of range.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {_show(value)}")
    result = int(value)
    if result < minimum or (maximum is not None and result > maximum):
        upper = f" and at most {maximum}" if maximum is not None else ""
        raise ValueError(f"{name} must be at least {minimum}{upper}, got {result}")
    return result


def choice(name: str, value: Any, allowed: Collection[str]) -> str:
    """Return ``value`` if it is one of ``allowed``.

    Raises
    ------
    ValueError
        Otherwise, listing what is allowed.
    """
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def path_like(name: str, value: Any) -> Path:
    """Return ``value`` as a Path.

    Raises
    ------
    TypeError
        If it is neither a text nor a path.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be a text or a Path, got {_show(value)}")
    return Path(value)


def as_array(
    name: str,
    value: ArrayLike,
    *,
    shape: tuple[int | None, ...] | None = None,
    complex_allowed: bool = False,
    nonempty: bool = True,
) -> np.ndarray:
    """Return ``value`` as a finite numeric NumPy array.

    ``shape`` gives the expected shape; None stands for any length along an axis.

    Raises
    ------
    TypeError
        If the values are not numbers, or complex where real ones are needed.
    ValueError
        If the shape is wrong, the array is empty or holds NaN or infinity.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of unequal length
        raise ValueError(f"{name} must be a regular array: {error}") from error
    if array.dtype.kind not in ("biufc" if complex_allowed else "biuf"):
        raise TypeError(
            f"{name} must hold {'' if complex_allowed else 'real '}numbers, got dtype {array.dtype}"
        )
    if shape is not None and (
        array.ndim != len(shape)
        or any(want is not None and want != have for want, have in zip(shape, array.shape, strict=True))
    ):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must have shape ({wanted}), got {array.shape}")
    if nonempty and array.size == 0:
        raise ValueError(f"{name} is empty, got shape {array.shape}")
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite of {array.size} values")
    return array


def _of(unit: str) -> str:
    return f" [{unit}]" if unit else ""


def _show(value: Any) -> str:
    return f"{value!r} ({type(value).__name__})" if len(repr(value)) < 60 else type(value).__name__


def _interval(minimum: float, maximum: float, open_minimum: bool) -> str:
    if minimum == -math.inf and maximum == math.inf:
        return "finite"
    lower = "" if minimum == -math.inf else f"{'above' if open_minimum else 'at least'} {minimum:g}"
    upper = "" if maximum == math.inf else f"at most {maximum:g}"
    return " and ".join(part for part in (lower, upper) if part) + " and finite"


def _sentence(text: str, hint: str) -> str:
    return f"{text}; {hint}" if hint else text
