"""Many arrays of unknowns as one real vector, which is what an optimiser moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Packing"]

Array = Any


@dataclass(frozen=True)
class Packing:
    """Where each array lies in the vector, and in which unit.

    Parameters
    ----------
    shapes : dict of name → shape
    dtypes : dict of name → dtype
        Real or complex; a complex number takes two places.
    scales : dict of name → float
        An array's unknowns in the vector are the array divided by this.
    dtype : real dtype
        Of the vector.
    """

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, np.dtype[Any]]
    scales: Mapping[str, float]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, arrays: Mapping[str, Array], dtype: np.dtype[Any], scales: Mapping[str, float]) -> Packing:
        """The packing that fits ``arrays``, each scaled by 1 unless ``scales`` says otherwise."""
        return cls(
            {name: array.shape for name, array in arrays.items()},
            {name: np.dtype(array.dtype) for name, array in arrays.items()},
            {name: float(scales.get(name, 1.0)) for name in arrays},
            dtype,
        )

    def pack(self, arrays: Mapping[str, Array], xp: Any, *, gradient: bool = False) -> Array:
        """The vector of ``arrays``, or of gradients, which scale the other way."""
        parts = []
        for name in self.shapes:
            array = arrays[name]
            part = xp.ascontiguousarray(xp.asarray(array)).astype(self._stored(name), copy=False)
            part = part.view(self.dtype).ravel()
            if (scale := self.scales[name]) != 1:
                part = part * self.dtype.type(scale if gradient else 1 / scale)
            parts.append(part)
        return xp.concatenate(parts)

    def unpack(self, vector: Array) -> dict[str, Array]:
        """The arrays in their own shapes and dtypes; views where nothing has to be scaled or cast."""
        arrays, begin = {}, 0
        for name, shape in self.shapes.items():
            stored = self._stored(name)
            length = int(np.prod(shape)) * (2 if stored.kind == "c" else 1)
            part = vector[begin : begin + length].view(stored).reshape(shape)
            if (scale := self.scales[name]) != 1:
                part = part * self.dtype.type(scale)
            arrays[name] = part
            begin += length
        return arrays

    def _stored(self, name: str) -> np.dtype[Any]:
        """Dtype of an array inside the vector: its kind, the vector's precision."""
        if self.dtypes[name].kind == "c":
            return np.result_type(self.dtype, np.complex64)
        return self.dtype
