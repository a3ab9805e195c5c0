"""What users reach for is where the documentation says."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import caviar_kit as ck

DOCS = Path(__file__).parents[1] / "docs"


PARTS = ["atomistic", "multislice", "plotting", "simulation", "vibrations", "widgets"]


@pytest.mark.parametrize("name", PARTS)
def test_every_exported_name_exists_and_stands_in_order(name):
    module = import_module(f"caviar_kit.{name}")
    assert sorted(set(module.__all__)) == module.__all__
    assert not [export for export in module.__all__ if not hasattr(module, export)]


def test_no_lazily_loaded_name_is_that_of_a_module():
    """Importing the module would put it in the place of what it exports."""
    modules = {path.stem for path in Path(ck.__file__).parent.glob("*.py")}
    modules |= {path.parent.name for path in Path(ck.__file__).parent.glob("*/__init__.py")}
    assert set(ck.__all__) & modules <= {*PARTS, "calibration"}


def test_constraints_of_the_documentation_are_names_of_multislice():
    text = (DOCS / "constraints.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if re.match(r"\| .* \| (hard|soft) \|", line)]
    named = {name for line in table for name in re.findall(r"`([A-Z]\w+)\(", line)}
    assert len(named) == 9
    assert named <= set(ck.multislice.__all__)


def test_parts_of_the_package_load_on_first_use():
    code = (
        "import sys, caviar_kit as ck\n"
        "assert 'caviar_kit.multislice' not in sys.modules\n"
        "ck.multislice.LowPass\n"
        "assert 'py4DSTEM' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
