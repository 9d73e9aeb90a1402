from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from evals.__main__ import main
from evals.gold import ROOT
from rag.encoding import Encoder, HashingEncoder


def hashing(*_: object) -> Encoder:
    """The deterministic encoder."""
    return HashingEncoder()


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """A folder as an evaluator would bring it."""
    folder = tmp_path / "sets" / "mine"
    (folder / "qrels").mkdir(parents=True)
    animals = ["otter", "heron", "badger", "lynx", "viper"]
    documents = [
        {"_id": f"d{i}", "title": a, "text": f"The {a} lives near water number {i}."} for i, a in enumerate(animals)
    ]
    queries = [{"_id": f"q{i}", "text": f"Where does the {a} live?"} for i, a in enumerate(animals)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(d) + "\n" for d in documents))
    (folder / "queries.jsonl").write_text("".join(json.dumps(q) + "\n" for q in queries))
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "".join(f"q{i}\td{i}\t1\n" for i in range(5))
    )
    return tmp_path / "sets"


def test_a_folder_of_one_s_own_is_run_compared_and_reported(
    beir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The way through the docs: check, run twice, compare, report; results on stdout, notes on stderr."""
    data, cache = ["--data", str(beir)], ["--cache", str(tmp_path / "cache"), "--quiet"]
    a, b, page = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "report.html"
    assert main(["check", "mine", *data], hashing) == 0
    assert capsys.readouterr().out == "mine: beir, 5 documents, 5 questions\n"
    assert main(["run", "mine", *data, *cache, "--out", str(a)], hashing) == 0
    told = capsys.readouterr()
    assert "nDCG@10" in told.out
    assert "left out: nothing" in told.out
    assert told.err == f"saved: {a} and, as a TREC run, a.trec\n"
    assert (
        main(["run", "mine", *data, *cache, "--set", "chunk_tokens=32", "--limit", "4", "--out", str(b)], hashing) == 0
    )
    capsys.readouterr()
    assert main(["compare", str(a), str(b)], hashing) == 0
    told = capsys.readouterr()
    assert "note: chunk_tokens: " in told.out
    assert "note: 1 questions are only in the first run; they are left out." in told.out
    assert main(["report", str(a), str(b), *data, "--out", str(page)], hashing) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_shipped_gold_checks_out(capsys: pytest.CaptureFixture[str]) -> None:
    """`check` prints the problems, of which there are none, and counts on stderr."""
    assert main(["check"]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.endswith(" questions, 0 problems\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "seeds", "--set", "passages"], "write KEY=VALUE"),
        (["run", "seeds", "--set", "pasages=3"], "Unknown setting 'pasages'"),
        (["run", "seeds", "--set", "passages=0"], "must lie between"),
        (["run", "mine"], "needs a folder"),
        (["run", "mine", "--data", "nowhere"], "There is no folder nowhere"),
        (["compare", "a.json", "b.json"], "a.json cannot be read"),
        (["grid", "none.toml"], "none.toml cannot be read"),
        (["report", "none.json"], "none.json cannot be read"),
        (["gate", "--baseline", "none.json"], "none.json cannot be read"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never a traceback, nothing on stdout."""
    monkeypatch.chdir(tmp_path)
    assert main(arguments, hashing) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert told.err.count("\n") == 1


def test_wrong_usage_is_exit_code_2() -> None:
    """As argparse has it."""
    for arguments in (["run"], ["nothing"], ["run", "seeds", "--limit", "0"], []):
        with pytest.raises(SystemExit) as raised:
            main(arguments)
        assert raised.value.code == 2


def test_help_is_quick_and_silent() -> None:
    """Importing the command line loads neither scipy nor a model."""
    heavy = ("scipy", "onnxruntime", "torch", "gradio")
    code = f"import sys, evals.__main__; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_run_s_file_name_says_what_is_not_the_default() -> None:
    """No run of what lies in one folder takes the place of another."""
    from evals.__main__ import _file_name, _pairs, _parser

    def name(*options: str) -> str:
        given = _parser().parse_args(["run", *options])
        return _file_name(given, _pairs(given.settings))

    assert name("seeds") == "seeds.json"
    changed = name("beir/mine", "--set", "passages=3", "--set", "encoder=a/b", "--limit", "50", "--qrels", "dev")
    assert changed == "beir-mine,encoder=a-b,passages=3,limit=50,qrels=dev.json"
    assert name("mine", "--format", "squad", "--own-documents") == "mine,format=squad,own-documents.json"
