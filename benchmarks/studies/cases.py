"""What a study is: a list of cases, how each is run, and a picture of what they gave."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

__all__ = ["Case", "Line", "Options", "Study"]

Line = Mapping[str, Any]
"""What a finished case leaves: {"study", "case": parameters, "result", "seconds", "provenance"}."""


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line and concerns every case."""

    preset: str = "quick"
    device: str = "cpu"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Case:
    """One thing to do, known by its study and parameters.

    ``parameters`` say all that the result depends on, as JSON keeps it (numbers, text, lists, None): they
    are the case's name. ``seconds`` is a guess of how long it takes on one CPU thread, ``device`` where it
    runs; neither is part of the name.
    """

    study: str
    parameters: Mapping[str, Any]
    seconds: float = 60.0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.study:
            raise ValueError("study must not be empty")
        if not self.seconds > 0:
            raise ValueError(f"seconds must be positive, got {self.seconds!r}")
        # as on disk, where tuples are lists
        kept = json.loads(json.dumps(dict(self.parameters), allow_nan=False))
        object.__setattr__(self, "parameters", MappingProxyType(kept))

    def __getitem__(self, name: str) -> Any:
        return self.parameters[name]

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter, or ``default``."""
        return self.parameters.get(name, default)

    @property
    def key(self) -> str:
        """The same text for the same case."""
        return key_of(self.study, self.parameters)

    def __str__(self) -> str:
        return f"{self.study}: " + ", ".join(f"{k}={v}" for k, v in self.parameters.items())


def key_of(study: str, parameters: Mapping[str, Any]) -> str:
    """What names a case, whatever the order of its parameters."""
    return json.dumps([study, dict(parameters)], sort_keys=True)


class Study(Protocol):
    """What a module of a study has; ``table(lines) -> str`` (Markdown) beside it if it likes."""

    def cases(self, options: Options) -> list[Case]:
        """All cases, those that matter most first."""

    def run(self, case: Case) -> dict[str, Any]:
        """Do one case; the result as JSON keeps it."""

    def draw(self, lines: Sequence[Line], path: Path) -> None:
        """Draw the figure from the lines of the finished cases alone; missing ones leave gaps."""
