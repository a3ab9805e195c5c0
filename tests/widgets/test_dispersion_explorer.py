"""The dispersion panel shows what `phonon_dispersion` computes, once for each choice."""

from __future__ import annotations

import json
import warnings
from functools import cache
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.widgets import dispersion_explorer as module
from tests.vibrations.crystals import draw, patch, square

QUICK = {"points": 21, "draws": 20, "reach": 4.5}


@cache
def data():
    crystal = square()
    atoms, lattice = patch(crystal, 16)
    return crystal, lattice, draw(crystal, atoms, 8, np.random.default_rng(0))


def panel(**options) -> ck.widgets.DispersionExplorer:
    crystal, lattice, u = data()
    options = {"masses": crystal.masses, "path": "GXMG", **QUICK} | options
    return ck.widgets.DispersionExplorer(u, lattice, **options)


def numbers(*choice, **options) -> ck.vibrations.PhononDispersion:
    _, lattice, u = data()
    return ck.phonon_dispersion(u, lattice, *choice, **QUICK, **options)


def read(text: str, separator: str = "\t") -> dict[str, list[float]]:
    _, *lines = text.splitlines()
    return {name: list(map(float, rest)) for name, *rest in (line.split(separator) for line in lines)}


@pytest.fixture
def counted(monkeypatch) -> list:
    """Arguments of every computation."""
    calls = []

    def compute(*args, **options):
        calls.append((args, options))
        return ck.phonon_dispersion(*args, **options)

    monkeypatch.setattr(module, "phonon_dispersion", compute)
    return calls


@pytest.mark.parametrize("separator", ["\t", ","])
def test_numbers_are_those_of_the_function(separator):
    explorer, expected = panel(), numbers(data()[0].masses, 300, "GXMG")
    np.testing.assert_array_equal(explorer.result.frequencies_thz, expected.frequencies_thz)
    rows = read(explorer.table(separator), separator)
    assert tuple(rows) == expected.branches
    columns = [expected.path_mean_thz, *expected.interval_thz.T, expected.uncorrected_path_mean_thz]
    np.testing.assert_allclose(list(rows.values()), np.transpose(columns), rtol=1e-5)
    for mean, (low, high) in zip(expected.path_mean_thz, expected.interval_thz, strict=True):
        assert f"<td>{mean:.2f}</td><td>{low:.2f} – {high:.2f}</td>" in explorer.page.value


def test_every_control_has_its_effect():
    explorer, crystal = panel(), data()[0]
    mass = float(np.ravel(crystal.masses)[0])
    explorer.path.value = "GMXG"
    explorer.temperature.value = 500
    explorer.masses[0].value = 2 * mass
    explorer.statistics.value = "classical"
    explorer.symmetry.value = False
    expected = numbers([2 * mass], 500, "GMXG", "classical", symmetry=False)
    np.testing.assert_array_equal(explorer.result.frequencies_thz, expected.frequencies_thz)
    assert explorer.result.operations == 1
    explorer.method.value = "direct"
    expected = numbers([2 * mass], 500, "GMXG", "classical", method="direct")
    np.testing.assert_array_equal(explorer.result.frequencies_thz, expected.frequencies_thz)
    assert explorer.symmetry.disabled and f"{expected.path_mean_thz[0]:.2f}" in explorer.page.value


def test_a_choice_is_computed_once(counted):
    explorer = panel()
    before = explorer.picture.image.value
    assert len(counted) == 1
    explorer.statistics.value = "classical"
    assert len(counted) == 2 and explorer.picture.image.value != before
    explorer.statistics.value = "quantum"
    explorer.figure(), explorer.table(), explorer.result, explorer.provenance()
    explorer.uncorrected.value = True
    assert len(counted) == 2


def test_choose_sets_several_and_computes_once(counted):
    explorer = panel()
    explorer.choose(path="GMXG", temperature=77, statistics="classical", masses=[20.0])
    assert len(counted) == 2
    assert counted[-1][0][2:] == ((20.0,), 77.0, "GMXG", "classical")
    assert f"{explorer.result.path_mean_thz[0]:.2f}" in explorer.page.value


@pytest.mark.parametrize("seconds, announced", [(3.0, True), (0.1, False)])
def test_only_long_computing_is_announced(monkeypatch, seconds, announced):
    """What a new choice takes is guessed from the last one."""
    told, clock = [], iter([0.0, seconds, 0.0, seconds])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    explorer = panel()

    def compute(*args, **options):
        told.append(explorer.message.value)
        return ck.phonon_dispersion(*args, **options)

    monkeypatch.setattr(module, "phonon_dispersion", compute)
    explorer.temperature.value = 310
    assert ["computing…" in text for text in told] == [announced]
    assert not explorer.message.value


def test_one_mean_mass_stays_one():
    explorer = panel(masses=12.0)
    assert [control.description for control in explorer.masses] == ["mean mass (u)"]
    expected = numbers(12.0, 300, "GXMG")
    np.testing.assert_array_equal(explorer.result.frequencies_thz, expected.frequencies_thz)


@pytest.mark.parametrize(
    "choice, words",
    [({"path": "GKMG"}, "path must name special points among G, M, X"), ({"path": ""}, "path must name")],
)
def test_errors_are_a_sentence_in_the_panel(choice, words):
    explorer = panel()
    explorer.choose(**choice)
    assert words in explorer.message.value
    assert not explorer.page.value and not explorer.picture.image.value
    with pytest.raises(ValueError, match=words):
        _ = explorer.result
    explorer.files.buttons["png"].click()
    assert not explorer.files.links.value and "image/png" not in explorer._repr_mimebundle_()
    explorer.path.value = "GXMG"
    assert not explorer.message.value and "<img alt=" in explorer.picture.image.value


def test_classical_vibrations_need_warmth():
    explorer = panel()
    explorer.choose(statistics="classical", temperature=0)
    assert "temperature_k must be" in explorer.message.value


def test_theory_of_a_function_is_drawn_with_its_means():
    crystal = data()[0]
    explorer = panel(theory=lambda result: crystal.frequencies(result.q))
    for path in ("GXMG", "GMXG"):
        explorer.path.value = path
        shown = [row[-1] for row in read(explorer.table()).values()]
        np.testing.assert_allclose(shown, crystal.path_means(path, 21), rtol=1e-5)
    labels = [line.get_label() for line in explorer.figure().axes[0].get_lines()]
    assert "theory" in labels
    explorer.theory.value = False
    assert "theory" not in explorer.table().splitlines()[0] and not explorer.provenance()["theory"]


def test_theory_of_points_holds_for_its_path_only():
    crystal = data()[0]
    way = ck.vibrations.brillouin_path(data()[1].vectors, "GXMG", points=21)
    explorer = panel(theory=crystal.frequencies(way.q))
    assert read(explorer.table())["TA"][-1] == pytest.approx(crystal.path_means("GXMG", 21)[0], rel=1e-5)
    explorer.path.value = "GMXG"
    assert "theory was given at the points of path" in explorer.message.value
    explorer.theory.value = False
    assert not explorer.message.value and explorer.page.value


def test_theory_of_phonopy_is_asked_for_along_the_path(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "caviar_kit.widgets.dispersion_theory.phonopy_dispersion",
        lambda phonon, result, path: asked.append((phonon, path)) or np.ones((len(result.q), 3)),
    )
    phonon = SimpleNamespace(run_qpoints=None)
    explorer = panel(theory=phonon)
    assert asked[-1] == (phonon, "GXMG")
    assert "Path means of the theory: 1.00, 1.00, 1.00 THz" in explorer.page.value  # not as many as branches


def test_warnings_stand_in_the_panel(monkeypatch):
    def warn(*args, **options):
        warnings.warn("not converged", UserWarning, stacklevel=2)
        return ck.phonon_dispersion(*args, **options)

    monkeypatch.setattr(module, "phonon_dispersion", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explorer = panel()
    assert "not converged" in explorer.message.value and "<img" in explorer.picture.image.value


def test_exported_files_tell_their_origin(tmp_path):
    explorer = panel(temperature_k=320)
    root = ElementTree.fromstring(explorer.export(tmp_path / "a.svg").read_bytes())
    told = json.loads(root.find(".//{http://purl.org/dc/elements/1.1/}description").text)
    assert told == explorer.provenance()
    assert told["temperature_k"] == 320 and told["states"] == 8 and told["cells"] == 16
    explorer.files.buttons["svg"].click()
    assert 'download="dispersion_GXMG_320K.svg"' in explorer.files.links.value


def test_paths_of_the_lattice_are_offered():
    explorer = panel()
    assert {"GXMG", "GMXG"} == set(explorer.path.options)
    assert "G, M, X" in explorer.path.tooltip


def test_controls_have_labels_and_wait_until_they_rest():
    explorer = panel(theory=lambda result: result.frequencies_thz)
    for control in explorer.children[0].children[0].children[0].children:
        assert control.description and getattr(control, "continuous_update", False) is False


def test_static_pages_get_a_picture_and_pyplot_nothing():
    before = plt.get_fignums()
    assert panel()._repr_mimebundle_()["image/png"].startswith(b"\x89PNG")
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    "wrong, kind, words",
    [
        ({"path": np.zeros((3, 2))}, TypeError, "path must be a text"),
        ({"path": "GKMG"}, ValueError, "path must name"),
        ({"statistics": "fermi"}, ValueError, "statistics"),
        ({"masses": -1.0}, ValueError, "masses"),
        ({"theory": np.zeros((5, 2))}, ValueError, "theory must have shape"),
    ],
)
def test_refuses_what_cannot_be_computed(wrong, kind, words):
    with pytest.raises(kind, match=words):
        panel(**wrong)


def test_choose_refuses_other_names_and_values():
    explorer = panel()
    for wrong in ({"speed": 3}, {"statistics": "fermi"}, {"masses": [1.0, 2.0]}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            explorer.choose(**wrong)
    assert explorer.page.value
