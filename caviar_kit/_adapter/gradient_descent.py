"""py4DSTEM's own gradient descent, generalised to states: an independent check of the engine.

The parent's loop runs unchanged. Its operators are called once per state; waves carry 1/√states, so that
the sum over the axis of modes, which the parent takes, is the mean over states and sum over modes.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from caviar_kit import multislice
from caviar_kit._adapter.parent import Parent
from caviar_kit._adapter.states import same_states
from caviar_kit.available_memory import available_memory
from caviar_kit.illumination import unit_probe
from caviar_kit.multislice.ensemble import thermal_states
from caviar_kit.multislice.object_model import make_object_model

__all__ = ["GradientDescent"]

_OURS = {
    "object_type",
    "seed",
    "refine",
    "thermal_rms_angstrom",
    "thermal_correlation_angstrom",
    "warp_slices_together",
}
_SET_HERE = {
    *("self", "num_iter", "reset", "progress_bar", "store_iterations", "object_type", "pure_phase_object"),
    *("reconstruction_parameter", "reconstruction_parameter_a", "reconstruction_parameter_b"),
    *("reconstruction_parameter_c", "device", "clear_fft_cache", "seed_random"),
}
_REFUSED = {
    "reconstruction_method": "only gradient descent is generalised to states",
    "fix_probe": "use refine, as for the engine",
    "gaussian_filter_sigma": "it would blur across slices too; use q_lowpass",
    "virtual_detector_masks": "use preprocess(dp_mask=...) to leave detector pixels out",
}


class GradientDescent(Parent):
    """The parent's operators for an object (states, slices, y, x)."""

    _detector_weights: np.ndarray
    _object: Any
    _probe: Any
    _exit_waves: Any
    _model: multislice.MultisliceModel
    held_out_iterations: list[float]
    _fit_record: dict[str, Any] | None
    _unit_probe: np.ndarray
    error_iterations: list[float]
    object_iterations: list[np.ndarray]

    def _overlap_projection(
        self,
        current_object: np.ndarray,
        vectorized_patch_indices_row: np.ndarray,
        vectorized_patch_indices_col: np.ndarray,
        shifted_probes_in: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Incident waves, patches and exit waves (positions, states · modes, y, x) / √states."""
        indices = vectorized_patch_indices_row, vectorized_patch_indices_col
        probes, patches, waves = zip(
            *(
                Parent._overlap_projection(self, state, *indices, shifted_probes_in)
                for state in current_object
            ),
            strict=True,
        )
        mixture = np.concatenate(waves, axis=1) / math.sqrt(len(current_object))
        return np.stack(probes), np.stack(patches), mixture

    def _gradient_descent_fourier_projection(
        self, amplitudes: np.ndarray, overlap: np.ndarray, fourier_mask: Any, virtual_detector_masks: Any
    ) -> tuple[np.ndarray, Any]:
        """The parent's, unless pixels are masked: those get no weight, in error and update."""
        if fourier_mask is None and self._detector_weights.all():
            return super()._gradient_descent_fourier_projection(amplitudes, overlap, None, None)
        weights = self._detector_weights * (1 if fourier_mask is None else fourier_mask)
        spectrum = np.fft.fft2(overlap)
        modelled = self._return_farfield_amplitudes(spectrum)
        error = (weights * (amplitudes - modelled) ** 2).sum()
        ratio = amplitudes / np.where(modelled == 0, np.inf, modelled)
        return np.fft.ifft2((weights * (ratio - 1))[:, None] * spectrum), error

    def _gradient_descent_adjoint(
        self,
        current_object: np.ndarray,
        current_probe: np.ndarray,
        object_patches: np.ndarray,
        shifted_probes: np.ndarray,
        positions_px: np.ndarray,
        exit_waves: np.ndarray,
        step_size: float,
        normalization_min: float,
        fix_probe: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The parent's update of every state; the probe's is the mean over states."""
        count = len(current_object)
        waves = exit_waves.reshape(len(exit_waves), count, -1, *exit_waves.shape[-2:]) * math.sqrt(count)
        probes = []
        for state in range(count):
            _, probe = Parent._gradient_descent_adjoint(
                self,
                current_object[state],
                current_probe.copy(),
                object_patches[state],
                shifted_probes[state],
                positions_px,
                waves[:, state],
                step_size,
                normalization_min,
                fix_probe,
            )
            probes.append(probe)
        return current_object, current_probe if fix_probe else np.mean(probes, axis=0)

    def _projection_sets_adjoint(self, *args: Any) -> Any:
        raise ValueError("projection-set methods are not generalised to states: use gradient descent")

    def _object_constraints(self, current_object: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
        """The parent's constraints, state by state: several of them would mix an axis of states."""
        return np.stack(
            [Parent._object_constraints(self, state, *args, **kwargs) for state in current_object]
        )

    def _descend(
        self,
        max_iter: int,
        one_state_iter: int,
        reset: bool,
        progress_bar: bool,
        store_iterations: bool,
        settings: dict[str, Any],
    ) -> None:
        """Run the parent's loop on one state, then on its thermally warped copies."""
        _check_settings(settings)
        ours = {name: settings.pop(name) for name in _OURS & set(settings)}
        fit, start = self._fit_settings(max_iter, one_state_iter, reset, {"refine_after": 0, **ours})
        if set(fit.refine) - {"probe"}:
            raise ValueError(f"method='gd' can refine ('probe',) only, got {tuple(fit.refine)!r}")
        _check_memory(self._model, fit.num_states * len(self._probe), settings.get("max_batch_size"))
        if reset:
            self.error_iterations, self._probe = [], self._probe_initial.copy()
            self.held_out_iterations = []
            self._instrument = None
            self._positions_px = self._positions_px_initial.copy()
            for name in {"object_iterations", "probe_iterations"} & set(vars(self)):
                delattr(self, name)
        self._object = self._object_initial.copy() if start is None else start.copy()
        model, rng = make_object_model(fit.object_type), np.random.default_rng(fit.seed)
        for stage in fit.stages:
            if len(self._object) != stage.states:
                unknowns = thermal_states(
                    model.start(self._object),
                    stage.states,
                    self.sampling,
                    rms_angstrom=fit.thermal_rms_angstrom,
                    correlation_angstrom=fit.thermal_correlation_angstrom,
                    slices_together=fit.warp_slices_together,
                    rng=rng,
                )
                self._object = model.transmission(unknowns)
            if stage.iterations:
                self._exit_waves = None
                with _global_seed(fit.seed):
                    super().reconstruct(
                        num_iter=stage.iterations,
                        reset=False,
                        progress_bar=progress_bar,
                        store_iterations=store_iterations,
                        fix_probe="probe" not in fit.refine,
                        seed_random=fit.seed,
                        pure_phase_object=fit.object_type == "phase",
                        **settings,
                    )
        self._take_over(fit)

    def _take_over(self, fit: multislice.FitSettings) -> None:
        """Let the engine and the viewers go on from here."""
        self._object = self._object.astype(np.complex64)
        self._probe = self._probe.astype(np.complex64)
        self.object, self.probe = self._object, self.probe_centered
        if hasattr(self, "object_iterations"):
            self.object_iterations = same_states(self.object_iterations)
        self._unit_probe = unit_probe(self._probe)
        self._take_over_positions()
        self._fit_record = {"seed": fit.seed, "device": "cpu"}


def _check_settings(settings: dict[str, Any]) -> None:
    known = set(inspect.signature(Parent.reconstruct).parameters) - _SET_HERE - set(_REFUSED) | _OURS
    for name, why in _REFUSED.items():
        if name in settings:
            raise ValueError(f"method='gd' does not take {name}: {why}")
    if unknown := sorted(set(settings) - known):
        raise TypeError(
            f"unknown setting {', '.join(unknown)} for method='gd'; allowed are {', '.join(sorted(known))}"
        )


def _check_memory(model: multislice.MultisliceModel, waves: int, batch: int | None) -> None:
    """The parent keeps the waves of all positions of a batch, in every slice and several times."""
    positions = min(batch or len(model.positions), len(model.positions))
    needed = 16 * positions * waves * (model.num_slices + 5) * math.prod(model.window)
    available = available_memory(np)
    if available is not None and needed > available:
        raise ValueError(
            f"method='gd' with {positions} positions at a time needs about {needed / 2**30:.1f} GiB, this "
            f"machine has {available / 2**30:.1f} free: give a smaller max_batch_size"
        )


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """The parent shuffles with NumPy's global generator: seed it, and put it back afterwards."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
