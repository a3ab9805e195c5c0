"""What emdfile finds when it looks for the class of an object in a file.

emdfile walks through ``sys.modules`` and takes every member of the modules that have ``_emd_hook``.
A module that loads its names lazily, as the package does, would import others during that walk, and
Python then raises "dictionary changed size during iteration". The members of this module import
nothing until an object of ours is read.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

_emd_hook = True

CLASSES = (
    "AtomicDisplacements",
    "DisplacementCorrelations",
    "MixedObjectMultislicePtychography",
    "ObjectEnsemble",
    "ThermalSnapshots",
)


def _from_h5(cls: type, group: Any) -> Any:
    """Read ``group`` with the class of the kit that has this one's name."""
    return getattr(import_module("caviar_kit"), cls.__name__).from_h5(group)


def __getattr__(name: str) -> Any:
    emdfile = sys.modules.get("emdfile")
    if name not in CLASSES or emdfile is None:
        raise AttributeError(f"module 'caviar_kit._emd' has no attribute {name!r}")
    stand_in = type(name, (emdfile.Node,), {"from_h5": classmethod(_from_h5), "__module__": __name__})
    globals()[name] = stand_in
    return stand_in


def __dir__() -> list[str]:
    return ["_emd_hook", *CLASSES]
