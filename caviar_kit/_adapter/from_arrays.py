"""Data without a DataCube: patterns and scan positions as plain arrays."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from caviar_kit import validation
from caviar_kit._adapter.parent import Parent
from caviar_kit._py4dstem import datacube

__all__ = ["FromArrays"]


class FromArrays(Parent):
    """A second constructor."""

    @classmethod
    def from_arrays(
        cls,
        patterns: ArrayLike,
        *,
        scan_step_angstrom: float | None = None,
        positions_angstrom: ArrayLike | None = None,
        detector_pixel_inverse_angstrom: float | None = None,
        sampling_angstrom: float | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make an instance, ready for ``preprocess``, from diffraction patterns in an array.

        Parameters
        ----------
        patterns : (Ry, Rx, Qy, Qx) or (positions, Qy, Qx) real
            Intensities, undiffracted beam in the middle.
        scan_step_angstrom : float, optional
            Step of a square raster [Å], for patterns with four axes.
        positions_angstrom : (positions, 2) or (Ry, Rx, 2), optional
            Where each pattern was taken instead [Å], y then x, along the detector's axes, from any
            origin; ``preprocess(force_com_rotation=..., force_com_transpose=...)`` turns them.
        detector_pixel_inverse_angstrom : float, optional
            Detector pixel [1/Å].
        sampling_angstrom : float, optional
            Or the real-space pixel that belongs to square patterns: 1 / (pixels · detector pixel) [Å].
        **kwargs
            As for the class: ``energy`` [eV], ``semiangle_cutoff`` [mrad], ``num_slices``, ...

        Returns
        -------
        MixedObjectMultislicePtychography

        Raises
        ------
        TypeError, ValueError
            If shapes, positions or calibrations do not fit together.
        """
        for name, cure in (("datacube", "patterns"), ("initial_scan_positions", "positions_angstrom")):
            if name in kwargs:
                raise ValueError(f"from_arrays makes {name} itself: give {cure}")
        data = np.asarray(patterns)
        if data.ndim not in (3, 4) or data.size == 0 or data.dtype.kind not in "biuf":
            raise ValueError(
                "patterns must be real (Ry, Rx, Qy, Qx) or (positions, Qy, Qx), "
                f"got {data.dtype} of shape {data.shape}"
            )
        pixel = _detector_pixel(data.shape, detector_pixel_inverse_angstrom, sampling_angstrom)
        if (scan_step_angstrom is None) == (positions_angstrom is None):
            raise ValueError("give either scan_step_angstrom or positions_angstrom")
        if positions_angstrom is None:
            if data.ndim == 3:
                raise ValueError("patterns (positions, Qy, Qx) need positions_angstrom, not a scan step")
            positions, step = None, _length("scan_step_angstrom", scan_step_angstrom)
        else:
            positions = _positions(positions_angstrom, data.shape[:-2])
            step = _typical_step(positions)
        if data.ndim == 3:
            data = data[:, None]
        cube = datacube(data, scan_step_angstrom=step, detector_pixel_inverse_angstrom=pixel)
        return cls(datacube=cube, initial_scan_positions=positions, **kwargs)


def _length(name: str, value: Any) -> float:
    hint = "was it given in metres or nanometres?"
    return validation.number(name, value, minimum=1e-3, maximum=1e4, unit="Å", hint=hint)


def _detector_pixel(shape: tuple[int, ...], pixel: float | None, sampling: float | None) -> float:
    """Detector pixel [1/Å] from itself or from the real-space pixel."""
    if (pixel is None) == (sampling is None):
        raise ValueError("give either detector_pixel_inverse_angstrom or sampling_angstrom")
    if pixel is not None:
        return validation.number(
            "detector_pixel_inverse_angstrom", pixel, minimum=1e-5, maximum=10, unit="1/Å"
        )
    if shape[-1] != shape[-2]:
        raise ValueError(
            f"sampling_angstrom needs square patterns, got {shape[-2:]}: give detector_pixel_inverse_angstrom"
        )
    return 1 / (shape[-1] * _length("sampling_angstrom", sampling))


def _positions(positions: ArrayLike, scan_shape: tuple[int, ...]) -> np.ndarray:
    """Positions (positions, 2) [Å]."""
    array = validation.as_array("positions_angstrom", positions).astype(float)
    count = int(np.prod(scan_shape))
    if array.shape not in ((count, 2), (*scan_shape, 2)):
        raise ValueError(f"positions_angstrom must have shape ({count}, 2), got {array.shape}")
    return array.reshape(count, 2)


def _typical_step(positions: np.ndarray) -> float:
    """Median distance to the nearest neighbour [Å]."""
    if len(positions) < 2:
        raise ValueError("positions_angstrom must hold at least two positions")
    step = float(np.median(cKDTree(positions).query(positions, k=2)[0][:, 1]))
    return _length("the distance of neighbouring positions_angstrom", step)
