"""Mixed-object multislice ptychography as py4DSTEM users expect it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from tqdm import tqdm

from caviar_kit import multislice, validation
from caviar_kit._adapter import PARENT_VIEW, Py4DSTEMAdapter, inputs
from caviar_kit.backend import default_threads, resolve_device
from caviar_kit.illumination import unit_probe
from caviar_kit.multislice.memory import estimate_memory
from caviar_kit.physics import electron_wavelength

__all__ = ["MixedObjectMultislicePtychography"]


class MixedObjectMultislicePtychography(Py4DSTEMAdapter):
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
        Probe modes, orthogonal, their occupations summing to the beam. With a source or defocus of finite
        width they are the leading modes of that beam, which need not be refined; else Hermite
        modes, which must be (``reconstruct(refine="probe")``).
    source_fwhm_angstrom, defocus_fwhm_angstrom : float
        Full widths at half maximum of the Gaussian source, at the specimen, and of the defocus [Å].
    semiangle_cutoff : float, optional
        Convergence semi-angle [mrad]; needed without ``vacuum_probe_intensity``.
    vacuum_probe_intensity : (Qy, Qx) array, optional
        Pattern without specimen: its square root is the probe's amplitude. If it is on the same
        scale as the data, its sum is the beam current.
    defocus : float
        Defocus [Å]; positive as in py4DSTEM and abTEM: spectrum A(k) exp(+iπλ·defocus·k²).
    object_type : {"phase", "complex"}
        Unknowns of the fit: a pure phase, or real and imaginary part. ``object`` is complex anyway.
    device : {"auto", "cpu", "gpu"}
        Where the fit runs; "auto" takes a CuPy GPU if one answers.
    seed : int
        Seed of everything random.
    verbose : bool
        Progress bars while preprocessing.
    initial_object_guess : complex (slices, y, x) or (states, slices, y, x), optional
        Where the fit starts; several states need ``one_state_iter=0``. Vacuum by default.
    **kwargs
        Further arguments of the parent class: aberrations such as ``C12`` [Å], ``rolloff``
        [mrad], ``object_padding_px`` (y, x), ``positions_mask`` (Ry, Rx), ``initial_scan_positions``
        (positions, 2) [Å], ``theta_x``, ``theta_y`` [mrad], ``semiangle_cutoff_pixels`` ...

    Raises
    ------
    TypeError, ValueError
        If an argument is not usable, naming it and, where clear, the likely cure.
    """

    def __init__(
        self,
        *,
        datacube: Any = None,
        energy: float,
        num_slices: int,
        slice_thicknesses: float | Sequence[float],
        num_object_states: int = 12,
        num_probes: int = 1,
        source_fwhm_angstrom: float = 0.0,
        defocus_fwhm_angstrom: float = 0.0,
        semiangle_cutoff: float | None = None,
        vacuum_probe_intensity: np.ndarray | None = None,
        defocus: float = 0.0,
        object_type: str = "phase",
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
        self._fitted_object_type = validation.choice("object_type", object_type, ("complex", "phase"))
        self._engine_device = validation.choice("device", device, ("auto", "cpu", "gpu"))
        self._coherence = inputs.coherence(num_probes, source_fwhm_angstrom, defocus_fwhm_angstrom)
        if semiangle_cutoff is not None:
            hint = "was it given in radians?"
            validation.number(
                "semiangle_cutoff", semiangle_cutoff, minimum=0.5, maximum=200, unit="mrad", hint=hint
            )
        elif vacuum_probe_intensity is None and not any(
            kwargs.get(name) is not None for name in ("initial_probe_guess", "semiangle_cutoff_pixels")
        ):
            raise ValueError("semiangle_cutoff [mrad] is needed unless vacuum_probe_intensity is given")
        if vacuum_probe_intensity is not None:
            validation.as_array("vacuum_probe_intensity", vacuum_probe_intensity, shape=(None, None))
        validation.number("defocus", defocus, minimum=-1e6, maximum=1e6, unit="Å")
        if 0 < abs(defocus) < 1e-3:
            raise ValueError(
                f"defocus={defocus:g}: did you mean angstrom? ({1e10 * defocus:g} Å if in metres)"
            )
        guess = kwargs.get("initial_object_guess")
        self._object_guess = None if guess is None else inputs.object_states(guess)
        self._probe_guess = kwargs.get("initial_probe_guess")
        self._padding_guess = inputs.object_padding(kwargs.get("object_padding_px"))
        self._soft_aperture = kwargs.get("rolloff") is not None
        if self._soft_aperture:
            validation.number("rolloff", kwargs["rolloff"], minimum=0, maximum=50, unit="mrad")
        self._positions_guess = kwargs.get("initial_scan_positions")
        super().__init__(
            datacube=datacube,
            energy=float(energy),
            num_slices=num_slices,
            slice_thicknesses=inputs.thicknesses(slice_thicknesses, num_slices),
            num_probes=num_probes,
            semiangle_cutoff=semiangle_cutoff,
            vacuum_probe_intensity=vacuum_probe_intensity,
            device="cpu",  # the parent only prepares; the engine moves what it needs
            verbose=verbose,
            name=name,
            defocus=float(defocus),
            **kwargs,
        )

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

        Stop asking whenever you like: ``object``, ``probe``, ``instrument``, ``error_iterations`` and
        ``held_out_iterations`` (NaN where nothing is held out) then hold the last iteration.
        Parameters as for :meth:`reconstruct`.
        """
        self._require_preprocess()
        fit, start = self._fit_settings(max_iter, one_state_iter, reset, settings)
        self._check_memory(fit)
        if reset:
            self._forget_instrument()
        evaluator = self._evaluator(loss)
        return self._iterate(evaluator, fit, start, reset)

    def _iterate(
        self, evaluator: multislice.Evaluator, fit: multislice.FitSettings, start: Any, reset: bool
    ) -> Iterator[multislice.Snapshot]:
        if reset:
            self.error_iterations, self.held_out_iterations = [], []
        snapshot = None
        steps = multislice.run(
            evaluator, self._unit_probe, fit, initial_object=start, instrument=self._instrument
        )
        try:
            for snapshot in steps:
                self.error_iterations.append(snapshot.loss)
                held_out = snapshot.held_out_loss
                self.held_out_iterations.append(math.nan if held_out is None else held_out)
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
        method: str = "engine",
        store_iterations: bool = False,
        **settings: Any,
    ) -> Self:
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
            False goes on from the present states, probe and instrument, without a new one-state fit.
        progress_bar : bool
            Show iterations, loss and time left.
        method : {"engine", "gd"}
            "gd" is py4DSTEM's own gradient descent on the CPU, an independent and slower check; it
            minimises the amplitude loss, and gives no weight to masked pixels and the unmeasured margin.
        store_iterations : bool
            Keep object and probe of every iteration in ``object_iterations`` and ``probe_iterations``.
        **settings
            Further fields of :class:`caviar_kit.multislice.FitSettings`: ``object_type``, ``optimizer``
            ("lbfgs" or "adam"), ``refine``, ... With "gd" the parent's ``step_size``, ``max_batch_size``,
            ``normalization_min``, ``q_lowpass``, ``fix_positions``, ... and ``refine=("probe",)``.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a setting is unknown or not usable, or preprocess was not run.
        """
        if validation.choice("method", method, ("engine", "gd")) == "gd":
            self._require_preprocess()
            if loss != "amplitude":
                raise ValueError(f"method='gd' minimises loss='amplitude' only, got {loss!r}")
            self._descend(max_iter, one_state_iter, reset, progress_bar, store_iterations, settings)
            return self
        steps = self.iterate(max_iter, one_state_iter=one_state_iter, loss=loss, reset=reset, **settings)
        if store_iterations:
            steps = self._storing(steps, reset)
        with tqdm(disable=not progress_bar, unit="it", mininterval=0.5) as bar:
            for snapshot in steps:
                bar.total = snapshot.total_iterations
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
        defaults: dict[str, Any] = {"seed": self._seed, "object_type": self._fitted_object_type}
        if start is not None:
            defaults["refine_after"] = 0  # there is something to see
        fit = multislice.FitSettings(
            num_states=self._num_object_states,
            max_iter=max_iter,
            one_state_iter=one_state_iter if reset else 0,
            **{**defaults, **settings},
        )
        if reset:
            self._unit_probe = unit_probe(self._probe_initial)
        return fit, start

    def _require_preprocess(self) -> None:
        if not getattr(self, "_preprocessed", False):
            raise ValueError("run preprocess() first")

    # What users ask for --------------------------------------------------------------------

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
        self, *, states: Sequence[int] | None = None, state: int | None = None, **kwargs: Any
    ) -> Self:
        """Show the projected phase of the states, their mean and spread, and the loss.

        Parameters
        ----------
        states : sequence of int, optional
            States to show.
        state : int, optional
            Show instead py4DSTEM's own picture of object, probe and convergence, of one state.
        **kwargs
            Passed to :func:`caviar_kit.plotting.object_states`. Arguments of the parent method, such
            as ``plot_probe`` or ``iterations_grid``, bring up py4DSTEM's picture, of the mean state.

        Returns
        -------
        self
        """
        from caviar_kit import plotting

        if not getattr(self, "error_iterations", None):
            raise ValueError("run reconstruct() first")
        if state is not None or set(kwargs) & PARENT_VIEW:
            return self._view_like_parent(state=state, **kwargs)
        cropped, _ = self._scanned_field()
        plotting.object_states(cropped, self.sampling, states=states, **kwargs)
        watched = not np.isnan(self.held_out_iterations).all()
        plotting.loss(self.error_iterations, held_out=self.held_out_iterations if watched else None)
        return self
