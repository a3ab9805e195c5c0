"""Two corrections of the parent's preparation."""

from __future__ import annotations

from typing import Any

import numpy as np

from caviar_kit._adapter.parent import Parent

__all__ = ["Corrections"]


class Corrections(Parent):
    """The scale of the patterns, and the positions of a transposed scan."""

    _beam: float | None

    def _normalize_diffraction_intensities(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """The mean intensity is the beam's where that is known: one scale for engine, viewers and gd."""
        amplitudes, mean_intensity, *crop = super()._normalize_diffraction_intensities(*args, **kwargs)
        return amplitudes, mean_intensity if self._beam is None else self._beam, *crop

    def _calculate_scan_positions_in_pixels(self, *args: Any) -> tuple[np.ndarray, Any]:
        """For a transposed scan the parent swaps the two pixel sizes, which rectangular frames feel."""
        positions, padding = super()._calculate_scan_positions_in_pixels(*args)
        if self._rotation_best_transpose:
            first = np.array([padding[0][0], padding[1][0]])
            pixel = np.array(self.sampling)
            positions = (positions - first) * (pixel[::-1] / pixel) + first
        return positions, padding
