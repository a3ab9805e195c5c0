"""The py4DSTEM classes that the adapter builds on, and the one version whose private state it knows."""

from __future__ import annotations

from typing import Any

from caviar_kit._py4dstem import import_py4dstem

__all__ = ["VERSION", "ComplexProbe", "Parent"]

VERSION = "0.14.18"

_phase = import_py4dstem().process.phase
Parent: Any = _phase.MixedstateMultislicePtychography
ComplexProbe: Any = _phase.utils.ComplexProbe
