"""Paper scale, two lattices: from a fit to figures and tables, without simulating one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.paper import cases, inputs, report
from benchmarks.paper import fit as fitting
from benchmarks.paper.detail import transfer_limit
from benchmarks.paper.measure import measure
from benchmarks.paper.resolution import resolution, slices_between


def honeycomb(turn_deg: float, centre: np.ndarray, reach: float) -> np.ndarray:
    """Sites (n, 2) of boron nitride, turned, up to ``reach`` from ``centre`` [Å]."""
    a, turn = 2.504, np.radians(turn_deg)
    vectors = a * np.array([[np.sin(t), np.cos(t)] for t in (turn, turn + np.pi / 3)])
    cells = np.stack(np.meshgrid(np.arange(-9, 10), np.arange(-9, 10)), axis=-1).reshape(-1, 2) @ vectors
    sites = np.concatenate([cells, cells + vectors.sum(axis=0) / 3]) + centre
    return sites[np.abs(sites - centre).max(axis=1) < reach]


def test_two_lattices_are_measured_and_reported(tmp_path):
    """Handmade states of two twisted lattices that move: from a fit to tables and figures."""
    rng, case = np.random.default_rng(0), replace(cases.case("hbn", "reduced"), num_slices=6)
    pixel, side, thickness = 0.125, 128, 149.85
    centre = np.full(2, pixel * side / 2)
    scan = centre + np.stack(np.meshgrid([-4.0, 0, 4.0], [-4.0, 0, 4.0]), axis=-1).reshape(-1, 2)
    y, x = pixel * np.indices((side, side))
    phase = np.zeros((10, 6, side, side), np.float32)
    truth, frames = {}, []
    for number, (name, turn) in enumerate((("lower", 3.0), ("upper", 14.0))):
        sites = honeycomb(turn, centre, 7.0)
        u = rng.normal(0, 0.02, (10, len(sites), 2))
        for state, moved in enumerate(sites + u):
            spots = np.exp(-((y[..., None] - moved[:, 0]) ** 2 + (x[..., None] - moved[:, 1]) ** 2) / 0.08)
            phase[state, 3 * number : 3 * number + 3] += 0.2 * spots.sum(axis=-1)
        height = np.full((10, len(sites), 1), (30.0, 120.0)[number])
        frames.append(np.concatenate([(sites + u)[..., ::-1], height], axis=-1))
        field = np.abs(sites - centre).max(axis=1) < 4.6
        truth[name] = {
            "positions": sites[field] - scan[0],
            "displacements": u[:, field] - u[:, field].mean(axis=0),
            "depths": np.array([(5.0, 70.0), (80.0, 145.0)][number]),
        }
    optics = {
        **{"energy_ev": 60e3, "semiangle_mrad": 40.0, "defocus_angstrom": 75.0, "scan_shape": [3, 3]},
        **{
            "scan_step_angstrom": 4.0,
            "detector_pixels": 64,
            "window_angstrom": 16.0,
            "grid_points": 128,
            "snapshots": 10,
        },
        "thickness_angstrom": thickness,
    }
    layers = np.zeros((10, 45, 3))  # of atoms without a potential
    layers[..., 2] = 1.7 + 3.33 * np.arange(45)
    frames = np.concatenate([layers, *frames], axis=1)
    k = np.fft.fftfreq(side, pixel)
    spot = 0.6 * np.pi * 0.08 * np.exp(-(np.pi**2) * 0.08 * (k[:, None] ** 2 + k**2))
    factors, kinds = np.array([0 * spot, spot]), (np.arange(frames.shape[1]) >= 45).astype(int)
    given = inputs.Inputs(optics, frames, kinds, factors, scan[0], scan, None, scan - scan[0], truth)
    found = fitting.Fit(
        np.exp(1j * phase), scan, np.full(2, pixel), np.array([1e-2, 1e-5]), 1.0, 10**6, "", "", "a test"
    )
    arrays = {name: getattr(found, name) for name in fitting.Fit.__dataclass_fields__}
    np.savez(tmp_path / "hbn-reduced.fit.npz", **arrays)
    np.savez(tmp_path / "hbn-reduced.patterns.npz", seconds=1.0)
    measure(case, given, tmp_path)
    figures = json.loads((tmp_path / "hbn-reduced.json").read_text())
    assert figures["transfer_limit_pm"] == pytest.approx(35.4, abs=0.1)
    detail = figures["detail"]["lower"]
    assert detail["significant"] >= detail["counted"] > 20 and detail["counted_phase_rms_deg"] < 5
    assert detail["counted_amplitude"] == pytest.approx([1, 1], abs=0.05)
    assert detail["limit_pm"] == figures["limit_pm"]["lower"] >= detail["significant_pm"]
    elsewhere = replace(given, frames=frames + np.array([0.6, 0.3, 0.0]))
    assert resolution(case, elsewhere, found)["detail"]["lower"]["counted"] < detail["counted"] / 2
    assert figures["twist_deg"] == pytest.approx(11.0, abs=0.1)
    assert figures["lattices"]["lower"]["layers"] == 20 and figures["device"] == "a test"
    assert figures["lattices"]["upper"]["shells"]["self"]["csm"] > 0.95
    assert figures["lattices"]["lower"]["self_pm2"][0] == pytest.approx(4, abs=1)
    report.report([case], tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "point source, reduced, upper: its snapshots" in text and "11.0" in text
    assert (tmp_path / "figure3.png").exists() and (tmp_path / "figure4.png").exists()


def test_slices_between_depths():
    assert slices_between(np.array([19.0, 57.0]), 150.0, 30) == slice(4, 11)
    assert slices_between(np.array([0.0, 7.7]), 7.7, 4) == slice(0, 4)


def test_single_scattering_reaches_the_sum_of_both_angles():
    """40 mrad of aperture and 80 mrad of detector are 120 mrad, at 60 kV 40.6 pm."""
    optics = {
        "energy_ev": 60e3,
        "semiangle_mrad": 40.0,
        "window_angstrom": 20.0,
        "detector_pixels": 2 * 32.88,
    }
    assert 1 / transfer_limit(optics) == pytest.approx(0.04866 / 0.120, rel=1e-3)
