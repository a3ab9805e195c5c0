"""Can the lattices of the synthetic twisted hBN be told apart in depth? Reconstruct it, print a JSON line.

    python benchmarks/hbn_depth.py --preset tutorial --figure depth.png

The phase of each slice is fitted with the plane waves of both lattices at once, as their Bragg spots overlap
in so small a field; ``lower_share`` is the lower lattice's part of the amplitude, slice by slice. The
angles are found without knowing them: where the first and the last third of the slices have most Bragg power.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from typing import Any

import numpy as np

import caviar_kit as ck
from benchmarks.reconstruction import of_example
from caviar_kit.vibrations.phase import slice_phases

LATTICE_ANGSTROM = 2.504
FAMILIES = ((1, 0), (1, 1), (2, 0), (2, 1), (3, 0))  # (h, k) of the reflections, up to 1.4 / Å


def main() -> None:
    """Reconstruct, measure, print."""
    options = parse()
    example = ck.load_example("hbn-twisted", options.preset)
    begin = time.perf_counter()
    ptycho = reconstruct(example, options)
    seconds = time.perf_counter() - begin
    phases, places = field_of(ptycho)
    truth = directions(example.snapshots)
    lower, upper = (lattice_waves(angle, places) for angle in truth)
    amplitudes = bragg_amplitudes(phases, lower, upper)
    share = amplitudes[0] / amplitudes.sum(axis=0)
    found = found_directions(phases, places)
    line = {
        "preset": options.preset,
        "slices": len(phases),
        "slice_angstrom": round(example.snapshots.thickness_angstrom / len(phases), 2),
        "states": len(ptycho.object),
        "iterations": len(ptycho.error_iterations),
        "loss": float(ptycho.error),
        "seconds": round(seconds, 1),
        "lower_share": share.round(2).tolist(),
        "lower_share_by_family": {
            f"{h}{k}": (a[0] / a.sum(axis=0)).round(2).tolist()
            for (h, k), a in ((family, bragg_amplitudes(phases, lower, upper, family)) for family in FAMILIES)
        },
        "directions_deg": [round(angle, 2) for angle in found],
        "twist_deg": round(twist(found), 2),
        "true_twist_deg": round(twist(truth), 2),
    }
    print(json.dumps(line), flush=True)
    if options.figure:
        draw(options.figure, phases, share, ptycho)


def reconstruct(example: Any, options: argparse.Namespace) -> Any:
    """As the example's settings say, but for the options."""
    fit = asdict(example.fit_settings)
    states = fit.pop("num_states")
    fit["max_iter"] = options.iterations or fit["max_iter"]
    ptycho = of_example(example, slices=options.slices, states=options.states or states)
    return ptycho.reconstruct(progress_bar=False, **fit)


def field_of(ptycho: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean phase of each slice in the scanned field (slices, y, x) [rad], and y, x of its pixels [Å]."""
    sampling, scanned = np.array(ptycho.sampling), ptycho.scan_positions_angstrom
    first = np.ceil(scanned.min(axis=0) / sampling).astype(int)
    last = np.floor(scanned.max(axis=0) / sampling).astype(int) + 1
    window = (..., slice(first[0], last[0]), slice(first[1], last[1]))
    phases = slice_phases(ptycho.object[window]).mean(axis=0)
    places = np.stack(
        np.meshgrid(*(np.arange(a, b) for a, b in zip(first, last, strict=True)), indexing="ij"), -1
    )
    return phases, places * sampling


def directions(snapshots: Any) -> list[float]:
    """Direction of the bonds in the first and in the last layer, from +x to +y, modulo 60° [deg]."""
    from ase import Atoms
    from ase.neighborlist import neighbor_list

    found = []
    height = snapshots.relaxed[:, 2]
    for level in (height.min(), height.max()):
        layer = np.abs(height - level) < 1
        flat = Atoms(snapshots.numbers[layer], snapshots.relaxed[layer], cell=snapshots.cell, pbc=(1, 1, 0))
        bonds = neighbor_list("D", flat, 1.8)
        angle = np.arctan2(bonds[:, 1], bonds[:, 0])
        found.append(float(np.degrees(np.angle(np.exp(6j * angle).mean())) / 6))
    return found


def wave_vectors(bond_deg: float, families: tuple[tuple[int, int], ...] = FAMILIES) -> np.ndarray:
    """Half of the Bragg vectors, y and x [1/Å], of a honeycomb with bonds along ``bond_deg``."""
    size = 2 / (np.sqrt(3) * LATTICE_ANGSTROM)
    first, second = (np.radians(bond_deg + turn) for turn in (0, 60))  # (10) is along a bond
    basis = size * np.array([[np.sin(first), np.cos(first)], [np.sin(second), np.cos(second)]])
    wanted = {h * h + h * k + k * k for h, k in families}
    pairs = [
        (h, k)
        for h in range(-3, 4)
        for k in range(-3, 4)
        if h * h + h * k + k * k in wanted and (h, k) > (0, 0)
    ]
    return np.array(pairs) @ basis


def lattice_waves(
    bond_deg: float, places: np.ndarray, families: tuple[tuple[int, int], ...] = FAMILIES
) -> np.ndarray:
    """Cosines and sines of the lattice's waves at ``places``: (pixels, 2 waves)."""
    phase = 2 * np.pi * places.reshape(-1, 2) @ wave_vectors(bond_deg, families).T
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=1)


def bragg_amplitudes(
    phases: np.ndarray, lower: np.ndarray, upper: np.ndarray, family: tuple[int, int] | None = None
) -> np.ndarray:
    """Root of the sum of squares of both lattices' coefficients, of all or one family: (2, slices) [rad]."""
    design = np.concatenate([np.ones((len(lower), 1)), lower, upper], axis=1)
    coefficients = np.linalg.lstsq(design, phases.reshape(len(phases), -1).T, rcond=None)[0][1:]
    parts = coefficients.reshape(2, 2, -1, len(phases))  # lattice, cosine and sine, wave, slice
    if family is not None:
        length = np.linalg.norm(wave_vectors(0), axis=1)
        h, k = family
        size = 2 / (np.sqrt(3) * LATTICE_ANGSTROM) * np.sqrt(h * h + h * k + k * k)
        parts = parts[:, :, np.abs(length - size) < 1e-6]
    return np.sqrt((parts**2).sum(axis=(1, 2)))


def direction(phase: np.ndarray, places: np.ndarray) -> float:
    """Direction of the bonds with most Bragg power in ``phase`` [deg], 0 to 60, in steps of 0.05."""
    taper = np.outer(np.hanning(phase.shape[0]), np.hanning(phase.shape[1])).ravel()
    flat = (phase.ravel() - phase.mean()) * taper

    def best(angles: np.ndarray) -> float:
        powers = [np.sum((flat @ lattice_waves(angle, places)) ** 2) for angle in angles]
        return float(angles[int(np.argmax(powers))])

    coarse = best(np.arange(0, 60, 0.5))
    return best(coarse + np.arange(-0.5, 0.5, 0.05)) % 60


def found_directions(phases: np.ndarray, places: np.ndarray) -> list[float]:
    """Direction in the first and in the last third of the slices [deg]."""
    third = max(1, len(phases) // 3)
    return [direction(part.sum(axis=0), places) for part in (phases[:third], phases[-third:])]


def twist(pair: list[float]) -> float:
    """From the first direction to the second [deg], -30 to 30."""
    return (pair[1] - pair[0] + 30) % 60 - 30


def draw(path: str, phases: np.ndarray, share: np.ndarray, ptycho: Any) -> None:
    """The slices, their power spectra, and the lower lattice's share against depth."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(phases) + 1, figsize=(2.2 * (len(phases) + 1), 4.6))
    limit = np.percentile(np.abs(phases - phases.mean(axis=(1, 2), keepdims=True)), 99.5)
    for i, phase in enumerate(phases):
        axes[0, i].imshow(phase - phase.mean(), vmin=-limit, vmax=limit, cmap="viridis")
        taper = np.outer(np.hanning(phase.shape[0]), np.hanning(phase.shape[1]))
        spectrum = np.abs(np.fft.fftshift(np.fft.fft2((phase - phase.mean()) * taper, s=(128, 128))))
        axes[1, i].imshow(np.sqrt(spectrum), cmap="viridis")
        axes[0, i].set_title(f"slice {i}", fontsize=8)
        for ax in axes[:, i]:
            ax.set_axis_off()
    axes[0, -1].plot(share, "o-")
    axes[0, -1].set(ylim=(0, 1), xlabel="slice", title="lower share")
    axes[1, -1].plot(ptycho.error_iterations)
    axes[1, -1].set(yscale="log", xlabel="iteration", title="loss")
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="tutorial")
    parser.add_argument("--states", type=int, help="object states; the preset's by default")
    parser.add_argument("--slices", type=int, help="slices of the object; the preset's by default")
    parser.add_argument("--iterations", type=int, help="with all states; the preset's by default")
    parser.add_argument("--figure", help="write a picture to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
