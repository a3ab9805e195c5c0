"""Single pictures: their arrays, colours and units."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import caviar_kit as ck


def axes():
    return Figure().subplots(1, 2)


def wave():
    y, x = np.indices((6, 5))
    return (1 + x + y) * np.exp(1j * (0.5 * x - y))


def test_phase_map_shows_the_array_in_angstrom():
    ax, cax = axes()
    image = np.arange(12.0).reshape(3, 4)
    ck.plot.phase_map(image, (0.5, 0.25), limits=(2, 9), extend="both", ax=ax, cax=cax)
    (shown,) = ax.images
    np.testing.assert_array_equal(shown.get_array(), image)
    assert shown.get_clim() == (2, 9) and cax.get_ylabel() == "phase (rad)"
    assert shown.get_extent() == [-0.125, 0.875, 1.25, -0.25]
    assert any("Å" in text.get_text() for text in ax.texts)


def test_a_flat_image_can_be_shown():
    ax, cax = axes()
    ck.plot.phase_map(np.full((3, 4), 2.0), 0.2, ax=ax, cax=cax)
    assert ax.images[0].get_clim() == (1.5, 2.5)


def test_a_wave_has_its_phase_as_hue_and_its_amplitude_as_brightness():
    ax, cax = axes()
    ck.plot.complex_wave(wave(), 0.2, largest=20, ax=ax, cax=cax)
    (shown,) = ax.images
    np.testing.assert_allclose(shown.get_array(), np.angle(wave()))
    np.testing.assert_allclose(shown.get_alpha(), abs(wave()) / 20)
    ends = shown.cmap([0.0, 1.0])
    np.testing.assert_allclose(*ends, atol=0.02)  # -π and π are the same phase
    assert "rad" in cax.get_ylabel()


def test_columns_are_drawn_where_they_are_with_magnified_arrows():
    ax, _ = axes()
    where, moved = np.array([[1.0, 2.0], [3.0, 0.5]]), np.array([[0.1, -0.05], [0.0, 0.02]])
    ck.plot.column_displacements(where, moved, magnify=20, ax=ax)
    arrows = ax.collections[0]
    np.testing.assert_allclose(arrows.get_offsets(), where[:, ::-1])
    np.testing.assert_allclose(np.transpose([arrows.U, arrows.V]) / arrows.scale, 20 * moved[:, ::-1])
    np.testing.assert_allclose(ax.lines[0].get_xydata(), where[:, ::-1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ax: ck.plot.phase_map(np.zeros(3), 0.2, ax=ax), "image must have shape"),
        (lambda ax: ck.plot.phase_map([[1.0, np.nan]], 0.2, ax=ax), "image must be finite"),
        (lambda ax: ck.plot.phase_map(np.eye(2), 0.2, limits=(1, 1), ax=ax), "limits must be"),
        (lambda ax: ck.plot.phase_map(np.eye(2), 0.2, extend="up", ax=ax), "extend must be"),
        (lambda ax: ck.plot.phase_map(np.eye(2), 0, ax=ax), "sampling"),
        (lambda ax: ck.plot.complex_wave(wave()[0], 0.2, ax=ax), "wave must have shape"),
        (lambda ax: ck.plot.complex_wave(wave(), 0.2, largest=0, ax=ax), "largest must be"),
        (lambda ax: ck.plot.column_displacements(np.ones((2, 2)), np.ones((3, 2)), ax=ax), "displacements"),
        (lambda ax: ck.plot.column_displacements([[1, 2]], [[1, 2]], magnify=0, ax=ax), "magnify"),
    ],
)
def test_refuses_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(axes()[0])


def test_refuses_a_complex_image():
    with pytest.raises(TypeError, match="image must hold real numbers"):
        ck.plot.phase_map(wave(), 0.2, ax=axes()[0])
