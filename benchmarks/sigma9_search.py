"""Which rigid shift makes the best Σ9 boundary of silicon: JSON lines, the best in the last.

``python benchmarks/sigma9_search.py --shifts 16`` tries shifts of one grain along x (this many per
period) and z. Each candidate is one period thick per grain, relaxed with Stillinger-Weber; ``energy`` [J/m²]
is that of one of its two equal boundaries, ``broken`` the number of atoms that have not four neighbours.
The last line lists the candidates without broken bonds, cheapest first. The winner is the default of
``caviar_kit.simulation.bicrystal.bicrystal``.
"""

from __future__ import annotations

import argparse
import itertools
import json

from caviar_kit.simulation import StillingerWeber, boundary_energy, coordination
from caviar_kit.simulation.bicrystal import bicrystal
from caviar_kit.simulation.relaxation import relax


def main() -> None:
    """Relax each candidate, print it, and print the four-coordinated ones again, by energy."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shifts", type=int, default=8, help="along x, per period")
    options = parser.parse_args()
    shifts = [step / options.shifts for step in range(options.shifts)]
    found = [candidate((x, z)) for x, z in itertools.product(shifts, (0.0, 0.5))]
    whole = [entry for entry in found if entry.get("broken") == 0]
    print(json.dumps({"whole": sorted(whole, key=lambda entry: entry["energy"])}), flush=True)


def candidate(shift: tuple[float, float]) -> dict[str, object]:
    """Energy and broken bonds of one candidate, printed too."""
    entry: dict[str, object] = {"shift": shift}
    try:
        atoms = relax(bicrystal(1, shift), StillingerWeber(), force_ev_per_angstrom=1e-2, steps=300)
    except RuntimeError:
        entry["relaxed"] = False
    else:
        broken = int((coordination(atoms) != 4).sum())
        entry |= {"atoms": len(atoms), "energy": round(boundary_energy(atoms), 3), "broken": broken}
    print(json.dumps(entry), flush=True)
    return entry


if __name__ == "__main__":
    main()
