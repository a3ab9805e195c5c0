"""What every test shares: reproducible Hypothesis, no windows, a cache of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import matplotlib
import pytest
from hypothesis import settings

# py4DSTEM fails to import where CuPy is installed but finds no CUDA libraries, unless this is set.
os.environ.setdefault("CUPY_PYLOPS", "0")

# Not through MPLBACKEND: notebook kernels started by a test would inherit it and show no figures.
matplotlib.use("Agg")

# Compilation and FFT planning make the first example slow, so time says nothing about a test.
settings.register_profile("caviar_kit", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("caviar_kit")


@pytest.fixture(scope="session", autouse=True)
def example_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Keep simulated examples out of the user's cache; CAVIAR_KIT_CACHE reuses one between runs."""
    with pytest.MonkeyPatch.context() as patch:
        if "CAVIAR_KIT_CACHE" not in os.environ:
            patch.setenv("CAVIAR_KIT_CACHE", str(tmp_path_factory.mktemp("caviar_kit_cache")))
        yield os.environ["CAVIAR_KIT_CACHE"]
