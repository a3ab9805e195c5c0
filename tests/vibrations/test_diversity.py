from itertools import combinations

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.vibrations import projected_phase


@pytest.fixture
def obj():
    phases = np.random.default_rng(4).normal(0, 0.2, (5, 3, 8, 9))
    return np.exp(1j * phases)


def test_is_the_rms_difference_of_two_states(obj):
    phases = projected_phase(obj)
    phases -= phases.mean(axis=(1, 2), keepdims=True)
    squares = [((a - b) ** 2).mean() for a, b in combinations(phases, 2)]
    assert ck.state_diversity(obj) == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-12)
    assert ck.state_diversity(obj) == pytest.approx(0.2 * np.sqrt(3 * 2), rel=0.2)  # of independent noise


def test_a_constant_phase_of_a_state_does_not_count(obj):
    turned = obj * np.exp(1j * np.array([0, 0.3, -0.2, 0.1, 0.4]))[:, None, None, None]
    assert ck.state_diversity(turned) == pytest.approx(ck.state_diversity(obj), rel=1e-9)


def test_equal_states_and_a_single_one_have_none(obj):
    assert ck.state_diversity(obj[:1]) == 0
    assert ck.state_diversity(np.repeat(obj[:1], 4, axis=0)) == pytest.approx(0, abs=1e-12)


def test_small_ensembles_are_not_biased():
    """The mean over many pairs does not depend on how many states there are."""
    rng = np.random.default_rng(1)
    of = {n: np.exp(1j * rng.normal(0, 0.1, (n, 1, 60, 60))) for n in (2, 20)}
    assert ck.state_diversity(of[2]) == pytest.approx(ck.state_diversity(of[20]), rel=0.05)


@pytest.mark.parametrize("wrong", [np.ones((2, 1, 4, 4)), np.ones((1, 4, 4), complex)])
def test_refuses_what_is_no_object(wrong):
    with pytest.raises((TypeError, ValueError), match="obj"):
        ck.state_diversity(wrong)
