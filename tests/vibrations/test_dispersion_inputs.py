"""What phonon_dispersion refuses, and what it cannot determine but says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caviar_kit.vibrations import phonon_dispersion
from tests.vibrations.crystals import draw, honeycomb, patch, square

CRYSTAL = square()
ATOMS, LATTICE = patch(CRYSTAL, 9)
U = draw(CRYSTAL, ATOMS, 5, np.random.default_rng(0))
POSITIONS = U + LATTICE.cells @ LATTICE.vectors
TWICE = replace(LATTICE, cells=np.zeros_like(LATTICE.cells))
OPTIONS = {"path": "GXMG", "points": 5, "draws": 20}


def run(u=U, lattice=LATTICE, masses=40.0, kelvin=300.0, **options):
    return phonon_dispersion(u, lattice, masses, kelvin, **(OPTIONS | options))


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (TypeError, "lattice must be a Lattice", lambda: run(lattice=None)),
        (ValueError, "at least 3 states", lambda: run(U[:2])),
        (ValueError, r"u must have shape \(states, atoms, 2\)", lambda: run(U[0])),
        (ValueError, "u has 4 atoms, but lattice 9", lambda: run(U[:, :4])),
        (ValueError, "u must be finite", lambda: run(U + np.inf)),
        (TypeError, "u must hold real numbers", lambda: run(U + 1j)),
        (ValueError, "displacements\\(tracked\\)", lambda: run(POSITIONS)),
        (ValueError, "nothing moves", lambda: run(0 * U)),
        (ValueError, "no atom of the lattice is present", lambda: run(U + np.nan)),
        (ValueError, "two atoms share a site", lambda: run(lattice=TWICE)),
        (ValueError, "masses must be above 0", lambda: run(masses=-1.0)),
        (ValueError, "one for each of 1 sites", lambda: run(masses=[1.0, 2.0])),
        (ValueError, "temperature_k", lambda: run(kelvin=-1.0)),
        (ValueError, "at rest at 0 K", lambda: run(kelvin=0, statistics="classical")),
        (ValueError, "statistics must be one of", lambda: run(statistics="bose")),
        (ValueError, "method must be one of", lambda: run(method="fast")),
        (TypeError, "symmetry must be True or False", lambda: run(symmetry="yes")),
        (ValueError, "special points among", lambda: run(path="GKMG")),
        (ValueError, "draws must be at least 20", lambda: run(draws=1)),
        (ValueError, "seed", lambda: run(seed=-1)),
        (ValueError, "reach", lambda: run(reach=-1.0)),
        (ValueError, "reach", lambda: run(reach="long")),
        (ValueError, "no two atoms within", lambda: run(reach=1.0)),
        (ValueError, "too few for", lambda: run(U[:3, :], symmetry=False)),
    ],
)
def test_refusals(error, match, call):
    with pytest.raises(error, match=match):
        call()


def test_fewer_states_than_modes_are_flagged_by_equation_6():
    crystal = honeycomb()
    atoms, lattice = patch(crystal, 9)
    u = draw(crystal, atoms, 4, np.random.default_rng(0))  # 3 degrees of freedom, 4 modes
    result = phonon_dispersion(u, lattice, crystal.masses, 300, points=9, draws=20, method="direct")
    assert (result.flags[:, -1] == "undetermined").all()
    assert np.isinf(result.frequencies_thz[:, -1]).all()
    assert not np.isnan(result.frequencies_thz).any()
    assert not np.isnan(result.interval_thz).any()


def test_loose_bonds_are_named():
    crystal = honeycomb()
    atoms, lattice = patch(crystal, 20)
    u = draw(crystal, atoms, 5, np.random.default_rng(0))
    only = replace(lattice, sites=np.where(lattice.sites == 1, -1, 0))
    with pytest.raises(ValueError, match="loose"):
        phonon_dispersion(u, only, crystal.masses, 300, points=9, draws=20)


def test_a_single_row_of_cells_says_nothing_across():
    atoms, lattice = patch(CRYSTAL, 80)
    row = np.flatnonzero(lattice.cells[:, 1] == 9)
    assert len(row) > 6
    u = draw(CRYSTAL, atoms, 40, np.random.default_rng(0))[:, row]
    here = replace(lattice, **{name: getattr(lattice, name)[row] for name in ("cells", "sites", "residual")})
    q = np.array([[0.0, 0.9], [0.5, 0.9], [0.5, 0.0]])  # y is across the row
    result = phonon_dispersion(u, here, 40.0, 300, q, draws=20, symmetry=False)
    assert (result.flags[0] == "").all()
    assert (result.flags[1:] == "undetermined").all()
    assert (result.frequencies_thz[0] > 1).all()
