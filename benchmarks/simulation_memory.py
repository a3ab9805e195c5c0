"""Peak memory of a simulation against the size of its data, in memory and streamed to disk.

    python benchmarks/simulation_memory.py

One JSON line for each: growth of the resident set [MB] of a process of its own after its imports and one
small simulation, for data of several sizes. Pages of a file that is written are not counted: they can be
dropped at any time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import sys, threading, time
from dataclasses import replace
import caviar_kit.simulation as sim

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

side, detector, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
snapshots = sim.silicon_sigma9_snapshots().subset(1)
small = replace(sim.Experiment.paper(), scan_shape=(2, 2), scan_step_angstrom=0.1, detector_pixels=detector,
                window_angstrom=12.0)
sim.scan(snapshots, small, workers=1)
start, peak, running = anonymous(), [0.0], True

def watch():
    while running:
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.01)

watcher = threading.Thread(target=watch)
watcher.start()
sim.scan(snapshots, replace(small, scan_shape=(side, side)), workers=1, path=path or None)
running = False
watcher.join()
print(peak[0] - start)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sides", type=int, nargs="+", default=[25, 35, 50])
    parser.add_argument("--detector", type=int, default=128)
    arguments = parser.parse_args()
    for side in arguments.sides:
        for streamed in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                path = str(Path(folder) / "scan.h5") if streamed else ""
                command = [sys.executable, "-c", CHILD, str(side), str(arguments.detector), path]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
            result = {
                "benchmark": "simulation_memory",
                "data_mb": side**2 * arguments.detector**2 * 4 / 1e6,
                "streamed": streamed,
                "growth_mb": round(float(done.stdout) * 1.048576),
            }
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
