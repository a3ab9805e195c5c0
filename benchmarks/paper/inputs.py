"""Everything a case needs, in one small file: atoms of every snapshot, scattering factors, scan, truth.

:func:`prepare` needs the whole kit (snapshots, abTEM's tables); what reads the file, NumPy and SciPy only.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.paper.cases import Case
from caviar_kit.npz import read_npz, write_npz
from caviar_kit.physics import electron_wavelength

__all__ = ["Inputs", "load", "prepare"]

HBN_DEPTHS_ANGSTROM = {"lower": (19.0, 57.0), "upper": (86.0, 125.0)}  # CAVIAR's
BEYOND_ANGSTROM = 0.8  # around the scanned field: columns there are lit as well as those at its rim


@dataclass(frozen=True, eq=False)
class Inputs:
    """A simulated experiment before it is simulated. Lengths in Å, pairs (y, x).

    Attributes
    ----------
    optics : dict
        Fields of ``simulation.Experiment``, with ``thickness_angstrom``, ``version`` and ``specimen``.
    frames : (snapshots, atoms, 3) float32
        x, y, z in the window.
    species : (atoms,) int
        Row of ``form_factors``.
    form_factors : (species, n, n) float32
        Fourier transform of an atom's phase [rad Å²] on the grid, FFT order.
    first_position : (2,)
        First scan position from the window's corner.
    points : (points, 2)
        Where probes are simulated, from the first scan position.
    weights : sparse (positions, points)
        How their patterns make those of the scan: the source.
    positions : (positions, 2)
        Scan positions from the first one.
    truth : dict
        For each lattice ("" if there is one): ``positions`` (columns, 2) from the first scan position,
        ``displacements`` (snapshots, columns, 2), mean of a column's atoms, and the ``depths`` [Å] between
        which they count.
    """

    optics: dict[str, Any]
    frames: np.ndarray
    species: np.ndarray
    form_factors: np.ndarray
    first_position: np.ndarray
    points: np.ndarray
    weights: Any
    positions: np.ndarray
    truth: dict[str, dict[str, np.ndarray]]

    @property
    def digest(self) -> str:
        """Of all that patterns depend on: they are kept with it, and not taken for those of other inputs."""
        digest = hashlib.sha256(json.dumps(self.optics, sort_keys=True).encode())
        for array in (self.frames, self.form_factors, self.points, self.positions):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def require(self, digest: object, path: Path) -> None:
        """Refuse a file that was made from other inputs.

        Raises
        ------
        ValueError
            If ``digest`` is not that of these inputs.
        """
        if str(digest) != self.digest:
            raise ValueError(f"{path} was made from other inputs: remove it, or take another --folder")

    @property
    def wavelength(self) -> float:
        """Of the electrons [Å]."""
        return electron_wavelength(self.optics["energy_ev"])


def prepare(case: Case, path: Path) -> None:
    """Draw or load the snapshots of ``case`` and write its inputs to ``path``."""
    import caviar_kit
    from caviar_kit import simulation
    from caviar_kit.recipes import RECIPES
    from caviar_kit.simulation.source_size import SourcePoints
    from caviar_kit.simulation.window import cut_window

    recipe = RECIPES[case.example]
    specimen = _specimen(case.example)
    snapshots = specimen.snapshots
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)  # advice on the paper's own choices
        experiment = replace(
            recipe.presets["paper"].experiment(),
            source_fwhm_angstrom=case.source_fwhm_angstrom,
            **dict(case.scan),  # type: ignore[arg-type]
        )
    window = cut_window(snapshots, experiment)
    numbers = snapshots.numbers[window.index]
    symbols, species = np.unique(numbers, return_inverse=True)
    points = SourcePoints.of(experiment)
    truth = {
        name: (depths, simulation.ground_truth(snapshots, experiment, -BEYOND_ANGSTROM, atoms=mask))
        for name, (depths, mask) in _lattices(specimen).items()
    }
    optics = {
        **asdict(experiment),
        "thickness_angstrom": snapshots.thickness_angstrom,
        "specimen": {key: str(value) for key, value in snapshots.provenance.items()},
        "snapshots": len(snapshots),
        "potentials": "Lobato and Van Dyck",
        "version": caviar_kit.__version__,
    }
    arrays: dict[str, Any] = {
        "optics": json.dumps(optics),
        "frames": np.stack([window.place(frame) for frame in snapshots.positions]).astype(np.float32),
        "species": species.astype(np.int8),
        "form_factors": _form_factors(symbols, experiment).astype(np.float32),
        "first_position": experiment.first_position_in_window_angstrom,
        "points": points.positions_angstrom,
        "positions": experiment.scan_positions_angstrom,
        "weights_shape": points.weights.shape,
        **{f"weights_{part}": getattr(points.weights, part) for part in ("data", "indices", "indptr")},
    }
    for name, (depths, found) in truth.items():
        arrays[f"truth/{name}/depths"] = np.array(depths)
        arrays[f"truth/{name}/positions"] = found.positions
        arrays[f"truth/{name}/displacements"] = found.displacements
    write_npz(path, arrays, compress=True)


@cache
def _specimen(example: str) -> Any:
    """Drawing 10 000 atoms of hBN takes minutes, and cases share them."""
    from caviar_kit.recipes import RECIPES

    return RECIPES[example].specimen("paper")


def _lattices(specimen: Any) -> dict[str, tuple[tuple[float, float], np.ndarray | None]]:
    """Name, depths and atoms of the lattices whose columns are followed."""
    snapshots = specimen.snapshots
    whole = (0.0, float(snapshots.thickness_angstrom))
    if specimen.upper is None:
        return {"": (whole, None)}
    height = snapshots.relaxed[:, 2]
    depth = height + (whole[1] - height.min() - height.max()) / 2
    return {
        name: (depths, (specimen.upper == (name == "upper")) & (depth > depths[0]) & (depth < depths[1]))
        for name, depths in HBN_DEPTHS_ANGSTROM.items()
    }


def load(path: Path) -> Inputs:
    """Read what :func:`prepare` wrote.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is damaged.
    """
    plain = [f.name for f in fields(Inputs) if f.name not in ("optics", "weights", "truth")]
    parts = [f"weights_{part}" for part in ("data", "indices", "indptr", "shape")]
    arrays = read_npz(path, ["optics", *plain, *parts], others=True)
    truth: dict[str, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        if key.startswith("truth/"):
            _, lattice, quantity = key.split("/")
            truth.setdefault(lattice, {})[quantity] = array
    weights = sparse.csc_array(
        tuple(arrays[f"weights_{part}"] for part in ("data", "indices", "indptr")),
        shape=tuple(arrays["weights_shape"]),
    )
    return Inputs(
        optics=json.loads(str(arrays["optics"])),
        weights=weights,
        truth=truth,
        **{name: arrays[name] for name in plain},
    )


def _form_factors(numbers: np.ndarray, experiment: Any) -> np.ndarray:
    from ase.data import chemical_symbols

    from caviar_kit.atomistic.scattering import phase_form_factors

    k = np.fft.fftfreq(experiment.grid_points, experiment.window_angstrom / experiment.grid_points)
    symbols = [chemical_symbols[number] for number in numbers]
    return phase_form_factors(symbols, k[:, None] ** 2 + k**2, experiment.energy_ev, "lobato")
