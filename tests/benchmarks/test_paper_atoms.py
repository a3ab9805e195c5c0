"""Atoms for the paper's silicon: what is handed over, before the first iteration."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import caviar_kit as ck
from benchmarks.paper.cases import case
from benchmarks.paper_atoms import parse, pixels, truth

OPTICS = {
    **{"energy_ev": 200e3, "semiangle_mrad": 30.0, "defocus_angstrom": 150.0, "scan_shape": [3, 4]},
    **{"scan_step_angstrom": 0.5, "window_angstrom": 16.0, "thickness_angstrom": 7.7},
}


def test_patterns_of_the_engine_become_a_reconstruction():
    k = (np.arange(48) - 24) / OPTICS["window_angstrom"]
    disc = (np.hypot(k[:, None], k) < 0.030 / 0.02508).astype(np.float32)
    vacuum = disc / disc.sum()
    given = SimpleNamespace(optics=OPTICS)
    ptycho = pixels(case("si-md", "reduced"), given, np.repeat(vacuum[None], 12, axis=0), vacuum)
    frame = 16.0 / np.array(ptycho.sampling)  # whole pixels, some more than the detector has
    np.testing.assert_allclose(frame, np.rint(frame), atol=1e-3)
    assert (frame > 48).all()
    steps = ptycho.scan_positions_angstrom - ptycho.scan_positions_angstrom[0]
    np.testing.assert_allclose(steps, 0.5 * np.indices((3, 4)).reshape(2, -1).T, atol=1e-3)
    ptycho.reconstruct(1, progress_bar=False)
    assert ptycho.object.shape[:2] == (1, 4)
    assert ptycho.error < 1e-6  # vacuum, and the probe of the vacuum pattern


def test_the_truth_is_that_of_the_inputs():
    u = np.random.default_rng(0).normal(0, 0.05, (9, 4, 2))
    places = 2.0 * np.stack(np.indices((2, 2)), axis=-1).reshape(-1, 2)
    known = truth(SimpleNamespace(truth={"": {"positions": places, "displacements": u}})).ground_truth
    np.testing.assert_allclose(known.greens_tensor, ck.greens_tensor(u))
    assert known.positions is places


def test_it_is_for_silicon_alone(capsys):
    assert parse(["--size", "reduced"]).case == "si-md"
    with pytest.raises(SystemExit):
        parse(["--case", "hbn"])
    assert "invalid choice: 'hbn'" in capsys.readouterr().err
