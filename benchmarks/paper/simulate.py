"""Diffraction patterns of a case by multislice, on a CPU or a GPU, with NumPy and SciPy or CuPy alone.

ψ ← F⁻¹ B D F (t ψ) per slice, with t = B exp(iφ) and the phase φ of atoms placed exactly, by their structure
factors; B keeps 2/3 of the grid's band [Kirkland, *Advanced Computing in Electron Microscopy* (2010), ch. 6].
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.paper.inputs import Inputs
from caviar_kit.backend import default_threads, to_numpy
from caviar_kit.multislice.operators import BandLimit, FresnelPropagator, frequency_grid
from caviar_kit.npz import read_npz, write_npz

__all__ = ["simulate", "transmissions", "vacuum_pattern"]

Array = Any
PART_SECONDS = 120  # between two writes of what is done
POINTS_TOGETHER = {"numpy": 8, "cupy": 64}


def simulate(inputs: Inputs, path: Path, xp: Any, deadline: float) -> bool:
    """Write mean patterns (positions, Qy, Qx) to ``path``; False if the ``deadline`` came first.

    What is done by then is kept beside ``path`` and gone on from; some of it is done in any case.
    ``deadline`` is a time of ``time.monotonic``.
    """
    if path.exists():
        inputs.require(read_npz(path, ["inputs"])["inputs"], path)
        return True
    begin = written = time.monotonic()
    unfinished = path.with_suffix(".part.npz")
    side = inputs.optics["detector_pixels"]
    done, seconds = 0, 0.0
    patterns = np.zeros((len(inputs.positions), side, side), np.float32)
    if unfinished.exists():
        kept = read_npz(unfinished, ["done", "seconds", "patterns", "inputs"])
        inputs.require(kept["inputs"], unfinished)
        done, seconds, patterns = int(kept["done"]), float(kept["seconds"]), kept["patterns"]
    through = Multislice(inputs, xp)
    together = POINTS_TOGETHER[xp.__name__]
    begun, digest = done, inputs.digest
    while done < len(inputs.points):
        now = time.monotonic()
        late = done > begun and now > deadline
        if late or now - written > PART_SECONDS:
            part = {"done": done, "seconds": seconds + now - begin, "patterns": patterns, "inputs": digest}
            write_npz(unfinished, part, compress=False)
            written = now
        if late:
            return False
        some = slice(done, done + together)
        _add(patterns, inputs.weights[:, some], to_numpy(through.mean(inputs.points[some])))
        done += together
    seconds += time.monotonic() - begin
    vacuum = to_numpy(vacuum_pattern(inputs, xp))
    found = {"patterns": patterns, "vacuum": vacuum, "seconds": seconds, "inputs": digest}
    write_npz(path, found, compress=False)
    unfinished.unlink(missing_ok=True)
    return True


class Multislice:
    """The transmission functions of all snapshots, and probes sent through them."""

    def __init__(self, inputs: Inputs, xp: Any) -> None:
        optics = inputs.optics
        n, side = optics["grid_points"], optics["window_angstrom"]
        shape, sampling, slices = (n, n), (side / n,) * 2, optics["num_slices"]
        self.inputs, self.xp, self.fft2, self.ifft2 = inputs, xp, *_transforms(xp)
        self.band = xp.asarray(BandLimit(shape, sampling, n / side / 3).transfer.astype(np.float32))
        free = FresnelPropagator(
            shape, sampling, inputs.wavelength, optics["thickness_angstrom"] / slices
        ).transfer.astype(np.complex64)
        self.transfer = xp.asarray(free) * self.band
        self.spectrum = _probe_spectrum(inputs, xp)
        self.snapshots = xp.stack([transmissions(inputs, frame, xp) for frame in inputs.frames])
        first = n // 2 - optics["detector_pixels"] // 2
        self.kept = slice(first, first + optics["detector_pixels"])

    def mean(self, points: np.ndarray) -> Array:
        """Mean over the snapshots of the patterns of probes at ``points`` (n, 2): (n, Qy, Qx) float32."""
        xp = self.xp
        probes = self._probes(points)
        total = xp.zeros(probes.shape, np.float32)
        for slices in self.snapshots:
            waves = probes
            for number, slice_ in enumerate(slices):
                spectrum = self.fft2(waves * slice_)
                if number + 1 < len(slices):
                    spectrum *= self.transfer
                    waves = self.ifft2(spectrum)
            spectrum *= self.band
            total += xp.square(spectrum.real) + xp.square(spectrum.imag)
        total /= len(self.snapshots) * total[0].size
        return xp.fft.fftshift(total, axes=(-2, -1))[:, self.kept, self.kept]

    def _probes(self, points: np.ndarray) -> Array:
        n, side = self.inputs.optics["grid_points"], self.inputs.optics["window_angstrom"]
        ky, kx = frequency_grid((n, n), (side / n,) * 2)
        places = points + self.inputs.first_position
        ramps = np.exp(-2j * np.pi * (places[:, 0, None, None] * ky + places[:, 1, None, None] * kx))
        return self.ifft2(self.spectrum * self.xp.asarray(ramps.astype(np.complex64)))


def transmissions(inputs: Inputs, frame: np.ndarray, xp: Any) -> Array:
    """Band-limited exp(iφ) of each slice, complex64 (slices, n, n), of atoms at ``frame`` (atoms, 3)."""
    optics = inputs.optics
    n, side, count = optics["grid_points"], optics["window_angstrom"], optics["num_slices"]
    ky, kx = (xp.asarray(k) for k in frequency_grid((n, n), (side / n,) * 2))
    band = xp.asarray(BandLimit((n, n), (side / n,) * 2, n / side / 3).transfer)
    layer = np.minimum((frame[:, 2] / optics["thickness_angstrom"] * count).astype(int), count - 1)
    out = xp.empty((count, n, n), np.complex64)
    fft2, ifft2 = _transforms(xp)
    for number in range(count):
        spectrum = xp.zeros((n, n), complex)
        for kind, factor in enumerate(inputs.form_factors):
            x, y = xp.asarray(frame[(layer == number) & (inputs.species == kind), :2].astype(float)).T
            rows, columns = xp.exp(-2j * np.pi * ky * y), xp.exp(-2j * np.pi * kx.T * x)
            spectrum += xp.asarray(factor) * (rows @ columns.T)
        phase = ifft2(spectrum).real * (n * n / side**2)
        out[number] = ifft2(fft2(xp.exp(1j * phase)) * band)
    return out


def vacuum_pattern(inputs: Inputs, xp: Any) -> Array:
    """Pattern without specimen (Qy, Qx), its sum 1, centred on pixel (N // 2, N // 2)."""
    optics = inputs.optics
    pattern = abs(_probe_spectrum(inputs, xp)) ** 2
    first = optics["grid_points"] // 2 - optics["detector_pixels"] // 2
    kept = slice(first, first + optics["detector_pixels"])
    pattern = xp.fft.fftshift(pattern)[kept, kept]
    return (pattern / pattern.sum()).astype(np.float32)


def _probe_spectrum(inputs: Inputs, xp: Any) -> Array:
    """A(k) exp(+iπλ·defocus·k²), a disc with a rim one pixel wide; Σ|ψ|² of its wave is 1; complex64."""
    optics = inputs.optics
    n, side = optics["grid_points"], optics["window_angstrom"]
    ky, kx = frequency_grid((n, n), (side / n,) * 2)
    radius = 1e-3 * optics["semiangle_mrad"] / inputs.wavelength
    aperture = np.clip((radius - np.hypot(ky, kx)) * side + 0.5, 0, 1)
    chi = np.pi * inputs.wavelength * optics["defocus_angstrom"] * (ky**2 + kx**2)
    spectrum = aperture * np.exp(1j * chi)
    return xp.asarray((spectrum * (n / np.linalg.norm(spectrum))).astype(np.complex64))


def _add(patterns: np.ndarray, weights: Any, some: np.ndarray) -> None:
    """Add the share of ``some`` (n, Qy, Qx) to those scan positions that see them."""
    lit = np.unique(weights.indices)
    part = weights.tocsr()[lit].astype(np.float32) @ some.reshape(len(some), -1)
    patterns[lit] += part.reshape(len(lit), *patterns.shape[1:])


def _transforms(xp: Any) -> tuple[Any, Any]:
    if xp is not np:
        from cupyx.scipy import fft

        return fft.fft2, fft.ifft2
    from scipy import fft as host

    threads = default_threads()

    def fft2(array: np.ndarray) -> np.ndarray:
        return host.fft2(array, workers=threads)

    def ifft2(array: np.ndarray) -> np.ndarray:
        return host.ifft2(array, workers=threads)

    return fft2, ifft2
