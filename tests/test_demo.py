import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from caviar_kit.demo import __main__ as command
from caviar_kit.demo.lesson import _tidy, read_lesson, save_pictures, write_html
from caviar_kit.demo.progress import Bar, Console, TimeLeft, clock, parse_bar
from caviar_kit.demo.summary import figures_table, summarise, write_summary
from tests.ensembles import ensemble

ROOT = Path(__file__).parents[1]
TQDM = "\rstates:  50%|█████     | 45/90 [00:20<01:05,  1.71it/s, loss=3.17e-06]"


def new_notebook(path, *sources):
    """Markdown where a source begins with #, else code."""
    v4 = nbformat.v4
    cells = [v4.new_markdown_cell(s) if s.startswith("#") else v4.new_code_cell(s) for s in sources]
    nbformat.write(v4.new_notebook(cells=cells), path)
    return path


# Progress ----------------------------------------------------------------------------------


def test_reads_a_tqdm_bar():
    assert parse_bar("one state: 10%|█ | 9/90 [00:01<00:09, 9it/s]" + TQDM) == Bar("states 45/90", 0.5, 65.0)


def test_reads_a_bar_without_title_or_time():
    assert parse_bar("  0%|          | 0/90 [00:00<?, ?it/s]") == Bar("0/90", 0.0, None)
    assert parse_bar("100%|███| 90/90 [1:00:00<1:01:01, 1it/s]").seconds_left == 3661


def test_reads_a_count():
    assert parse_bar("\rsnapshot 2 of 30\rsnapshot 3 of 30") == Bar("snapshot 3/30", 0.1, None)


@pytest.mark.parametrize("text", ["", "loss 3.1e-6\n", "7 of 6", "0 of 0", "\r\n"])
def test_other_text_is_no_bar(text):
    assert parse_bar(text) is None


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (125, "2:05"), (3725, "1:02:05")])
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_time_left_follows_the_plan_at_first():
    plan = TimeLeft([10, 20, 30])
    assert plan.left(0) == pytest.approx(60)
    assert plan.left(4) == pytest.approx(56)


def test_time_left_learns_from_a_slower_machine():
    plan = TimeLeft([10, 20, 30])
    plan.finish(20)
    assert 1.5 < plan.slowness < 2
    assert plan.left(0) == pytest.approx(50 * plan.slowness)


def test_time_left_ignores_a_step_that_found_its_work_done():
    plan = TimeLeft([40, 20, 30])
    plan.finish(0.5)  # simulated data from the cache
    assert plan.slowness == 1 and plan.left(0) == pytest.approx(50)


def test_time_left_learns_nothing_from_a_step_of_unknown_length():
    plan = TimeLeft([0.3, 20, 30])
    plan.finish(100)
    assert plan.left(0) == pytest.approx(50)


def test_time_left_trusts_a_bar_the_more_the_further_it_is():
    plan = TimeLeft([10, 0])
    early, late = (plan.left(30, Bar("", done, 100.0)) for done in (0.01, 0.99))
    assert early < 2 and late == pytest.approx(99)


def test_a_count_without_time_does_not_change_the_plan():
    assert TimeLeft([10, 20]).left(4, Bar("snapshot 1/1", 1.0, None)) == pytest.approx(26)


def test_a_slow_running_step_warns_of_those_to_come():
    plan = TimeLeft([10, 10])
    assert plan.left(20, Bar("", 0.9, 2.0)) > 15


def test_time_left_never_turns_negative_and_ends_at_zero():
    plan = TimeLeft([5])
    assert plan.left(100) == 0
    plan.finish(100)
    assert plan.left(0) == 0


def test_time_left_refuses_nonsense():
    with pytest.raises(ValueError, match="expected"):
        TimeLeft([-1])


def test_console_writes_a_line_every_ten_seconds_to_a_log(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    console = Console(TimeLeft([100]), stream)
    for second in range(1, 26):
        now[0] = float(second)
        console.update("01 cell 1/2 Optics", second, None)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2 and "\r" not in stream.getvalue()
    assert lines[0] == "[ 10 %] 0:10 gone, 1:30 left | 01 cell 1/2 Optics"


def test_console_rewrites_its_line_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    console = Console(TimeLeft([100]), stream)
    console.update("a very long title " * 9, 1, Bar("states 3/9", 0.3, None), now=True)
    console.say("done")
    written = stream.getvalue()
    assert written.startswith("\r\x1b[K[") and written.endswith("\r\x1b[Kdone\n")
    assert max(len(part) for part in written.replace("\x1b[K", "").split("\r")) < 60


# Lessons -----------------------------------------------------------------------------------


def test_cells_know_their_heading_and_time(tmp_path):
    lesson = read_lesson(
        new_notebook(tmp_path / "x.ipynb", "# Title\n\ntext", "a = 1", "## Part", "b = 2", " ")
    )
    assert [(c.number, c.index, c.title) for c in lesson.cells] == [(1, 1, "Title"), (2, 3, "Part")]
    cell = lesson.cells[0]
    unmeasured = cell.expected("quick")
    cell.seconds = 12.34
    lesson.record_seconds("quick")
    again = read_lesson(lesson.path).cells[0]
    assert again.expected("quick") == 12.3 and 0 < unmeasured < 1


def test_a_damaged_notebook_is_named(tmp_path):
    path = tmp_path / "x.ipynb"
    path.write_text("{")
    with pytest.raises(ValueError, match="x.ipynb is not a notebook"):
        read_lesson(path)


def test_outputs_keep_the_last_state_of_a_bar_as_plain_text():
    def stream(text, name="stderr"):
        return nbformat.v4.new_output("stream", name=name, text=text)

    tidied = _tidy([stream("\r  0%| | 0/9 [00:00<?, ?it/s]"), stream("\r100%|█| 9/9 [00:01<00:00, 9it/s]\n")])
    assert [(o.name, o.text) for o in tidied] == [("stdout", "100%|█| 9/9 [00:01<00:00, 9it/s]\n")]
    warning = _tidy([stream("UserWarning: watch out\n")])
    assert warning[0].name == "stderr"  # stays in colour
    assert (
        _tidy([stream("\ra 1 of 2", "stdout"), stream("\ra: (3, 4)\nb\n", "stdout")])[0].text
        == "a: (3, 4)\nb\n"
    )


def test_page_needs_no_network_and_pictures_are_kept(tmp_path):
    lesson = read_lesson(new_notebook(tmp_path / "x.ipynb", "# A  b!\n[next](02_y.ipynb)", "1"))
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "image/png": pixel}
    lesson.cells[0].node.outputs = _tidy([nbformat.v4.new_output("display_data", data=widget)])
    write_html(lesson, tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert f"data:image/png;base64,{pixel}" in page and "<script src" not in page
    assert 'alt="Picture: A  b!"' in page and 'href="02_y.html"' in page
    (path,) = save_pictures(lesson, tmp_path)
    assert path.name == "x_01_a-b_1.png" and path.read_bytes().startswith(b"\x89PNG")


# The command -------------------------------------------------------------------------------


def test_summary_holds_the_figures_of_each_data_set(tmp_path):
    for name, sway in {"si-sigma9-md": 0.06, "si-sigma9-coherent": 0.0}.items():
        ensemble(name, sway=sway).save(tmp_path / f"{name}.npz")
    summary = summarise(tmp_path, "quick", 93.21, {"01": 90.0})
    write_summary(tmp_path / "summary.json", summary)
    read = json.loads((tmp_path / "summary.json").read_text())
    assert read["preset"] == "quick" and read["seconds"] == 93.2 and read["device"] in ("cpu", "gpu")
    assert {"caviar_kit", "numpy", "py4DSTEM", "abtem"} <= set(read["versions"])
    entry = read["data_sets"]["si-sigma9-md"]
    assert entry["seconds"] == 12.5 and entry["iterations"] == 9 and entry["loss"] == pytest.approx(1e-6)
    for shell in ("self", "nearest", "next"):
        assert entry["shells"][shell]["csm"] == pytest.approx(1)
        assert entry["shells"][shell]["lsm"] == pytest.approx(1 / 1.2)
    assert read["data_sets"]["si-sigma9-coherent"]["shells"]["nearest"]["csm"] is None
    table = figures_table(read)
    assert "1.000 / 0.83" in table and "at rest" in table


def test_summary_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text("{}")
    with pytest.raises(ValueError):
        write_summary(path, {"loss": float("nan")})
    assert path.read_text() == "{}" and list(tmp_path.iterdir()) == [path]


def test_a_missing_notebook_is_told_before_anything_runs(tmp_path, capsys):
    assert command.main(["--output", str(tmp_path / "out"), "--notebooks", "17_nothing"]) == 2
    assert "no notebook '17_nothing'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unknown_preset_is_refused(capsys):
    with pytest.raises(SystemExit) as exit:
        command.main(["--preset", "huge"])
    assert exit.value.code == 2 and "quick" in capsys.readouterr().err


@pytest.mark.slow
def test_a_failing_cell_is_shown(tmp_path, capsys):
    path = new_notebook(tmp_path / "bad.ipynb", "# Lesson", "print('fine')", "## Trouble", "x = 1\n1 / 0")
    assert command.main(["--output", str(tmp_path / "out"), "--notebooks", str(path)]) == 1
    error = capsys.readouterr().err
    assert "bad.ipynb, code cell 2 (Trouble) failed" in error and "1 / 0" in error and "ZeroDivision" in error
    assert error.count("x = 1") <= 2
    assert "fine" in (tmp_path / "out" / "bad.html").read_text(encoding="utf-8")
    assert not (tmp_path / "out" / "summary.json").exists()


@pytest.mark.slow
def test_a_dead_kernel_is_told(tmp_path, capsys):
    path = new_notebook(tmp_path / "dead.ipynb", "# Lesson", "import os\nos._exit(9)")
    assert command.main(["--output", str(tmp_path / "out"), "--notebooks", str(path)]) == 1
    assert "its Python died" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_stops_at_once(tmp_path):
    mark = tmp_path / "kernel"
    sources = (
        "# Lesson",
        f"import os\nopen({str(mark)!r}, 'w').write(str(os.getpid()))",
        "import time\ntime.sleep(99)",
    )
    path = new_notebook(tmp_path / "long.ipynb", *sources)
    line = [sys.executable, "-m", "caviar_kit.demo", "--output", str(tmp_path), "--notebooks", str(path)]
    demo = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    limit = time.monotonic() + 60
    while not (mark.exists() and mark.read_text()) and time.monotonic() < limit:
        time.sleep(0.1)
    time.sleep(0.5)
    demo.send_signal(signal.SIGINT)
    _, error = demo.communicate(timeout=20)
    assert demo.returncode == 130 and error.strip() == "stopped"
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


SAVES_A_RESULT = """
import os, time
from pathlib import Path
from tests.ensembles import ensemble
assert os.environ["CAVIAR_KIT_PRESET"] == "quick"
ensemble().save(Path(os.environ["CAVIAR_KIT_RESULTS"]) / "si-sigma9-md.npz")
time.sleep(11)  # a log gets a line every ten seconds
"""
DRAWS_THE_RESULT = """
import os
from pathlib import Path
import matplotlib.pyplot as plt
import caviar_kit as ck
folder = Path(os.environ["CAVIAR_KIT_RESULTS"])
fig, ax = plt.subplots()
ax.plot(ck.load_result(folder / "si-sigma9-md.npz").loss)
fig.savefig(folder / "figures" / "loss.png")
"""


@pytest.mark.slow
def test_demo_runs_end_to_end(tmp_path):
    """The command with two small lessons; tests/test_lessons.py runs the real ones."""
    paths = [
        new_notebook(tmp_path / "01_saves.ipynb", "# First lesson", SAVES_A_RESULT),
        new_notebook(tmp_path / "02_draws.ipynb", "# Second lesson", DRAWS_THE_RESULT),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    output = tmp_path / "out"
    line = [sys.executable, "-m", "caviar_kit.demo", "--preset", "quick", "--output", output]
    line += ["--notebooks", *paths]
    ran = subprocess.run(line, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert " left | 01 cell " in ran.stdout and "CSM / LSM" in ran.stdout
    summary = json.loads((output / "summary.json").read_text())
    assert set(summary["notebook_seconds"]) == {"01_saves", "02_draws"}
    (entry,) = summary["data_sets"].values()
    assert entry["shells"]["nearest"]["csm"] == pytest.approx(1)
    for name in (
        "01_saves.html",
        "02_draws.html",
        "figures/loss.png",
        "figures/02_draws_01_second-lesson_1.png",
    ):
        assert (output / name).stat().st_size > 5_000, name


def test_without_names_the_command_finds_the_lessons():
    found = command._find(command.NOTEBOOKS)
    assert [path.stem[:2] for path in found] == ["01", "02", "03", "04", "05"]
    assert all(path.parent == ROOT / "notebooks" for path in found)
