"""What all data of the kit share: an emdfile node that remembers how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit._metadata import plain
from caviar_kit._py4dstem import import_py4dstem
from caviar_kit._storage import Stored, current_versions

__all__ = ["Dataset", "lengths"]

_Custom: Any = import_py4dstem().Custom


class Dataset(Stored, _Custom):
    """An array with its origin.

    Attributes
    ----------
    parameters : dict
        How it was made: numbers, texts, arrays, dicts of them.
    seed : int or None
        Seed of the random numbers on the way.
    loss : (iterations,) float or None
        Misfit after each iteration of the reconstruction.
    versions : dict of str to str
        Of caviar_kit, numpy and py4DSTEM when the object was made.
    """

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, Any] | None,
        seed: int | None,
        loss: ArrayLike | None,
    ) -> None:
        if not isinstance(name, str) or not name or "/" in name:
            raise ValueError(f"name must be a text without '/', got {name!r}")
        if parameters is not None and not isinstance(parameters, Mapping):
            raise TypeError(f"parameters must be a mapping, got {type(parameters).__name__}")
        _Custom.__init__(self, name=name)
        self.parameters: dict[str, Any] = plain("parameters", dict(parameters or {}))
        self.seed = None if seed is None else validation.integer("seed", seed, minimum=0)
        self.loss = None
        if loss is not None:
            self.loss = validation.as_array("loss", loss, shape=(None,), nonempty=False).astype(float)
        self.versions = current_versions()

    @property
    def _origin(self) -> dict[str, Any]:
        return {"parameters": self.parameters, "seed": self.seed, "loss": self.loss}

    def _stored_record(self) -> dict[str, Any]:
        return self._origin

    @classmethod
    def _arguments(cls, arrays: dict[str, np.ndarray], record: dict[str, Any]) -> dict[str, Any]:
        """Arguments of the constructor beside name and origin."""
        raise NotImplementedError

    @classmethod
    def _get_constructor_args(cls, group: Any) -> dict[str, Any]:
        record = cls._read_record(group)
        arrays = cls._read_arrays(group, record)
        try:
            origin = {key: record[key] for key in ("parameters", "seed", "loss")}
            return {**cls._arguments(arrays, record), **origin, "name": group.name.rsplit("/", 1)[-1]}
        except KeyError as error:
            raise ValueError(f"{group.name} ({cls.__name__}) lacks {error}") from error

    def _populate_instance(self, group: Any) -> None:
        self.versions = self._read_record(group)["versions"]


def lengths(name: str, value: ArrayLike, count: int) -> np.ndarray:
    """``count`` positive numbers [Å]."""
    array = validation.as_array(name, value, shape=(count,), nonempty=False).astype(float)
    if (array <= 0).any():
        raise ValueError(f"{name} must be positive [Å], got {array.tolist()}")
    return array
