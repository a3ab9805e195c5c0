"""The offset of partial spatial coherence: planted, estimated, removed."""

import math

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.simulation import Experiment, ground_truth, silicon_sigma9_snapshots

SIGMA = 0.47 / (2 * math.sqrt(2 * math.log(2)))  # Å
REACH = 5.0  # Å: planted correlations end here


def lattice(rows: int = 5, columns: int = 6) -> np.ndarray:
    """Positions [Å], in an order that tells nothing of the distances."""
    y, x = np.indices((rows, columns))
    places = np.stack([y.ravel() * 2.2, x.ravel() * 1.9], axis=1)
    return np.random.default_rng(0).permutation(places)


def decaying_tensor(positions: np.ndarray) -> np.ndarray:
    """A covariance with xy elements whose correlations vanish beyond 5 Å (spherical model)."""
    distance = np.linalg.norm(positions[:, None] - positions, axis=2)
    h = np.minimum(distance / REACH, 1)
    return np.einsum("ij,ab->iajb", 1 - 1.5 * h + 0.5 * h**3, [[40e-4, 6e-4], [6e-4, 30e-4]])


def with_offset(tensor: np.ndarray, offset: tuple[float, float]) -> np.ndarray:
    """Explicitly, element by element."""
    result = tensor.copy()
    atoms = len(tensor)
    for i in range(atoms):
        for j in range(atoms):
            for a in (0, 1):
                result[i, a, j, a] += offset[a]
    return result


@pytest.mark.parametrize("offset", [(0.0, 0.0), (12e-4, 30e-4), (0.04, 0.04)])
@pytest.mark.parametrize("with_positions", [True, False])
def test_planted_offset_is_found_and_removed(offset, with_positions):
    """More than half of the pairs are farther than 5 Å and uncorrelated, so nothing is left over."""
    places = lattice()
    truth = decaying_tensor(places)
    given = with_offset(truth, offset)
    before = given.copy()
    positions = places if with_positions else None
    np.testing.assert_allclose(ck.correlation_offset(given, positions), offset, atol=1e-15)
    np.testing.assert_allclose(ck.subtract_offset(given, positions), truth, atol=1e-15)
    np.testing.assert_array_equal(given, before)


def test_common_displacement_gives_an_offset_of_its_variance():
    """Atoms that also move together, by a Gaussian source of 0.47 Å FWHM, independent of their vibration."""
    places = lattice(4, 5)
    truth = decaying_tensor(places).reshape(40, 40)
    independent, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((300, 43)))
    independent -= independent.mean(axis=0)
    independent, _ = np.linalg.qr(independent)
    samples = independent * math.sqrt(300)  # zero mean, unit variance, uncorrelated: exactly
    vibration = (samples[:, :40] @ np.linalg.cholesky(truth).T).reshape(300, 20, 2)
    common = SIGMA * samples[:, None, 40:42]
    measured = ck.greens_tensor(ck.displacements(places + vibration + common))
    np.testing.assert_allclose(ck.correlation_offset(measured, places), SIGMA**2, atol=1e-12)
    np.testing.assert_allclose(ck.subtract_offset(measured, places).reshape(40, 40), truth, atol=1e-12)


def test_offset_shifts_the_estimate_by_itself_whatever_the_truth():
    """Exact also where the far correlations do not vanish: the bias does not depend on the offset."""
    rng = np.random.default_rng(3)
    u = rng.standard_normal((10, 12, 2))
    tensor, places = ck.greens_tensor(u - u.mean(axis=0)), rng.random((12, 2)) * 9
    for options in ({}, {"positions": places}, {"positions": places, "fraction": 0.1}):
        change = ck.correlation_offset(with_offset(tensor, (0.3, 0.1)), **options) - ck.correlation_offset(
            tensor, **options
        )
        np.testing.assert_allclose(change, [0.3, 0.1], atol=1e-12)


def test_distant_pairs_are_found_by_position():
    places = np.array([[0, 0], [0, 1.0], [0, 9.0], [0, 10.0]])
    tensor = np.zeros((4, 2, 4, 2))
    for (i, j), value in {(0, 3): 5.0, (0, 2): 3.0, (1, 3): 1.0, (0, 1): 100.0}.items():
        tensor[i, 1, j, 1] = tensor[j, 1, i, 1] = value
    assert ck.correlation_offset(tensor, places, fraction=1 / 6)[1] == 5.0
    assert ck.correlation_offset(tensor, places, fraction=1 / 2)[1] == 3.0
    assert ck.correlation_offset(tensor, places, fraction=1 / 3)[1] == 3.0  # two pairs are 9 Å apart
    assert ck.correlation_offset(tensor, places, fraction=1.0)[1] == pytest.approx(109 / 6)
    assert ck.correlation_offset(tensor, places, fraction=1e-9)[0] == 0.0


def test_a_negative_estimate_is_reported_but_not_subtracted():
    tensor = with_offset(decaying_tensor(lattice()), (-3e-4, 5e-4))
    np.testing.assert_allclose(ck.correlation_offset(tensor), [-3e-4, 5e-4], atol=1e-15)
    corrected = ck.subtract_offset(tensor)
    np.testing.assert_array_equal(corrected[:, 0, :, 0], tensor[:, 0, :, 0])
    np.testing.assert_allclose(corrected[:, 1, :, 1], tensor[:, 1, :, 1] - 5e-4, atol=1e-15)
    np.testing.assert_array_equal(corrected[:, 0, :, 1], tensor[:, 0, :, 1])


def test_bias_on_silicon_is_what_the_documentation_says():
    """No source here: all that is found is the true correlation of distant columns [pm²]."""
    snapshots = silicon_sigma9_snapshots()
    tutorial, paper = (ground_truth(snapshots, e()) for e in (Experiment.tutorial, Experiment.paper))
    assert (len(tutorial.positions), len(paper.positions)) == (12, 71)
    bias = [1e4 * ck.correlation_offset(t.greens_tensor, t.positions) for t in (tutorial, paper)]
    np.testing.assert_allclose(bias, [[2.3, 7.2], [-0.7, 5.4]], atol=0.06)
    blind = [1e4 * ck.correlation_offset(t.greens_tensor) for t in (tutorial, paper)]
    np.testing.assert_allclose(blind, [[3.4, 6.7], [-1.2, 2.9]], atol=0.06)
    own = [1e4 * np.diag(tutorial.greens_tensor[:, a, :, a]).mean() for a in (0, 1)]
    np.testing.assert_allclose(own, [32, 39], atol=0.6)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((np.zeros((3, 2, 3)),), {}, ValueError, r"G must have shape \(any, 2, any, 2\)"),
        ((np.zeros((3, 2, 4, 2)),), {}, ValueError, r"G must have shape \(atoms, 2, atoms, 2\)"),
        ((np.zeros((1, 2, 1, 2)),), {}, ValueError, "at least 2 atoms"),
        ((np.full((3, 2, 3, 2), np.nan),), {}, ValueError, "G must be finite"),
        ((np.arange(36.0).reshape(3, 2, 3, 2),), {}, ValueError, "G must be symmetric"),
        ((np.zeros((3, 2, 3, 2), complex),), {}, TypeError, "G must hold real numbers"),
        ((np.zeros((3, 2, 3, 2)), np.zeros((4, 2))), {}, ValueError, "must hold the 3 atoms of G, got 4"),
        ((np.zeros((3, 2, 3, 2)), np.zeros((3, 3))), {}, ValueError, "positions must have shape"),
        ((np.zeros((3, 2, 3, 2)),), {"fraction": 0}, ValueError, "fraction must be above 0"),
        ((np.zeros((3, 2, 3, 2)),), {"fraction": 1.5}, ValueError, "at most 1"),
        ((np.zeros((3, 2, 3, 2)),), {"fraction": "far"}, TypeError, "fraction must be a number"),
    ],
)
def test_bad_arguments_are_refused(arguments, options, error, message):
    for function in (ck.correlation_offset, ck.subtract_offset):
        with pytest.raises(error, match=message):
            function(*arguments, **options)
