"""The hand-over: what py4DSTEM prepared goes to the engine, what the engine found comes back."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from caviar_kit import multislice
from caviar_kit._adapter.parent import Parent
from caviar_kit.backend import resolve_device, to_numpy
from caviar_kit.multislice.loss import make_loss
from caviar_kit.multislice.probe_modes import occupations, orthogonalise
from caviar_kit.physics import electron_wavelength

__all__ = ["Handover"]


class Handover(Parent):
    """The engine's model and data, made of the parent's state, and results written back to it."""

    _engine_device: str
    _model: multislice.MultisliceModel
    _beam: float | None
    _rotation_best_rad: float
    _rotation_best_transpose: bool
    _detector_weights: np.ndarray
    _streaming: str | None
    _unit_probe: np.ndarray
    _object: Any
    _probe: Any

    def _make_model(self) -> multislice.MultisliceModel:
        return multislice.MultisliceModel(
            window=self._amplitudes.shape[-2:],
            sampling=self.sampling,
            wavelength=electron_wavelength(self._energy),
            thicknesses=tuple(float(t) for t in self._slice_thicknesses),
            positions=_without_noise(self._positions_px),
            object_shape=(int(self._object_shape[0]), int(self._object_shape[1])),
            tilt_mrad=(float(self._theta_x), float(self._theta_y)),
        )

    def _nominal_model(self) -> multislice.MultisliceModel:
        """The engine's model with the scan as preprocess placed it."""
        return replace(self._model, positions=_without_noise(self._positions_px_initial))

    def _evaluator(
        self, loss: str, model: multislice.MultisliceModel | None = None, client: Any = None
    ) -> multislice.Evaluator:
        """The engine's misfit of the patterns, for the present model or another one, here or on workers."""
        xp = resolve_device(self._engine_device)
        beam = self._beam if self._beam is not None else self._mean_diffraction_intensity
        patterns: Any
        if self._streaming is None:
            patterns = np.square(self._amplitudes, dtype=np.float32)
            patterns /= np.float32(beam)
            if client is None:
                patterns = xp.asarray(patterns)
            elif xp is not np:  # the workers compute; this GPU only holds the unknowns
                patterns = multislice.StreamedPatterns.from_array(patterns, xp=xp)
        else:
            amplitudes = self._amplitudes
            patterns = multislice.StreamedPatterns(
                lambda n: np.square(amplitudes[n], dtype=np.float32) / np.float32(beam),
                amplitudes.shape,
                xp=xp,
            )
        weights = None if self._detector_weights.all() else xp.asarray(self._detector_weights)
        model = self._model if model is None else model
        if client is None:
            return multislice.Evaluator(model, patterns, make_loss(loss), weights=weights)
        return multislice.DistributedEvaluator(
            model, patterns, make_loss(loss), client=client, weights=weights, device=self._engine_device
        )

    def _store(self, snapshot: multislice.Snapshot) -> None:
        """Write the engine's result to the places where py4DSTEM keeps its own."""
        self._object = to_numpy(snapshot.object)
        probe = to_numpy(snapshot.probe)
        if len(probe) > 1 and not np.array_equal(probe, self._unit_probe):
            probe = orthogonalise(probe)
        self._unit_probe = probe
        window = math.prod(self._unit_probe.shape[-2:])
        scale = math.sqrt(self._mean_diffraction_intensity / window)
        self._probe = np.fft.ifftshift(self._unit_probe, axes=(-2, -1)) * np.float32(scale)
        self.object, self.probe = self._object, self.probe_centered
        self.error = snapshot.loss

    @property
    def scan_positions_angstrom(self) -> np.ndarray:
        """Scan positions (positions, 2), y then x [Å]; pixel (0, 0) of ``object`` is the origin."""
        return _without_noise(self._positions_px) * np.array(self.sampling)

    @property
    def scan_rotation(self) -> tuple[float, bool]:
        """Rotation θ [degree] of the scan and whether the axes are swapped, as ``preprocess`` took them.

        What was forced, or calibrated in the data cube, or else py4DSTEM's estimate from the centre of mass,
        which cannot tell θ from θ + 180°: there the defocus changes its sign.
        """
        if not hasattr(self, "_model"):
            raise ValueError("run preprocess() first")
        return math.degrees(self._rotation_best_rad), bool(self._rotation_best_transpose)

    @property
    def probe_occupations(self) -> np.ndarray:
        """Fraction of the beam in each probe mode; they sum to 1."""
        return occupations(self._unit_probe)

    def _scanned_field(self) -> tuple[np.ndarray, np.ndarray]:
        """The object where probes were placed, and the pixel (y, x) at which that begins."""
        pixels = self.scan_positions_angstrom / np.array(self.sampling)
        first, last = np.floor(pixels.min(axis=0)).astype(int), np.ceil(pixels.max(axis=0)).astype(int) + 1
        return self._object[..., first[0] : last[0], first[1] : last[1]], first


def _without_noise(positions: Any) -> np.ndarray:
    """Positions [pixel] as float64, rid of float32 noise, which would cost a phase ramp each."""
    return np.round(to_numpy(positions).astype(float), 4)
