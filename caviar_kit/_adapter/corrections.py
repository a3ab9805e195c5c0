"""Corrections of the parent's preparation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caviar_kit._adapter.parent import ComplexProbe, Parent
from caviar_kit.illumination import ideal_aperture
from caviar_kit.multislice import MultisliceModel

__all__ = ["Corrections"]


class Corrections(Parent):
    """The scale of the patterns, the positions of a transposed scan, the aperture, what a re-run forgets."""

    _beam: float | None
    _soft_aperture: bool
    error_iterations: list[float]

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

    def _aperture(self, shape: tuple[int, int], cutoff: float) -> np.ndarray:
        """Amplitude of the aperture (y, x), centred; its rim is one pixel wide, or ``rolloff`` if given."""
        if not self._soft_aperture:
            return ideal_aperture(shape, self.angular_sampling, cutoff)
        probe = ComplexProbe(
            gpts=shape,
            sampling=self.sampling,
            energy=self._energy,
            semiangle_cutoff=cutoff,
            rolloff=self._rolloff,
        )
        return np.fft.fftshift(probe.evaluate_aperture(*probe.get_scattering_angles()))

    def _placed_model(self) -> MultisliceModel:
        """The engine's model; names the cure if the probe's window leaves the object somewhere."""
        try:
            model: MultisliceModel = self._make_model()
        except ValueError as error:
            raise ValueError(
                f"{error}: leave object_padding_px and object_fov_ang out, or give a padding of at least "
                f"half the frame, {tuple(-(-n // 2) for n in self._amplitudes.shape[-2:])} pixels"
            ) from error
        return model

    def _crop_rotate_object_fov(self, array: Any, positions_px: Any = None, padding: int = 0) -> np.ndarray:
        """The parent turns pixels, which is a rotation only if they are square."""
        pixel = self.sampling
        turned = self._rotation_best_transpose or abs(math.sin(self._rotation_best_rad)) > 1e-6
        if turned and abs(pixel[0] / pixel[1] - 1) > 1e-3:
            raise ValueError(
                f"views of a turned scan need square pixels, got {pixel[0]:.4f} × {pixel[1]:.4f} Å: give "
                "preprocess a square padded_diffraction_intensities_shape, or look at the uncropped object"
            )
        cropped: np.ndarray = super()._crop_rotate_object_fov(array, positions_px, padding)
        return cropped

    def _forget_results(self) -> None:
        """Results of an earlier fit, in another frame perhaps, do not outlive a new preparation."""
        for name in ("object", "probe", "error", "object_iterations", "probe_iterations", "_tf"):
            if name in vars(self):
                delattr(self, name)
        self.error_iterations = []
