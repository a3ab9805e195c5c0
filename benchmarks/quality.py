"""What one choice does to the result: reconstruct an embedded example and print its figures as one JSON line.

For instance, with a narrower frame around the detector, or a longer one-state fit::

    python benchmarks/quality.py si-sigma9-coherent --states 1 --iterations 240 --frame 80
    python benchmarks/quality.py si-sigma9-md --one-state 100
"""

from __future__ import annotations

import argparse
import json
import time

import caviar_kit as ck


def main() -> None:
    """Reconstruct, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("example")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--states", type=int, help="object states; the preset's by default")
    parser.add_argument("--iterations", type=int, help="with all states; the preset's by default")
    parser.add_argument("--one-state", type=int, help="iterations before; the preset's by default")
    parser.add_argument("--frame", type=int, help="side of the frame around the detector [pixel]")
    parser.add_argument("--warp", type=float, default=0.5, help="smoothness of the thermal warps [Å]")
    parser.add_argument("--object-type", default="phase")
    options = parser.parse_args()

    example = ck.load_example(options.example, options.preset)
    optics, fit = example.experiment, example.fit_settings
    ptycho = ck.MixedObjectMultislicePtychography(
        datacube=example.datacube,
        energy=optics.energy_ev,
        semiangle_cutoff=optics.semiangle_mrad,
        defocus=optics.defocus_angstrom,
        num_slices=4,
        slice_thicknesses=example.snapshots.thickness_angstrom / 4,
        num_object_states=options.states or fit.num_states,
        vacuum_probe_intensity=example.vacuum_probe,
    )
    frame = None if options.frame is None else (options.frame, options.frame)
    ptycho.preprocess(
        force_com_rotation=0, force_com_transpose=False, padded_diffraction_intensities_shape=frame
    )
    begin = time.perf_counter()
    ptycho.reconstruct(
        max_iter=options.iterations or fit.max_iter,
        one_state_iter=fit.one_state_iter if options.one_state is None else options.one_state,
        thermal_correlation_angstrom=options.warp,
        object_type=options.object_type,
        progress_bar=False,
    )
    seconds = time.perf_counter() - begin
    choices = {key: value for key, value in vars(options).items() if value is not None}
    figures = {"seconds": round(seconds, 1), "loss": ptycho.error}
    if len(ptycho.object) > 1:
        figures = ck.measure(ptycho, example, seconds=seconds).summary()
    print(json.dumps({**choices, **figures}))


if __name__ == "__main__":
    main()
