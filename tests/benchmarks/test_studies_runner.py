"""Studies are resumed by calling them again, and drawn from their lines."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from benchmarks.studies import __main__ as command
from benchmarks.studies.cases import Case, Options
from benchmarks.studies.runner import append_line, lines_of, read_lines, run_cases


def case(value, seconds=60.0):
    return Case("toy", {"preset": "quick", "value": value}, seconds)


class Counting:
    """Runs a case by noting it; ``clock`` advances by ``takes`` seconds a case."""

    def __init__(self, takes=10.0):
        self.seen, self.takes = [], takes

    def __call__(self, case):
        self.seen.append(case["value"])
        return {"square": case["value"] ** 2}

    def clock(self):
        return self.takes * len(self.seen)


def test_what_is_done_is_not_done_again(tmp_path):
    path, run = tmp_path / "deep" / "toy.jsonl", Counting()
    assert run_cases([case(1), case(2)], path, run) == []
    assert run_cases([case(2), case(3), case(1)], path, run) == []
    assert run.seen == [1, 2, 3]
    lines = lines_of([case(3), case(1)], read_lines(path))
    assert [line["result"]["square"] for line in lines] == [9, 1]
    assert lines[0]["provenance"]["device"] == "cpu" and lines[0]["provenance"]["caviar_kit"]


def test_a_case_is_known_by_its_parameters_not_by_guess_device_or_order():
    one = Case("toy", {"a": (1, 2), "b": None}, 5.0)
    assert one.key == Case("toy", {"b": None, "a": [1, 2]}, 50.0, "gpu").key
    assert one.key != Case("other", {"a": (1, 2), "b": None}).key
    assert one.key != Case("toy", {"a": (1, 2), "b": 0}).key


@pytest.mark.parametrize("parameters", [{"dose": float("nan")}, {"dose": {1, 2}}])
def test_parameters_that_a_line_cannot_keep_are_refused(parameters):
    with pytest.raises((ValueError, TypeError)):
        Case("toy", parameters)


def test_a_line_cut_off_costs_its_case_alone(tmp_path, capsys):
    path, run = tmp_path / "toy.jsonl", Counting()
    run_cases([case(1), case(2)], path, run)
    path.write_text(path.read_text()[:-20])
    assert [line["case"]["value"] for line in read_lines(path)] == [1]
    run_cases([case(1), case(2)], path, run)
    assert run.seen == [1, 2, 2]
    assert [line["case"]["value"] for line in read_lines(path)] == [1, 2]
    assert "line 2 is no whole result" in capsys.readouterr().err


def test_a_failing_case_keeps_the_lines_before_it(tmp_path):
    def run(case):
        if case["value"] == 2:
            raise RuntimeError("no luck")
        return {}

    with pytest.raises(RuntimeError, match="no luck"):
        run_cases([case(1), case(2)], tmp_path / "toy.jsonl", run)
    assert len(read_lines(tmp_path / "toy.jsonl")) == 1


def test_no_case_begins_that_would_end_too_late(tmp_path):
    run = Counting(takes=60)
    cases = [case(1, 60), case(2, 150), case(3, 60), case(4, 60)]
    left = run_cases(cases, tmp_path / "toy.jsonl", run, minutes=2.5, clock=run.clock)
    assert run.seen == [1, 3]
    assert [case["value"] for case in left] == [2, 4]


def test_guesses_are_corrected_by_what_was_measured(tmp_path):
    run = Counting(takes=120)
    cases = [case(n, 60) for n in range(5)]  # each takes twice its guess
    left = run_cases(cases, tmp_path / "toy.jsonl", run, minutes=5, clock=run.clock)
    assert run.seen == [0, 1] and len(left) == 3


def test_no_number_is_written_that_json_does_not_know(tmp_path):
    with pytest.raises(ValueError):
        append_line(tmp_path / "toy.jsonl", {"result": float("nan")})
    assert not (tmp_path / "toy.jsonl").exists()


@pytest.fixture
def toy(monkeypatch):
    """A study of three cases behind the command line."""
    drawn = []
    study = SimpleNamespace(
        run=Counting(),
        drawn=drawn,
        cases=lambda options: [Case("toy", {"preset": options.preset, "value": n}) for n in range(3)],
        draw=lambda lines, path: (drawn.append(len(lines)), path.write_bytes(b"picture")),
        table=lambda lines: f"| {len(lines)} |",
    )
    monkeypatch.setitem(command.STUDIES, "lengths", "toy")
    monkeypatch.setattr(command.importlib, "import_module", lambda name: study)
    for name in ("CAVIAR_KIT_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # the command sets them; put back afterwards
    return study


def test_the_command_runs_resumes_and_draws(toy, tmp_path, capsys):
    asked = ["lengths", "--output", str(tmp_path)]
    assert command.main([*asked, "--figure", str(tmp_path / "a.png")]) == 1  # nothing to draw
    assert command.main([*asked, "--minutes", "0.5"]) == command.UNFINISHED
    assert "not done: toy: preset=quick, value=0" in capsys.readouterr().err
    assert command.main(asked) == 0 and toy.run.seen == [0, 1, 2]
    assert command.main([*asked, "--figure", str(tmp_path / "new" / "a.png"), "--table"]) == 0
    assert toy.drawn == [3] and toy.run.seen == [0, 1, 2]
    assert "| 3 |" in capsys.readouterr().out
    assert command.main([*asked, "--preset", "tutorial", "--table"]) == 1  # lines of another preset


def test_the_command_lists_what_is_done(toy, tmp_path, capsys):
    append_line(
        tmp_path / "lengths.jsonl",
        {"study": "toy", "case": {"value": 1, "preset": "quick"}, "result": {}, "seconds": 1},
    )
    assert command.main(["lengths", "--output", str(tmp_path), "--list"]) == 0
    assert [row[:4] for row in capsys.readouterr().out.splitlines()] == ["    ", "done", "    "]


@pytest.mark.parametrize("wrong", [["--minutes", "0"], ["--threads", "-1"], ["--preset", "huge"]])
def test_bad_arguments_are_refused(wrong, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.parse(["lengths", *wrong])
    assert wrong[0] in capsys.readouterr().err


def test_lines_are_json(tmp_path):
    run_cases([case(1)], tmp_path / "toy.jsonl", Counting())
    (text,) = (tmp_path / "toy.jsonl").read_text().splitlines()
    assert set(json.loads(text)) >= {"study", "case", "result", "seconds", "provenance"}


def test_options_have_the_smallest_preset():
    assert Options() == Options("quick", "cpu", 0)
