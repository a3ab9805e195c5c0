"""What an atomistic fit does, validated on construction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from caviar_kit import validation
from caviar_kit.atomistic.ensembles import Ensemble, FreeStates, GaussianStates
from caviar_kit.atomistic.scattering import PARAMETRIZATIONS
from caviar_kit.multislice.settings import REFINABLE

__all__ = ["AtomisticSettings"]


@dataclass(frozen=True)
class AtomisticSettings:
    """What an atomistic fit does.

    Parameters
    ----------
    num_states : int
        States of the ensemble; 1 refines a structure at rest.
    rank : int, optional
        Independent motions of a Gaussian ensemble, fewer than ``num_states``, see
        :class:`caviar_kit.atomistic.GaussianStates`; by default states are free.
    max_iter : int
        Iterations of L-BFGS.
    history : int
        Pairs kept by L-BFGS.
    parametrization : {"lobato", "kirkland", "peng"}
        Table of scattering factors, see :func:`caviar_kit.atomistic.phase_form_factors`.
    refine : str or sequence of str
        Unknowns besides the atoms, as in :class:`caviar_kit.multislice.FitSettings`: "probe",
        "background", "positions", "thickness", "tilt" ...
    priors : sequence
        Penalties on the displacements, see :mod:`caviar_kit.atomistic.priors`.
    thermal_rms_angstrom : float
        Size of the white displacements that the states begin with, along each axis.
    seed : int
        Of those.

    Raises
    ------
    TypeError, ValueError
        If a value is not usable.
    """

    num_states: int = 20
    rank: int | None = None
    max_iter: int = 40
    history: int = 20
    parametrization: str = "lobato"
    refine: str | Sequence[str] = ()
    priors: Sequence[Any] = ()
    thermal_rms_angstrom: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("num_states", "max_iter", "history"):
            validation.integer(name, getattr(self, name))
        validation.integer("seed", self.seed, minimum=0)
        validation.choice("parametrization", self.parametrization, PARAMETRIZATIONS)
        validation.number(
            "thermal_rms_angstrom",
            self.thermal_rms_angstrom,
            minimum=0,
            maximum=0.5,
            unit="Å",
            open_minimum=True,
        )
        names = (self.refine,) if isinstance(self.refine, str) else tuple(self.refine)
        for name in names:
            validation.choice("refine", name, REFINABLE)
        if {"probe", "aberrations"} <= set(names):
            raise ValueError("refine takes either 'probe', all its pixels, or 'aberrations', got both")
        object.__setattr__(self, "refine", names)
        if not isinstance(self.priors, Iterable):
            raise TypeError(f"priors must be a sequence of priors, got {type(self.priors).__name__}")
        for prior in self.priors:
            if not hasattr(prior, "value_and_gradient"):
                raise TypeError(f"priors must have value_and_gradient, got {prior!r}")
        self.ensemble()

    def ensemble(self) -> Ensemble:
        """How unknowns become displacements."""
        if self.rank is None:
            return FreeStates(self.num_states)
        return GaussianStates(self.num_states, self.rank, self.seed)
