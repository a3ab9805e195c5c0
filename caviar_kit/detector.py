"""Diffraction patterns before the fit: are they usable, where is their origin, how are they embedded.

Patterns are real arrays (..., y, x) in the detector's own frame.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import fft as scipy_fft
from scipy import ndimage

from caviar_kit import validation

__all__ = [
    "DetectorFrame",
    "check_patterns",
    "disc_radius",
    "find_origin",
    "mean_pattern",
    "suspicious_pixels",
]


@dataclass(frozen=True)
class DetectorFrame:
    """Embeds patterns in a larger frame whose pixel (y // 2, x // 2) is the pattern's origin.

    The margin is not measured and gets no weight in the fit. It lets the model scatter beyond
    the detector instead of folding those electrons back into it: without it the misfit of a perfect
    fit is tens of times larger.

    Parameters
    ----------
    detector : (y, x)
        Pixels of a measured pattern.
    frame : (y, x)
        Pixels of the frame, not fewer.
    origin : (int, int)
        Pixel of the measured pattern that the undiffracted beam's axis hits.
    """

    detector: tuple[int, int]
    frame: tuple[int, int]
    origin: tuple[int, int]

    def __post_init__(self) -> None:
        if any(f < d for f, d in zip(self.frame, self.detector, strict=True)):
            raise ValueError(
                f"padded_diffraction_intensities_shape must be at least {self.detector}, got {self.frame}"
            )

    @classmethod
    def around(
        cls, detector: tuple[int, int], origin: tuple[int, int], padding: float = 1.5
    ) -> DetectorFrame:
        """The smallest frame with fast transforms and ``padding`` times the detector's width."""
        height, width = (_fast_length(padding * n) for n in detector)
        return cls(detector, (height, width), origin)

    def embed(self, patterns: np.ndarray) -> np.ndarray:
        """Patterns (..., y, x) in the frame, zeros around them; what falls outside is dropped."""
        out = np.zeros((*patterns.shape[:-2], *self.frame), patterns.dtype)
        source, target = zip(*(self._overlap(axis) for axis in (0, 1)), strict=True)
        out[(..., *target)] = patterns[(..., *source)]
        return out

    def _overlap(self, axis: int) -> tuple[slice, slice]:
        shift = self.frame[axis] // 2 - self.origin[axis]
        first = max(0, -shift)
        last = min(self.detector[axis], self.frame[axis] - shift)
        return slice(first, last), slice(first + shift, last + shift)


def _fast_length(least: float) -> int:
    """8 · 2^a 3^b 5^c: transforms of such lengths fill whole vector registers, up to twice as fast."""
    return 8 * int(scipy_fft.next_fast_len(int(np.ceil(least / 8)), real=True))


def check_patterns(patterns: np.ndarray, measured: np.ndarray | None = None) -> None:
    """Refuse patterns that no fit can use, and warn of suspicious detector pixels.

    Parameters
    ----------
    patterns : (Ry, Rx, Qy, Qx) or (positions, Qy, Qx)
        Intensities: array, ``h5py.Dataset`` or memmap, read row by row.
    measured : (Qy, Qx) bool, optional
        False for detector pixels that are known to be bad and not looked at.

    Raises
    ------
    TypeError, ValueError
        For non-numbers, NaN, infinity, negative counts beyond noise, and all-zero patterns.
    """
    if not hasattr(patterns, "shape"):
        patterns = validation.as_array("datacube.data", patterns)
    if len(patterns.shape) not in (3, 4):
        raise ValueError(f"datacube.data must have 4 axes (Ry, Rx, Qy, Qx), got shape {patterns.shape}")
    rows = [_row_sums(row) for row in patterns]  # one by one: they may be larger than memory
    if not rows:
        validation.as_array("datacube.data", np.empty(patterns.shape))
    sums = np.array([row[0] for row in rows])
    negative = sum(row[1] for row in rows)
    if negative > 0.01 * abs(float(sums.sum())):
        raise ValueError(
            f"datacube.data has negative counts that sum to {negative / abs(float(sums.sum())):.0%} of all, "
            "more than noise: subtract the right dark reference, or clip it"
        )
    if (dark := int((sums <= 0).sum())) > 0:
        first = tuple(int(i) for i in np.argwhere(sums <= 0)[0])
        raise ValueError(
            f"{dark} of {sums.size} patterns are empty, the first at scan position {first}: "
            "crop the scan, or leave them out with positions_mask"
        )
    suspicious = suspicious_pixels(mean_pattern(patterns))
    if measured is not None:
        suspicious &= measured
    if suspicious.any():
        pixels = ", ".join(str((int(y), int(x))) for y, x in np.argwhere(suspicious)[:5])
        warnings.warn(
            f"{int(suspicious.sum())} detector pixels look hot or dead, such as {pixels}; "
            "give preprocess a dp_mask that is False there",
            UserWarning,
            stacklevel=3,
        )


def _row_sums(row: np.ndarray) -> tuple[np.ndarray, float]:
    """Sum of every pattern (..., y, x), and that of all negative counts."""
    row = validation.as_array("datacube.data", row)
    return row.sum(axis=(-2, -1), dtype=np.float64), -float(np.minimum(row, 0).sum(dtype=np.float64))


def mean_pattern(patterns: np.ndarray) -> np.ndarray:
    """Mean (y, x) over all other axes, float64, read row by row: array, ``h5py.Dataset`` or memmap."""
    total = np.zeros(patterns.shape[-2:])
    for row in patterns:
        total += np.asarray(row).reshape(-1, *total.shape).sum(axis=0, dtype=np.float64)
    return total * (total.size / np.prod(patterns.shape, dtype=float))


def suspicious_pixels(mean_pattern: np.ndarray) -> np.ndarray:
    """Hot or dead pixels of a mean pattern (y, x), as a boolean array.

    Hot: above ten times the largest, dead: below a hundredth of the smallest of the eight
    neighbours, where these hold a noticeable part (1e-3) of the brightest pixel's counts.
    """
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    largest = ndimage.maximum_filter(mean_pattern, footprint=ring, mode="nearest")
    smallest = ndimage.minimum_filter(mean_pattern, footprint=ring, mode="nearest")
    noticeable = 1e-3 * mean_pattern.max()
    hot = (mean_pattern > 10 * largest) & (mean_pattern > noticeable)
    dead = (mean_pattern < 0.01 * smallest) & (smallest > noticeable)
    return hot | dead


def find_origin(pattern: np.ndarray) -> tuple[float, float]:
    """Centre (y, x) [pixel] of the bright-field disc, from its rim and not from its content.

    Mean over thresholds of the centre of the filled-in region above each: diffraction contrast
    inside the disc, which biases a centre of mass by some tenths of a pixel, does not count.

    Parameters
    ----------
    pattern : (y, x)
        Vacuum probe, or mean over the scan.

    Raises
    ------
    ValueError
        If the pattern is empty.
    """
    y, x = np.mean([ndimage.center_of_mass(disc) for disc in _discs(pattern)], axis=0)
    return float(y), float(x)


def disc_radius(pattern: np.ndarray) -> float:
    """Radius [pixel] of the bright-field disc: √(area / π), mean over the regions of `find_origin`.

    Content of the disc does not count, as it does in thresholds relative to the brightest pixel. A disc that
    reaches over the detector's edge looks too small.

    Parameters
    ----------
    pattern : (y, x)
        Vacuum probe, or mean over the scan.

    Raises
    ------
    ValueError
        If the pattern is empty.
    """
    return float(np.mean([np.sqrt(disc.sum() / np.pi) for disc in _discs(pattern)]))


def _discs(pattern: np.ndarray) -> list[np.ndarray]:
    """The filled-in bright region (y, x) above each of nine thresholds, symmetric about half the level."""
    pattern = validation.as_array("pattern", pattern, shape=(None, None)).astype(float)
    if pattern.max() <= 0:
        raise ValueError("pattern must hold counts, got none above zero")
    level = np.quantile(pattern[pattern > 0.5 * pattern.max()], 0.5)
    discs = []
    for threshold in np.linspace(0.3, 0.7, 9):
        regions, count = ndimage.label(pattern > threshold * level)
        sizes = ndimage.sum_labels(np.ones_like(regions), regions, np.arange(1, count + 1))
        discs.append(ndimage.binary_fill_holes(regions == 1 + int(np.argmax(sizes))))
    return discs
