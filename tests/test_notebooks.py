"""What holds for every lesson: short cells, prose before code, checks, nothing left over from a run."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from caviar_kit.demo.__main__ import NOTEBOOKS

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))
LONGEST_CELL, LONGEST_DEF = 12, 2
ALLOWED_MAGIC = "%matplotlib inline"


@pytest.fixture(params=NAMES)
def notebook(request):
    return nbformat.read(FOLDER / request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def python(cell):
    return "\n".join(line for line in cell.source.splitlines() if line != ALLOWED_MAGIC)


def test_the_lessons_are_there():
    assert {f"{name}.ipynb" for name in NOTEBOOKS} == set(NAMES)


def test_is_valid_and_runs_in_the_usual_kernel(notebook):
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"


def test_outputs_are_stripped(notebook):
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))
    assert "widgets" not in notebook.metadata


def test_cells_are_short(notebook):
    for cell in code_cells(notebook):
        assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.source


def test_functions_are_short(notebook):
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(python(cell))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                assert node.end_lineno - node.lineno < LONGEST_DEF, cell.source


def test_no_magics(notebook):
    for cell in code_cells(notebook):
        assert not re.search(r"^\s*[%!]", python(cell), re.M), cell.source


def test_prose_stands_before_each_piece_of_code(notebook):
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds[0] == "markdown"
    for before, kind, cell in zip(kinds, kinds[1:], notebook.cells[1:], strict=False):
        assert (before, kind) != ("code", "code"), cell.source


def test_tells_at_the_top_how_long_it_takes(notebook):
    assert "**Time**" in notebook.cells[0].source and "minute" in notebook.cells[0].source


def test_each_section_checks_a_number(notebook):
    text = "\n".join(
        cell.source if cell.cell_type == "markdown" else f"<code>{cell.source}</code>"
        for cell in notebook.cells
    )
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        title = section.splitlines()[0]
        assert "assert " in section or "figure" in title.lower(), title


def test_uses_the_public_names_only(notebook):
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(python(cell))):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("caviar_kit"), cell.source
            elif isinstance(node, ast.Import):
                names = [name.name for name in node.names if name.name.startswith("caviar_kit")]
                assert names in ([], ["caviar_kit"]), cell.source
            elif isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_"), cell.source


def test_pages_are_readable_without_a_network(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert "$" not in cell.source, "formulas need MathJax, which is loaded from the network"
            assert not re.search(r"!\[|<img", cell.source)


def test_the_demo_knows_how_long_the_long_cells_take(notebook):
    for cell in code_cells(notebook):
        long = ".reconstruct(" in cell.source or "refine_atomistic(" in cell.source
        if long and "for key in" not in cell.source:
            seconds = cell.metadata["caviar_kit"]["seconds"]
            assert seconds["quick"] > 0.3 and seconds["tutorial"] > 0.3
            assert seconds["tutorial"] > seconds["quick"] or seconds["quick"] < 3  # short ones scatter
