"""Thermal motion by classical molecular dynamics with a Langevin thermostat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.units import kB
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.simulation.motion.lammps_engine import Lammps
from caviar_kit.simulation.motion.lammps_library import lammps_version
from caviar_kit.simulation.motion.potentials import InteratomicPotential, interatomic_potential
from caviar_kit.simulation.motion.shortest_period import shortest_period_ps
from caviar_kit.simulation.snapshots import Snapshots

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["molecular_dynamics"]

_STEPS_PER_PERIOD = 15  # the mean square displacement of the fastest mode is then wrong by 5 % at most
_DAMPINGS = 5  # of equilibration: e^-5 of the start is left
_DEVIATIONS = 6  # of the mean kinetic temperature, by chance


def molecular_dynamics(
    atoms: Atoms,
    potential: str | InteratomicPotential = "sw",
    *,
    seed: int,
    temperature_k: float = 300.0,
    snapshots: int = 30,
    interval_ps: float = 1.0,
    equilibration_ps: float = 20.0,
    timestep_ps: float = 0.002,
    damping_ps: float = 0.5,
    bodies: ArrayLike | None = None,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Snapshots:
    """Snapshots of a crystal at constant volume and temperature, from LAMMPS.

    The atoms first go to their minimum (the cell stays), then move by Newton's equations with friction
    and random forces, m ẍ = F − m ẋ / τ + R (Schneider and Stoll, Phys. Rev. B 17, 1302, 1978), whose
    snapshots follow the canonical distribution. They are *classical*: k_B T per mode and no zero-point
    motion; ``harmonic`` has both.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal, periodic, near a minimum; cell vectors as in ``Snapshots``.
    potential : str or InteratomicPotential
        See ``interatomic_potential``.
    seed : int
        Seed of the random numbers, from 0: same seed, same bits with one thread.
    temperature_k : float
        Temperature [K], above 0.
    snapshots : int
        How many, from 2.
    interval_ps : float
        Time between two of them [ps], a multiple of the time step. Neighbours in time are alike if it
        is short: after 1 ps little of this is left in silicon.
    equilibration_ps : float
        Time before the first interval [ps], at least five times ``damping_ps``.
    timestep_ps : float
        Time step [ps], at most 1/15 of the shortest period of vibration: 0.002 is right for silicon, hBN
        needs 0.001.
    damping_ps : float
        The thermostat's time τ [ps], at least ten time steps.
    bodies : array of int, shape (atoms,), optional
        Label of the body each atom belongs to: the centre of mass of each is held afterwards, by a shift of
        its snapshots. Default: one body. Two lattices that slide freely over each other are two.
    threads : int
        Threads of LAMMPS's OpenMP package; more than one gives other bits.
    progress : callable, optional
        Called as ``progress(done, total)`` after each snapshot; an exception raised there stops the run.

    Returns
    -------
    Snapshots
        Unwrapped; the centre of mass is where that of the relaxed atoms is. ``relaxed`` is the
        minimum, ``provenance`` tells program, potential, thermostat, seed, intervals, and two thermometers.

    Raises
    ------
    ImportError
        If LAMMPS is not installed: ``pip install caviar_kit[md]``.
    TypeError, ValueError
        If an argument is out of range, or the time step too long for the crystal's vibrations.
    RuntimeError
        If an atom leaves its site (the crystal melts, atoms diffuse, layers slide), or the kinetic energy
        differs from that of the temperature by more than chance.
    """
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be callable as progress(done, total), got {progress!r}")
    if not isinstance(potential, InteratomicPotential):
        potential = interatomic_potential(potential)
    plan = _Plan(temperature_k, snapshots, interval_ps, equilibration_ps, timestep_ps, damping_ps, seed)
    threads = validation.integer("threads", threads)
    labels = _labels(atoms, bodies)
    with Lammps(atoms, potential, threads=threads) as engine:
        specimen = _specimen(atoms, plan.temperature_k)  # refuses a tilted beam before the long run
        relaxed = engine.relax().positions
        minimum = engine.energy()
        _check_timestep(engine, plan.timestep_ps)
        _equilibrate(engine, plan)
        run = _Run(atoms.get_masses(), relaxed, _half_bond(atoms, relaxed), labels)
        for done in range(1, plan.snapshots + 1):
            engine.command(f"run {plan.steps(plan.interval_ps)} pre no post no")
            run.add(engine.positions, engine.thermo("temp"), engine.thermo("pe") - minimum)
            if progress is not None:
                progress(done, plan.snapshots)
    run.check_temperature(plan)
    return Snapshots(
        positions=np.array(run.positions),
        numbers=specimen.numbers,
        cell=specimen.cell,
        relaxed=relaxed,
        temperature_k=plan.temperature_k,
        provenance=_provenance(plan, potential, run, threads),
    )


@dataclass(frozen=True)
class _Plan:
    """Validated settings of a run."""

    temperature_k: float
    snapshots: int
    interval_ps: float
    equilibration_ps: float
    timestep_ps: float
    damping_ps: float
    seed: int

    def __post_init__(self) -> None:
        for name, least in (("snapshots", 2), ("seed", 0)):
            self._keep(name, validation.integer(name, getattr(self, name), minimum=least))
        number = validation.number
        kelvin, step = self.temperature_k, self.timestep_ps
        self._keep("temperature_k", number("temperature_k", kelvin, minimum=0, open_minimum=True, unit="K"))
        hint = "was it given in femtoseconds?"
        step = number("timestep_ps", step, minimum=0, maximum=0.1, open_minimum=True, unit="ps", hint=hint)
        self._keep("timestep_ps", step)
        self._at_least("damping_ps", 10 * step)
        self._at_least("equilibration_ps", _DAMPINGS * self.damping_ps)
        self._at_least("interval_ps", step)
        steps = self.steps(self.interval_ps)
        if abs(steps * step - self.interval_ps) > 1e-6 * self.interval_ps:
            raise ValueError(
                f"interval_ps must be a multiple of timestep_ps={step:g}, got {self.interval_ps:g}; "
                f"{steps * step:g} is"
            )

    def _keep(self, name: str, value: float) -> None:
        object.__setattr__(self, name, value)

    def _at_least(self, name: str, minimum: float) -> None:
        self._keep(name, validation.number(name, getattr(self, name), minimum=minimum, unit="ps"))

    def steps(self, time_ps: float) -> int:
        """Time steps nearest to ``time_ps``."""
        return round(time_ps / self.timestep_ps)


class _Run:
    """Snapshots of one run, each checked as it comes."""

    def __init__(self, masses: np.ndarray, relaxed: np.ndarray, half_bond: float, labels: np.ndarray) -> None:
        weights = (labels[:, None] == np.arange(labels.max() + 1)) * masses[:, None]
        self._weights, self._labels = weights / weights.sum(axis=0), labels
        self._relaxed, self._half_bond = relaxed, half_bond
        self.positions: list[np.ndarray] = []
        self.temperatures: list[float] = []
        self.energies: list[float] = []

    def add(self, positions: np.ndarray, temperature: float, energy: float) -> None:
        shift = self._weights.T @ (positions - self._relaxed)  # of each body's centre of mass
        held = positions - shift[self._labels]
        moved = np.linalg.norm(held - self._relaxed, axis=1)
        if not moved.max() < self._half_bond:
            raise RuntimeError(
                f"atom {int(np.argmax(moved))} has left its site: it is {moved.max():.2f} Å away from it in "
                f"snapshot {len(self.positions)}, more than half the distance to a neighbour "
                f"({self._half_bond:.2f} Å); the crystal melts, its atoms diffuse or its layers slide: lower "
                "temperature_k, check structure and potential, or name the bodies that slide"
            )
        self.positions.append(held)
        self.temperatures.append(temperature)
        self.energies.append(energy)

    @property
    def freedoms(self) -> int:
        """Degrees of freedom; the centre of mass of all is at rest."""
        return 3 * len(self._labels) - 3

    @property
    def kinetic_k(self) -> float:
        """Mean kinetic temperature [K]."""
        return float(np.mean(self.temperatures))

    @property
    def potential_k(self) -> float:
        """Temperature [K] at which a harmonic crystal has the mean potential energy above the minimum."""
        return float(2 * np.mean(self.energies) / (self.freedoms * kB))

    def check_temperature(self, plan: _Plan) -> None:
        """Refuse a kinetic temperature that chance does not explain."""
        independent = max(1.0, len(self.positions) * min(1.0, plan.interval_ps / (2 * plan.damping_ps)))
        spread = plan.temperature_k * np.sqrt(2 / (self.freedoms * independent))
        allowed = _DEVIATIONS * spread + 0.02 * plan.temperature_k
        if abs(self.kinetic_k - plan.temperature_k) > allowed:
            raise RuntimeError(
                f"the atoms move at {self.kinetic_k:.0f} K, not at temperature_k={plan.temperature_k:g} "
                f"(± {allowed:.0f} K by chance); take a shorter timestep_ps or a longer equilibration_ps"
            )


def _specimen(atoms: Atoms, temperature_k: float) -> Snapshots:
    """The atoms at rest, as ``Snapshots``: checks the cell."""
    return Snapshots(atoms.positions[None], atoms.numbers, atoms.cell.array, atoms.positions, temperature_k)


def _labels(atoms: Atoms, bodies: ArrayLike | None) -> np.ndarray:
    """Body of each atom, counted from 0."""
    if bodies is None:
        return np.zeros(len(atoms), dtype=int)
    given = validation.as_array("bodies", bodies, shape=(len(atoms),))
    if given.dtype.kind not in "iu":
        raise TypeError(f"bodies must hold integers (labels), got dtype {given.dtype}")
    return np.unique(given, return_inverse=True)[1]


def _check_timestep(engine: Lammps, timestep_ps: float) -> None:
    period = shortest_period_ps(engine)
    longest = period / _STEPS_PER_PERIOD
    if timestep_ps > longest:
        raise ValueError(
            f"timestep_ps must be at most {longest:.2g} [ps], 1/{_STEPS_PER_PERIOD} of the period of the "
            f"fastest vibration ({1 / period:.1f} THz) with potential {engine.potential.name!r}, "
            f"got {timestep_ps:g}"
        )


def _half_bond(atoms: Atoms, relaxed: np.ndarray) -> float:
    """Half the shortest distance between two atoms at their sites [Å]."""
    from ase.neighborlist import neighbor_list

    crystal = atoms.copy()
    crystal.positions = relaxed
    reach = 2.0
    while not len(distances := neighbor_list("d", crystal, reach)):
        reach *= 1.5
    return float(distances.min()) / 2


def _equilibrate(engine: Lammps, plan: _Plan) -> None:
    """Start from the minimum with twice the kinetic energy, half of which becomes potential energy."""
    velocity, thermostat = np.random.default_rng(plan.seed).integers(1, 900_000_000, 2)
    kelvin = plan.temperature_k
    engine.command(
        "reset_timestep 0",
        f"timestep {plan.timestep_ps!r}",
        f"velocity all create {2 * kelvin!r} {velocity} mom yes rot no dist gaussian",
        "fix motion all nve",
        f"fix thermostat all langevin {kelvin!r} {kelvin!r} {plan.damping_ps!r} {thermostat} zero yes",
        f"run {plan.steps(plan.equilibration_ps)} post no",
    )


def _provenance(plan: _Plan, potential: InteratomicPotential, run: _Run, threads: int) -> dict[str, str]:
    return {
        "dynamics": "LAMMPS molecular dynamics (classical), constant volume",
        "program": f"LAMMPS {lammps_version()} (PyPI), {threads} thread{'s' * (threads > 1)}",
        "potential": f"{potential.name}: {potential.note}"
        + (f", doi:{', doi:'.join(potential.doi)}" if potential.doi else ""),
        "thermostat": f"Langevin, {plan.temperature_k:g} K, damping {plan.damping_ps:g} ps, seed {plan.seed}",
        "sampling": f"{plan.snapshots} snapshots, {plan.interval_ps:g} ps apart, after "
        f"{plan.equilibration_ps:g} ps; time step {plan.timestep_ps * 1000:g} fs; centre of mass held",
        "measured temperature": f"{run.kinetic_k:.1f} K kinetic, {run.potential_k:.1f} K from the potential "
        "energy (harmonic crystal)",
    }
