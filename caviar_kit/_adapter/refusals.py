"""Public methods of the parent that would be wrong for this class, and what to use instead."""

from __future__ import annotations

from typing import Any, NoReturn, Self

from caviar_kit import validation
from caviar_kit._adapter.parent import Parent

__all__ = ["Refusals"]


class Refusals(Parent):
    """Refuse, or adapt, what assumes that the parent's own loop does the work."""

    _engine_device: str

    def slim_preprocess(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: the parent's version does not make the propagators of a multislice object."""
        raise ValueError(
            "slim_preprocess is not supported: use "
            "MixedObjectMultislicePtychography.from_arrays(patterns, ...).preprocess()"
        )

    def cross_correlate_amplitudes_to_probe_aperture(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: it would interpolate patterns and move them under a detector mask that stays."""
        raise ValueError(
            "cross_correlate_amplitudes_to_probe_aperture is not supported: centre the data cube's "
            "patterns before, or give preprocess force_com_shifts"
        )

    def set_device(self, device: str | None, clear_fft_cache: bool | None = None) -> Self:
        """Keep the parent's arrays on the CPU; the engine's device is chosen elsewhere.

        Raises
        ------
        ValueError
            For any other device than None or "cpu".
        """
        if device not in (None, "cpu"):
            raise ValueError(
                f"set_device({device!r}) is not supported, preparation runs on the CPU: choose the fit's "
                "device with device= on construction or with reinitialize_parameters(device=...)"
            )
        super().set_device(device, clear_fft_cache)
        return self

    def set_storage(self, storage: str | None) -> Self:
        """Keep the parent's arrays on the CPU.

        Raises
        ------
        ValueError
            For any other storage than None or "cpu".
        """
        if storage not in (None, "cpu"):
            raise ValueError(
                f"storage must be 'cpu', got {storage!r}: patterns go to the GPU when the fit runs there"
            )
        super().set_storage("cpu")
        return self

    def copy_attributes_to_device(self, attrs: Any, device: str) -> None:
        """Nothing to copy: the parent's arrays stay on the CPU.

        Raises
        ------
        ValueError
            For any other device than "cpu".
        """
        self.set_device(device)
        super().copy_attributes_to_device(attrs, device)

    def reinitialize_parameters(
        self,
        device: str | None = None,
        storage: str | None = None,
        clear_fft_cache: bool | None = None,
        verbose: bool | None = None,
    ) -> Self:
        """Choose another device for the fit, or whether to report progress.

        Parameters
        ----------
        device : {"auto", "cpu", "gpu"}, optional
            Where the fit runs.
        storage : {"cpu"}, optional
            Only the CPU.
        clear_fft_cache, verbose : bool, optional
            As for the parent.

        Raises
        ------
        ValueError
            If device or storage is none of these.
        """
        if device is not None:
            self._engine_device = validation.choice("device", device, ("auto", "cpu", "gpu"))
        super().reinitialize_parameters(None, storage, clear_fft_cache, verbose)
        return self

    def attach_datacube(self, datacube: Any) -> Self:
        """Take another data cube; run preprocess again before the next fit."""
        super().attach_datacube(datacube)
        self._preprocessed = False
        return self

    def set_save_defaults(
        self,
        save_datacube: bool = False,
        save_exit_waves: bool = False,
        save_iterations: bool = True,
        save_iterations_frequency: int = 1,
    ) -> Self:
        """Choose what py4DSTEM's own file format holds besides object and probe.

        Raises
        ------
        ValueError
            For ``save_exit_waves=True``.
        """
        if save_exit_waves:
            raise ValueError("save_exit_waves=True is not supported: no fit keeps exit waves")
        super().set_save_defaults(save_datacube, False, save_iterations, save_iterations_frequency)
        return self
