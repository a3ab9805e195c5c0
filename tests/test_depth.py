"""Two lattices on top of each other are told apart in depth: simulated by abTEM, reconstructed by the kit."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

import caviar_kit as ck
from caviar_kit import simulation as sim
from caviar_kit.vibrations.phase import slice_phases

LAYERS, SLICES = 4, 4


@pytest.fixture(scope="module")
def contrasts() -> np.ndarray:
    """Phase at the columns of the lower and the upper lattice above the slice's median, (2, slices)."""
    atoms = sim.twisted_hbn(LAYERS, LAYERS, 21.79)
    snapshots = sim.Snapshots(atoms.positions[None], atoms.numbers, atoms.cell[:], atoms.positions, 0)
    experiment = sim.Experiment(
        energy_ev=60e3,
        semiangle_mrad=40,
        defocus_angstrom=90,
        scan_step_angstrom=0.6,
        scan_shape=(9, 9),
        centre_angstrom=(3.0, 4.0),
        window_angstrom=15,
        grid_points=96,
        detector_pixels=48,
        num_slices=2 * LAYERS,
    )
    ptycho = ck.MixedObjectMultislicePtychography(
        datacube=sim.scan(snapshots, experiment),
        energy=60e3,
        semiangle_cutoff=40,
        defocus=90,
        num_slices=SLICES,
        slice_thicknesses=snapshots.thickness_angstrom / SLICES,
        num_object_states=1,
        vacuum_probe_intensity=sim.vacuum_probe_intensity(experiment),
        object_type="phase",
    )
    ptycho.preprocess(force_com_rotation=0, force_com_transpose=False)
    ptycho.reconstruct(max_iter=40, one_state_iter=0, progress_bar=False)
    phases = slice_phases(ptycho.object)[0]
    upper = atoms.arrays["half"] == 1
    found = []
    for mask in (~upper, upper):
        truth = sim.ground_truth(snapshots, experiment, atoms=mask)
        places = (truth.positions + ptycho.scan_positions_angstrom[0]) / np.array(ptycho.sampling)
        found.append(
            [map_coordinates(phase, places.T, order=1).mean() - np.median(phase) for phase in phases]
        )
    return np.array(found)


@pytest.mark.slow
def test_the_first_slices_hold_the_lower_lattice_and_the_last_the_upper(contrasts):
    lower, upper = contrasts
    assert (lower[:2] > 3 * upper[:2]).all()
    assert (upper[-1:] > 3 * lower[-1:]).all()
    assert lower[: SLICES // 2].sum() > 3 * lower[SLICES // 2 :].sum()
