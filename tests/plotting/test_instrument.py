"""Pictures of probe, scan and held-out loss show the numbers they are given."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.quiver import Quiver
from matplotlib.text import Text

import caviar_kit as ck

SCAN = np.array([[y, x] for y in range(4) for x in range(5)], float)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def modes(count=3, shape=(16, 20)):
    rng = np.random.default_rng(0)
    field = rng.normal(size=(2, count, *shape))
    return (field[0] + 1j * field[1]) * np.array([3.0, 2.0, 1.0])[:count, None, None]


def texts(ax):
    return [text.get_text() for text in ax.findobj(Text)]


def test_probe_modes_in_both_spaces():
    probe = modes()
    axes = ck.plot.probe_modes(probe, (0.25, 0.2))
    assert axes.shape == (2, 3)
    shares = 100 * (abs(probe) ** 2).sum(axis=(1, 2)) / (abs(probe) ** 2).sum()
    for number in range(3):
        np.testing.assert_allclose(axes[0, number].images[0].get_array(), abs(probe[number]))
        spectrum = abs(np.fft.fftshift(np.fft.fft2(probe[number])))
        np.testing.assert_allclose(axes[1, number].images[0].get_array(), spectrum)
        assert f"mode {number + 1}: {shares[number]:.3g} %" in texts(axes[0, number])


def test_zero_frequency_lies_at_zero():
    """Even and odd sides: the pixel of k = 0 is centred on (0, 0) of the axes."""
    axes = ck.plot.probe_modes(np.ones((1, 16, 21), complex), 0.25)
    image = axes[1, 0].images[0]
    left, right, bottom, top = image.get_extent()
    row, column = np.unravel_index(image.get_array().argmax(), (16, 21))
    assert left + (column + 0.5) * (right - left) / 21 == pytest.approx(0, abs=1e-12)
    assert top + (row + 0.5) * (bottom - top) / 16 == pytest.approx(0, abs=1e-12)
    assert right - left == pytest.approx(1 / 0.25)


def test_count_and_given_axes():
    grid = plt.subplots(2, 2)[1]
    assert ck.plot.probe_modes(modes(), 0.25, count=2, ax=grid)[0, 1] is grid[0, 1]
    with pytest.raises(ValueError, match=r"ax must be matplotlib axes of shape \(2, 3\)"):
        ck.plot.probe_modes(modes(), 0.25, ax=grid)


def test_arrows_from_nominal_to_refined():
    moved = SCAN + 0.02 * np.random.default_rng(0).normal(size=SCAN.shape)
    ax = ck.plot.refined_positions(SCAN, moved, magnify=10)
    (quiver,) = (a for a in ax.collections if isinstance(a, Quiver))
    np.testing.assert_allclose(quiver.XY, SCAN[:, ::-1])
    np.testing.assert_allclose(np.stack([quiver.V, quiver.U], 1), moved - SCAN)
    assert quiver.scale == pytest.approx(0.1)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # y downwards
    lengths = 100 * np.hypot(*(moved - SCAN).T)
    rms = np.sqrt((lengths**2).mean())
    assert ax.get_title() == f"{rms:.3g} pm rms, longest {lengths.max():.3g} pm, drawn × 10"


def test_longest_arrow_is_as_long_as_the_scan_step():
    moved = SCAN.copy()
    moved[3] += (0.03, 0.04)
    assert "drawn × 20" in ck.plot.refined_positions(SCAN, moved).get_title()


def test_unmoved_positions_can_be_drawn():
    assert "0 pm rms" in ck.plot.refined_positions(SCAN, SCAN).get_title()


def test_held_out_curve_and_its_best():
    held_out = [3.0, 2.0, np.nan, 2.5]
    ax = ck.plot.loss([3.0, 1.5, 1.2, 1.0], held_out=held_out)
    training, watched, best = ax.lines
    np.testing.assert_array_equal(training.get_ydata(), [3, 1.5, 1.2, 1])
    np.testing.assert_array_equal(watched.get_ydata(), held_out)
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (2, 2.0)
    assert "best: iteration 2" in texts(ax)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ck.plot.loss([1.0, 2.0], held_out=[1.0]), "held_out must have shape"),
        (lambda: ck.plot.loss([1.0], held_out=[np.nan]), "held_out must hold values above 0"),
        (lambda: ck.plot.loss([1.0], held_out=[-1.0]), "held_out must hold values above 0"),
        (lambda: ck.plot.loss({"a": [1.0]}, held_out=[1.0]), "held_out belongs to a single curve"),
        (lambda: ck.plot.probe_modes(np.ones((3, 4)), 0.2), "probe"),
        (lambda: ck.plot.probe_modes(modes(), -0.2), "sampling"),
        (lambda: ck.plot.refined_positions(SCAN, SCAN[1:]), "refined must have shape"),
        (lambda: ck.plot.refined_positions(SCAN, SCAN, magnify=0), "magnify must be above 0"),
    ],
)
def test_refusals(call, match):
    with pytest.raises((TypeError, ValueError), match=match):
        call()
