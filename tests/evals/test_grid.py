from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evals.__main__ import main
from evals.gold import ROOT
from evals.grid import against_reference, chosen_measures, read_grid, run_grid
from rag.encoding import Encoder, HashingEncoder
from rag.errors import SettingsError, UserError
from rag.settings import Settings

PROGRAM = """
import sys
from evals.__main__ import main
from rag.encoding import HashingEncoder
sys.exit(main(sys.argv[1:], lambda *_: HashingEncoder()))
"""


def hashing(_: Settings) -> Encoder:
    """The deterministic encoder, whatever the settings."""
    return HashingEncoder()


@pytest.fixture
def squad(tmp_path: Path) -> Path:
    """A small set in the format of SQuAD: 60 questions over 12 paragraphs."""
    paragraphs = []
    for n in range(12):
        context = f"Town {n} was founded in the year {1500 + n} by a miller. It has {n + 3} bridges and a market."
        qas = [
            {
                "id": f"{n}-{k}",
                "question": f"Who or what number {k} founded town {n}?",
                "answers": [{"text": "a miller", "answer_start": context.index("a miller")}] if k % 2 else [],
            }
            for k in range(5)
        ]
        paragraphs.append({"context": context, "qas": qas})
    (tmp_path / "data").mkdir()
    content = {"data": [{"title": "Towns", "paragraphs": paragraphs}]}
    (tmp_path / "data" / "towns.json").write_text(json.dumps(content))
    return tmp_path / "data"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    return path


def test_a_grid_crosses_all_values_the_first_of_each_being_the_reference(tmp_path: Path) -> None:
    """Two settings of two values are four cells, in the order of the file."""
    read = read_grid(
        write(tmp_path, 'set = "seeds"\nlimit = 9\n[settings]\npassages = [5, 3]\nchunk_tokens = [64, 32]\n')
    )
    assert list(read.cells()) == [
        {"passages": 5, "chunk_tokens": 64},
        {"passages": 5, "chunk_tokens": 32},
        {"passages": 3, "chunk_tokens": 64},
        {"passages": 3, "chunk_tokens": 32},
    ]
    assert (read.set, read.limit, read.data, read.own_documents) == ("seeds", 9, None, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('sett = "seeds"\n[settings]\npassages = [1]', r"unknown key 'sett'\. Valid keys: data, format"),
        ('set = "seeds"\n[settings]\n', "give each setting a list of values"),
        ('set = "seeds"\n[settings]\npassages = []', "give each setting a list of values"),
        ('set = "seeds"\n[settings]\npassages = 3', "'passages' must be a list"),
        ('set = "seeds"', "'settings' is missing"),
        ('set = "seeds"\nformat = "trec"\n[settings]\npassages = [1]', "there is no format 'trec'"),
        ("set = ", "is not TOML"),
    ],
)
def test_a_grid_file_that_cannot_be_used_is_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    """What is wrong and what is valid."""
    with pytest.raises(UserError, match=said):
        read_grid(write(tmp_path, text))


def test_a_setting_that_is_wrong_is_told_before_the_first_cell_runs(tmp_path: Path, squad: Path) -> None:
    """Not after hours."""
    path = write(tmp_path, 'set = "towns"\ndata = "data"\n[settings]\npassages = [5, 500]\n')
    with pytest.raises(SettingsError, match="passages"):
        run_grid(read_grid(path), tmp_path / "out", tmp_path / "cache", hashing)
    assert not (tmp_path / "out").exists()


def test_cells_are_tested_against_the_reference_with_one_correction_over_all(tmp_path: Path, squad: Path) -> None:
    """Two other cells and two measures are four comparisons; a threshold of 1 abstains from everything."""
    path = write(
        tmp_path,
        'set = "towns"\ndata = "data"\nmeasures = ["false_answer", "false_abstention"]\n'
        "[settings]\nanswer_threshold = [0.0, 0.0001, 1.0]\n",
    )
    read = read_grid(path)
    told: list[str] = []
    cells = run_grid(read, tmp_path / "out", tmp_path / "cache", hashing, told.append)
    changes = against_reference(cells, read.measures)
    assert len(changes) == 4
    by_cell = {(c.cell.values["answer_threshold"], c.paired.measure): c for c in changes}
    never = by_cell[1.0, "false_answer"]
    assert never.effect.difference.value == -1.0
    assert never.p_holm == pytest.approx(min(1.0, 4 * never.effect.p))
    assert by_cell[0.0001, "false_answer"].p_holm == 1.0
    assert any(line.startswith("cell 3 of 3, answer_threshold=1.0: ") for line in told)


def test_a_measure_that_no_cell_has_names_those_there_are(tmp_path: Path, squad: Path) -> None:
    """It is told after the first cell."""
    path = write(tmp_path, 'set = "towns"\ndata = "data"\nmeasures = ["mrr"]\n[settings]\npassages = [1, 2, 3]\n')
    with pytest.raises(UserError, match=r"There is no measure 'mrr' here\. Measures: Success@1"):
        run_grid(read_grid(path), tmp_path / "out", tmp_path / "cache", hashing)
    assert len(list((tmp_path / "out").glob("*.json"))) == 1
    cells = run_grid(
        read_grid(write(tmp_path, 'set = "towns"\ndata = "data"\n[settings]\npassages = [1]\n')),
        tmp_path / "out", tmp_path / "cache", hashing,
    )  # fmt: skip
    assert "Success@1" in chosen_measures(cells[0].run, ())


def test_a_grid_killed_half_way_goes_on_where_it_was(tmp_path: Path, squad: Path) -> None:
    """A process is killed once its first cell is done; the next runs the others only, and loses nothing."""
    path = write(tmp_path, 'set = "towns"\ndata = "data"\n[settings]\npassages = [5, 4, 3, 2]\n')
    out = tmp_path / "out"
    command = ["grid", str(path), "--out", str(out), "--cache", str(tmp_path / "cache")]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("*.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = {file.name: file.stat().st_mtime_ns for file in out.glob("*.json")}
    assert 1 <= len(done) < 4

    told: list[str] = []
    cells = run_grid(read_grid(path), out, tmp_path / "cache", hashing, told.append)
    assert len(cells) == 4
    assert sum(line.endswith(": done before") for line in told) == len(done)
    assert all((out / name).stat().st_mtime_ns == written for name, written in done.items())
    assert [cell.run.identity.settings["passages"] for cell in cells] == [5, 4, 3, 2]


def test_the_command_prints_every_cell(tmp_path: Path, squad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table is on stdout, where the cells lie on stderr."""
    path = write(tmp_path, 'set = "towns"\ndata = "data"\nlimit = 10\n[settings]\nanswer_threshold = [0.0, 1.0]\n')
    command = ["grid", str(path), "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"), "--quiet"]
    assert main(command, lambda *_: HashingEncoder()) == 0
    told = capsys.readouterr()
    assert "towns: 2 cells" in told.out
    assert "left out: 50 questions beyond --limit" in told.out
    assert [line.split()[0] for line in told.out.splitlines()[-2:]] == ["0.0", "1.0"]
    assert str(tmp_path / "out") in told.err
