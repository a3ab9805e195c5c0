"""Mixed-object multislice ptychography as py4DSTEM users expect it.

The only file that touches py4DSTEM's private state: what the parent class prepares is
handed to :mod:`caviar_kit.multislice`, and what the engine finds is written back.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.fft
from tqdm import tqdm

from caviar_kit import multislice, validation
from caviar_kit._py4dstem import datacube as make_datacube
from caviar_kit._py4dstem import import_py4dstem
from caviar_kit.backend import default_threads, resolve_device, to_numpy
from caviar_kit.detector import DetectorFrame, check_patterns, find_origin
from caviar_kit.multislice.loss import make_loss
from caviar_kit.multislice.memory import estimate_memory
from caviar_kit.physics import electron_wavelength

__all__ = ["MixedObjectMultislicePtychography"]

_Parent: Any = import_py4dstem().process.phase.MixedstateMultislicePtychography
_ComplexProbe: Any = import_py4dstem().process.phase.utils.ComplexProbe


class MixedObjectMultislicePtychography(_Parent):
    """Reconstruct the specimen as an ensemble of states [CAVIAR, arXiv:2309.12017].

    >>> ptycho = ck.MixedObjectMultislicePtychography(datacube=..., energy=200e3, ...)
    >>> ptycho.preprocess().reconstruct(max_iter=100).visualize()

    Parameters
    ----------
    datacube : py4DSTEM.DataCube
        Calibrated 4D-STEM data (Ry, Rx, Qy, Qx).
    energy : float
        Kinetic energy of the electrons [eV].
    num_slices : int
        Slices of the object along the beam.
    slice_thicknesses : float or sequence of num_slices - 1 floats
        Distance between successive slices [Å].
    num_object_states : int
        States of the object; 1 gives ordinary multislice ptychography.
    num_probes : int
        Probe modes; only 1 is supported so far.
    semiangle_cutoff : float, optional
        Convergence semi-angle [mrad]; needed without ``vacuum_probe_intensity``.
    vacuum_probe_intensity : (Qy, Qx) array, optional
        Pattern without specimen: its square root is the probe's amplitude. If it is on the same
        scale as the data, its sum is the beam current.
    defocus : float
        Defocus [Å]; positive as in py4DSTEM and abTEM: spectrum A(k) exp(+iπλ·defocus·k²).
    device : {"auto", "cpu", "gpu"}
        Where the fit runs; "auto" takes a CuPy GPU if one answers.
    seed : int
        Seed of everything random.
    verbose : bool
        Progress bars while preprocessing.
    initial_object_guess : complex (slices, y, x) or (states, slices, y, x), optional
        Where the fit starts; several states need ``one_state_iter=0``. Vacuum by default.
    **kwargs
        Further arguments of the parent class: aberrations such as ``C12`` [Å], ``rolloff``,
        ``object_padding_px``, ``positions_mask``, ``initial_scan_positions``, ``theta_x`` ...

    Raises
    ------
    TypeError, ValueError
        If an argument is not usable, naming it and, where clear, the likely cure.
    """

    _datacube: Any
    _vacuum_probe_intensity: Any
    _object_padding_px: Any

    def __init__(
        self,
        *,
        datacube: Any = None,
        energy: float,
        num_slices: int,
        slice_thicknesses: float | Sequence[float],
        num_object_states: int = 12,
        num_probes: int = 1,
        semiangle_cutoff: float | None = None,
        vacuum_probe_intensity: np.ndarray | None = None,
        defocus: float = 0.0,
        device: str = "auto",
        seed: int = 0,
        verbose: bool = False,
        name: str = "mixed_object_multislice_reconstruction",
        **kwargs: Any,
    ) -> None:
        electron_wavelength(energy)  # refuses keV
        num_slices = validation.integer("num_slices", num_slices)
        self._num_object_states = validation.integer("num_object_states", num_object_states)
        self._seed = validation.integer("seed", seed, minimum=0)
        self._engine_device = validation.choice("device", device, ("auto", "cpu", "gpu"))
        if validation.integer("num_probes", num_probes) != 1:
            raise ValueError(
                f"num_probes must be 1: several probe modes are not supported yet, got {num_probes}"
            )
        if semiangle_cutoff is not None:
            hint = "was it given in radians?"
            validation.number(
                "semiangle_cutoff", semiangle_cutoff, minimum=0.5, maximum=200, unit="mrad", hint=hint
            )
        elif vacuum_probe_intensity is None and kwargs.get("initial_probe_guess") is None:
            raise ValueError("semiangle_cutoff [mrad] is needed unless vacuum_probe_intensity is given")
        if vacuum_probe_intensity is not None:
            validation.as_array("vacuum_probe_intensity", vacuum_probe_intensity, shape=(None, None))
        validation.number("defocus", defocus, minimum=-1e6, maximum=1e6, unit="Å")
        if 0 < abs(defocus) < 1e-3:
            raise ValueError(
                f"defocus={defocus:g}: did you mean angstrom? ({1e10 * defocus:g} Å if in metres)"
            )
        guess = kwargs.get("initial_object_guess")
        self._object_guess = None if guess is None else _as_states(guess)
        super().__init__(
            datacube=datacube,
            energy=float(energy),
            num_slices=num_slices,
            slice_thicknesses=_thicknesses(slice_thicknesses, num_slices),
            num_probes=1,
            semiangle_cutoff=semiangle_cutoff,
            vacuum_probe_intensity=vacuum_probe_intensity,
            device="cpu",  # the parent only prepares; the engine moves what it needs
            verbose=verbose,
            name=name,
            defocus=float(defocus),
            **kwargs,
        )

    # Preparation ---------------------------------------------------------------------------

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
        **kwargs: Any,
    ) -> MixedObjectMultislicePtychography:
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
            Whether the detector's axes are swapped; by default as for the rotation.
        plot_center_of_mass, plot_rotation, plot_probe_overlaps
            The parent's figures, off by default.
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
        for name in ("region_of_interest_shape", "diffraction_intensities_shape", "crop_patterns"):
            if kwargs.get(name):
                raise ValueError(f"{name} is not supported: bin or crop the data cube beforehand")
        detector = cube.data.shape[-2:]
        measured = np.ones(detector, bool) if dp_mask is None else self._checked_mask(dp_mask, detector)
        check_patterns(cube.data, measured)
        origin = self._pattern_origin(force_com_shifts)
        nearest = (round(origin[0]), round(origin[1]))
        frame = DetectorFrame.around(detector, nearest)
        if padded_diffraction_intensities_shape is not None:
            height, width = padded_diffraction_intensities_shape
            frame = replace(frame, frame=(height, width))
        self._detector_weights = np.fft.ifftshift(frame.embed(measured.astype(np.float32)))
        rest = [
            centre - pixel + n // 2 for centre, pixel, n in zip(origin, nearest, frame.frame, strict=True)
        ]
        rotation, transpose = self._scan_rotation(force_com_rotation, force_com_transpose)
        vacuum = self._vacuum_probe_intensity
        self._beam = self._beam_current(cube.data, measured)
        try:
            self._datacube = self._embedded_cube(frame, measured)
            if vacuum is not None:
                self._vacuum_probe_intensity = frame.embed(np.asarray(vacuum, np.float32))
            if self._object_padding_px is None:
                self._object_padding_px = tuple((n // 2 + 2,) * 2 for n in frame.frame)
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
        self._check_illumination()
        self.error_iterations: list[float] = []
        self._model = self._make_model()
        self._unit_probe = self._centred_unit_probe()
        return self

    def _pattern_origin(self, forced: Sequence[float] | None) -> tuple[float, float]:
        """Origin of the patterns [pixel], snapped to the nearest pixel if close to it."""
        if forced is not None:
            y, x = (validation.number("force_com_shifts", float(c)) for c in forced)
            return y, x
        vacuum = self._vacuum_probe_intensity
        pattern = self._datacube.data.mean(axis=(0, 1), dtype=np.float64) if vacuum is None else vacuum
        if pattern.shape != self._datacube.data.shape[-2:]:
            raise ValueError(
                f"vacuum_probe_intensity must have the patterns' shape {self._datacube.data.shape[-2:]}, "
                f"got {pattern.shape}"
            )
        origin = find_origin(pattern)
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
        """What was forced, else what the data cube's calibration says, else None."""
        calibration = self._datacube.calibration
        if rotation is None and (known := calibration.get_QR_rotation_degrees()) is not None:
            rotation = float(known)
        if transpose is None and (flip := calibration.get_QR_flip()) is not None:
            transpose = bool(flip)
        return rotation, transpose

    def _beam_current(self, patterns: np.ndarray, measured: np.ndarray) -> float | None:
        """Electrons per pattern before the specimen, or None if unknown."""
        if self._vacuum_probe_intensity is None:
            return None
        beam = float(np.sum(self._vacuum_probe_intensity, dtype=np.float64))
        scattered = float(patterns.mean(axis=(0, 1), dtype=np.float64)[measured].sum())
        return beam if beam > 0 and 0.5 < scattered / beam < 1.02 else None

    def _embedded_cube(self, frame: DetectorFrame, measured: np.ndarray) -> Any:
        """A copy of the data in the larger frame, masked pixels at zero, with the same calibrations."""
        calibration = self._datacube.calibration
        cube = make_datacube(
            frame.embed(np.where(measured, self._datacube.data, 0).astype(np.float32, copy=False)),
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
        if initial_probe is not None:
            return super()._initialize_probe(initial_probe, vacuum, mean_intensity, cutoff, *args)
        shape = self._amplitudes.shape[-2:]
        if vacuum is None:
            vacuum = _ideal_aperture(shape, self.angular_sampling, cutoff) ** 2
        spectrum = _ComplexProbe(
            gpts=shape,
            sampling=self.sampling,
            energy=self._energy,
            semiangle_cutoff=np.inf,
            vacuum_probe_intensity=np.fft.ifftshift(np.maximum(vacuum, 0)),
            parameters=self._polar_parameters,
        )._evaluate_ctf()
        spectrum *= np.sqrt(mean_intensity / (abs(spectrum) ** 2).sum(dtype=np.float64))
        return scipy.fft.ifft2(spectrum).astype(np.complex64)[None], cutoff

    def _check_illumination(self) -> None:
        """The probe must fit its window and overlap with its neighbours."""
        probe = abs(self.probe_centered[0]) ** 2
        total, inner = probe.sum(), [slice(n // 8, n - n // 8) for n in probe.shape]
        outside = 1 - probe[tuple(inner)].sum() / total
        window = [n * d for n, d in zip(probe.shape, self.sampling, strict=True)]
        if outside > 0.2:
            raise ValueError(
                f"the probe does not fit its window of {window[0]:.1f} × {window[1]:.1f} Å "
                f"({outside:.0%} of it in the outer eighth): reduce defocus, or bin the detector less"
            )
        grid = np.indices(probe.shape)
        centre = [(axis * probe).sum() / total for axis in grid]
        spread = sum(((a - c) * d) ** 2 for a, c, d in zip(grid, centre, self.sampling, strict=True))
        diameter = 2 * math.sqrt(2 * float((spread * probe)[tuple(inner)].sum() / total))
        positions = self.scan_positions_angstrom
        if len(positions) > 1:
            nearest = float(np.sort(np.linalg.norm(positions - positions[len(positions) // 2], axis=1))[1])
            if nearest > 1.5 * diameter:
                raise ValueError(
                    f"neighbouring probes do not overlap: they are {nearest:.2f} Å apart and about "
                    f"{diameter:.2f} Å wide; check the scan step's unit, or use more defocus"
                )

    # The hand-over to the engine -----------------------------------------------------------

    def _make_model(self) -> multislice.MultisliceModel:
        return multislice.MultisliceModel(
            window=self._amplitudes.shape[-2:],
            sampling=self.sampling,
            wavelength=electron_wavelength(self._energy),
            thicknesses=tuple(float(t) for t in self._slice_thicknesses),
            positions=np.round(
                to_numpy(self._positions_px).astype(float), 4
            ),  # float32 noise, no ramps for it
            object_shape=(int(self._object_shape[0]), int(self._object_shape[1])),
            tilt_mrad=(float(self._theta_x), float(self._theta_y)),
        )

    def _centred_unit_probe(self) -> np.ndarray:
        """Probe modes centred in the window, Σ|probe|² = 1."""
        probe = np.fft.fftshift(self._probe, axes=(-2, -1))
        return (probe / np.sqrt((abs(probe) ** 2).sum())).astype(np.complex64)

    def _evaluator(self, loss: str) -> multislice.Evaluator:
        xp = resolve_device(self._engine_device)
        beam = self._beam if self._beam is not None else self._mean_diffraction_intensity
        patterns = np.square(self._amplitudes, dtype=np.float32) / np.float32(beam)
        weights = None if self._detector_weights.all() else self._detector_weights
        return multislice.Evaluator(
            self._model,
            xp.asarray(patterns),
            make_loss(loss),
            weights=None if weights is None else xp.asarray(weights),
        )

    def _store(self, snapshot: multislice.Snapshot) -> None:
        """Write the engine's result to the places where py4DSTEM keeps its own."""
        self._object = to_numpy(snapshot.object)
        self._unit_probe = to_numpy(snapshot.probe)
        window = math.prod(self._unit_probe.shape[-2:])
        scale = math.sqrt(self._mean_diffraction_intensity / window)
        self._probe = np.fft.ifftshift(self._unit_probe, axes=(-2, -1)) * np.float32(scale)
        self.object, self.probe = self._object, self.probe_centered
        self.error = snapshot.loss

    # Reconstruction ------------------------------------------------------------------------

    def iterate(
        self,
        max_iter: int = 100,
        *,
        one_state_iter: int = 20,
        loss: str = "amplitude",
        reset: bool = True,
        **settings: Any,
    ) -> Iterator[multislice.Snapshot]:
        """Reconstruct as a generator: one :class:`caviar_kit.multislice.Snapshot` per iteration.

        Stop asking whenever you like: ``object``, ``probe`` and ``error_iterations`` then hold the
        last iteration. Parameters as for :meth:`reconstruct`.
        """
        self._require_preprocess()
        fit, start = self._fit_settings(max_iter, one_state_iter, reset, settings)
        self._check_memory(fit)
        evaluator = self._evaluator(loss)
        return self._iterate(evaluator, fit, start, reset)

    def _iterate(
        self, evaluator: multislice.Evaluator, fit: multislice.FitSettings, start: Any, reset: bool
    ) -> Iterator[multislice.Snapshot]:
        if reset:
            self.error_iterations = []
        snapshot = None
        try:
            for snapshot in multislice.run(evaluator, self._unit_probe, fit, initial_object=start):
                self.error_iterations.append(snapshot.loss)
                yield snapshot
        finally:
            if snapshot is not None:
                self._store(snapshot)

    def reconstruct(
        self,
        max_iter: int = 100,
        *,
        one_state_iter: int = 20,
        loss: str = "amplitude",
        reset: bool = True,
        progress_bar: bool = True,
        **settings: Any,
    ) -> MixedObjectMultislicePtychography:
        """Fit first one state, then, from its thermally warped copies, all states.

        Parameters
        ----------
        max_iter : int
            Iterations of the ensemble.
        one_state_iter : int
            Iterations of the one-state fit before it.
        loss : {"amplitude", "poisson"}
            "poisson" for counted electrons, "amplitude" for noise-free data or very high dose.
        reset : bool
            False goes on from the present states, without a new one-state fit.
        progress_bar : bool
            Show iterations, loss and time left.
        **settings
            Further fields of :class:`caviar_kit.multislice.FitSettings`: ``object_type`` ("phase",
            the default, or "complex"), ``optimizer`` ("lbfgs" or "adam"), ``fit_probe``, ...

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a setting is unknown or not usable, or preprocess was not run.
        """
        steps = self.iterate(max_iter, one_state_iter=one_state_iter, loss=loss, reset=reset, **settings)
        total = max_iter + (one_state_iter if reset and self._num_object_states > 1 else 0)
        with tqdm(total=total, disable=not progress_bar, unit="it", mininterval=0.5) as bar:
            for snapshot in steps:
                bar.set_description(snapshot.stage, refresh=False)
                bar.set_postfix(loss=f"{snapshot.loss:.2e}", refresh=False)
                bar.update()
        return self

    def _fit_settings(
        self, max_iter: int, one_state_iter: int, reset: bool, settings: dict[str, Any]
    ) -> tuple[multislice.FitSettings, Any]:
        allowed = set(multislice.FitSettings.__dataclass_fields__) - {
            "num_states",
            "max_iter",
            "one_state_iter",
        }
        if unknown := sorted(set(settings) - allowed):
            raise TypeError(f"unknown setting {', '.join(unknown)}; allowed are {', '.join(sorted(allowed))}")
        start = self._object_guess if reset else self._object
        fit = multislice.FitSettings(
            num_states=self._num_object_states,
            max_iter=max_iter,
            one_state_iter=one_state_iter if reset else 0,
            **{"seed": self._seed, **settings},
        )
        if reset:
            self._unit_probe = self._initial_unit_probe()
        return fit, start

    def _initial_unit_probe(self) -> np.ndarray:
        probe = np.fft.fftshift(self._probe_initial, axes=(-2, -1))
        return (probe / np.sqrt((abs(probe) ** 2).sum())).astype(np.complex64)

    def _require_preprocess(self) -> None:
        if not getattr(self, "_preprocessed", False):
            raise ValueError("run preprocess() first")

    # What users ask for --------------------------------------------------------------------

    @property
    def scan_positions_angstrom(self) -> np.ndarray:
        """Scan positions (positions, 2), y then x [Å]; pixel (0, 0) of ``object`` is the origin."""
        return np.round(to_numpy(self._positions_px).astype(float), 4) * np.array(self.sampling)

    def estimate_memory(self, **settings: Any) -> dict[str, int]:
        """Bytes that ``reconstruct`` would need: of each part, and "total"; after preprocess."""
        self._require_preprocess()
        fit, _ = self._fit_settings(1, 1, True, settings)
        threads = default_threads() if resolve_device(self._engine_device) is np else 1
        return estimate_memory(self._model, fit, num_probes=len(self._unit_probe), threads=threads)

    def _check_memory(self, fit: multislice.FitSettings) -> None:
        if resolve_device(self._engine_device) is not np or not hasattr(os, "sysconf"):
            return
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        needed = estimate_memory(self._model, fit, threads=default_threads())["total"]
        if needed > available:
            raise ValueError(
                f"num_object_states={fit.num_states} needs about {needed / 2**30:.1f} GiB, this machine has "
                f"{available / 2**30:.1f}: use fewer states or slices, a smaller history, or crop the scan"
            )

    def visualize(
        self, *, states: Sequence[int] | None = None, **kwargs: Any
    ) -> MixedObjectMultislicePtychography:
        """Show the projected phase of the states, their mean and spread, and the loss.

        Parameters
        ----------
        states : sequence of int, optional
            States to show.
        **kwargs
            Passed to :func:`caviar_kit.plotting.object_states`.

        Returns
        -------
        self
        """
        from caviar_kit import plotting

        if not getattr(self, "error_iterations", None):
            raise ValueError("run reconstruct() first")
        cropped, _ = self._scanned_field()
        plotting.object_states(cropped, self.sampling, states=states, **kwargs)
        plotting.loss(self.error_iterations)
        return self

    def _scanned_field(self) -> tuple[np.ndarray, np.ndarray]:
        """The object where probes were placed, and the pixel (y, x) at which that begins."""
        pixels = self.scan_positions_angstrom / np.array(self.sampling)
        first, last = np.floor(pixels.min(axis=0)).astype(int), np.ceil(pixels.max(axis=0)).astype(int) + 1
        return self._object[..., first[0] : last[0], first[1] : last[1]], first


def _as_states(guess: np.ndarray) -> np.ndarray:
    """An initial object with its axis of states, complex64 (states, slices, y, x)."""
    array = validation.as_array("initial_object_guess", guess, complex_allowed=True)
    if array.ndim not in (3, 4):
        raise ValueError(
            "initial_object_guess must have shape (slices, y, x) or (states, slices, y, x), "
            f"got {array.shape}"
        )
    return array.reshape(-1, *array.shape[-3:]).astype(np.complex64)


def _thicknesses(value: float | Sequence[float], num_slices: int) -> list[float]:
    """num_slices - 1 positive distances [Å]."""
    values = [value] * (num_slices - 1) if np.ndim(value) == 0 else list(value)  # type: ignore[arg-type]
    if len(values) != num_slices - 1:
        raise ValueError(
            f"slice_thicknesses must be one number or num_slices - 1 = {num_slices - 1}, got {len(values)}"
        )
    hint = "was it given in metres or nanometres?"
    return [
        validation.number("slice_thicknesses", v, minimum=0.1, maximum=1e4, unit="Å", hint=hint)
        for v in values
    ]


def _ideal_aperture(
    shape: tuple[int, int], angular_sampling: tuple[float, float], cutoff_mrad: float
) -> np.ndarray:
    """Amplitude of a round aperture (y, x), centred at (y // 2, x // 2), its rim one pixel wide."""
    y, x = (np.arange(n) - n // 2 for n in shape)
    angle = np.hypot(y[:, None] * angular_sampling[0], x[None, :] * angular_sampling[1])
    return np.clip((cutoff_mrad - angle) / math.sqrt(math.prod(angular_sampling)) + 0.5, 0, 1).astype(
        np.float32
    )
