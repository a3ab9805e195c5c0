"""A session on disk: the settings of a panel as JSON, and the reconstruction beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caviar_kit import validation
from caviar_kit._replacing import replacing
from caviar_kit.ptychography import MixedObjectMultislicePtychography

__all__ = ["read_session", "write_session"]

_FORMAT, _VERSION = "caviar_kit session", 1


def write_session(
    path: str | os.PathLike[str],
    settings: Mapping[str, Any],
    ptychography: MixedObjectMultislicePtychography,
) -> Path:
    """Write ``path`` (.json) and, if there is a reconstruction, a file of the same name ending in .h5.

    Parameters
    ----------
    path : path
        Ends in .json, or in nothing, which becomes .json; existing files are replaced.
    settings : mapping of texts to texts, numbers, booleans and tuples of texts
    ptychography : MixedObjectMultislicePtychography

    Returns
    -------
    Path
        The .json file.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If the name ends otherwise.
    """
    file = _json_path(path)
    if not file.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {file.parent}")
    reconstruction = None
    if getattr(ptychography, "error_iterations", None):
        reconstruction = file.with_suffix(".h5").name
        ptychography.save(file.with_suffix(".h5"))
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "settings": dict(settings),
        "reconstruction": reconstruction,
    }
    with replacing(file) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def read_session(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Path | None]:
    """Settings, and the file of the reconstruction if there is one.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or the reconstruction beside it is gone.
    ValueError
        If it is no session, or of a newer version.
    """
    file = _json_path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no session: {error}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(f"{file} is no session of caviar_kit")
    if content.get("version") != _VERSION:
        raise ValueError(
            f"{file} is a session of version {content.get('version')}; this one reads {_VERSION}"
        )
    settings, name = content.get("settings"), content.get("reconstruction")
    if not isinstance(settings, dict) or not (name is None or isinstance(name, str)):
        raise ValueError(f"{file} is damaged: it lacks settings, or the name of the reconstruction")
    if name is None:
        return settings, None
    if Path(name).name != name:
        raise ValueError(f"{file} is damaged: {name!r} does not name a file beside it")
    reconstruction = file.with_name(name)
    if not reconstruction.is_file():
        raise FileNotFoundError(f"{file} names the reconstruction {name}, which is not beside it")
    return settings, reconstruction


def _json_path(path: str | os.PathLike[str]) -> Path:
    file = validation.path_like("path", path)
    if not file.name:
        raise ValueError("path must name a file, got an empty text")
    file = file if file.suffix else file.with_suffix(".json")
    if file.suffix != ".json":
        raise ValueError(f"path must end in .json, got {file.name!r}")
    return file
