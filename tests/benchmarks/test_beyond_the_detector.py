"""Components of a phase that is known exactly, and of one that is made up."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.beyond_the_detector import compare, rings
from benchmarks.twisted_hbn import at_rest
from caviar_kit.atomistic import phase_form_factors
from caviar_kit.recipes import HBN_PRESETS
from caviar_kit.simulation.window import cut_window

PIXEL = 0.2


@pytest.fixture(scope="module")
def example():
    """One layer on another, at rest."""
    return SimpleNamespace(snapshots=at_rest(1), experiment=HBN_PRESETS["quick"].experiment(), num_slices=2)


def phase_of(example, atoms):
    """Phase [rad] of the atoms in the experiment's window, one atom after the other."""
    snapshots, experiment = example.snapshots.only(atoms), example.experiment
    window, count = cut_window(snapshots, experiment), round(experiment.window_angstrom / PIXEL)
    pixel = experiment.window_angstrom / count
    k = np.fft.fftfreq(count, pixel)
    total = np.zeros((count, count), complex)
    symbols = {5: "B", 7: "N"}
    for place, atom in zip(window.place(snapshots.positions[0]), window.index, strict=True):
        factor = phase_form_factors(
            [symbols[snapshots.numbers[atom]]], k[:, None] ** 2 + k**2, experiment.energy_ev
        )
        total += factor[0] * np.exp(-2j * np.pi * (k[:, None] * place[1] + k * place[0]))
    return np.fft.ifft2(total).real / pixel**2, pixel


def reconstruction(phase, pixel, experiment):
    """As one that has found that phase in its first slice, and nothing in the second."""
    steps = np.indices(experiment.scan_shape).reshape(2, -1).T * experiment.scan_step_angstrom
    noise = np.random.default_rng(0).normal(0, 1e-4, phase.shape)
    return SimpleNamespace(
        object=np.exp(1j * np.stack([phase + noise, noise]))[None],
        sampling=(pixel, pixel),
        scan_positions_angstrom=steps + experiment.first_position_in_window_angstrom,
    )


def test_the_true_phase_has_the_components_of_the_atoms(example):
    height = example.snapshots.relaxed[:, 2]
    lower = height < height.mean()
    found = reconstruction(*phase_of(example, lower), example.experiment)
    half = compare(found, example, "lower", lower, slice(0, 1))
    carried = np.abs(half.peaks).max(axis=1) < 2.2  # pixels end at 2.5 / Å
    assert carried.sum() > 80 and half.on_lattice.all()
    np.testing.assert_allclose(half.ratio[carried], 1, atol=0.01)
    lines = rings(half, edge=1.5)
    assert sum(line["peaks"] for line in lines) == len(half.peaks) > 40
    assert sum(line["outside"] for line in lines) == (np.abs(half.peaks).max(axis=1) > 1.5).sum() > 0
    assert not any(line["elsewhere"] for line in lines)


def test_a_phase_of_other_atoms_has_others(example):
    height = example.snapshots.relaxed[:, 2]
    lower = height < height.mean()
    phase, pixel = phase_of(example, lower)
    moved = np.roll(phase, (2, -3), axis=(0, 1))  # 0.4 and 0.6 Å
    half = compare(reconstruction(moved, pixel, example.experiment), example, "lower", lower, slice(0, 1))
    shift = np.array([2, -3]) * pixel
    expected = np.exp(-2j * np.pi * half.peaks @ shift)
    # not exactly: other atoms are near the borders, where the field fades
    np.testing.assert_allclose(half.ratio / np.abs(half.ratio), expected, atol=0.25)
    assert rings(half, edge=1.5)[-1]["phase_rms_deg"] > 60
