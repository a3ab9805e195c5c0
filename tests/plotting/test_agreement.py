"""Found against true correlations: every element once, in pm², on equal scales."""

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.plotting._common import BLUE, VERMILION


def tensor(seed, atoms=3):
    u = np.random.default_rng(seed).normal(0, 0.05, (9, atoms, 2))
    return ck.greens_tensor(u - u.mean(axis=0))


def points(ax):
    return {tuple(c.get_facecolor()[0][:3]): np.asarray(c.get_offsets()) for c in ax.collections}


def rgb(color):
    return tuple(int(color[n : n + 2], 16) / 255 for n in (1, 3, 5))


def test_each_element_is_drawn_once_in_pm2():
    true, found = tensor(0), tensor(1)
    drawn = points(ck.plot.correlation_agreement(true, found))
    own, pairs = drawn[rgb(VERMILION)], drawn[rgb(BLUE)]
    assert len(own) == 3 * 3  # xx, yy and xy of three atoms
    assert len(pairs) == 3 * 4  # of three pairs
    expected = 1e4 * np.array([[t[0, a, 2, b] for t in (true, found)] for a in (0, 1) for b in (0, 1)])
    for point in expected:
        assert np.isclose(pairs, point).all(axis=1).sum() == 1
    assert np.isclose(own, 1e4 * np.array([true[1, 0, 1, 1], found[1, 0, 1, 1]])).all(axis=1).sum() == 1


def test_scales_are_equal_and_axes_named():
    ax = ck.plot.correlation_agreement(tensor(0), tensor(1))
    assert ax.get_aspect() == 1
    assert ax.get_xlabel() == "true correlation (pm²)"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["pairs", "self"]


def test_gaps_are_left_out_and_other_shapes_refused():
    true, found = tensor(0), tensor(1)
    found[0, :, 1], found[1, :, 0] = np.nan, np.nan
    drawn = points(ck.plot.correlation_agreement(true, found))[rgb(BLUE)]
    assert len(drawn) == 3 * 4 and np.isnan(drawn).any(axis=1).sum() == 4
    with pytest.raises(ValueError, match="found"):
        ck.plot.correlation_agreement(true, tensor(1, atoms=4))
