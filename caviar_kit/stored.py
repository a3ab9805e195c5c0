"""Results that come with the package, so that they can be studied without the machine that made them."""

from __future__ import annotations

from importlib.resources import as_file, files
from importlib.resources.abc import Traversable

from caviar_kit import validation
from caviar_kit.ensemble_result import EnsembleResult, load_result

__all__ = ["load_stored_result", "stored_results"]

_SUFFIX = ".npz"


def stored_results() -> tuple[str, ...]:
    """Names of the results that come with the package, in alphabetical order.

    What each is: docs/results.md, "Stored results".
    """
    names = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def load_stored_result(name: str) -> EnsembleResult:
    """A result that comes with the package; ``result.provenance`` tells how it was made.

    Parameters
    ----------
    name : str
        One of :func:`stored_results`, for example "si-sigma9-md-reduced".

    Raises
    ------
    ValueError
        If there is no such result (the message lists them), or its file is damaged.
    """
    validation.choice("name", name, stored_results())
    with as_file(_folder() / f"{name}{_SUFFIX}") as path:
        return load_result(path)


def _folder() -> Traversable:
    return files("caviar_kit") / "data" / "results"
