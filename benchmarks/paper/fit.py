"""The mixed-object fit of a case by the engine alone: without py4DSTEM, resumable."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft

from benchmarks.measuring import machine, peak_resident_mb
from benchmarks.paper.cases import Case
from benchmarks.paper.inputs import Inputs
from caviar_kit.backend import default_threads, resolve_device, to_numpy
from caviar_kit.checkpointing import run_with_checkpoints
from caviar_kit.detector import DetectorFrame
from caviar_kit.field import scanned_window
from caviar_kit.illumination import probe_modes, unit_probe
from caviar_kit.multislice import AmplitudeLoss, Evaluator, MultisliceModel, Snapshot
from caviar_kit.multislice.memory import estimate_memory
from caviar_kit.multislice.operators import frequency_grid
from caviar_kit.npz import read_npz, write_npz

__all__ = ["Fit", "fit", "geometry", "load_fit", "settings_of", "starting_probe"]

CHECKPOINT_SECONDS = 300  # and when the fit is left
MARGIN_ANGSTROM = 4.5  # kept of the object around the scanned field


@dataclass(frozen=True, eq=False)
class Fit:
    """What is kept of a fit.

    Attributes
    ----------
    object : (states, slices, y, x) complex64
        The scanned field and a margin.
    positions : (positions, 2) float
        Scan positions [Å]; pixel (0, 0) of ``object`` is the origin.
    sampling : (2,) float
        Pixel (y, x) [Å].
    loss : (iterations,) float
        After each iteration, of all stages.
    seconds : float
        In iterations.
    peak_bytes : int
        The most memory held by the process that ended the fit, on the device if that is a GPU.
    inputs, settings, device : str
        Digest of the inputs, `settings_of` the case, and what the fit ended on.
    """

    object: np.ndarray
    positions: np.ndarray
    sampling: np.ndarray
    loss: np.ndarray
    seconds: float
    peak_bytes: int
    inputs: str
    settings: str
    device: str


def fit(case: Case, inputs: Inputs, data: Path, path: Path, device: str, deadline: float) -> bool:
    """Fit the patterns in ``data`` and write a `Fit` to ``path``; False if the ``deadline`` came first.

    An unfinished fit is kept beside ``path`` and gone on from. ``deadline`` is a time of ``time.monotonic``:
    no iteration but the first is begun that would not be over by then, if it takes as long as the last one.
    """
    if path.exists():
        kept = load_fit(path)
        inputs.require(kept.inputs, path)
        if kept.settings != settings_of(case):
            raise ValueError(f"{path} is of other settings: remove it, or take another --folder")
        return True
    xp = resolve_device(device)
    if xp is not np:
        xp.get_default_memory_pool().free_all_blocks()  # of an earlier case
    patterns = read_npz(data, ["patterns", "vacuum"])
    model, frame = geometry(case, inputs)
    print(f"  {_needs(case, model, xp)}", flush=True)
    probe = starting_probe(case, inputs, patterns["vacuum"], model, frame)
    measured = np.fft.ifftshift(frame.embed(np.ones(frame.detector, np.float32)))
    framed = np.fft.ifftshift(frame.embed(patterns["patterns"]), axes=(-2, -1))
    evaluator = Evaluator(model, xp.asarray(framed), AmplitudeLoss(), weights=xp.asarray(measured))
    checkpoint = path.with_suffix(".checkpoint.npz")
    resumed = checkpoint.exists()
    steps = run_with_checkpoints(evaluator, probe, case.fit, checkpoint, every_seconds=CHECKPOINT_SECONDS)
    last, ended = _until(steps, deadline, resumed)
    if not ended:
        return False
    about = {
        "inputs": inputs.digest,
        "settings": settings_of(case),
        "device": device_name(xp),
        "peak_bytes": _peak_bytes(xp),
    }
    _write(path, last, model, about)
    checkpoint.unlink(missing_ok=True)
    return True


def load_fit(path: Path) -> Fit:
    """Read what :func:`fit` wrote."""
    arrays: dict[str, Any] = read_npz(path, Fit.__dataclass_fields__)
    for name in ("inputs", "settings", "device"):
        arrays[name] = str(arrays[name])
    return Fit(**{**arrays, "seconds": float(arrays["seconds"]), "peak_bytes": int(arrays["peak_bytes"])})


def settings_of(case: Case) -> str:
    """All that the fit depends on beside its inputs, as JSON."""
    ours = {"slices": case.num_slices, "modes": case.num_probes, "source": case.source_fwhm_angstrom}
    return json.dumps({**asdict(case.fit), **ours}, sort_keys=True)


def device_name(xp: Any) -> str:
    """A GPU as CUDA calls it, or the processor and the threads used."""
    if xp is not np:
        name: bytes = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)["name"]
        return name.decode()
    threads = default_threads()
    return f"{machine()['processor']}, {threads} thread{'s' if threads > 1 else ''}"


def geometry(case: Case, inputs: Inputs) -> tuple[MultisliceModel, DetectorFrame]:
    """The model, and the frame in which the patterns are embedded."""
    optics = inputs.optics
    detector = (optics["detector_pixels"],) * 2
    frame = DetectorFrame.around(detector, (detector[0] // 2, detector[1] // 2))
    sampling = tuple(optics["window_angstrom"] / n for n in frame.frame)
    positions = inputs.positions / sampling + np.array(frame.frame) // 2 + 2
    shape = np.ceil(positions.max(axis=0)).astype(int) + np.array(frame.frame) // 2 + 3
    gaps = (optics["thickness_angstrom"] / case.num_slices,) * (case.num_slices - 1)
    return (
        MultisliceModel(frame.frame, sampling, inputs.wavelength, gaps, positions, tuple(shape)),  # type: ignore[arg-type]
        frame,
    )


def starting_probe(
    case: Case, inputs: Inputs, vacuum: np.ndarray, model: MultisliceModel, frame: DetectorFrame
) -> np.ndarray:
    """Probe modes (modes, y, x) from the vacuum pattern's amplitude, the defocus and the source's width."""
    ky, kx = frequency_grid(model.window, model.sampling)
    amplitude = np.sqrt(np.fft.ifftshift(frame.embed(vacuum)))
    chi = np.pi * inputs.wavelength * inputs.optics["defocus_angstrom"] * (ky**2 + kx**2)
    probe = unit_probe(scipy.fft.ifft2(amplitude * np.exp(1j * chi))[None])
    return probe_modes(
        probe,
        case.num_probes,
        model.sampling,
        model.wavelength,
        source_fwhm_angstrom=case.source_fwhm_angstrom,
    )


def _needs(case: Case, model: MultisliceModel, xp: Any) -> str:
    """Memory and transforms, in a sentence."""
    gpu = xp is not np
    bytes_ = estimate_memory(model, case.fit, num_probes=case.num_probes, gpu=gpu)[
        "device" if gpu else "total"
    ]
    transforms = len(model.positions) * case.fit.num_states * case.num_probes * (4 * case.num_slices - 2)
    return f"{bytes_ / 1e9:.1f} GB; {transforms:.2e} transforms of {model.window} pixels in a pass"


def _until(steps: Any, deadline: float, resumed: bool) -> tuple[Snapshot, bool]:
    """The last snapshot before the deadline, and whether it is the fit's last.

    The first is that of the checkpoint, if ``resumed``. A fit that converges ends before all iterations. The
    generator is left before it ends by itself, so that its checkpoint stays until the result is written.
    """
    before = time.monotonic()
    with closing(steps):
        for number, last in enumerate(steps):
            now = time.monotonic()
            if resumed and number == 0:
                before = now
                continue
            print(
                f"  iteration {last.iteration} of {last.total_iterations}: loss {last.loss:.3e}, "
                f"{now - before:.1f} s",
                flush=True,
            )
            if last.iteration == last.total_iterations:
                return last, True
            if now + (now - before) > deadline:
                return last, False
            before = now
    return last, True


def _write(path: Path, last: Snapshot, model: MultisliceModel, about: dict[str, Any]) -> None:
    """Keep the scanned field and a margin."""
    sampling = np.array(model.sampling)
    positions = model.positions * sampling
    window = scanned_window(positions, sampling, margin_angstrom=MARGIN_ANGSTROM)
    origin = np.array([part.start for part in window]) * sampling
    kept = {
        "object": np.ascontiguousarray(to_numpy(last.object[(..., *window)])).astype(np.complex64),
        "positions": positions - origin,
        "sampling": sampling,
        "loss": np.array(last.losses),
        "seconds": last.seconds,
        **about,
    }
    write_npz(path, kept, compress=False)


def _peak_bytes(xp: Any) -> int:
    """What CuPy's pool took from the device, or the most that this process ever held."""
    if xp is not np:
        return int(xp.get_default_memory_pool().total_bytes())
    return int(1e6 * peak_resident_mb())
