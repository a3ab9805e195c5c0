"""How strongly an atom turns the phase: projected potentials from tabulated scattering factors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caviar_kit import validation

__all__ = ["PARAMETRIZATIONS", "phase_form_factors"]

PARAMETRIZATIONS = ("lobato", "kirkland", "peng")


def phase_form_factors(
    species: Sequence[str], q2: np.ndarray, energy_ev: float, parametrization: str = "lobato"
) -> np.ndarray:
    """Fourier transform of the phase that one atom at rest gives the wave, σ V(q) [rad Å²].

    The tables are abTEM's: "lobato" [Lobato & Van Dyck (2014), doi:10.1107/S205327331401643X],
    "kirkland" [Advanced Computing in Electron Microscopy (2010), appendix C], "peng" [Peng et al. (1996),
    doi:10.1107/S0108767395014371]. σ = 2π m e λ / h².

    Parameters
    ----------
    species : sequence of str
        Chemical symbols.
    q2 : real array
        Squared spatial frequency [1/Å²].
    energy_ev : float
        Kinetic energy of the electrons [eV].
    parametrization : {"lobato", "kirkland", "peng"}
        Which table.

    Returns
    -------
    float64 (species, *q2.shape)

    Raises
    ------
    ValueError
        If there is no such table, or it lacks an element.
    """
    from abtem.core.energy import energy2sigma
    from abtem.parametrizations import (
        KirklandParametrization,
        LobatoParametrization,
        PengParametrization,
    )

    validation.choice("parametrization", parametrization, PARAMETRIZATIONS)
    tables = (LobatoParametrization, KirklandParametrization, PengParametrization)
    table = dict(zip(PARAMETRIZATIONS, tables, strict=True))[parametrization]()
    frequencies = np.asarray(q2, float)
    factors = []
    for symbol in species:
        try:
            factors.append(table.projected_scattering_factor(symbol)(frequencies))
        except KeyError:
            raise ValueError(
                f"parametrization={parametrization!r} has no scattering factor of {symbol!r}"
            ) from None
    return np.asarray(factors, float) * energy2sigma(energy_ev)
