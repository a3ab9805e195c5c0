"""The smallest scan that holds all that a scan has: six positions on the silicon boundary."""

from caviar_kit.simulation import Experiment

TINY = Experiment(
    energy_ev=200e3,
    semiangle_mrad=25,
    defocus_angstrom=40,
    scan_step_angstrom=0.7,
    scan_shape=(2, 3),
    centre_angstrom=(32.6, 18.0),
    window_angstrom=10,
    grid_points=60,
    detector_pixels=40,
)
