"""Mixed-object multislice ptychography as py4DSTEM users expect it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np

from caviar_kit import multislice, validation
from caviar_kit._adapter import PARENT_VIEW, Py4DSTEMAdapter, inputs
from caviar_kit._adapter.fitting import releasing
from caviar_kit.checkpointing import run_with_checkpoints
from caviar_kit.physics import electron_wavelength
from caviar_kit.progress import run_to_the_end

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
        Where the fit runs; "auto" takes a CuPy GPU if one answers. With ``reconstruct(client=…)`` each
        Dask worker answers this for itself, and this process for the unknowns that it keeps.
    seed : int
        Seed of everything random.
    verbose : bool
        Progress bars while preprocessing.
    initial_object_guess : complex (slices, y, x) or (states, slices, y, x), optional
        Where the fit starts; several states need ``one_state_iter=0`` and
        ``stochastic_iter=0``. Vacuum by default.
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
        others = (kwargs.get("initial_probe_guess"), kwargs.get("semiangle_cutoff_pixels"))
        inputs.check_aperture(semiangle_cutoff, vacuum_probe_intensity, others)
        inputs.check_defocus(defocus)
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
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 60.0,
        client: Any = None,
        between_batches: Callable[[], None] | None = None,
        **settings: Any,
    ) -> Iterator[multislice.Snapshot]:
        """Reconstruct as a generator: one :class:`caviar_kit.multislice.Snapshot` per iteration.

        Stop asking whenever you like: ``object``, ``probe``, ``instrument``, ``error_iterations`` and
        ``held_out_iterations`` (NaN where nothing is held out) then hold the last iteration.

        Parameters
        ----------
        between_batches : callable, optional
            Called without arguments before each batch of scan positions. While it waits, the fit waits.
            What it raises ends the fit within an iteration; the last whole one is kept.
        max_iter, one_state_iter, loss, reset, checkpoint, checkpoint_every, client, **settings
            As for :meth:`reconstruct`.
        """
        if between_batches is not None and not callable(between_batches):
            raise TypeError(f"between_batches must be callable or None, got {between_batches!r}")
        self._require_preprocess()
        fit, start = self._fit_settings(max_iter, one_state_iter, reset, settings)
        self._require_memory(fit, checkpoint is not None, client)
        evaluator = self._evaluator(loss, self._nominal_model() if reset else None, client)
        evaluator.between_batches = between_batches
        probe = self._starting_probe(reset)
        start_of_fit = {"initial_object": start, "instrument": None if reset else self._instrument}
        if checkpoint is None:
            steps = multislice.run(evaluator, probe, fit, **start_of_fit)
        else:
            steps = run_with_checkpoints(
                evaluator, probe, fit, checkpoint, every_seconds=checkpoint_every, **start_of_fit
            )
        if isinstance(evaluator, multislice.DistributedEvaluator):
            steps = releasing(steps, evaluator)
        return self._iterate(steps, reset, fit)

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
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 60.0,
        client: Any = None,
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
        checkpoint : path, optional
            Keep the unfinished fit in this file. If it exists and was written by the same call (same
            data, settings and start), go on from it, on a CPU with the same bits as if the fit had never
            been interrupted; a finished fit removes it. Use one file per call.
        checkpoint_every : float
            Least time between two writes of it [s]; 0 writes after every iteration. It is written when
            the fit is left between two iterations, too.
        method : {"engine", "gd"}
            "gd" is py4DSTEM's own gradient descent on the CPU, an independent and slower check; it
            minimises the amplitude loss, and gives no weight to masked pixels and the unmeasured margin.
        store_iterations : bool
            Keep object and probe of every iteration in ``object_iterations`` and ``probe_iterations``.
        client : distributed.Client, optional
            Share the scan positions among the workers of this Dask cluster, one shard each, and each on
            its ``device``; see docs/many_devices.md.
        **settings
            Fields of :class:`caviar_kit.multislice.FitSettings`: ``object_type``, ``optimizer``
            ("lbfgs" or "adam"), ``refine``, ...; and ``num_object_states``, if other than before. With "gd"
            the parent's ``step_size``, ``max_batch_size``, ``normalization_min``, ``q_lowpass``,
            ``fix_positions``, ... and ``refine=("probe",)``.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a setting is unknown or not usable, preprocess was not run, or ``checkpoint`` is of
            another fit, damaged or something else, or ``client`` is no synchronous Dask client.
        RuntimeError
            If Dask workers are lost again and again, or there is none.
        """
        if validation.choice("method", method, ("engine", "gd")) == "gd":
            self._require_preprocess()
            if loss != "amplitude":
                raise ValueError(f"method='gd' minimises loss='amplitude' only, got {loss!r}")
            if checkpoint is not None:
                raise ValueError("method='gd' writes no checkpoint: leave checkpoint out")
            if client is not None:
                raise ValueError("method='gd' runs in this process only: leave client out")
            self._descend(max_iter, one_state_iter, reset, progress_bar, store_iterations, settings)
            return self
        steps = self.iterate(
            max_iter,
            one_state_iter=one_state_iter,
            loss=loss,
            reset=reset,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            client=client,
            **settings,
        )
        if store_iterations:
            steps = self._storing(steps, reset)
        run_to_the_end(steps, shown=progress_bar, checkpoint=checkpoint)
        return self

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
