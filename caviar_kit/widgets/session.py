"""A session on disk: the settings of a panel as JSON, and the reconstruction beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from caviar_kit import validation
from caviar_kit.ptychography import MixedObjectMultislicePtychography

__all__ = ["read_session", "write_session"]

_FORMAT, _VERSION = "caviar_kit session", 1
_BESIDE = ".reconstruction.h5"  # not .h5 alone: beside scan.json the measured scan.h5 may lie
_CLASS = "MixedObjectMultislicePtychography"


def write_session(
    path: str | os.PathLike[str],
    settings: Mapping[str, Any],
    ptychography: MixedObjectMultislicePtychography,
) -> Path:
    """Write ``path`` (.json) and, if there is a reconstruction, ``<stem>.reconstruction.h5`` beside it.

    Both are written before either replaces an earlier one; if that fails, the earlier ones stay.

    Parameters
    ----------
    path : path
        Ends in .json, or in nothing, which becomes .json; an earlier session is replaced.
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
        If the name ends otherwise, or a file that would be replaced is none of a session.
    """
    file = _json_path(path)
    if not file.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {file.parent}")
    fitted = bool(getattr(ptychography, "error_iterations", None))
    beside = file.with_name(file.stem + _BESIDE)
    _require_replaceable(file, beside if fitted else None)
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "settings": dict(settings),
        "reconstruction": beside.name if fitted else None,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    new = _partial(beside, "part.h5"), _partial(file, "part.json")
    try:
        new[1].write_text(text, encoding="utf-8")
        if fitted:
            ptychography.save(new[0])
            _replace_both(new, (beside, file))
        else:
            new[1].replace(file)
    finally:
        for partial in new:
            partial.unlink(missing_ok=True)
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


def _partial(file: Path, ending: str) -> Path:
    return file.with_name(f".{file.name}.{os.getpid()}.{ending}")


def _replace_both(new: tuple[Path, Path], old: tuple[Path, Path]) -> None:
    """Rename the new reconstruction and session to the old ones' names; on an error both old ones stay."""
    kept = _partial(old[0], "kept")
    existed = old[0].exists()
    if existed:
        old[0].replace(kept)
    try:
        new[0].replace(old[0])
        new[1].replace(old[1])
    except BaseException:
        old[0].unlink(missing_ok=True)
        if existed:
            kept.replace(old[0])
        raise
    kept.unlink(missing_ok=True)


def _require_replaceable(file: Path, beside: Path | None) -> None:
    """Of what is there already, only earlier sessions are replaced."""
    if file.exists() and not _is_session(file):
        raise ValueError(f"{file} exists and is no session of caviar_kit: choose another name")
    if beside is not None and beside.exists() and not _is_reconstruction(beside):
        raise ValueError(
            f"{beside} exists and is not a reconstruction that a session wrote: choose another name"
        )


def _is_session(file: Path) -> bool:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == _FORMAT


def _is_reconstruction(file: Path) -> bool:
    """Whether it holds reconstructions of the kit, and no measured data."""
    try:
        with h5py.File(file, "r") as content:
            nodes = [node for root in content.values() for node in root.values()]
            found = [node for node in nodes if node.attrs.get("python_class") == _CLASS]
            return bool(found) and not any("datacube" in node for node in found)
    except (OSError, AttributeError, KeyError, RuntimeError):
        return False


def _json_path(path: str | os.PathLike[str]) -> Path:
    file = validation.path_like("path", path)
    if not file.name:
        raise ValueError("path must name a file, got an empty text")
    file = file if file.suffix else file.with_suffix(".json")
    if file.suffix != ".json":
        raise ValueError(f"path must end in .json, got {file.name!r}")
    return file
