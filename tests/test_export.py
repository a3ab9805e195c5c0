"""Results handed over to HyperSpy and ASE keep their axes, units and order."""

import ase.io
import hyperspy.api as hs
import numpy as np
import pytest

import caviar_kit as ck

RNG_SEED = 0


def described(signal):
    axes = signal.axes_manager
    return {a.name: (a.size, a.scale, a.units, a.navigate) for a in axes._axes}


def test_image_axes_are_calibrated(tmp_path):
    image = np.arange(12.0).reshape(3, 4)
    signal = ck.to_hyperspy(image, (0.5, 0.25), title="phase")
    assert described(signal) == {"y": (3, 0.5, "Å", False), "x": (4, 0.25, "Å", False)}
    assert signal.metadata.General.title == "phase"
    signal.save(tmp_path / "phase.hspy")
    again = hs.load(tmp_path / "phase.hspy")
    np.testing.assert_array_equal(again.data, image)
    assert described(again) == described(signal)
    assert again.metadata.Signal.quantity == "phase (rad)"


def test_ensemble_is_navigated_by_state_and_depth():
    obj = np.exp(1j * np.random.default_rng(RNG_SEED).random((2, 3, 4, 5)))
    signal = ck.to_hyperspy(obj, 0.2, slice_thickness_angstrom=1.9, quantity="transmission")
    assert isinstance(signal, hs.signals.ComplexSignal2D)
    assert list(described(signal)) == ["state", "z", "y", "x"]
    assert described(signal)["z"] == (3, 1.9, "Å", True)
    np.testing.assert_array_equal(signal.inav[1, 0].data, obj[0, 1])  # HyperSpy's indices run x first
    assert list(described(ck.to_hyperspy(obj, 0.2))) == ["state", "slice", "y", "x"]


@pytest.mark.parametrize(
    ("change", "message", "error"),
    [
        ({"image": np.ones(4)}, "image must be", ValueError),
        ({"image": np.full((2, 2), np.nan)}, "finite", ValueError),
        ({"sampling": 0}, "sampling", ValueError),
        ({"slice_thickness_angstrom": 2.0}, "axis of slices", ValueError),
        ({"title": 3}, "title must be a text", TypeError),
    ],
)
def test_hyperspy_bad_input(change, message, error):
    with pytest.raises(error, match=message):
        ck.to_hyperspy(**{"image": np.ones((3, 4)), "sampling": 0.2, **change})


def test_columns_become_atoms_with_x_first(tmp_path):
    atoms = ck.to_ase([[1.0, 2.0], [3.0, 7.0]], ["B", "N"], thickness_angstrom=3.3, field=(10, 20))
    np.testing.assert_array_equal(atoms.positions, [[2, 1, 0], [7, 3, 0]])
    np.testing.assert_array_equal(atoms.cell.lengths(), [20, 10, 3.3])
    assert atoms.get_chemical_symbols() == ["B", "N"] and not atoms.pbc.any()
    ase.io.write(tmp_path / "columns.extxyz", atoms)
    np.testing.assert_allclose(ase.io.read(tmp_path / "columns.extxyz").positions, atoms.positions)


def test_states_become_frames():
    states = np.random.default_rng(RNG_SEED).random((3, 4, 2))
    frames = ck.to_ase(states, "Si")
    assert len(frames) == 3
    np.testing.assert_array_equal([f.positions[:, 1::-1] for f in frames], states)
    assert (frames[0].cell.array == frames[2].cell.array).all()


@pytest.mark.parametrize(
    ("change", "message", "error"),
    [
        ({"positions": np.ones((3, 3))}, "positions must be", ValueError),
        ({"positions": [["a", "b"]]}, "positions must hold", TypeError),
        ({"symbols": ["Si"]}, "one element or 2", ValueError),
        ({"symbols": "silicon"}, "elements such as", ValueError),
        ({"thickness_angstrom": -1}, "thickness_angstrom", ValueError),
        ({"field": (1, 2, 3)}, "field must have shape", ValueError),
    ],
)
def test_ase_bad_input(change, message, error):
    with pytest.raises(error, match=message):
        ck.to_ase(**{"positions": [[1.0, 2.0], [3.0, 4.0]], "symbols": "Si", **change})
