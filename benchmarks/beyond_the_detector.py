"""Is detail beyond the detector real? Twisted hBN, one JSON line per half of the slices and ring.

    python benchmarks/beyond_the_detector.py --preset tutorial --figure beyond.png
    python benchmarks/beyond_the_detector.py --preset tutorial --electrons 1e7
    python benchmarks/beyond_the_detector.py --preset tutorial --detector 44

Each significant peak of the power spectrum of a half (`ck.information_limit`) is compared with the same
Fourier component of the phase of the very atoms in that half, thermal motion in it: amplitude, found over
true (no scale is fitted), and difference of the phases. Something random would have any phase; a nonlinear
function of a coarser picture has nearly the right ones, but wrong amplitudes. ``--detector`` leaves out what
lies outside a smaller square: what single scattering no longer brings there should go, if it was recorded.
Scattering factors are those of the data, Lobato and Van Dyck's. "outside" counts peaks outside the detector's
square, "elsewhere" those on no vector of the half's own reciprocal lattice.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols

import caviar_kit as ck
from benchmarks.components import components, mean_phase_of_atoms
from benchmarks.reconstruction import of_example
from benchmarks.studies.silicon import counted
from caviar_kit.atomistic import phase_form_factors
from caviar_kit.simulation.window import cut_window
from caviar_kit.vibrations.phase import projected_phase

FIELD = 1.6  # Å around the scan, compared with the atoms
SPECTRUM = 4.0  # Å around the scan, where peaks are looked for: the probe lights as much
RINGS = (0.0, 0.6, 1.0, 1.3, 1.5, 1.6, 1.9, 2.4, 3.0)  # 1/Å


@dataclass(frozen=True)
class Half:
    """One crystal: its peaks, and the components of the reconstruction and of the atoms there."""

    name: str
    peaks: np.ndarray
    """(peaks, 2), y, x [1/Å]."""
    on_lattice: np.ndarray
    """Whether they are on the reciprocal lattice, bool (peaks,)."""
    ratio: np.ndarray
    """Found over true, complex (peaks,)."""
    limit: ck.vibrations.InformationLimit


def main() -> None:
    """Reconstruct, compare, print."""
    options = parse()
    example = ck.load_example("hbn-twisted", options.preset)
    ptycho = reconstruct(example, options)
    height = example.snapshots.relaxed[:, 2]
    upper, middle = height > height.mean(), example.num_slices // 2
    halves = [
        compare(ptycho, example, "lower", ~upper, slice(0, middle)),
        compare(ptycho, example, "upper", upper, slice(middle, example.num_slices)),
    ]
    pixels = options.detector or example.experiment.detector_pixels
    edge = pixels / 2 / example.experiment.window_angstrom
    chosen = ("preset", "electrons", "loss", "detector")
    common = {name: getattr(options, name) for name in chosen if getattr(options, name) is not None}
    common["edge_inverse_angstrom"] = round(edge, 3)
    for half in halves:
        for line in rings(half, edge):
            print(json.dumps({**common, "half": half.name, **line}), flush=True)
    if options.figure:
        draw(options.figure, halves, edge)


def reconstruct(example: Any, options: argparse.Namespace) -> Any:
    """With the example's settings, of its data or of counted electrons."""
    fit, given = asdict(example.fit_settings), {"loss": options.loss}
    example = counted(example, options.electrons, options.seed)
    ptycho = of_example(example, states=fit.pop("num_states"), dp_mask=mask(example, options.detector))
    return ptycho.reconstruct(progress_bar=False, **fit, **given)


def mask(example: Any, count: int | None) -> np.ndarray | None:
    """The middle ``count`` × ``count`` pixels of the detector, bool; None for all."""
    if count is None:
        return None
    pixels = example.experiment.detector_pixels
    kept = abs(np.arange(pixels) - pixels // 2) < count / 2  # the beam is on pixel pixels // 2
    return np.logical_and.outer(kept, kept)


def compare(ptycho: Any, example: Any, name: str, atoms: np.ndarray, slices: slice) -> Half:
    """The peaks of one half against its ``atoms``."""
    sampling, scan = np.array(ptycho.sampling), ptycho.scan_positions_angstrom
    seen = (scan.min(axis=0) - SPECTRUM, scan.max(axis=0) + SPECTRUM)
    limit = ck.information_limit(ptycho.object, sampling, field=seen, slices=slices)
    phase = projected_phase(ptycho.object, slices).mean(axis=0)
    first, last = ((end / sampling).astype(int) for end in (scan.min(0) - FIELD, scan.max(0) + FIELD))
    phase = phase[first[0] : last[0], first[1] : last[1]]
    true = true_phase(example, atoms, sampling, scan[0] - first * sampling, phase.shape)
    found = components(phase, sampling, limit.peaks) / components(true, sampling, limit.peaks)
    lattice = ck.fit_lattice(ck.find_atoms(phase, sampling))
    known = {tuple(peak) for peak in limit.on_lattices(lattice).peaks}
    on_lattice = np.array([tuple(peak) in known for peak in limit.peaks], dtype=bool)
    return Half(name, limit.peaks, on_lattice, found, limit)


def true_phase(
    example: Any, atoms: np.ndarray, sampling: np.ndarray, origin: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Phase [rad] of ``atoms``, averaged over the snapshots, in a field of ``shape`` pixels.

    ``origin`` is the first scan position in that field [Å].
    """
    snapshots, experiment = example.snapshots.only(atoms), example.experiment
    window, side = cut_window(snapshots, experiment), experiment.window_angstrom
    numbers, kinds = np.unique(snapshots.numbers[window.index], return_inverse=True)
    last = int(0.5 / sampling.max() * side)  # more would be folded into what pixels carry
    k = np.arange(-last, last + 1) / side
    symbols = [chemical_symbols[number] for number in numbers]
    factors = phase_form_factors(symbols, k[:, None] ** 2 + k**2, experiment.energy_ev)
    frames = np.stack([window.place(frame)[:, 1::-1] for frame in snapshots.positions])
    corner = experiment.first_position_in_window_angstrom - origin  # of the field in the window
    y, x = (start + step * np.arange(n) for start, step, n in zip(corner, sampling, shape, strict=True))
    return mean_phase_of_atoms(frames, kinds, factors, k, side, (y, x))


def rings(half: Half, edge: float) -> list[dict[str, Any]]:
    """Peaks of each ring: how many, and where; median ratio of amplitudes, rms difference of phases."""
    lines, frequency = [], np.linalg.norm(half.peaks, axis=1)
    outside = np.abs(half.peaks).max(axis=1, initial=0) > 1.01 * edge  # not its outermost pixels
    for low, high in zip(RINGS[:-1], RINGS[1:], strict=True):
        here = (frequency > low) & (frequency <= high)
        if here.any():
            degrees = np.degrees(np.angle(half.ratio[here]))
            lines.append(
                {
                    "from_to": [low, high],
                    "peaks": int(here.sum()),
                    "outside": int((here & outside).sum()),
                    "elsewhere": int((here & ~half.on_lattice).sum()),
                    "amplitude": round(float(np.median(np.abs(half.ratio[here]))), 3),
                    "phase_rms_deg": round(float(np.sqrt((degrees**2).mean())), 1),
                }
            )
    return lines


def draw(path: str, halves: list[Half], edge: float) -> None:
    """Power spectrum of the lower half; amplitudes and phases against frequency."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
    ck.plot.power_spectrum(halves[0].limit, ax=axes[0])
    axes[0].add_patch(plt.Rectangle((-edge, -edge), 2 * edge, 2 * edge, fill=False, color="white", ls="--"))
    axes[0].set_title(f"a  {halves[0].name} half; dashed: detector", loc="left")
    for half, colour, marker in zip(halves, ("#0072B2", "#D55E00"), "ox", strict=True):
        frequency = np.linalg.norm(half.peaks, axis=1)
        marked = {"color": colour, "marker": marker, "s": 28, "label": f"{half.name} half"}
        axes[1].scatter(frequency, np.abs(half.ratio), **marked)
        axes[2].scatter(frequency, np.degrees(np.angle(half.ratio)), **marked)
    axes[1].set(ylim=(0, 1.3), ylabel="amplitude, found / true", xlabel="spatial frequency (1/Å)")
    axes[2].set(ylim=(-30, 30), ylabel="phase, found − true (°)", xlabel="spatial frequency (1/Å)")
    axes[1].axhline(1, color="0.6", lw=1)
    axes[2].axhline(0, color="0.6", lw=1)
    for ax, title in zip(axes[1:], ("b  amplitudes", "c  phases"), strict=True):
        ax.axvline(edge, color="0.4", ls="--", lw=1, label="detector's edge")
        ax.set_title(title, loc="left")
    axes[1].legend(frameon=False, loc="lower left")
    figure.savefig(path, dpi=110)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="tutorial")
    parser.add_argument("--electrons", type=float, help="per pattern, counted; noise-free by default")
    parser.add_argument("--loss", choices=("amplitude", "poisson"), default="amplitude", help="if noise-free")
    parser.add_argument("--detector", type=int, help="pixels along its side that count; all by default")
    parser.add_argument("--seed", type=int, default=0, help="of the counting")
    parser.add_argument("--figure", help="where to draw")
    options = parser.parse_args()
    if options.electrons:
        options.loss = "poisson"
    return options


if __name__ == "__main__":
    main()
