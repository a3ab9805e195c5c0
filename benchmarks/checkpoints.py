"""What a checkpoint costs: seconds and megabytes, beside the iterations of the tutorial's fit; one JSON line.

``python benchmarks/checkpoints.py`` fits until the history is full, then writes to ``--folder``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import caviar_kit as ck
from caviar_kit.multislice import load_checkpoint


def main() -> None:
    """Fit, write, read, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="tutorial")
    parser.add_argument("--folder", help="where to write; the system's temporary folder by default")
    options = parser.parse_args()
    example = ck.load_example("si-sigma9-md", options.preset)
    fit, optics = example.fit_settings, example.experiment
    ptycho = ck.MixedObjectMultislicePtychography(
        datacube=example.datacube,
        energy=optics.energy_ev,
        semiangle_cutoff=optics.semiangle_mrad,
        defocus=optics.defocus_angstrom,
        vacuum_probe_intensity=example.vacuum_probe,
        num_slices=optics.num_slices,
        slice_thicknesses=1.92,
        num_object_states=fit.num_states,
    ).preprocess()
    for snapshot in ptycho.iterate(max_iter=fit.history + 2, one_state_iter=1):
        last = snapshot
        if snapshot.iteration == fit.history + 2:
            break
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "fit.npz"
        begin = time.perf_counter()
        last.checkpoint().save(path)
        written = time.perf_counter()
        load_checkpoint(path)
        read = time.perf_counter()
        result = {
            "preset": options.preset,
            "object": list(last.object.shape),
            "megabytes": round(path.stat().st_size / 1e6, 1),
            "write_seconds": round(written - begin, 2),
            "read_seconds": round(read - written, 2),
            "iteration_seconds": round(last.seconds / last.iteration, 2),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
