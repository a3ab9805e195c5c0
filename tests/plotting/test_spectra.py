"""Pictures of spectra and depth hold the numbers they are given."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt

import caviar_kit as ck
from caviar_kit import vibrations as vib
from tests.vibrations.test_resolution import PIXEL, as_object, noise, two_lattices, waves


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_power_spectrum_shows_the_limit_as_a_circle():
    phase = waves([(1.0, 0.5), (-0.4, 0.8)], [0.1, 0.1], (96, 120)) + noise((96, 120), 0.01)
    found = vib.information_limit(as_object(phase), PIXEL)
    ax = ck.plot.power_spectrum(found)
    assert ax.patches[0].radius == pytest.approx(found.frequency)
    assert f"{100 / found.frequency:.0f} pm" in ax.get_title(loc="left")
    left, right, bottom, top = ax.images[0].get_extent()
    assert (right - left) / 120 == pytest.approx(found.spectrum.step[1])
    assert bottom > 0 > top  # y downwards, as in images
    marked = ax.collections[0].get_offsets()
    np.testing.assert_allclose(marked, found.peaks[:, ::-1])


def test_ring_correlation_marks_the_resolution():
    signal = waves([(1.0, 0.5)], [1.0]) + noise((96, 96), 0.1)
    found = vib.fourier_ring_correlation(
        signal + noise((96, 96), 0.5, 1), signal + noise((96, 96), 0.5, 2), PIXEL
    )
    ax = ck.plot.ring_correlation(found)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), found.correlation)
    assert len(ax.lines) == (3 if np.isfinite(found.limit) and found.limit > 0 else 2)


def test_depth_pictures():
    phase, places, depth = two_lattices()
    phase = phase + noise(phase.shape, 0.001)
    profiles = {n: vib.column_profiles(as_object(phase), at, PIXEL, 4.0) for n, at in places.items()}
    ax = ck.plot.depth_profile(profiles)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["upper", "lower"]
    np.testing.assert_allclose(ax.lines[0].get_xydata()[:, 0], depth)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), profiles["upper"].phase.mean(axis=0))

    ax = ck.plot.depth_map(profiles["lower"])
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the beam goes down

    upper = np.arange(16)[:, None, None] < 8
    crystals = upper * waves([(1.0, 0.5)], [0.1]) + ~upper * waves([(0.5, 1.0)], [0.1])
    spectrum = vib.depth_spectrum(as_object(crystals + noise(crystals.shape, 0.01)), PIXEL, 4.0)
    ax = ck.plot.depth_power(spectrum)
    assert ax.lines[0].get_ydata()[0] == spectrum.limit > 0


@pytest.mark.parametrize("wrong", [None, {"a": 1}, []])
def test_depth_profile_refuses_what_is_no_mapping(wrong):
    with pytest.raises(TypeError, match="profiles must map"):
        ck.plot.depth_profile(wrong)


def test_depth_profile_refuses_nothing():
    with pytest.raises(ValueError, match="empty"):
        ck.plot.depth_profile({})
