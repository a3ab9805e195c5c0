"""A small planted problem: patterns from a known object through the engine's own model."""

from __future__ import annotations

from typing import Any

import numpy as np

import caviar_kit as ck
from caviar_kit._adapter.parent import Parent

WINDOW, PIXEL, STEP, SCAN = 24, 0.3, 0.81, (6, 5)  # pixels, Å, Å, (Ry, Rx)
OPTICS: dict[str, Any] = {"energy": 200e3, "semiangle_cutoff": 25.0, "defocus": 40.0}
SAME_FRAME: dict[str, Any] = {
    "padded_diffraction_intensities_shape": (WINDOW, WINDOW),
    "force_com_shifts": (WINDOW // 2, WINDOW // 2),
}


def build(patterns: np.ndarray, **changes: Any) -> Any:
    """An instance from patterns (Ry, Rx, Qy, Qx) or (positions, Qy, Qx)."""
    arguments = {
        **OPTICS,
        "scan_step_angstrom": None if "positions_angstrom" in changes else STEP,
        "detector_pixel_inverse_angstrom": 1 / (WINDOW * PIXEL),
        "num_slices": 3,
        "slice_thicknesses": 8.0,
        "num_object_states": 3,
        "device": "cpu",
        **changes,
    }
    listed = arguments.pop("initial_scan_positions", None)
    ptycho = ck.MixedObjectMultislicePtychography.from_arrays(patterns, **arguments)
    if listed is None:
        return ptycho
    for name in ("scan_step_angstrom", "detector_pixel_inverse_angstrom"):
        del arguments[name]
    return ck.MixedObjectMultislicePtychography(
        datacube=ptycho._datacube, initial_scan_positions=listed, **arguments
    )


def geometry(scan_shape: tuple[int, ...] = SCAN, preprocess: Any = None, **changes: Any) -> Any:
    """A prepared instance without meaningful data: model and probe depend on the settings only."""
    blank = np.ones((*scan_shape, WINDOW, WINDOW), np.float32)
    return build(blank, **changes).preprocess(**{**SAME_FRAME, **(preprocess or {})})


def planted_object(ptycho: Any, states: int, seed: int = 1) -> np.ndarray:
    """Gaussian atoms of phase 0.4 rad, jittered about 2 Å apart; complex64 (states, slices, y, x).

    Atoms are placed from the centre of the scan, so that any frame holds the same specimen.
    """
    rng = np.random.default_rng(seed)
    model = ptycho._model
    centre = model.positions.mean(axis=0)
    y, x = (
        (np.arange(n) - c) * d for n, c, d in zip(model.object_shape, centre, model.sampling, strict=True)
    )
    lattice = np.stack(np.meshgrid(*(np.arange(-5, 6.0, 2.0),) * 2, indexing="ij"), -1).reshape(-1, 2)
    lattice = lattice + 0.3 * rng.standard_normal(lattice.shape)
    obj = np.empty((states, model.num_slices, *model.object_shape), np.complex64)
    for state in obj:
        for layer in state:
            moved = lattice + 0.08 * rng.standard_normal(lattice.shape)
            rows = np.exp(-((y[:, None] - moved[:, 0]) ** 2) / (2 * 0.4**2))
            columns = np.exp(-((x[:, None] - moved[:, 1]) ** 2) / (2 * 0.4**2))
            layer[...] = np.exp(0.4j * rows @ columns.T)
    return obj


def patterns_of(ptycho: Any, obj: np.ndarray) -> np.ndarray:
    """Patterns (positions, y, x) of an object and the prepared probe, beam in the middle."""
    modelled = ptycho._evaluator("amplitude").intensities(obj, ptycho._unit_probe)
    return np.fft.fftshift(modelled, axes=(-2, -1))


def planted(states: int = 3, **changes: Any) -> tuple[Any, np.ndarray]:
    """A prepared instance with the patterns of a planted object, and that object."""
    blank = geometry(**changes)
    obj = planted_object(blank, states)
    patterns = patterns_of(blank, obj).reshape(*SCAN, WINDOW, WINDOW)
    return build(patterns, **changes).preprocess(**SAME_FRAME), obj


def parent_of(ours: Any, **changes: Any) -> Any:
    """The unmodified parent class with the same data, probe and frame, preprocessed."""
    ptycho = Parent(
        datacube=ours._datacube,
        num_probes=len(ours._probe),
        num_slices=3,
        slice_thicknesses=8.0,
        initial_probe_guess=ours._probe_initial.copy(),
        object_padding_px=ours._object_padding_px,
        verbose=False,
        **{**OPTICS, **changes},
    )
    return ptycho.preprocess(
        plot_center_of_mass=False,
        plot_rotation=False,
        plot_probe_overlaps=False,
        force_com_rotation=0,
        force_com_transpose=False,
        force_com_shifts=SAME_FRAME["force_com_shifts"],
    )
