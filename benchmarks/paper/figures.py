"""Figures 2, 3 and 4 of the paper from finished cases; they need Matplotlib."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import caviar_kit as ck
from benchmarks.paper.measure import MEAN_MASS
from caviar_kit.npz import read_npz

__all__ = ["figure2", "figure3", "figure4"]

SILICON = {"si-coherent": "coherent", "si-einstein": "Einstein", "si-md-psc": "MD, source", "si-md": "MD"}
LATTICES = ("lower", "upper")


def figure2(folder: Path, size: str) -> Any | None:
    """Correlations around one column of the silicon boundary, in each kind of data; None without any."""
    results = {}
    for name, title in SILICON.items():
        path = folder / f"{name}-{size}.result.npz"
        if path.exists():
            results[title] = ck.load_result(path)
    return ck.plot.ensemble_comparison(results) if results else None


def figure3(folder: Path, size: str) -> Any | None:
    """Twisted hBN: phase, power spectrum, depth power, r–z maps and profiles; None if it was not run."""
    import matplotlib.pyplot as plt

    path = folder / f"hbn-{size}.pictures.npz"
    if not path.exists():
        return None
    kept = read_npz(path, ["slice_phases", "sampling", "positions"])
    sampling, scan = kept["sampling"], kept["positions"]
    obj = np.exp(1j * kept["slice_phases"].astype(np.float32))[None]
    results = _lattices(folder, size)
    provenance = results["lower"].provenance
    thickness = provenance["thickness_angstrom"]
    field = (scan.min(axis=0) - 4, scan.max(axis=0) + 4)
    figure, axes = plt.subplots(2, 3, figsize=(15, 9), layout="constrained")
    height, width = obj.shape[-2:] * sampling
    phase = kept["slice_phases"].astype(float).sum(axis=0)
    axes[0, 0].imshow(phase, cmap="viridis", extent=(0, width, height, 0))
    axes[0, 0].set(xlabel="x (Å)", ylabel="y (Å)", title="a  projected phase")
    farthest = 100 / json.loads((folder / f"hbn-{size}.json").read_text())["limit_pm"]["all"]
    lattices = [ck.fit_lattice(result.positions) for result in results.values()]
    limit = ck.information_limit(obj, sampling, field=field).on_lattices(*lattices).within(1.001 * farthest)
    ck.plot.power_spectrum(limit, ax=axes[0, 1])
    axes[0, 1].set_title(f"b  information to {100 * limit.angstrom:.1f} pm", loc="left")
    depth = ck.depth_spectrum(obj, sampling, thickness / obj.shape[1], field=field)
    ck.plot.depth_power(depth, ax=axes[0, 2])
    axes[0, 2].set_title(f"c  depth, mean of the states: to {depth.depth_angstrom:.0f} Å", loc="left")
    profiles = {
        name: ck.column_profiles(
            obj, _places(result, scan), sampling, thickness / obj.shape[1], map_radius=0.7
        )
        for name, result in results.items()
    }
    for ax, letter, (name, profile) in zip(axes[1], "de", profiles.items(), strict=False):
        ck.plot.depth_map(profile, ax=ax)
        ax.set_title(f"{letter}  {name} lattice", loc="left")
    ck.plot.depth_profile(profiles, ax=axes[1, 2])
    axes[1, 2].set_title("f  mean profiles", loc="left")
    return figure


def figure4(folder: Path, size: str) -> Any | None:
    """Correlations and dispersion of both lattices of twisted hBN; None if it was not run."""
    import matplotlib.pyplot as plt

    results = _lattices(folder, size)
    if len(results) < 2:
        return None
    figure, axes = plt.subplots(2, 3, figsize=(15, 9.5), layout="constrained")
    for row, (name, result) in zip(axes, results.items(), strict=True):
        where = result.positions
        middle = int(np.linalg.norm(where - where.mean(axis=0), axis=1).argmin())
        tensor = result.greens_tensor
        ck.plot.correlation_arrows(
            tensor,
            where,
            middle,
            radius=3.2,
            image=result.phases.mean(axis=0),
            sampling=result.sampling,
            ax=row[0],
        )
        ck.plot.correlation_arrows(
            result.true_greens_tensor, result.true_positions, middle, radius=3.2, ax=row[1]
        )
        row[0].set_title(f"{name} lattice: reconstructed", loc="left", pad=22)
        row[1].set_title("its snapshots", loc="left", pad=22)
        lattice = ck.fit_lattice(where, sites=2, occupied=0)
        mass = result.provenance["layers"] * MEAN_MASS
        found, true = (
            ck.phonon_dispersion(u, lattice, mass, 300)
            for u in (result.displacements, result.true_displacements)
        )
        ck.plot.dispersion(found, theory=true.frequencies_thz, ax=row[2])
        row[2].set_title("dispersion; theory: its snapshots", loc="left", pad=28)
    return figure


def _lattices(folder: Path, size: str) -> dict[str, ck.EnsembleResult]:
    paths = {name: folder / f"hbn-{name}-{size}.result.npz" for name in LATTICES}
    return {name: ck.load_result(path) for name, path in paths.items() if path.exists()}


def _places(result: ck.EnsembleResult, scan: np.ndarray) -> np.ndarray:
    """Columns in the frame of the kept field, whose corner lies farther out than that of the result."""
    from caviar_kit.field import scanned_window

    first = [part.start for part in scanned_window(scan, result.sampling, margin_angstrom=1.0)]
    return result.positions + np.array(first) * result.sampling
