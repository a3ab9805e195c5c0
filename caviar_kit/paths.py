"""Where the kit keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_directory"]


def cache_directory() -> Path:
    """$CAVIAR_KIT_CACHE, else $XDG_CACHE_HOME/caviar_kit, else ~/.cache/caviar_kit."""
    if chosen := os.environ.get("CAVIAR_KIT_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caviar_kit"
