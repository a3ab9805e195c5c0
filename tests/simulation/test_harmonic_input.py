"""What harmonic motion refuses, and in which words."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from caviar_kit.physics import frequency_thz, mean_square_amplitude
from caviar_kit.simulation import harmonic, harmonic_covariance, phonon_frequencies
from tests.simulation.springs import chain, dimer

ATOMS, SPRINGS = chain(4)
TILTED = ATOMS.copy()
TILTED.rotate(30, "x", rotate_cell=True)


def changed(i, a, j, b, by):
    constants = SPRINGS.copy()
    constants[i, a, j, b] += by
    return constants


@pytest.mark.parametrize(
    ("named", "message", "error"),
    [
        ({"temperature_k": -1}, "temperature_k", ValueError),
        ({"temperature_k": "300"}, "temperature_k", TypeError),
        ({"snapshots": 0}, "snapshots", ValueError),
        ({"seed": -1}, "seed", ValueError),
        ({"seed": 1.5}, "seed", TypeError),
        ({"statistics": "bose"}, "'quantum', 'classical'", ValueError),
        ({"tolerance": 0.5}, "tolerance", ValueError),
        ({"bodies": [0, 1]}, "bodies", ValueError),
        ({"bodies": [0.0, 1.0, 0.0, 1.0]}, "bodies", TypeError),
        ({"atoms": "Si"}, "atoms", TypeError),
        ({"atoms": TILTED}, "cell must have", ValueError),
        ({"atoms": ATOMS[:1]}, "number of atoms", ValueError),
        ({"atoms": ATOMS[:3]}, "force_constants must have shape", ValueError),
        ({"force_constants": SPRINGS.transpose(0, 2, 1, 3)}, "phonopy", ValueError),
        ({"force_constants": np.full((12, 12), np.nan)}, "finite", ValueError),
        ({"force_constants": np.zeros((12, 12))}, "not bound", ValueError),
        ({"force_constants": np.zeros((12, 12), complex)}, "real", TypeError),
        ({"force_constants": csr_array((9, 9))}, "force_constants must have shape", ValueError),
        ({"force_constants": changed(0, 0, 1, 1, 0.5)}, "symmetric", ValueError),
        ({"force_constants": changed(2, 2, 2, 2, 0.5)}, "acoustic sum rule", ValueError),
        (
            {"force_constants": csr_array(changed(2, 2, 2, 2, 0.5).reshape(12, 12))},
            "acoustic sum rule",
            ValueError,
        ),
    ],
)
def test_bad_input_is_refused_by_name(named, message, error):
    arguments = {"atoms": ATOMS, "force_constants": SPRINGS, "seed": 0, **named}
    with pytest.raises(error, match=message):
        harmonic(**arguments)


@pytest.mark.parametrize("convert", [np.asarray, lambda a: csr_array(a.reshape(24, 24))])
def test_unstable_crystals_are_refused_with_their_lowest_frequency(convert):
    atoms, springs = chain(8, stiffness=(2.0, -0.02, 7.0))
    lowest = phonon_frequencies(atoms, springs)[0]
    assert lowest < 0
    with pytest.raises(ValueError, match=f"unstable: the lowest frequency is imaginary, {-lowest:.3g}i THz"):
        harmonic(atoms, convert(springs), seed=0)


def test_a_free_motion_is_refused():
    atoms, springs = dimer(stiffness=(3.0, 0.0, 8.0))
    with pytest.raises(ValueError, match="lowest frequency"):
        harmonic_covariance(atoms, springs)


def test_large_cells_are_not_diagonalised():
    atoms = ATOMS.repeat((11, 10, 10))
    with pytest.raises(ValueError, match="at most 4000"):
        harmonic_covariance(atoms, free_line(len(atoms)))


def free_line(count):
    from scipy.sparse import diags_array, kron

    line = diags_array([2.0, -1.0, -1.0], offsets=[0, 1, -1], shape=(count, count)).tolil()
    line[0, -1] = line[-1, 0] = -1.0
    return kron(line.tocsr(), csr_array(np.eye(3))).tocsr()


def test_small_breaks_of_the_sum_rule_are_repaired():
    """An own force constant off by a thousandth: as if the sum over all others had been taken."""
    expected = harmonic_covariance(ATOMS, SPRINGS)
    np.testing.assert_allclose(harmonic_covariance(ATOMS, changed(2, 2, 2, 2, 0.01)), expected, rtol=1e-9)


def test_amplitudes_and_frequencies_refuse_what_has_none():
    with pytest.raises(ValueError, match="frequencies_thz must be above 0"):
        mean_square_amplitude([1.0, 0.0], 300)
    with pytest.raises(ValueError, match="statistics"):
        mean_square_amplitude([1.0], 300, "fermi")
    with pytest.raises(ValueError, match="finite"):
        frequency_thz([np.nan])
