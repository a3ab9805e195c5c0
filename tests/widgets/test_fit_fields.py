from __future__ import annotations

from dataclasses import replace

import pytest

from caviar_kit.multislice import FitSettings, LowPass, Positivity
from caviar_kit.widgets.fit_fields import FIELDS, GROUPS, arguments, checked, defaults, values_of
from caviar_kit.widgets.fit_form import FitForm

GRID = {"sampling": (0.2, 0.3), "object_shape": (30, 40)}


def test_the_usual_values_are_those_of_a_fit():
    found = arguments(defaults(), **GRID)
    found.pop("loss"), found.pop("reset")
    fit = FitSettings(num_states=found.pop("num_object_states"), **found)
    assert fit == FitSettings()


def test_every_field_belongs_to_a_group_and_says_what_it_does():
    assert {field.group for field in FIELDS} == set(GROUPS)
    assert all(field.label and field.tooltip.endswith(".") for field in FIELDS)


def test_constraints_are_made_of_weights_and_the_grid():
    found = arguments({"positivity": 0.02, "low_pass": 1.2}, **GRID)
    low_pass, positivity = found["constraints"]
    assert isinstance(low_pass, LowPass) and (low_pass.shape, low_pass.sampling) == ((30, 40), (0.2, 0.3))
    assert low_pass.cutoff == 1.2 and positivity == Positivity(0.02)
    assert not {"positivity", "low_pass", "state_variance_cutoff"} & set(found)


def test_zero_means_none_and_a_number_goes_through():
    assert arguments({}, **GRID)["probe_window"] is None
    found = arguments({"probe_window": 0.5, "object_type": "complex", "refine_after": 2}, **GRID)
    assert (found["probe_window"], found["object_type"], found["refine_after"]) == (0.5, "complex", 2)


def test_values_of_a_fit_come_back():
    fit = FitSettings(num_states=7, max_iter=9, refine="probe", probe_window=0.6, optimizer="adam")
    found = arguments(values_of(fit), **GRID)
    found.pop("loss"), found.pop("reset")
    assert FitSettings(num_states=found.pop("num_object_states"), **found) == fit


@pytest.mark.parametrize(
    ("values", "error", "match"),
    [
        (3, TypeError, "settings must map"),
        ({"speed": 3}, ValueError, "unknown setting speed; known are num_object_states"),
        ({"max_iter": 2.0}, TypeError, "max_iter must be an integer"),
        ({"max_iter": -1}, ValueError, "max_iter must be at least 0"),
        ({"loss": "l2"}, ValueError, "loss must be one of 'amplitude', 'poisson'"),
        ({"refine": ["prob"]}, ValueError, "refine must be one of"),
        ({"refine": 4}, TypeError, "refine must be names"),
        ({"reset": 1}, TypeError, "reset must be True or False"),
        ({"step_size": "big"}, TypeError, "step_size must be one number"),
        ({"thermal_correlation_angstrom": (0.5, 1.0)}, TypeError, "must be one number here"),
    ],
)
def test_refuses_what_does_not_fit(values, error, match):
    with pytest.raises(error, match=match):
        checked(values)


def test_refuses_fits_that_cannot_be_shown():
    with pytest.raises(ValueError, match="constraints are given by their names"):
        values_of(replace(FitSettings(), constraints=Positivity(1.0)))


def test_setting_many_values_is_one_change_and_all_or_none():
    form, changes = FitForm(), []
    form.on_change(lambda: changes.append(form.values["max_iter"]))
    form.set({"max_iter": 5, "history": 4})
    assert changes == [5]
    with pytest.raises(ValueError, match="unknown"):
        form.set({"max_iter": 6, "nothing": 1})
    assert changes == [5] and form.values["max_iter"] == 5
    form.controls["history"].value = 3
    assert len(changes) == 2
