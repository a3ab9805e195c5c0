"""Figures show the numbers they are given, in the stated units and directions."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.quiver import Quiver
from matplotlib.text import Text

import caviar_kit as ck
from caviar_kit.plotting._common import image_extent, round_length

POSITIONS = np.array([[2.0, 2.0], [2.0, 4.0], [4.0, 2.0], [30.0, 30.0]])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def tensor():
    u = np.random.default_rng(0).normal(0, 0.07, (6, 4, 2))
    return ck.greens_tensor(ck.displacements(u))


@pytest.fixture
def obj():
    phase = np.random.default_rng(0).uniform(0, 0.2, (3, 2, 12, 16))
    return np.exp(1j * phase)


def arrows(ax):
    """Quivers of the reference's y (hollow) and x (filled) displacement, then the key."""
    return [artist for artist in ax.collections if isinstance(artist, Quiver)]


def texts(ax):
    return [text.get_text() for text in ax.findobj(Text)]


def test_arrows_show_the_tensor(tensor):
    ax = ck.plot.correlation_arrows(tensor, POSITIONS, 0, scale=0.01)
    hollow, filled = arrows(ax)[:2]
    for quiver, axis in ((hollow, 0), (filled, 1)):
        np.testing.assert_allclose(quiver.XY, POSITIONS[[1, 2]][:, ::-1])
        np.testing.assert_allclose(np.stack([quiver.V, quiver.U], 1), 100 * tensor[0, axis, [1, 2]])
        assert quiver.scale == 1
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # y downwards
    assert any("pm²" in text for text in texts(ax))


def test_default_scale_radius_and_self(tensor):
    ax = ck.plot.correlation_arrows(tensor, POSITIONS, 0)
    lengths = [np.hypot(q.U, q.V).max() for q in arrows(ax)[:2]]
    assert max(lengths) == pytest.approx(0.8 * 2.0)
    with_self = ck.plot.correlation_arrows(tensor, POSITIONS, 0, include_self=True, radius=50.0)
    assert len(arrows(with_self)[0].U) == 4


def test_chosen_neighbours_only(tensor):
    mask = np.array([False, False, True, True])
    ax = ck.plot.correlation_arrows(tensor, POSITIONS, 0, neighbours=mask)
    np.testing.assert_allclose(arrows(ax)[0].XY, POSITIONS[[2]][:, ::-1])
    assert len(ax.collections[0].get_offsets()) == 3  # all atoms near by are drawn


def test_arrows_of_local_axes_lie_in_the_image(tensor):
    axes = np.array([[0.6, 0.8], [-0.8, 0.6]])  # rows y', x'
    ax = ck.plot.correlation_arrows(tensor, POSITIONS, 0, scale=0.01, axes=axes)
    for quiver, row in zip(arrows(ax), axes, strict=False):
        expected = np.einsum("a,ajc->jc", row, tensor[0])[[1, 2]]  # what follows u·row, along y and x
        np.testing.assert_allclose(np.stack([quiver.V, quiver.U], 1), 100 * expected)
    assert {"x′", "y′", "follows its x′"} <= set(texts(ax))


def test_arrows_differ_without_colour(tensor):
    ax = ck.plot.correlation_arrows(tensor, POSITIONS, 0)
    hollow, filled = (np.asarray(q.get_facecolor())[0, :3] for q in arrows(ax)[:2])
    luminance = np.array([0.2126, 0.7152, 0.0722])
    assert abs(hollow @ luminance - filled @ luminance) > 0.4


def test_no_correlation_draws_no_arrow(tensor):
    ax = ck.plot.correlation_arrows(0 * tensor, POSITIONS, 0)
    assert not arrows(ax)
    assert "no correlation" in texts(ax)


def test_backdrop_lies_under_the_atoms(tensor):
    image = np.zeros((40, 50))
    ax = ck.plot.correlation_arrows(tensor, POSITIONS, 0, image=image, sampling=(0.2, 0.1))
    assert ax.images[0].get_extent() == pytest.approx([-0.05, 4.95, 7.9, -0.1])
    assert image_extent((3, 3), np.array([1.0, 1.0])) == (-0.5, 2.5, 2.5, -0.5)


def test_tensor_blocks_and_units(tensor):
    ax = ck.plot.greens_tensor(tensor)
    matrix = ax.images[0].get_array()
    np.testing.assert_allclose(matrix[:4, 4:], 1e4 * tensor[:, 1, :, 0])  # row x, column y
    np.testing.assert_allclose(matrix[4:, 4:], 1e4 * tensor[:, 0, :, 0])
    low, high = ax.images[0].get_clim()
    assert low == -high == pytest.approx(-1e4 * np.abs(tensor).max())
    assert ck.plot.greens_tensor(tensor, limit=5).images[0].get_clim() == (-5, 5)


def test_loss_one_and_several():
    ax = ck.plot.loss([3.0, 2.0, 1.0])
    assert ax.get_yscale() == "log"
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2, 3])
    several = ck.plot.loss({"a": [3.0, 2.0], "b": [1.0]})
    assert [text.get_text() for text in several.get_legend().get_texts()] == ["a", "b"]
    assert several.lines[0].get_linestyle() != several.lines[1].get_linestyle()


def test_states_share_contrast(obj):
    axes = ck.plot.object_states(obj, 0.2)
    assert len(axes) == 5  # three states, mean, standard deviation
    assert len({panel.images[0].get_clim() for panel in axes[:4]}) == 1
    phase = np.angle(obj).sum(axis=1)
    np.testing.assert_allclose(axes[1].images[0].get_array(), phase[1], atol=1e-12)
    np.testing.assert_allclose(axes[4].images[0].get_array(), 1e3 * phase.std(axis=0), atol=1e-9)
    assert any("Å" in text for text in texts(axes[0]))


def test_states_chosen_into_given_axes(obj):
    given = plt.subplots(1, 3)[1]
    axes = ck.plot.object_states(obj, 0.2, states=[2, 0], statistics=False, ax=given)
    assert list(axes) == list(given[:2])
    assert "state 2" in texts(axes[0])


def test_one_state_of_vacuum_can_be_drawn():
    ck.plot.object_states(np.ones((1, 1, 8, 8), complex), 0.2)[0].figure.canvas.draw()


@pytest.mark.parametrize("name", ["correlation_arrows", "greens_tensor", "loss"])
def test_given_axes_are_used(name, tensor):
    ax = plt.subplots()[1]
    arguments = {
        "correlation_arrows": (tensor, POSITIONS, 1),
        "greens_tensor": (tensor,),
        "loss": ([1.0, 0.5],),
    }
    assert getattr(ck.plot, name)(*arguments[name], ax=ax) is ax
    assert len(plt.get_fignums()) == 1
    ax.figure.canvas.draw()


def test_round_length():
    assert [round_length(x) for x in (1, 1.99, 4.9, 5, 73, 0.03)] == pytest.approx([1, 1, 2, 5, 50, 0.02])


G = np.zeros((4, 2, 4, 2))
OBJ = np.ones((2, 1, 8, 8), complex)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "G must have shape", lambda: ck.plot.correlation_arrows(G[:2], POSITIONS, 0)),
        (ValueError, "reference", lambda: ck.plot.correlation_arrows(G, POSITIONS, 4)),
        (TypeError, "reference", lambda: ck.plot.correlation_arrows(G, POSITIONS, 1.0)),
        (
            ValueError,
            "image and sampling",
            lambda: ck.plot.correlation_arrows(G, POSITIONS, 0, image=OBJ[0, 0].real),
        ),
        (ValueError, "radius", lambda: ck.plot.correlation_arrows(G, POSITIONS, 0, radius=-1)),
        (ValueError, "scale", lambda: ck.plot.correlation_arrows(G, POSITIONS, 0, scale=0)),
        (ValueError, "neighbours", lambda: ck.plot.correlation_arrows(G, POSITIONS, 0, neighbours=[0, 1])),
        (ValueError, "axes", lambda: ck.plot.correlation_arrows(G, POSITIONS, 0, axes=2 * np.eye(2))),
        (TypeError, "ax must be", lambda: ck.plot.correlation_arrows(G, POSITIONS, 0, ax="left")),
        (ValueError, "G must have shape", lambda: ck.plot.greens_tensor(np.zeros((4, 4)))),
        (ValueError, "G must be finite", lambda: ck.plot.greens_tensor(G * np.nan)),
        (ValueError, "limit", lambda: ck.plot.greens_tensor(G, limit=0)),
        (ValueError, r"error_iterations\['b'\] must be above 0", lambda: ck.plot.loss({"b": [1.0, 0.0]})),
        (ValueError, "error_iterations is empty", lambda: ck.plot.loss({})),
        (ValueError, "error_iterations must have shape", lambda: ck.plot.loss([[1.0]])),
        (TypeError, "obj must be complex", lambda: ck.plot.object_states(OBJ.real, 0.2)),
        (
            ValueError,
            "states must be at least 0 and at most 1",
            lambda: ck.plot.object_states(OBJ, 0.2, states=[2]),
        ),
        (ValueError, "states is empty", lambda: ck.plot.object_states(OBJ, 0.2, states=[])),
        (ValueError, "sampling", lambda: ck.plot.object_states(OBJ, 0)),
        (ValueError, "ax must be at least 4", lambda: ck.plot.object_states(OBJ, 0.2, ax=[None])),
        (ValueError, "columns", lambda: ck.plot.object_states(OBJ, 0.2, columns=0)),
    ],
)
def test_refusals(error, match, call):
    with pytest.raises(error, match=match):
        call()
    assert not plt.get_fignums()  # a refused call leaves no empty figure behind
