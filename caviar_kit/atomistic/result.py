"""What an atomistic fit found: small, saved as .npz, ready for correlations."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from caviar_kit.npz import read_npz, write_npz
from caviar_kit.vibrations.correlations import displacements, greens_tensor

__all__ = ["AtomisticResult", "load_atomistic"]


@dataclass(frozen=True, eq=False)
class AtomisticResult:
    """Atoms of all states as an atomistic fit left them.

    Attributes
    ----------
    tracked : float64 (states, sites, 2), or (states, slices, sites, 2) if every slice moves on its own
        Positions y, x [Å]; pixel (0, 0) of the object is the origin. NaN where a site has no atoms in a
        slice.
    symbols : array of str, (sites,)
        Element of each site.
    occupancies : float64 (sites, slices)
        Atoms of each site in each slice, as given or as found.
    scales, widths : float64 (species,)
        Factor on the phase, and variance of the blur of the potential along each axis [Å²]; in the
        alphabetic order of the elements.
    in_field : bool (sites,)
        Sites inside the rectangle of the scan positions: the others are lit by a few patterns only.
    misfit : float64 (positions,)
        Loss of each pattern, without priors.
    loss : float64 (iterations,)
        Misfit and priors per pattern after each iteration.
    loss_name : str
        "amplitude" or "poisson".
    seconds : float
        Duration of the fit.
    """

    tracked: np.ndarray
    symbols: np.ndarray
    occupancies: np.ndarray
    scales: np.ndarray
    widths: np.ndarray
    in_field: np.ndarray
    misfit: np.ndarray
    loss: np.ndarray
    loss_name: str
    seconds: float

    @property
    def positions(self) -> np.ndarray:
        """Mean position of each site (sites, 2) [Å]."""
        mean = self.tracked.mean(axis=0)
        return np.asarray(mean if mean.ndim == 2 else np.nanmean(mean, axis=0))

    @property
    def displacements(self) -> np.ndarray:
        """From the mean over the states, shaped as ``tracked`` [Å]."""
        return displacements(self.tracked)

    @property
    def greens_tensor(self) -> np.ndarray:
        """Eq. 2 of CAVIAR: (sites, 2, sites, 2) [Å²]; NaN between sites that share no slice."""
        return greens_tensor(self.displacements, missing="pairwise")

    @property
    def atoms_per_site(self) -> np.ndarray:
        """Atoms of each site over all slices, (sites,)."""
        return np.asarray(self.occupancies.sum(axis=1))

    def of(self, chosen: Any) -> AtomisticResult:
        """The same of some sites: a mask or indices, for example ``result.of(result.in_field)``."""
        return AtomisticResult(
            **{
                **{f.name: getattr(self, f.name) for f in fields(self)},
                "tracked": self.tracked[..., chosen, :],
                "symbols": self.symbols[chosen],
                "occupancies": self.occupancies[chosen],
                "in_field": self.in_field[chosen],
            }
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to ``path`` (.npz without pickles), complete or not at all."""
        write_npz(path, {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}, compress=True)


def load_atomistic(path: str | os.PathLike[str]) -> AtomisticResult:
    """Read what :meth:`AtomisticResult.save` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or something else.
    """
    arrays: dict[str, Any] = read_npz(path, [f.name for f in fields(AtomisticResult)])
    sites = len(arrays["symbols"]) if arrays["symbols"].ndim == 1 else -1
    shapes = {name: arrays[name].shape for name in ("tracked", "occupancies", "in_field", "seconds")}
    if (
        shapes["tracked"][-2:] != (sites, 2)
        or shapes["occupancies"][:1] != (sites,)
        or shapes["in_field"] != (sites,)
        or shapes["seconds"] != ()
    ):
        raise ValueError(f"{path} is no atomistic result: its arrays have shapes {shapes}")
    arrays |= {"loss_name": str(arrays["loss_name"]), "seconds": float(arrays["seconds"])}
    return AtomisticResult(**arrays)
