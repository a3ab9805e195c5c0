import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import caviar_kit as ck
from tests.ensembles import ensemble


@pytest.fixture
def explorer() -> ck.widgets.CorrelationExplorer:
    return ck.widgets.CorrelationExplorer({"MD": ensemble(), "small": ensemble(rows=2, seed=1)})


@pytest.fixture
def still(explorer, monkeypatch) -> ck.widgets.CorrelationExplorer:
    """The same where ipympl cannot be had."""
    monkeypatch.setitem(sys.modules, "ipympl.backend_nbagg", None)
    return ck.widgets.CorrelationExplorer({"MD": ensemble(), "small": ensemble(rows=2, seed=1)})


def picture(explorer):
    return explorer.picture.image.value


def table(explorer):
    return explorer.page.value


def panels(explorer):
    """The two axes with arrows; the scale bar and legends are theirs."""
    return [ax for ax in explorer.figure().axes if isinstance(ax, Axes)]


def test_shows_reconstruction_beside_truth_with_units(still):
    left, right = panels(still)
    assert "reconstructed" in left.get_title() and "truth" in right.get_title()
    assert left.get_xlabel() == "x (Å)" and left.get_ylabel() == "y (Å)"
    assert any("pm²" in text.get_text() for text in left.texts)
    assert "<img alt=" in picture(still) and "pm²" in table(still) and "nearest" in table(still)


def test_starts_at_the_central_atom():
    explorer = ck.widgets.CorrelationExplorer(ensemble(rows=3))
    assert explorer.reference.value in (5, 6)
    assert explorer.dataset.layout.display == "none"  # one data set: nothing to choose


def test_a_new_reference_redraws_picture_and_table(still):
    before = picture(still), table(still)
    still.reference.value = 0
    assert picture(still) != before[0] and table(still) != before[1]
    assert "atom 0" in panels(still)[0].get_title()


def test_the_radius_decides_which_neighbours_are_shown(still):
    still.reference.value = 0
    still.radius.value = 2.1
    assert [row["atom"] for row in still.neighbours()] == [1, 4]
    still.radius.value = 3.0
    assert [row["atom"] for row in still.neighbours()] == [1, 4, 5]
    before = picture(still)
    still.radius.value = 4.1
    assert picture(still) != before


def test_neighbours_are_elements_of_the_tensor_in_pm2(explorer):
    explorer.reference.value = 2
    result = explorer.result
    for row in explorer.neighbours():
        block = 1e4 * result.greens_tensor[2, :, row["atom"]]
        np.testing.assert_allclose([row["yy"], row["yx"], row["xy"], row["xx"]], block.ravel())
        assert row["true xy"] == pytest.approx(1e4 * result.true_greens_tensor[2, 1, row["atom"], 0])
        assert row["distance"] == pytest.approx(
            np.linalg.norm(result.positions[row["atom"]] - result.positions[2])
        )


def test_changing_to_a_smaller_data_set_keeps_a_valid_reference(explorer):
    explorer.reference.value = 11
    explorer.dataset.value = "small"
    assert explorer.reference.max == 7 and explorer.reference.value == 7
    assert explorer.result.positions.shape == (8, 2)
    assert "small, atom 7" in panels(explorer)[0].get_title()
    explorer.dataset.value = "MD"
    assert explorer.reference.max == 11


@pytest.mark.parametrize("titles", [("small", "large"), ("large", "small")])
def test_the_radius_reaches_all_atoms_of_every_data_set(titles):
    results = {"small": ensemble(rows=1, seed=1), "large": ensemble(rows=5)}
    explorer = ck.widgets.CorrelationExplorer({title: results[title] for title in titles})
    for title in (*titles, *titles):
        explorer.dataset.value, explorer.reference.value = title, 0
        explorer.radius.value = 100.0
        assert len(explorer.neighbours()) == len(explorer.result.positions) - 1


def test_the_radius_follows_data_sets_on_other_scales():
    tracked = ensemble().tracked
    results = {
        name: ck.AtomicDisplacements(scale * tracked) for name, scale in (("wide", 9.0), ("narrow", 1.0))
    }
    explorer = ck.widgets.CorrelationExplorer(results)
    for name in ("narrow", "wide", "narrow"):
        explorer.dataset.value = name
        distances = np.linalg.norm(
            explorer.result.mean_positions[:, None] - explorer.result.mean_positions, axis=-1
        )
        assert explorer.radius.max >= distances.max() > 0.9 * explorer.radius.max
        assert explorer.radius.min <= explorer.radius.value <= explorer.radius.max


def test_sliders_wait_until_they_rest_and_have_labels(explorer):
    for control in (explorer.reference, explorer.radius, explorer.slices):
        assert control.continuous_update is False and control.description


def test_static_pages_get_a_picture(explorer):
    bundle = explorer._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG") and "application/vnd.jupyter.widget-view+json" in bundle


def test_figure_leaves_no_open_pyplot_figures(explorer):
    before = plt.get_fignums()
    assert isinstance(explorer.figure(), Figure)
    assert plt.get_fignums() == before


def test_true_atoms_at_rest_are_drawn_without_arrows():
    explorer = ck.widgets.CorrelationExplorer(ensemble(sway=0.0))
    assert all(row["true xx"] == 0 for row in explorer.neighbours())
    assert any("no correlation" in text.get_text() for text in panels(explorer)[1].texts)


@pytest.mark.parametrize("wrong", [None, 3, "si-sigma9-md", [], {"a": 1}, np.zeros((2, 2, 2, 2))])
def test_refuses_what_is_no_result(wrong):
    with pytest.raises(TypeError, match="results must be an EnsembleResult, AtomisticResult"):
        ck.widgets.CorrelationExplorer(wrong)


def test_refuses_no_results():
    with pytest.raises(ValueError, match="empty"):
        ck.widgets.CorrelationExplorer({})


def test_names_are_escaped_in_the_table():
    explorer = ck.widgets.CorrelationExplorer({"<b>": ensemble(name="<b>"), "a": ensemble()})
    explorer.files.buttons["svg"].click()
    shown = (explorer.picture.caption, explorer.page, explorer.files.links, explorer.message)
    assert not any("<b>" in part.value for part in shown)
