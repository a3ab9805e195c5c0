"""How well the embedded example tells its own rotation; figures in docs/calibration.md."""

import pytest

import caviar_kit as ck
from caviar_kit.calibration import survey
from caviar_kit.simulation import apply_rotation


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [20.0, -135.0])
def test_the_rotation_of_turned_patterns_is_found_without_the_half_turn(degrees):
    example = ck.load_example("si-sigma9-md", "quick")
    turned = apply_rotation(example.datacube, degrees)
    fit = survey(turned).rotation(200e3, example.experiment.defocus_angstrom)
    assert not fit.transpose and fit.clear and fit.witness == "shadow"
    assert (fit.degrees - degrees + 180) % 360 - 180 == pytest.approx(0, abs=2)
