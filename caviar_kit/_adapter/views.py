"""py4DSTEM's viewers of a multislice object, for an object with states.

Each shows the mean over the states unless ``state`` chooses one.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from caviar_kit import validation
from caviar_kit._adapter.parent import Parent
from caviar_kit._adapter.states import mean_state, same_states
from caviar_kit.backend import to_numpy
from caviar_kit.multislice import Snapshot

__all__ = ["PARENT_VIEW", "Views"]

PARENT_VIEW = set(inspect.signature(Parent.visualize).parameters) - {"self", "kwargs"}


class Views(Parent):
    """What the parent class shows of the object."""

    object_iterations: list[np.ndarray]
    probe_iterations: list[np.ndarray]

    def _require_object(self) -> None:
        """A result read from a file can be shown without its data."""
        if not hasattr(self, "_positions_px"):
            raise ValueError("run preprocess() first")

    def _viewed(self, obj: Any = None, state: int | None = None) -> np.ndarray:
        """The object (slices, y, x) to look at: ``obj``, or the present one; a state, or the mean."""
        if obj is None:
            self._require_object()
            obj = self._object
        obj = to_numpy(np.asarray(obj) if isinstance(obj, (list, tuple)) else obj)
        if obj.ndim != 4:
            if obj.ndim != 3:
                raise ValueError(
                    f"the object must have axes (slices, y, x) or (states, slices, y, x), got {obj.shape}"
                )
            if state is not None:
                raise ValueError(f"state={state} was asked of an object without an axis of states")
            return obj
        if state is None:
            return mean_state(obj) if np.iscomplexobj(obj) else obj.mean(axis=0)
        return obj[validation.integer("state", state, minimum=0, maximum=len(obj) - 1)]

    def _return_projected_cropped_potential(
        self, obj: Any = None, return_kwargs: bool = False, state: int | None = None, **kwargs: Any
    ) -> Any:
        viewed = self._viewed(obj, state)
        return super()._return_projected_cropped_potential(viewed, return_kwargs=return_kwargs, **kwargs)

    def _return_object_fft(
        self,
        obj: Any = None,
        apply_hanning_window: bool = False,
        state: int | None = None,
        **kwargs: Any,
    ) -> np.ndarray:
        return super()._return_object_fft(
            self._viewed(obj, state), apply_hanning_window=apply_hanning_window, **kwargs
        )

    @property
    def object_cropped(self) -> np.ndarray:
        """All states (states, slices, y, x), rotated along the scan and cropped to it."""
        self._require_object()
        cropped: np.ndarray = self._crop_rotate_object_fov(self._object)
        return cropped

    @property
    def object_fft(self) -> np.ndarray:
        """Modulus of the Fourier transform (y, x) of the projected phase, mean over the states."""
        return self._return_object_fft()

    def show_object_fft(self, obj: Any = None, *args: Any, state: int | None = None, **kwargs: Any) -> None:
        """Draw the parent's Fourier transform of the projected phase.

        Parameters
        ----------
        obj : complex (slices, y, x) or (states, slices, y, x), optional
            The present object by default.
        state : int, optional
            One state instead of the mean over all.
        *args, **kwargs
            As for the parent method.
        """
        super().show_object_fft(self._viewed(obj, state), *args, **kwargs)

    def show_slices(self, ms_object: Any = None, *args: Any, state: int | None = None, **kwargs: Any) -> None:
        """Draw each slice; parameters as for :meth:`show_object_fft`."""
        viewed = self._viewed(ms_object, state)
        if len(viewed) != self._num_slices:
            raise ValueError(f"ms_object must have {self._num_slices} slices, got {len(viewed)}")
        super().show_slices(viewed, *args, **kwargs)

    def show_depth_section(
        self,
        ptA: tuple[float | None, float | None],
        ptB: tuple[float | None, float | None],
        aspect_ratio: Any = "auto",
        plot_line_profile: bool = False,
        ms_object: Any = None,
        specify_calibrated: bool = True,
        gaussian_filter_sigma: float | None = None,
        cbar: bool = True,
        *,
        state: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Draw the object's phase along a line and in depth, cropped to the scan.

        Parameters
        ----------
        ptA, ptB : (y, x)
            Ends of the line in the cropped object [Å, or pixel]; None for the object's edge.
        ms_object : complex (slices, y, x) or (states, slices, y, x), optional
            A cropped object; the present one by default.
        state : int, optional
            One state instead of the mean over all.
        aspect_ratio, plot_line_profile, specify_calibrated, cbar, **kwargs
            As for the parent method.

        Raises
        ------
        ValueError
            For a single slice, for slices of unequal thickness, which the parent would draw as equal,
            and for ``gaussian_filter_sigma``, which in the parent also blurs across slices.
        """
        if gaussian_filter_sigma is not None:
            raise ValueError("gaussian_filter_sigma would blur across slices as well: filter ms_object first")
        if len(gaps := {round(float(t), 6) for t in self._slice_thicknesses}) != 1:
            raise ValueError(
                "show_depth_section draws two or more slices of equal thickness, this object has "
                f"{len(self._slice_thicknesses) + 1} with {len(gaps)} different distances: use show_slices"
            )
        if ms_object is None:
            self._require_object()
            ms_object = self._crop_rotate_object_fov(self._viewed(None, state))
        else:
            ms_object = self._viewed(ms_object, state)
        pixel = np.array(self.sampling) if specify_calibrated else np.ones(2)
        end = np.array(ms_object.shape[-2:]) * pixel
        start_point = tuple(0.0 if c is None else float(c) for c in ptA)
        end_point = tuple(float(e) if c is None else float(c) for c, e in zip(ptB, end, strict=True))
        super().show_depth_section(
            start_point,
            end_point,
            aspect_ratio=aspect_ratio,
            plot_line_profile=plot_line_profile,
            ms_object=ms_object,
            specify_calibrated=specify_calibrated,
            cbar=cbar,
            **kwargs,
        )

    def _return_self_consistency_errors(self, max_batch_size: int | None = None) -> np.ndarray:
        """Loss of each pattern (positions,), as the engine counts it: the margin has no weight."""
        evaluator = self._evaluator("amplitude")
        xp = evaluator.xp
        states, probe = xp.asarray(self._object), xp.asarray(self._unit_probe)
        return np.array([evaluator.loss(states, probe, [n]) for n in range(len(evaluator.patterns))])

    def show_uncertainty_visualization(
        self,
        errors: Any = None,
        max_batch_size: int | None = None,
        projected_cropped_potential: Any = None,
        *args: Any,
        state: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Draw where patterns fit well (opaque) and badly (transparent).

        Parameters
        ----------
        errors : (positions,) array, optional
            Loss of each pattern; the present amplitude loss of the mixture by default.
        projected_cropped_potential : (y, x) array, optional
            Image behind; by default the projected phase, mean over the states.
        state : int, optional
            One state instead of the mean over all.
        max_batch_size, *args, **kwargs
            As for the parent method.

        Raises
        ------
        ValueError
            For a transposed scan, whose errors the parent would put in the wrong places.
        """
        self._require_preprocess()
        if self._rotation_best_transpose:
            raise ValueError(
                "show_uncertainty_visualization misplaces errors of a transposed scan: plot "
                "_return_self_consistency_errors() over scan_positions_angstrom, or transpose the data cube"
            )
        if projected_cropped_potential is None:
            projected_cropped_potential = self._return_projected_cropped_potential(state=state)
        super().show_uncertainty_visualization(
            errors, max_batch_size, projected_cropped_potential, *args, **kwargs
        )

    def show_transmitted_probe(
        self,
        max_batch_size: int | None = None,
        plot_fourier_probe: bool = False,
        remove_initial_probe_aberrations: bool = False,
        *,
        state: int = 0,
        mode: int = 0,
        **kwargs: Any,
    ) -> None:
        """Draw the exit wave of one state and probe mode: mean over the scan, weakest and strongest.

        Waves of different states or modes do not interfere, so one of each has to be chosen.

        Parameters
        ----------
        max_batch_size : int, optional
            Positions computed at a time; 32 by default.
        plot_fourier_probe, remove_initial_probe_aberrations, **kwargs
            As for the parent method of a single probe.
        state, mode : int
            Which wave.
        """
        from py4DSTEM.visualize.vis_special import show_complex

        self._require_preprocess()
        viewed = self._viewed(None, state)
        mode = validation.integer("mode", mode, minimum=0, maximum=len(self._probe) - 1)
        waves = self._exit_waves_of(viewed, mode, max_batch_size or 32)
        chosen = [waves["mean"], waves["weakest"], waves["strongest"]]
        names = ["Mean transmitted", "Min-intensity transmitted", "Max-intensity transmitted"]
        panels: list[Any] = [self._return_centered_probe(wave) for wave in chosen]
        titles = [f"{name} probe" for name in names]
        if plot_fourier_probe:
            spectra = [self._return_fourier_probe(w, remove_initial_probe_aberrations) for w in chosen]
            panels = [panels, spectra]
            titles += [f"{name} Fourier probe" for name in names]
        show_complex(panels, **{"title": titles, "ticks": False, "axsize": (4, 4), **kwargs})

    def _exit_waves_of(self, viewed: np.ndarray, mode: int, batch: int) -> dict[str, np.ndarray]:
        """Mean, weakest and strongest exit wave (y, x) over the scan, corner-centred."""
        total: Any = 0.0
        extremes: dict[str, tuple[float, np.ndarray]] = {}
        for begin in range(0, len(self._positions_px), batch):
            positions = self._positions_px[begin : begin + batch]
            probes = self._return_shifted_probes(self._probe, positions - np.round(positions))
            rows, columns = self._extract_vectorized_patch_indices(positions)
            waves = Parent._overlap_projection(self, viewed, rows, columns, probes)[2][:, mode]
            total = total + waves.sum(axis=0)
            strength = (abs(waves) ** 2).sum(axis=(-2, -1))
            for name, index, sign in (
                ("weakest", strength.argmin(), 1),
                ("strongest", strength.argmax(), -1),
            ):
                if name not in extremes or sign * strength[index] < sign * extremes[name][0]:
                    extremes[name] = float(strength[index]), waves[index]
        result = {name: wave for name, (_, wave) in extremes.items()}
        return {"mean": total / len(self._positions_px), **result}

    def _view_like_parent(self, **kwargs: Any) -> Self:
        """The parent's own picture of object, probe and convergence."""
        super().visualize(**kwargs)
        return self

    def _storing(self, steps: Iterator[Snapshot], reset: bool) -> Iterator[Snapshot]:
        """Pass snapshots on, and keep object and probe of each where the parent does."""
        if reset or not hasattr(self, "object_iterations"):
            self.object_iterations, self.probe_iterations = [], []
        for snapshot in steps:
            self._store(snapshot)
            self.object_iterations.append(self._object)
            self.probe_iterations.append(self.probe)
            yield snapshot
        self.object_iterations = same_states(self.object_iterations)
