"""Thermal motion in the harmonic approximation: Gaussian snapshots and their exact covariance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.physics import STATISTICS, frequency_thz, mean_square_amplitude
from caviar_kit.simulation.motion.dynamical_matrix import DynamicalMatrix, dynamical_matrix
from caviar_kit.simulation.motion.matrix_function import lanczos_function
from caviar_kit.simulation.motion.normal_modes import NormalModes, normal_modes, refuse_unstable
from caviar_kit.simulation.snapshots import Snapshots

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["harmonic", "harmonic_covariance", "phonon_frequencies"]

_LARGEST_COVARIANCE = 12_000  # unknowns: a matrix of 1.2 GB


def harmonic(
    atoms: Atoms,
    force_constants: Any,
    *,
    seed: int,
    temperature_k: float = 300.0,
    snapshots: int = 30,
    statistics: str = "quantum",
    bodies: ArrayLike | None = None,
    tolerance: float = 1e-3,
) -> Snapshots:
    """Independent thermal snapshots of a periodic cell whose atoms vibrate harmonically.

    Displacements are normal random numbers with the covariance ⟨u uᵀ⟩ = M^(-1/2) ⟨Q²⟩(D) M^(-1/2), where
    D = M^(-1/2) Φ M^(-1/2) is the dynamical matrix at Γ and ⟨Q²⟩ ``physics.mean_square_amplitude`` of a mode.
    They are √⟨Q²⟩(D), the symmetric root, times unit normal numbers: nothing depends on how eigenvectors are
    chosen. Means over snapshots differ from ``atoms.positions`` by chance.

    Parameters
    ----------
    atoms : ase.Atoms
        n atoms at their positions of least energy, with their masses; cell vectors as in ``Snapshots``.
    force_constants : array, scipy.sparse matrix or phonopy.Phonopy
        ∂²E / ∂u ∂u' [eV/Å²]. An array (n, 3, n, 3) or (3 n, 3 n) is diagonalised. A sparse matrix
        (3 n, 3 n) stays as it is, and the root is applied to vectors by Lanczos's method: tens of thousands
        of unknowns in minutes. A Phonopy object's force constants are spread over ``atoms``, any supercell of
        its primitive cell in its orientation; more than 1000 atoms make a sparse matrix.
    seed : int
        Seed of the random numbers: same seed, same bits. Dense and sparse force constants give the same
        snapshots to within ``tolerance``.
    temperature_k : float
        [K], from 0.
    snapshots : int
        How many, from 1.
    statistics : {"quantum", "classical"}
        Bose–Einstein with zero-point motion, or k_B T per mode as molecular dynamics has it.
    bodies : array of int, shape (n,), optional
        Label of the body each atom belongs to. The centre of mass of each is held. Default: one body, the
        three translations of the cell are left out. Two lattices that slide freely over each other are two.
    tolerance : float
        Largest error of a sparse matrix's snapshot, as fraction of its length, 1e-10 to 0.1.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, the force constants are not symmetric or break the acoustic sum rule
        by more than 1 %, or a mode is unstable: the message tells its frequency.
    """
    kelvin, statistics = _thermal(temperature_k, statistics)
    rng = np.random.default_rng(validation.integer("seed", seed, minimum=0))
    count = validation.integer("snapshots", snapshots)
    tolerance = validation.number("tolerance", tolerance, minimum=1e-10, maximum=0.1)
    matrix = dynamical_matrix(atoms, force_constants, bodies)
    at_rest = Snapshots(
        positions=atoms.positions[None],
        numbers=atoms.numbers,
        cell=atoms.cell[:],
        relaxed=atoms.positions,
        temperature_k=kelvin,
        provenance={
            "dynamics": f"harmonic, {statistics} statistics, {kelvin:g} K, seed {seed}",
            "force constants": f"{type(force_constants).__module__.split('.')[0]}, {len(atoms)} atoms",
        },
        periodic_along_beam=bool(atoms.pbc[2]),
    )
    drawn = rng.standard_normal((count, 3 * len(atoms))).T

    def amplitude(eigenvalues: np.ndarray) -> np.ndarray:
        return np.sqrt(mean_square_amplitude(frequency_thz(eigenvalues), kelvin, statistics))

    if matrix.is_sparse:
        weighted = lanczos_function(matrix, amplitude, drawn, tolerance=tolerance)
    else:
        weighted = _stable_modes(matrix).function(amplitude, drawn)
    displaced = (matrix.inverse_root_mass[:, None] * weighted).T.reshape(count, len(atoms), 3)
    return replace(at_rest, positions=atoms.positions + displaced)


def harmonic_covariance(
    atoms: Atoms,
    force_constants: Any,
    temperature_k: float = 300.0,
    statistics: str = "quantum",
    *,
    bodies: ArrayLike | None = None,
) -> np.ndarray:
    """Exact covariance ⟨u uᵀ⟩ of the displacements that ``harmonic`` draws, (n, 3, n, 3) [Å²].

    The arguments are those of ``harmonic``; the matrix is diagonalised, whatever its type.

    Raises
    ------
    TypeError, ValueError
        As ``harmonic`` does; also for more than 4000 atoms, where this tensor fills the memory.
    """
    kelvin, statistics = _thermal(temperature_k, statistics)
    matrix = dynamical_matrix(atoms, force_constants, bodies)
    modes = _stable_modes(matrix)
    square = mean_square_amplitude(modes.frequencies_thz, kelvin, statistics)
    shapes = matrix.inverse_root_mass[:, None] * modes.vectors
    return ((shapes * square) @ shapes.T).reshape(len(atoms), 3, len(atoms), 3)


def phonon_frequencies(atoms: Atoms, force_constants: Any, *, bodies: ArrayLike | None = None) -> np.ndarray:
    """Frequencies [THz] of the cell's normal modes without the rigid ones, ascending, (3 n - 3 bodies,).

    Imaginary ones, of unstable modes, are given as negative numbers. The arguments are those of ``harmonic``.

    Raises
    ------
    TypeError, ValueError
        As ``harmonic`` does, but for unstable modes; also for more than 4000 atoms.
    """
    return _modes(dynamical_matrix(atoms, force_constants, bodies)).frequencies_thz


def _thermal(temperature_k: float, statistics: str) -> tuple[float, str]:
    kelvin = validation.number("temperature_k", temperature_k, minimum=0.0, unit="K")
    return kelvin, validation.choice("statistics", statistics, STATISTICS)


def _stable_modes(matrix: DynamicalMatrix) -> NormalModes:
    modes = _modes(matrix)
    refuse_unstable(modes.frequencies_thz)
    return modes


def _modes(matrix: DynamicalMatrix) -> NormalModes:
    unknowns = matrix.matrix.shape[0]
    if unknowns > _LARGEST_COVARIANCE:
        raise ValueError(
            f"atoms must be at most {_LARGEST_COVARIANCE // 3} for a matrix to be diagonalised, "
            f"got {unknowns // 3}; harmonic(...) with sparse force constants draws snapshots of larger cells"
        )
    return normal_modes(matrix)
