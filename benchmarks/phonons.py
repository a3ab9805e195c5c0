"""Phonon frequencies of silicon and boron nitride for each interatomic potential: JSON lines.

``python benchmarks/phonons.py`` relaxes each crystal with each potential, takes force constants with phonopy
and prints frequencies [THz] at points of high symmetry; for boron nitride also the means of the in-plane
branches along Γ-K-M-Γ. ``python benchmarks/phonons.py si:snap hbn:bn-extep`` does only these.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

from caviar_kit.simulation import Lammps, phonopy_of

SILICON = {"Γ": (0, 0, 0), "X": (0.5, 0.5, 0), "L": (0.5, 0.5, 0.5)}
HEXAGONAL = {"Γ": (0, 0, 0), "K": (1 / 3, 1 / 3, 0), "M": (0.5, 0, 0)}
CASES = (
    *(f"si:{potential}" for potential in ("sw", "tersoff", "snap")),
    *(f"hbn:{potential}{ilp}" for ilp in ("", "+ilp") for potential in ("bnc-tersoff", "bn-extep")),
)


def main() -> None:
    """One line per crystal and potential."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="*", choices=[[], *CASES], help=", ".join(CASES))
    for case in parser.parse_args().case or CASES:
        crystal, potential = case.split(":")
        start = time.perf_counter()
        figures = silicon(potential) if crystal == "si" else boron_nitride(potential)
        figures["seconds"] = round(time.perf_counter() - start, 1)
        print(json.dumps({"case": case, **figures}, ensure_ascii=False), flush=True)


def silicon(potential: str) -> dict[str, Any]:
    """Lattice constant [Å] and the frequencies at Γ, X and L."""
    with Lammps(bulk("Si", a=5.43), potential) as engine:
        cell = engine.relax("iso", 1e-6)
    phonons = phonopy_of(cell, potential, (5, 5, 5))
    return {"a": round(2 * cell.cell[0, 1], 4), **frequencies(phonons, SILICON)}


def boron_nitride(potential: str) -> dict[str, Any]:
    """Of one layer, or with "+ilp" of the bulk stacked AA'."""
    stacked = potential.endswith("+ilp")
    layers = 6 if stacked else 1
    with Lammps(hexagonal(layers), potential) as engine:
        relaxed = engine.relax("xyz" if stacked else "xy", 1e-6)
    a, height = relaxed.cell[0, 0], relaxed.cell[2, 2]
    unit = hexagonal(2, a, height / 3) if stacked else hexagonal(1, a, height)
    phonons = phonopy_of(unit, potential, (8, 8, 3) if stacked else (9, 9, 1))
    figures = {"a": round(a, 4), **({"c": round(height / 3, 3)} if stacked else {})}
    means = in_plane_branches(phonons).mean(axis=0).reshape(4, -1).mean(axis=1)
    return {**figures, **frequencies(phonons, HEXAGONAL), "in-plane path means": means.round(1).tolist()}


def hexagonal(layers: int, a: float = 2.504, height: float | None = None) -> Atoms:
    """Boron nitride in ``layers`` stacked AA', cell of ``height`` [Å]; one layer alone has vacuum above."""
    height = height or (20.0 if layers == 1 else 3.3 * layers)
    levels = np.arange(layers) * height / layers
    positions = np.concatenate([[[0, 0, z], [0, a / np.sqrt(3), z]] for z in levels])
    cell = [[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, height]]
    atoms = Atoms(("BNNB" * layers)[: 2 * layers], positions, cell=cell, pbc=True)
    atoms.arrays["mol-id"] = np.repeat(np.arange(layers) + 1, 2)
    return atoms


def frequencies(phonons: Any, points: dict[str, tuple[float, ...]]) -> dict[str, list[float]]:
    """Each frequency [THz] once, with those that agree to 0.05 THz merged; imaginary ones negative."""
    found = phonons.run_qpoints(list(points.values())).frequencies
    merged = {}
    for name, values in zip(points, found, strict=True):
        apart = np.flatnonzero(np.diff(values, prepend=-np.inf) > 0.05)
        merged[name] = [round(float(group.mean()), 2) + 0.0 for group in np.split(values, apart[1:])]
    return merged


def in_plane_branches(phonons: Any, points: int = 150) -> np.ndarray:
    """Frequencies (points, in-plane branches), ascending, at equal steps along Γ-K-M-Γ."""
    corners = np.array([HEXAGONAL[name] for name in "ΓKMΓ"])
    lengths = np.linalg.norm(np.diff(corners, axis=0) @ np.linalg.inv(phonons.primitive.cell).T, axis=1)
    along = np.concatenate([[0.0], lengths.cumsum()])
    steps = (np.arange(points) + 0.5) * along[-1] / points
    path = np.stack([np.interp(steps, along, corners[:, axis]) for axis in range(3)], axis=1)
    result = phonons.run_qpoints(path, with_eigenvectors=True)
    vectors = np.asarray(result.eigenvectors).reshape(points, -1, 3, result.frequencies.shape[1])
    in_plane = (np.abs(vectors[:, :, :2]) ** 2).sum(axis=(1, 2))
    chosen = np.sort(np.argsort(-in_plane, axis=1)[:, : 2 * len(phonons.primitive)], axis=1)
    return np.take_along_axis(result.frequencies, chosen, axis=1)


if __name__ == "__main__":
    main()
