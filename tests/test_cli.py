"""The command: data on stdout, one clear line on stderr, the right exit code, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rag.cli import main, note
from rag.versions import IndexFolder
from tests.conftest import Rag, subprocess_environment

Run = Callable[..., tuple[int, str, str]]
ANSWER_KEYS = [
    "question", "read_as", "answer", "abstained", "confidence", "citations", "passages", "index", "timings_ms", "stale"
]  # fmt: skip
CITATION_KEYS = ["number", "quote", "document", "start", "end", "location", "score"]
PASSAGE_KEYS = ["rank", "score", "document", "start", "end", "text"]
DOCUMENT_KEYS = ["id", "title", "path", "sha256"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in this process, in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_CACHE_DIR", str(cache_dir))

    def command(*arguments: str | Path) -> tuple[int, str, str]:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def small(run: Run, tmp_path: Path) -> Path:
    """A corpus of one file and its index, in the working folder."""
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "a.txt").write_text("The toll of the harbour was two crowns in those days. Nobody paid it.")
    code, _, err = run("index")
    assert (code, err) == (0, "")
    return tmp_path / "index"


def assert_one_line(err: str, *words: str) -> None:
    """One line, begun with the name of the command, that holds the words."""
    assert err.startswith("rag: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert "Traceback" not in err
    for word in words:
        assert word in err


def test_json_of_an_answer_is_what_the_readme_says(run: Run, real_index_dir: Path, seeds: Path) -> None:
    """The keys of an answer, their order and their types are pinned; offsets are into the file itself."""
    question = "What hurdles do provincial governments face?"
    code, out, err = run("ask", question, "--json", "--index", real_index_dir)
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert list(answer) == ANSWER_KEYS
    assert answer["question"] == question
    assert answer["abstained"] is False
    assert list(answer["index"]) == ["version", "encoder"]
    assert list(answer["timings_ms"])[-1] == "total"
    for citation in answer["citations"]:
        assert list(citation) == CITATION_KEYS
        assert list(citation["document"]) == DOCUMENT_KEYS
        text = (seeds / citation["document"]["path"]).read_bytes().decode("utf-8-sig")
        assert citation["quote"] == text[citation["start"] : citation["end"]]
    for passage in answer["passages"]:
        assert list(passage) == PASSAGE_KEYS
        assert list(passage["document"]) == DOCUMENT_KEYS
    assert out.count("\n") == 1


def test_batch_answers_line_by_line(rag: Rag, real_index_dir: Path) -> None:
    """Each line is answered in order, as one answer is; a bad one says so in its place, and the rest goes on."""
    lines = [
        json.dumps({"question": "What is the digital Silk Road?"}),
        "",
        "no json",
        json.dumps({"question": "And who takes part in it?", "history": ["What is the digital Silk Road?"]}),
        json.dumps({"question": ""}),
        json.dumps({"question": 3}),
        json.dumps({"question": "x", "history": "y"}),
        "[" * 50_000,
        json.dumps({"question": "half \ud800 a pair"}),
        json.dumps({"question": "数字经济？"}, ensure_ascii=False),
    ]
    given = "\ufeff" + "\n".join(lines) + "\n"  # with a byte-order mark, as some programs write one
    result = rag("ask", "--batch", "-", "--json", "--index", real_index_dir, given=given)
    assert result.returncode == 1
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [list(answer) for answer in answers] == [
        ANSWER_KEYS, ["error"], ANSWER_KEYS, ["error"], ["error"], ["error"], ["error"], ANSWER_KEYS, ANSWER_KEYS
    ]  # fmt: skip
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()] == [
        "line 3", "line 5", "line 6", "line 7", "line 8"
    ]  # fmt: skip
    assert answers[0]["question"] == "What is the digital Silk Road?"
    assert "Traceback" not in result.stderr


def test_batch_answers_before_the_next_question_is_asked(cache_dir: Path, real_index_dir: Path) -> None:
    """A program may send a question, wait for its answer, and ask the next by what it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rag", "ask", "--batch", "-", "--json", "--index", str(real_index_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=subprocess_environment(cache_dir),
        text=True,
        encoding="utf-8",
    )
    late = threading.Timer(120, process.kill)  # then what is read is empty, and no JSON
    late.start()
    with process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            for question in ("What is the digital Silk Road?", "Who takes part in it?"):
                process.stdin.write(json.dumps({"question": question}) + "\n")
                process.stdin.flush()
                assert json.loads(process.stdout.readline())["question"] == question
            process.stdin.close()
            assert process.wait() == 0
        finally:
            late.cancel()
            process.kill()


def test_batch_from_a_file(run: Run, small: Path, tmp_path: Path) -> None:
    """A file with a mark and Windows line ends is read; all good lines give exit code 0."""
    batch = tmp_path / "questions.jsonl"
    batch.write_bytes(b"\xef\xbb\xbf" + b'{"question": "What was the toll?"}\r\n' * 2)
    code, out, err = run("ask", "--batch", batch, "--json", "--index", small)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 2
    batch.write_bytes(b'{"question": "\xff"}\n')
    for path in (batch, tmp_path / "gone", tmp_path):
        code, out, err = run("ask", "--batch", path, "--json", "--index", small)
        assert (code, out) == (1, "")
        assert_one_line(err, "The batch file", "cannot be read")
    code, _, err = run("ask", "--batch", batch, "--index", small)
    assert code == 1
    assert_one_line(err, "add --json")
    code, _, err = run("ask", "question", "--batch", batch, "--json", "--index", small)
    assert code == 1
    assert_one_line(err, "Ask one question")


@pytest.mark.parametrize("command", ["ask", "search"])
@pytest.mark.parametrize(
    ("question", "message"),
    [("", "The question is empty"), (" \n ", "The question is empty"), ("x" * 100_000, "has 100,000 characters")],
)
def test_bad_questions_are_refused(run: Run, small: Path, command: str, question: str, message: str) -> None:
    """An empty or endless question is one line and exit code 1."""
    code, out, err = run(command, question, "--index", small)
    assert (code, out) == (1, "")
    assert_one_line(err, message)


@pytest.mark.parametrize(
    "question", ['" OR * NEAR( AND NOT -x ^y :z', "數字經濟的規模有多大？", "((((", "'; DROP TABLE x;--"]
)
@pytest.mark.parametrize("command", ["ask", "search"])
def test_hostile_questions_are_answered(run: Run, small: Path, command: str, question: str) -> None:
    """Operators, quotes and Chinese are a question like any other: exit code 0, nothing on stderr."""
    code, out, err = run(command, question, "--index", small)
    assert (code, err) == (0, "")
    assert out


@pytest.mark.parametrize("words", ["5", "60"])
def test_a_search_for_words_keeps_to_them(run: Run, small: Path, words: str) -> None:
    code, out, err = run("search", "digital", "--words", words, "--json", "--index", small)
    assert (code, err) == (0, "")
    assert sum(len(passage["text"].split()) for passage in json.loads(out)) <= int(words)


@pytest.mark.parametrize("words", ["0", "-1", "many", "100001"])
def test_a_number_of_words_that_makes_no_sense_is_refused(run: Run, small: Path, words: str) -> None:
    code, out, err = run("search", "digital", "--words", words, "--index", small)
    assert (code, out) == (2, "")
    assert "is not a number between 1 and 100000" in err


@pytest.mark.parametrize("sample", ["-5", "some", "1000001"])
def test_a_sample_that_makes_no_sense_is_refused(run: Run, small: Path, sample: str) -> None:
    """It is a matter of usage, and does not make a sound index a failed one."""
    code, out, err = run("verify", "--sample", sample, "--index", small)
    assert (code, out) == (2, "")
    assert "is not a number between 0 and 1000000" in err


def test_bytes_that_are_no_text_are_a_question_too(rag: Rag, real_index_dir: Path) -> None:
    """A question of bytes that are no UTF-8 is answered, as text and as JSON."""
    for flags in ([], ["--json"]):
        result = rag("ask", os.fsdecode(b"caf\xe9 \xff"), "--index", real_index_dir, *flags)
        assert (result.returncode, result.stderr) == (0, "")
        assert not flags or json.loads(result.stdout)["question"]


def test_missing_index_names_the_command(run: Run, tmp_path: Path) -> None:
    """Without an index every command that needs one says in one line how to build it."""
    for arguments in (("ask", "x"), ("search", "x"), ("info",)):
        code, _, err = run(*arguments, "--index", tmp_path / "nowhere")
        assert code == 1
        assert_one_line(err, "There is no index in", "Build one with: rag index")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["manifest.json", "store.sqlite", "vectors.faiss", "segments.faiss", "../../CURRENT"])
def test_damaged_index_names_the_command(run: Run, small: Path, name: str) -> None:
    """A damaged file of the index is one line with the remedy, and the remedy works."""
    (IndexFolder(small).live() / name).write_bytes(b"damaged")
    code, out, err = run("ask", "What was the toll?", "--index", small)
    assert (code, out) == (1, "")
    assert_one_line(err, "Build it again with: rag index")
    assert run("index", "--index", small)[0] in (0, 3)
    assert run("ask", "What was the toll?", "--index", small)[0] == 0


def test_empty_folder_is_refused_and_the_live_index_stays(run: Run, small: Path, tmp_path: Path) -> None:
    """A folder without documents, or one that is not there, is one line, and the index is as it was."""
    before = IndexFolder(small).current()
    (tmp_path / "empty").mkdir()
    (tmp_path / "rubbish").mkdir()
    (tmp_path / "rubbish" / "a.txt").write_bytes(b"\0\1\2")
    for folder, words in (
        ("empty", "There is nothing to index in"),
        ("rubbish", "There is nothing to index in"),
        ("gone", "There is no file or folder"),
        ("g" * 300, "cannot be read"),
    ):
        code, out, err = run("index", tmp_path / folder, "--index", small)
        assert (code, out) == (1, "")
        assert_one_line(err, words)
        assert IndexFolder(small).current() == before


def test_bad_files_are_named_and_the_exit_code_says_so(run: Run, small: Path, tmp_path: Path) -> None:
    """Binary, empty, oversized and foreign files are one line each with name and reason; exit code 3."""
    seeds = tmp_path / "seeds"
    (seeds / "binary.txt").write_bytes(b"\x7fELF\0\0")
    (seeds / "empty.txt").touch()
    with open(seeds / "huge.txt", "wb") as stream:
        stream.truncate(200 * 10**6)
    (seeds / "evil\x1b[31m.xyz").write_text("x")
    code, out, err = run("index", "--index", small)
    assert code == 3
    assert "Traceback" not in err
    assert "\x1b" not in err + out
    for name, reason in (("binary.txt", "binary"), ("empty.txt", "empty"), ("huge.txt", "191 MiB"), ("evil", "kind")):
        assert any(name in line and reason in line for line in err.splitlines()), f"{name} is not named in: {err}"
    assert run("ask", "What was the toll?", "--index", small)[0] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_unreadable_file_is_named(run: Run, small: Path, tmp_path: Path) -> None:
    """A file that may not be read is one line with its name; exit code 3."""
    (tmp_path / "seeds" / "b.txt").write_text("x")
    (tmp_path / "seeds" / "b.txt").chmod(0)
    code, _, err = run("index", "--index", small)
    assert code == 3
    assert "b.txt" in err
    assert "Permission denied" in err


def test_wrong_sources_are_refused_and_the_live_index_stays(run: Run, small: Path, tmp_path: Path) -> None:
    """A sources.toml that cannot be used is one line that names entry and key; the index is as it was."""
    before = IndexFolder(small).current()
    (tmp_path / "seeds" / "sources.toml").write_text('["a.txt"]\ntitel = "x"\n')
    code, out, err = run("index", "--index", small)
    assert (code, out) == (1, "")
    assert_one_line(err, 'entry "a.txt"', "'titel'", "Valid keys: title")
    assert IndexFolder(small).current() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--chunk-tokens", "3"), "must lie between 16 and 2048"),
        (("--answer-threshold", "nan"), "must lie between 0 and 1"),
        (("--encoder", ""), "cannot be loaded"),
    ],
)
def test_wrong_settings_are_refused(run: Run, small: Path, arguments: tuple[str, ...], words: str) -> None:
    """A setting out of bounds, or an encoder that is none, is one line and exit code 1."""
    code, _, err = run("index", "--index", small, *arguments)
    assert code == 1
    assert words in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments", [(), ("nonsense",), ("ask", "--nonsense"), ("serve", "--port", "0"), ("ask", "a", "b")]
)
def test_wrong_use_is_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    """A command that is none, or flags that are none, is a matter of usage."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "usage: rag" in err


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--root-path", "tools/chat", "write a path such as /tools/chat"),
        ("--root-path", "https://school.example/tools", "write a path such as /tools/chat"),
        ("--root-path", "//school.example", "write a path such as /tools/chat"),
        ("--allowed-host", "https://school.example", "write a name such as school.example"),
        ("--allowed-host", "school.example/tools", "write a name such as school.example"),
        ("--auth", "ada", "write it as USER:PASSWORD"),
    ],
)
def test_what_the_chat_cannot_be_served_with_names_the_valid_form(run: Run, flag: str, value: str, words: str) -> None:
    """A value that would give a broken address, or refuse every visitor, is not accepted."""
    code, out, err = run("serve", flag, value)
    assert (code, out) == (2, "")
    assert f"argument {flag}: {words}" in err


def test_what_the_chat_can_be_served_with(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path may end in a slash, which is left out; a name may have a port."""
    served: dict[str, object] = {}
    monkeypatch.setattr("rag.chat.server.serve", lambda *_, **options: served.update(options))
    hosts = ("school.example", "school.example:8443")
    code, _, err = run("serve", "--root-path", "/tools/chat/", *(a for h in hosts for a in ("--allowed-host", h)))
    assert (code, err) == (0, "")
    assert (served["root_path"], served["allowed_hosts"]) == ("/tools/chat", list(hosts))


def test_info_shows_settings_and_where_they_come_from(run: Run, small: Path, tmp_path: Path) -> None:
    """`rag info` shows each setting with its origin, and the live index."""
    (tmp_path / "rag.toml").write_text("passages = 7\nmax_quotes = 3\n")
    code, out, _ = run("info", "--json", "--max-quotes", "2", "--index", small)
    assert code == 0
    shown = json.loads(out)
    assert shown["settings"]["passages"] == {"value": 7, "from": "file rag.toml"}
    assert shown["settings"]["max_quotes"] == {"value": 2, "from": "flag"}
    assert shown["settings"]["cache_dir"]["from"] == "environment RAG_CACHE_DIR"
    assert shown["settings"]["keep_versions"]["from"] == "default"
    assert shown["index"]["version"] == IndexFolder(small).current()
    assert shown["index"]["documents"] == 1
    assert "file rag.toml" in run("info", "--index", small)[1]


def test_building_again_says_it_is_up_to_date(run: Run, small: Path) -> None:
    """A second build of the same makes no new version, and its JSON says so."""
    before = IndexFolder(small).current()
    code, out, err = run("index", "--json", "--index", small)
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert (report["version"], report["unchanged"], report["encoded"]) == (before, True, 0)


def test_reader_that_has_gone_is_no_error(cache_dir: Path, real_index_dir: Path) -> None:
    """`rag search … | head -c 0`: nothing on stderr, exit code 0."""
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(
        [sys.executable, "-m", "rag", "search", "digital", "--index", str(real_index_dir)],
        stdout=write,
        stderr=subprocess.PIPE,
        env=subprocess_environment(cache_dir),
        text=True,
        check=False,
        timeout=60,
    )
    os.close(write)
    assert (result.returncode, result.stderr) == (0, "")


def test_terminal_that_cannot_show_a_character_gets_the_rest(rag: Rag, real_index_dir: Path) -> None:
    """Where the terminal knows ASCII only, quotation marks are escaped; the answer is there, and valid JSON."""
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    shown = rag("ask", "What is the digital Silk Road?", "--index", real_index_dir, environment=ascii_only)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\\u201c" in shown.stdout
    told = rag("ask", "What is the digital Silk Road?", "--json", "--index", real_index_dir, environment=ascii_only)
    assert json.loads(told.stdout)["citations"]


def test_note_is_one_harmless_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What is said on stderr has no line breaks, control or direction-changing characters of its own."""
    note("a\nb\x1b[31mc\u202ed")
    assert capsys.readouterr().err == "a b\ufffd[31mc\ufffdd\n"
    note("می\u200cخواهم.txt")
    assert capsys.readouterr().err == "می\u200cخواهم.txt\n"
