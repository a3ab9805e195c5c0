"""A reconstruction on disk: what is kept, and how the fit goes on from it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from caviar_kit import validation
from caviar_kit._arrays import images, vectors
from caviar_kit._metadata import plain
from caviar_kit._py4dstem import import_py4dstem
from caviar_kit._storage import Stored, current_versions, write_node

__all__ = ["SavedReconstruction"]


@dataclass(frozen=True, eq=False)
class _State:
    """Where a saved fit stood."""

    object: np.ndarray  # (states, slices, y, x)
    probe: np.ndarray  # (modes, y, x), in py4DSTEM's scale
    unit_probe: np.ndarray  # (modes, y, x), Σ|probe|² = 1
    positions_px: np.ndarray  # (positions, 2), as the fit left them
    initial_positions_px: np.ndarray  # (positions, 2), as preprocess placed them
    loss: tuple[float, ...]
    geometry: dict[str, Any]
    besides: dict[str, Any]

    @property
    def sampling(self) -> np.ndarray:
        return np.asarray(self.geometry["sampling"])


class SavedReconstruction(Stored):
    """Saving, reading and resuming for a ptychographic class of py4DSTEM."""

    _constructor_arguments: dict[str, Any]
    _saved_state: _State | None
    _save_datacube: bool  # py4DSTEM's, see its set_save_defaults
    _datacube: Any
    _object: Any
    _unit_probe: np.ndarray
    _positions_px: Any
    error_iterations: list[float]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keep the arguments, whatever the constructor makes of them."""
        new = super().__new__(cls)
        new._constructor_arguments = kwargs
        new._saved_state = None
        new.versions = current_versions()
        return new

    def _fitted_besides(self) -> dict[str, Any]:
        """What else the fit found: numbers, texts and arrays by name."""
        return {}

    def _restore_besides(self, fitted: dict[str, Any]) -> None:
        """Take what :meth:`_fitted_besides` gave; called after reading and after each preprocess."""

    # Writing -------------------------------------------------------------------------------

    def constructor_parameters(self) -> dict[str, Any]:
        """Arguments of the constructor, defaults included, without the data cube.

        Raises
        ------
        TypeError
            If one of them cannot be saved.
        """
        signature = inspect.signature(type(self).__init__).parameters.values()
        defaults = {p.name: p.default for p in signature if p.default is not p.empty}
        given = {**defaults, **self._constructor_arguments, "name": self.name}
        return {key: plain(key, value) for key, value in given.items() if key != "datacube"}

    def save(self, path: Any, *, include_data: bool = False) -> None:
        """Write the reconstruction to an EMD file, complete or not at all.

        ``ck.read`` and ``py4DSTEM.read`` return it as an object of this class that goes on after
        ``attach_datacube(cube).preprocess().reconstruct(reset=False)``.

        Parameters
        ----------
        path : path
            Ends in .h5, .hdf5, .emd or .py4dstem; an existing file is replaced.
        include_data : bool
            Write the data cube too; then no ``attach_datacube`` is needed after reading.

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        TypeError, ValueError
            If the name ends otherwise, ``reconstruct`` was not run, there are no data to include, or
            an argument of the constructor cannot be written.
        """
        if not isinstance(include_data, bool):
            raise TypeError(f"include_data must be True or False, got {include_data!r}")
        if include_data and self._datacube is None:
            raise ValueError("include_data=True needs a datacube: use attach_datacube first")
        self._require_result()
        default, self._save_datacube = self._save_datacube, include_data
        try:
            write_node(path, self)
        finally:
            self._save_datacube = default

    def _require_result(self) -> None:
        if not getattr(self, "error_iterations", None):
            raise ValueError("run reconstruct() first: there is nothing to save yet")

    def _present_state(self) -> _State:
        self._require_result()
        me: Any = self
        return _State(
            object=np.asarray(me.object),
            probe=np.asarray(me.probe),
            unit_probe=self._unit_probe,
            positions_px=np.asarray(me._positions_px),
            initial_positions_px=np.asarray(me._positions_px_initial),
            loss=tuple(map(float, self.error_iterations)),
            geometry={
                "sampling": np.array(me.sampling, float),
                "angular_sampling_mrad": np.array(me.angular_sampling, float),
                "rotation_rad": float(me._rotation_best_rad),
                "transpose": bool(me._rotation_best_transpose),
            },
            besides=self._fitted_besides(),
        )

    def _stored_arrays(self) -> dict[str, Any]:
        state = self._present_state()
        positions = np.asarray(self.scan_positions_angstrom)  # type: ignore[attr-defined]
        children = {
            "object": images(state.object, ["state", "slice"], state.sampling),
            "probe": images(state.probe, ["mode"], state.sampling),
            "unit_probe": images(state.unit_probe, ["mode"], state.sampling),
            "scan_positions": vectors(positions, ["position", "axis (y, x)"]),
            "loss": vectors(np.array(state.loss), ["iteration"], ""),
        }
        if self._save_datacube:
            children["datacube"] = import_py4dstem().DataCube(data=self._datacube.data, name="datacube")
        return children

    def _stored_record(self) -> dict[str, Any]:
        state, parameters = self._present_state(), self.constructor_parameters()
        record = {
            "parameters": parameters,
            "seed": parameters["seed"],
            "geometry": state.geometry,
            "positions_px": state.positions_px,
            "initial_positions_px": state.initial_positions_px,
            "fitted_besides": state.besides,
        }
        if self._save_datacube:
            known = self._datacube.calibration._params
            record["calibration"] = {key: value for key, value in known.items() if key[0] != "_"}
        return record

    # Reading -------------------------------------------------------------------------------

    @classmethod
    def _get_constructor_args(cls, group: Any) -> dict[str, Any]:
        record = cls._read_record(group)
        arguments = dict(record["parameters"])
        if arguments["device"] == "gpu":  # of the machine that wrote; this one may have none
            arguments["device"] = "auto"
        if "datacube" in record["checksums"]:
            data = cls._read_arrays(group, record, ["datacube"])["datacube"]
            arguments["datacube"] = _calibrated_cube(data, record["calibration"])
        return arguments

    def _populate_instance(self, group: Any) -> None:
        record = self._read_record(group)
        arrays = self._read_arrays(
            group, record, [name for name in record["checksums"] if name != "datacube"]
        )
        state = _State(
            object=_complex("object", arrays["object"], 4),
            probe=_complex("probe", arrays["probe"], 3),
            unit_probe=_complex("unit_probe", arrays["unit_probe"], 3),
            positions_px=record["positions_px"],
            initial_positions_px=record["initial_positions_px"],
            loss=tuple(arrays["loss"].tolist()),
            geometry=record["geometry"],
            besides=record["fitted_besides"],
        )
        self.versions = record["versions"]
        self._saved_state = state
        self._show_saved(state)

    def _show_saved(self, state: _State) -> None:
        """Everything that users look at, as it was; fitting needs the data."""
        me: Any = self
        window = state.probe.shape[-2:]
        me._angular_sampling = tuple(state.geometry["angular_sampling_mrad"].tolist())
        me._amplitudes_shape = me._region_of_interest_shape = np.array(window)
        me._rotation_best_rad = state.geometry["rotation_rad"]
        me._rotation_best_transpose = state.geometry["transpose"]
        me._positions_px, me._positions_px_initial = state.positions_px, state.initial_positions_px
        me._object, me.object = state.object, state.object
        me._probe, me.probe = np.fft.ifftshift(state.probe, axes=(-2, -1)), state.probe
        self._unit_probe = state.unit_probe
        self.error_iterations, me.error = list(state.loss), state.loss[-1]
        self._restore_besides(state.besides)

    # Resuming ------------------------------------------------------------------------------

    def _resume(self) -> None:
        """After preprocess: go back to the state that was read, if there is one.

        Raises
        ------
        ValueError
            If object, probe, pixels or scan are others now.
        """
        state = self._saved_state
        if state is None:
            return
        me: Any = self
        try:
            self._check_resumable(state)
        except ValueError:
            me._preprocessed = False
            self._show_saved(state)
            raise
        scale = np.sqrt(np.float32(me._mean_diffraction_intensity / np.prod(state.unit_probe.shape[-2:])))
        me._object, me.object = state.object, state.object
        self._unit_probe = state.unit_probe
        me._probe = np.fft.ifftshift(state.unit_probe, axes=(-2, -1)) * scale
        me.probe = me.probe_centered
        self.error_iterations, me.error = list(state.loss), state.loss[-1]
        me._positions_px = state.positions_px
        me._model = me._make_model()
        self._restore_besides(state.besides)

    def _check_resumable(self, state: _State) -> None:
        me: Any = self
        slices = (me._num_slices, *map(int, me._object_shape))
        states = 1 if len(state.object) == 1 else me._num_object_states  # one: left before the ensemble
        now = {
            "object": ((states, *slices), state.object.shape),
            "probe": (self._unit_probe.shape, state.unit_probe.shape),
            "scan positions": (me._positions_px_initial.shape, state.initial_positions_px.shape),
        }
        problems = [
            f"{name} of shape {saved}, now {present}"
            for name, (present, saved) in now.items()
            if present != saved
        ]
        if not np.allclose(me.sampling, state.sampling, rtol=1e-4):
            problems.append(f"pixels of {state.sampling.tolist()} Å, now {list(me.sampling)}")
        if not problems:
            moved = float(abs(np.asarray(me._positions_px_initial) - state.initial_positions_px).max())
            if moved > 0.5:
                problems.append(f"scan positions up to {moved:.1f} pixels away")
        if problems:
            height, width = state.unit_probe.shape[-2:]
            degrees = np.rad2deg(state.geometry["rotation_rad"])
            raise ValueError(
                f"the saved reconstruction does not fit these data: it has {'; '.join(problems)}. It was "
                f"preprocessed with padded_diffraction_intensities_shape=({height}, {width}), "
                f"force_com_rotation={degrees:g}, force_com_transpose={state.geometry['transpose']}"
            )


def _complex(name: str, array: np.ndarray, axes: int) -> np.ndarray:
    checked = validation.as_array(name, array, shape=(None,) * axes, complex_allowed=True)
    return checked.astype(np.complex64, copy=False)


def _calibrated_cube(data: np.ndarray, parameters: dict[str, Any]) -> Any:
    cube = import_py4dstem().DataCube(data=data, name="datacube")
    cube.calibration._params.update(parameters)
    cube.calibrate()
    return cube
