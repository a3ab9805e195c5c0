"""Potentials by name."""

import pytest

from caviar_kit.simulation import InteratomicPotential, interatomic_potential

NAMES = ("sw", "tersoff", "snap", "bnc-tersoff", "bn-extep", "bnc-tersoff+ilp", "bn-extep+ilp")


@pytest.mark.parametrize("name", NAMES)
def test_known_names(name):
    potential = interatomic_potential(name)
    assert potential.name == name
    assert potential.species == (("Si",) if name in NAMES[:3] else ("B", "N"))
    assert potential.layered == name.endswith("+ilp") == (potential.interlayer_cutoff_angstrom == 16)
    assert potential.note and all(doi.startswith("10.") for doi in potential.doi)


def test_unknown_name_lists_all():
    with pytest.raises(ValueError, match="potential must be one of") as caught:
        interatomic_potential("lennard-jones")
    assert all(repr(name) in str(caught.value) for name in NAMES)
    with pytest.raises(TypeError, match="got int"):
        interatomic_potential(3)


@pytest.mark.parametrize("name", ["si.tersoff", "Si.tersoff", "t2"])
def test_soft_silicon_is_refused_with_the_reason(name):
    with pytest.raises(ValueError, match="12 pm rms along each axis at 300 K, where experiment finds 7.6 pm"):
        interatomic_potential(name)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"species": ()}, "species"),
        ({"species": "Si"}, "species"),
        ({"commands": ()}, "commands"),
        ({"atom_style": "charge"}, "atom_style"),
        ({"interlayer_cutoff_angstrom": 16.0}, "atom_style"),
    ],
)
def test_incomplete_potentials_are_refused(changes, named):
    values = {"name": "mine", "species": ("Si",), "commands": ("pair_style sw", "pair_coeff * * Si.sw Si")}
    InteratomicPotential(**values)
    with pytest.raises(ValueError, match=named):
        InteratomicPotential(**{**values, **changes})
