"""What an atomistic fit finds in an embedded silicon example, as JSON lines; also if the model is wrong.

A pixel-wise fit with one state gives the columns, then their displacements are refined::

    python benchmarks/atomistic.py si-sigma9-md
    python benchmarks/atomistic.py si-sigma9-md --dose 1e5 --states 24 --rank 10 --noise-seed 3
    python benchmarks/atomistic.py si-sigma9-md --wrong defocus --refine aberrations
    python benchmarks/atomistic.py si-sigma9-md-psc --modes 9 --source 0.47 --states 10

``--wrong`` makes one error in what the fit takes for granted: ``defocus`` by 10 Å, ``astigmatism`` of 10 Å,
``aperture`` by 0.5 mrad (and no vacuum pattern), ``pixel`` of the detector by 2 %, ``thickness`` of slices
by 10 %, ``outside``: columns more than 3 Å outside the scan are left out.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

import caviar_kit as ck
from caviar_kit.atomistic import AtomisticFit, AtomisticResult, criticise, held_out_signal
from caviar_kit.simulation import apply_dose
from caviar_kit.vibrations.matching import match_atoms
from caviar_kit.vibrations.phase import projected_phase
from caviar_kit.vibrations.shells import neighbour_shells

WRONG = ("defocus", "astigmatism", "aperture", "pixel", "thickness", "outside")
SHELLS = ("self", "nearest", "next", "all")
_LIT_ANGSTROM = 9.0  # outside the scan: columns that the defocused probe reaches


def main() -> None:
    """Fit, measure, print."""
    options = parse()
    example = ck.load_example(options.example, options.preset)
    fit, pixel_seconds = prepare(example, options)
    for snapshot in fit.iterate():
        last = snapshot.iteration == snapshot.total_iterations
        if last or (options.every and snapshot.iteration % options.every == 0):
            found = {"seconds_pixel": round(pixel_seconds, 1), **figures(fit, example)}
            if last and options.criticise:
                found |= criticised(fit, options)
            print(json.dumps({**choices(options), **found}), flush=True)
    if options.save:
        assert fit.snapshot is not None
        np.save(options.save, fit.snapshot.vector)


def prepare(example: Any, options: argparse.Namespace) -> tuple[AtomisticFit, float]:
    """The atomistic fit before its first iteration, and the seconds of the pixel-wise one."""
    loss = "poisson" if options.dose else "amplitude"
    begin = time.perf_counter()
    ptycho = pixelwise(example, options)
    ptycho.reconstruct(options.pixel_iterations, progress_bar=False, loss=loss)
    columns = ck.find_atoms(projected_phase(ptycho.object)[0], tuple(ptycho.sampling))
    lit = outside(columns, ptycho.scan_positions_angstrom) < (
        3.0 if options.wrong == "outside" else _LIT_ANGSTROM
    )
    seconds = time.perf_counter() - begin
    fit = AtomisticFit(
        ptycho,
        columns[lit],
        "Si",
        loss=loss,
        num_states=options.states,
        rank=options.rank,
        max_iter=options.iterations,
        parametrization=options.parametrization,
        refine=tuple(options.refine),
        seed=options.seed,
    )
    return fit, seconds


def pixelwise(example: Any, options: argparse.Namespace) -> ck.MixedObjectMultislicePtychography:
    """The pixel-wise reconstruction before its first iteration, with what ``options.wrong`` says."""
    optics, wrong, datacube, vacuum = (
        example.experiment,
        options.wrong,
        example.datacube,
        example.vacuum_probe,
    )
    if options.dose:
        datacube = apply_dose(datacube, electrons_per_pattern=options.dose, seed=options.noise_seed)
        vacuum = vacuum * np.float32(options.dose)
    if wrong == "pixel":
        datacube = datacube.copy()
        datacube.calibration.set_Q_pixel_size(1.02 * optics.detector_pixel_inverse_angstrom)
    slices = example.snapshots.thickness_angstrom / example.num_slices
    ptycho = ck.MixedObjectMultislicePtychography(
        datacube=datacube,
        energy=optics.energy_ev,
        semiangle_cutoff=optics.semiangle_mrad + (0.5 if wrong == "aperture" else 0),
        defocus=optics.defocus_angstrom + (10 if wrong == "defocus" else 0),
        num_slices=example.num_slices,
        slice_thicknesses=slices * (1.1 if wrong == "thickness" else 1),
        num_object_states=1,
        num_probes=options.modes,
        source_fwhm_angstrom=options.source,
        vacuum_probe_intensity=None if wrong == "aperture" else vacuum,
        **({"C12": 10.0, "phi12": 0.3} if wrong == "astigmatism" else {}),
    )
    return ptycho.preprocess(force_com_rotation=0, force_com_transpose=False)


def outside(columns: np.ndarray, scan: np.ndarray) -> np.ndarray:
    """How far each column is from the scanned rectangle [Å]."""
    low, high = scan.min(axis=0), scan.max(axis=0)
    return np.asarray(np.linalg.norm(np.maximum(np.maximum(low - columns, columns - high), 0), axis=1))


def figures(fit: AtomisticFit, example: Any) -> dict[str, Any]:
    """Misfit, and how well the columns of the truth move."""
    result, first = fit.result, fit._scan[0]
    known = example.ground_truth.positions + first
    found, true = match_atoms(result.positions, known)
    result = result.of(found)
    u, places = result.displacements, known[true]
    reference = example.ground_truth.greens_tensor[true][:, :, true]
    return {
        "columns": len(found),
        "iteration": len(result.loss),
        "seconds_atoms": round(result.seconds, 1),
        "loss": result.misfit.mean(),
        "atoms_per_column": round(float(result.atoms_per_site.mean()), 3),
        "width_angstrom2": round(float(result.widths[0]), 5),
        "rms_pm": round(100 * float(np.sqrt((u**2).mean())), 2),
        "position_error_pm": round(100 * float(np.sqrt(((result.positions - places) ** 2).mean())), 2),
        "nearest_to_self": ratio_with_interval(u, places),
        "nearest_to_self_truth": round(ratio(reference, places), 3),
        **shells(reference, result, places),
    }


def criticised(fit: AtomisticFit, options: argparse.Namespace) -> dict[str, Any]:
    """What the fit's own criticism says, which knows no truth."""
    dose = options.dose or None
    held_out = held_out_signal(fit, dose) if dose and options.held_out else None
    found = criticise(fit, electrons_per_pattern=dose, held_out=held_out)
    first = found.suspects[0]
    return {
        "excess": found.excess,
        "signal": found.signal,
        "held_out_share": [held_out.share, held_out.share_deviation] if held_out else None,
        "suspect": [first.name, first.gain, first.change],
        "offset": round(found.offset, 3),
        "supported": found.supported,
        "reason": found.reason,
    }


def shells(reference: np.ndarray, result: AtomisticResult, places: np.ndarray) -> dict[str, Any]:
    """CSM and LSM of each shell, CSM with its interval; nothing where the truth does not move."""
    if np.abs(reference).max() < 1e-8:
        return {}
    found = ck.similarity_intervals(reference, result.displacements, places, draws=0)
    return {
        shell: {
            "csm": [round(v, 3) for v in found.of(shell, "csm")],
            "lsm": round(found.of(shell, "lsm")[0], 3),
        }
        for shell in SHELLS
    }


def ratio(tensor: np.ndarray, places: np.ndarray) -> float:
    """Mean trace of G between nearest neighbours, over that of columns with themselves."""
    traces = np.einsum("iaja->ij", tensor)
    own = float(np.diag(traces).mean())
    return float(traces[neighbour_shells(places).mask("nearest")].mean()) / own if own > 1e-12 else 0.0


def ratio_with_interval(u: np.ndarray, places: np.ndarray) -> list[float]:
    """The same of displacements, with the ends of its 95 % jackknife interval over the states."""
    rest = (ck.displacements(np.delete(u, n, axis=0)) for n in range(len(u)))
    left_out = np.array([ratio(ck.greens_tensor(others), places) for others in rest])
    spread = 1.96 * np.sqrt((len(u) - 1) * left_out.var())
    value = ratio(ck.greens_tensor(u), places)
    return [round(float(v), 3) for v in (value, value - spread, value + spread)]


def choices(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for on the command line."""
    given = {key: value for key, value in vars(options).items() if value not in (None, [], 0)}
    return {key: value for key, value in given.items() if key != "save"}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("example")
    add("--preset", default="tutorial")
    add("--states", type=int, default=20)
    add("--iterations", type=int, default=40, help="of the atoms")
    add("--pixel-iterations", type=int, default=60, help="of the pixels before")
    add("--rank", type=int, help="motions of a Gaussian ensemble; free states by default")
    add("--dose", type=float, default=0.0, help="electrons per pattern; noise-free by default")
    add("--noise-seed", type=int, default=0, help="of the counting noise")
    add("--seed", type=int, default=0, help="of the states")
    add("--parametrization", default="kirkland", help="of the fit; the data are Lobato's")
    add("--modes", type=int, default=1, help="probe modes")
    add("--source", type=float, default=0.0, help="FWHM of the source [Å] in those modes")
    add("--wrong", choices=WRONG, help="an error in what is taken for granted")
    add("--refine", nargs="*", default=[], help="unknowns besides the atoms")
    add("--every", type=int, default=0, help="print the figures every so many iterations")
    add("--criticise", action="store_true", help="also what criticism says of the fit")
    add("--held-out", action="store_true", help="with a fit to half of the counts; needs --dose")
    add("--save", help="file for the final vector of unknowns (.npy)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
