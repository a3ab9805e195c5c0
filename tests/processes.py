"""Python in a process of its own: what a user has who comes back the next day."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

WITHOUT_THE_KIT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "caviar_kit":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""


def run_python(code: str, *arguments: object) -> str:
    """Standard output of ``code`` with ``sys.argv[1:]`` = ``arguments``."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
