"""Preparation by py4DSTEM, checked, with data and probe made in the kit's own way."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import scipy.fft

from caviar_kit import validation
from caviar_kit._adapter import inputs
from caviar_kit._adapter.parent import ComplexProbe, Parent
from caviar_kit._py4dstem import datacube as make_datacube
from caviar_kit.detector import DetectorFrame, check_patterns, find_origin, mean_pattern
from caviar_kit.illumination import check_illumination, probe_modes, unit_probe
from caviar_kit.physics import electron_wavelength
from caviar_kit.streaming import embed_on_disk, streaming_folder

__all__ = ["Preparation"]


class Preparation(Parent):
    """Preparation by py4DSTEM, with what its precision or its assumptions would cost done here."""

    _datacube: Any
    _probe: Any
    _vacuum_probe_intensity: Any
    _object_padding_px: Any
    _object_guess: np.ndarray | None
    _coherence: dict[str, Any]
    _probe_guess: np.ndarray | None
    _padding_guess: Any
    _positions_guess: np.ndarray | None
    _positions_mask: Any
    _streaming: str | None

    def preprocess(
        self,
        *,
        padded_diffraction_intensities_shape: tuple[int, int] | None = None,
        dp_mask: np.ndarray | None = None,
        force_com_shifts: tuple[float, float] | None = None,
        force_com_rotation: float | None = None,
        force_com_transpose: bool | None = None,
        plot_center_of_mass: str | bool = False,
        plot_rotation: bool = False,
        plot_probe_overlaps: bool = False,
        streaming: bool | str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Check, centre and embed the patterns; place the scan; make the probe.

        Parameters
        ----------
        padded_diffraction_intensities_shape : (y, x), optional
            Frame in which the patterns are embedded; the margin counts as not measured. 1.5 times
            the pattern by default; the pattern's own shape for none.
        dp_mask : (Qy, Qx) bool, optional
            False where a detector pixel is to be ignored.
        force_com_shifts : (y, x), optional
            Origin of the patterns [pixel]. By default the centre of the vacuum probe, else of the
            mean bright-field disc, and the nearest pixel if within a quarter of one.
        force_com_rotation : float, optional
            Rotation of the scan against the detector [degree]; by default the data cube's
            calibration, else py4DSTEM's estimate from the centre of mass (noisy for small scans).
        force_com_transpose : bool, optional
            Whether the detector's axes are swapped; by default as for the rotation. (A calibration that only
            says "not swapped", as that of every new DataCube, is no calibration.)
        plot_center_of_mass, plot_rotation, plot_probe_overlaps
            The parent's figures, off by default.
        streaming : bool or path, optional
            Keep the prepared patterns in a temporary file (in the folder given, else the system's) and
            read them one at a time: for data larger than memory. By default if ``datacube.data`` is an
            ``h5py.Dataset`` or ``numpy.memmap``.
        **kwargs
            Further arguments of the parent method.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If data, calibration, probe and scan do not fit together.
        """
        cube = self._datacube
        if cube is None:
            raise ValueError("preprocess needs a datacube: give one on construction or use attach_datacube")
        inputs.check_preprocess_arguments(kwargs)
        inputs.check_scan_rotation(force_com_rotation, force_com_transpose)
        kwargs.setdefault("max_batch_size", 64)  # else the parent shifts a probe for every position at once
        self._streaming = streaming_folder(cube.data, streaming)
        if self._streaming is not None:
            if self._positions_mask is not None:
                raise ValueError("streaming cannot leave out positions: crop the scan, not positions_mask")
            kwargs["vectorized_com_calculation"] = False  # which would copy all patterns
        self._positions_mask = inputs.positions_mask(self._positions_mask, cube.data.shape[:-2])
        patterns = self._used_patterns()
        self._scan_positions = inputs.scan_positions(
            self._positions_guess, cube.data.shape[:-2], self._positions_mask
        )
        detector = cube.data.shape[-2:]
        measured = np.ones(detector, bool) if dp_mask is None else self._checked_mask(dp_mask, detector)
        check_patterns(patterns, measured)
        origin = self._pattern_origin(force_com_shifts, measured)
        nearest = (round(origin[0]), round(origin[1]))
        frame = DetectorFrame.around(detector, nearest)
        if padded_diffraction_intensities_shape is not None:
            frame = replace(frame, frame=inputs.frame_shape(padded_diffraction_intensities_shape, detector))
        self._detector_weights = np.fft.ifftshift(frame.embed(measured.astype(np.float32)))
        rest = [
            centre - pixel + n // 2 for centre, pixel, n in zip(origin, nearest, frame.frame, strict=True)
        ]
        rotation, transpose = self._scan_rotation(force_com_rotation, force_com_transpose)
        vacuum = self._vacuum_probe_intensity
        self._beam = self._beam_current(patterns, measured)
        try:
            self._datacube = self._embedded_cube(frame, measured)
            if vacuum is not None:
                self._vacuum_probe_intensity = frame.embed(np.asarray(vacuum, np.float32))
            self._probe = self._probe_guess  # not the one of an earlier preprocess
            padding = tuple((n // 2 + 2,) * 2 for n in frame.frame)
            self._object_padding_px = padding if self._padding_guess is None else self._padding_guess
            super().preprocess(
                dp_mask=frame.embed(measured),
                force_com_shifts=tuple(rest),
                force_com_rotation=rotation,
                force_com_transpose=transpose,
                plot_center_of_mass=plot_center_of_mass,
                plot_rotation=plot_rotation,
                plot_probe_overlaps=plot_probe_overlaps,
                in_place_datacube_modification=True,
                **kwargs,
            )
        finally:
            self._datacube, self._vacuum_probe_intensity = cube, vacuum
        check_illumination(self.probe_centered[0], self.sampling, self.scan_positions_angstrom)
        self._forget_results()
        self._model = self._placed_model()
        self._unit_probe = unit_probe(self._probe)
        self._resume()
        return self

    def _used_patterns(self) -> np.ndarray:
        """Patterns (positions, Qy, Qx) that ``positions_mask`` keeps; those on disk as they are there."""
        data: Any = self._datacube.data
        if self._positions_mask is not None:
            return data[self._positions_mask]
        return data if self._streaming is not None else np.asarray(data).reshape(-1, *data.shape[-2:])

    def _pattern_origin(self, forced: Sequence[float] | None, measured: np.ndarray) -> tuple[float, float]:
        """Origin of the patterns [pixel], snapped to the nearest pixel if close to it.

        Bad pixels do not count: the brightest one sets the scale of the search.
        """
        if forced is not None:
            y, x = validation.as_array("force_com_shifts", forced, shape=(2,))
            return float(y), float(x)
        vacuum = self._vacuum_probe_intensity
        pattern = mean_pattern(self._used_patterns()) if vacuum is None else vacuum
        if pattern.shape != self._datacube.data.shape[-2:]:
            raise ValueError(
                f"vacuum_probe_intensity must have the patterns' shape {self._datacube.data.shape[-2:]}, "
                f"got {pattern.shape}"
            )
        origin = find_origin(np.where(measured, pattern, 0))
        distance = max(abs(c - round(c)) for c in origin)
        if distance <= 0.25:
            return float(round(origin[0])), float(round(origin[1]))
        warnings.warn(
            f"the patterns' origin ({origin[0]:.2f}, {origin[1]:.2f}) lies {distance:.2f} pixels off "
            "the grid: they are interpolated; give force_com_shifts to decide yourself",
            UserWarning,
            stacklevel=3,
        )
        return origin

    @staticmethod
    def _checked_mask(mask: np.ndarray, detector: tuple[int, int]) -> np.ndarray:
        mask = validation.as_array("dp_mask", mask, shape=detector).astype(bool)
        if not mask.any():
            raise ValueError("dp_mask must be True somewhere")
        return mask

    def _scan_rotation(
        self, rotation: float | None, transpose: bool | None
    ) -> tuple[float | None, bool | None]:
        """What was forced, else what the data cube's calibration says, else None.

        A new DataCube says that nothing is swapped before anybody has looked: without a rotation that does
        not count.
        """
        calibration = self._datacube.calibration
        if rotation is None and (known := calibration.get_QR_rotation_degrees()) is not None:
            rotation = float(known)
        flip = calibration.get_QR_flip()
        if transpose is None and (flip or (flip is not None and rotation is not None)):
            transpose = bool(flip)
        return rotation, transpose

    def _beam_current(self, patterns: np.ndarray, measured: np.ndarray) -> float | None:
        """Electrons per pattern before the specimen, or None if unknown."""
        if self._vacuum_probe_intensity is None:
            return None
        beam = float(np.sum(self._vacuum_probe_intensity, dtype=np.float64))
        scattered = float(mean_pattern(patterns)[measured].sum())
        return beam if beam > 0 and 0.5 < scattered / beam < 1.02 else None

    def _embedded_cube(self, frame: DetectorFrame, measured: np.ndarray) -> Any:
        """A copy of the data in the larger frame, masked pixels at zero, with the same calibrations."""
        if self._streaming is not None:
            embedded: np.ndarray = embed_on_disk(self._datacube.data, frame, measured, self._streaming)
        else:
            data = np.where(measured, self._datacube.data, 0).astype(np.float32, copy=False)
            if self._positions_mask is not None:  # their patterns may be anything, even NaN
                data[~self._positions_mask] = data[self._positions_mask].mean(axis=0)
            embedded = frame.embed(data)
        calibration = self._datacube.calibration
        cube = make_datacube(
            embedded,
            scan_step_angstrom=calibration.get_R_pixel_size(),
            detector_pixel_inverse_angstrom=calibration.get_Q_pixel_size(),
        )
        cube.calibration.set_R_pixel_units(calibration.get_R_pixel_units())
        cube.calibration.set_Q_pixel_units(calibration.get_Q_pixel_units())
        return cube

    def _initialize_object(self, initial_object: Any, num_slices: int, *args: Any) -> np.ndarray:
        """Vacuum or the initial guess, with a leading axis of states; the fit makes the others."""
        if self._object_guess is not None:
            return self._object_guess.copy()
        slices: np.ndarray = super()._initialize_object(None, num_slices, *args)
        return slices[None]

    def _initialize_probe(
        self, initial_probe: Any, vacuum: Any, mean_intensity: float, cutoff: float, *args: Any
    ) -> Any:
        """Probe modes from the vacuum pattern's amplitude, or an ideal aperture, and the aberrations.

        The parent shifts the pattern by its centre of mass in single precision, which costs 1e-4 of
        the amplitude; in its frame the pattern is centred already.
        """
        shape = self._amplitudes.shape[-2:]
        if initial_probe is not None:
            probe, cutoff = super()._initialize_probe(initial_probe, vacuum, mean_intensity, cutoff, *args)
            probe = validation.as_array(
                "initial_probe_guess", probe, shape=(None, *shape), complex_allowed=True
            )
            return self._modes(probe, mean_intensity), cutoff
        if vacuum is None:
            vacuum = self._aperture(shape, cutoff) ** 2
        spectrum = ComplexProbe(
            gpts=shape,
            sampling=self.sampling,
            energy=self._energy,
            semiangle_cutoff=np.inf,
            vacuum_probe_intensity=np.fft.ifftshift(np.maximum(vacuum, 0)),
            parameters=self._polar_parameters,
        )._evaluate_ctf()
        return self._modes(scipy.fft.ifft2(spectrum)[None], mean_intensity), cutoff

    def _modes(self, probe: np.ndarray, mean_intensity: float) -> np.ndarray:
        """As many modes as asked for, from one or as given, with py4DSTEM's normalisation."""
        centred = unit_probe(probe)
        if len(centred) == 1:
            centred = probe_modes(
                centred,
                wavelength=electron_wavelength(self._energy),
                sampling=self.sampling,
                **self._coherence,
            )
        scale = np.float32(math.sqrt(mean_intensity / math.prod(centred.shape[-2:])))
        return np.fft.ifftshift(centred, axes=(-2, -1)) * scale
