"""A panel with a canvas does not change how other figures are shown."""

import subprocess
import sys

import matplotlib
import pytest

from caviar_kit.widgets.pyplot_backend import backend_kept

SCRIPT = """
import matplotlib
matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
import caviar_kit.widgets
{action}
assert "ipympl.backend_nbagg" in __import__("sys").modules
print(matplotlib.get_backend(), plt.get_backend())
"""
ACTIONS = {
    "canvas": "from caviar_kit.widgets.canvas import PanelCanvas; PanelCanvas(Figure())",
    "picture": "from caviar_kit.widgets.picture import _canvas; assert _canvas(Figure()) is not None",
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=list(ACTIONS))
def test_the_backend_stays(action):
    line = [sys.executable, "-W", "ignore", "-c", SCRIPT.format(action=action)]
    ran = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["svg", "svg"]


def test_use_works_again_after_an_error():
    use = matplotlib.use
    with pytest.raises(ImportError), backend_kept():
        assert matplotlib.use is not use
        raise ImportError
    assert matplotlib.use is use
