"""How fine the detail of a fit is, and whether it is that of the atoms. NumPy and SciPy only."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.components import components, mean_phase_of_atoms
from benchmarks.paper.fit import Fit
from benchmarks.paper.inputs import Inputs
from caviar_kit import vibrations
from caviar_kit.physics import electron_wavelength

__all__ = ["detail", "detector_edge", "field_of", "transfer_limit"]

FIELD_MARGIN_ANGSTROM = 4.0  # around the scan, of spectra
NEAR = 1.6  # Å around the scan, where components are compared with those of the atoms
RIGHT_DEG = 20.0  # more than this, and a component of the phase is not that of the atoms


def detail(inputs: Inputs, found: Fit, slices: slice, lattices: list[vibrations.Lattice]) -> dict[str, Any]:
    """The information limit of some slices, JSON-ready.

    A peak of the power spectrum counts if it is significant, on a lattice, within what simulation and single
    scattering can bring, and in phase with the same Fourier component of the phase of the slices' atoms.
    """
    limit = vibrations.information_limit(found.object, found.sampling, slices=slices, field=field_of(found))
    band = min(transfer_limit(inputs.optics), _simulated_band(inputs.optics))
    known = limit.on_lattices(*lattices).within(band)
    ratio = _found_over_true(inputs, found, slices, limit.peaks)
    off = np.abs(np.degrees(np.angle(ratio)))
    counted = (limit.peaks[:, None] == known.peaks).all(axis=-1).any(axis=1) & (off < RIGHT_DEG)
    farthest = limit.within(np.linalg.norm(limit.peaks[counted], axis=1).max(initial=0.0))
    return {
        "limit_pm": round(100 * farthest.angstrom, 1),
        "d_over_lambda": round(farthest.over_wavelength(inputs.optics["energy_ev"]), 2),
        "significant_pm": round(100 * limit.angstrom, 1),
        "significant": len(limit.peaks),
        "counted": int(counted.sum()),
        "counted_amplitude": _range(np.abs(ratio[counted])),
        "counted_phase_rms_deg": _rms(off[counted]),
        "others_phase_rms_deg": _rms(off[~counted]),
    }


def field_of(found: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the field of spectra [Å]."""
    return (
        found.positions.min(axis=0) - FIELD_MARGIN_ANGSTROM,
        found.positions.max(axis=0) + FIELD_MARGIN_ANGSTROM,
    )


def transfer_limit(optics: dict[str, Any]) -> float:
    """Highest spatial frequency that single scattering brings to the detector along its axes [1/Å].

    It turns a wave of one rim of the aperture to the opposite edge of the detector: (α + θ) / λ [Rodenburg &
    Bates (1992), doi:10.1098/rsta.1992.0050].
    """
    wavelength = electron_wavelength(optics["energy_ev"])
    return detector_edge(optics) + 1e-3 * float(optics["semiangle_mrad"]) / wavelength


def detector_edge(optics: dict[str, Any]) -> float:
    """Spatial frequency at the middle of the detector's edge [1/Å]."""
    return float(optics["detector_pixels"] / 2 / optics["window_angstrom"])


def _simulated_band(optics: dict[str, Any]) -> float:
    """What the simulation of the data kept of the waves [1/Å]."""
    return float(optics["grid_points"] / 3 / optics["window_angstrom"])


def _found_over_true(inputs: Inputs, found: Fit, slices: slice, peaks: np.ndarray) -> np.ndarray:
    """Components of the phase of the slices over those of the atoms in them, complex (peaks,)."""
    sampling, side = found.sampling, inputs.optics["window_angstrom"]
    ends = (found.positions.min(axis=0) - NEAR, found.positions.max(axis=0) + NEAR)
    first, last = ((end / sampling).astype(int) for end in ends)
    near = (slice(first[0], last[0]), slice(first[1], last[1]))
    phase = vibrations.projected_phase(found.object, slices).mean(axis=0)[near]
    corner = inputs.first_position - (found.positions[0] - first * sampling)
    y, x = (start + step * np.arange(n) for start, step, n in zip(corner, sampling, phase.shape, strict=True))
    depth = inputs.frames[..., 2].mean(axis=0) / inputs.optics["thickness_angstrom"] * found.object.shape[1]
    inside = (depth >= slices.start) & (depth < slices.stop)
    count = inputs.form_factors.shape[-1]
    k = np.fft.fftfreq(count, side / count)
    carried = np.abs(k) < 0.5 / sampling.max()
    factors = inputs.form_factors[:, carried][:, :, carried]
    frames, kinds = inputs.frames[:, inside, 1::-1], inputs.species[inside]
    true = mean_phase_of_atoms(frames, kinds, factors, k[carried], side, (y, x))
    return components(phase, sampling, peaks) / components(true, sampling, peaks)


def _rms(values: np.ndarray) -> float | None:
    return round(float(np.sqrt((values**2).mean())), 1) if len(values) else None


def _range(values: np.ndarray) -> list[float] | None:
    """Between which ends nine of ten values lie."""
    return np.quantile(values, [0.05, 0.95]).round(2).tolist() if len(values) else None
