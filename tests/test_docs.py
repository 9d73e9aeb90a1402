"""Every figure of the README and the docs that was measured stands in a committed result file."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path

import pytest

from evals import tables
from evals.tables import figures
from tests.conftest import REPOSITORY

KINDS = ("pdf", "docx", "pptx", "epub", "html", "vtt", "srt", "csv", "md", "txt")
"""Of the loaders, as the fuzzer names them."""


def doc(name: str) -> str:
    """A document with its lines run together, so that a sentence is found wherever it is broken."""
    return " ".join((REPOSITORY / name).read_text(encoding="utf-8").split())


@pytest.mark.parametrize("path", sorted(tables.DOCS.glob("*.md")), ids=lambda path: path.name)
def test_tables_are_those_of_the_results(path: Path) -> None:
    """Had a result or a table been changed without the other, they would differ."""
    text = path.read_text(encoding="utf-8")
    assert tables.rendered(text) == text


def test_every_table_of_figures_comes_from_the_results() -> None:
    """All tables that are made stand somewhere, and a table with decimals is one of them."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(tables.DOCS.glob("*.md"))]
    placed = [name for text in texts for name in re.findall(r"^<!-- ([\w-]+) -->\n\|", text, re.MULTILINE)]
    assert sorted(placed) == sorted(tables.TABLES)
    for text in texts:
        for before, rows in re.findall(r"^(.*)\n((?:\|.*\n)+)", text, re.MULTILINE):
            assert before.startswith("<!-- ") or not re.search(r"\| [−+]?\d*\.\d+ \|", rows), rows


def test_readme_says_what_a_question_was_measured_to_take() -> None:
    kept = figures("query_latency")
    total, read = kept["warm_ms"]["total"], kept["warm_ms"]["read"]
    assert (
        f"A warm question takes {total['median']:.0f} ms (median; {total['p95']:.0f} ms at the 95th percentile) "
        f"on two idle cores, {read['median']:.0f} of them for reading, and `rag ask` from a cold start "
        f"{kept['cold_ratio']:.2f} of the time" in doc("README.md")
    )


def test_readme_says_how_many_near_misses_are_answered() -> None:
    missed = [outcome for outcome in tables.result("baseline")["outcomes"] if outcome["kind"] == "near miss"]
    ours = sum(not outcome["abstained"] for outcome in missed) / len(missed)
    squad = tables.result("summaries/squad2")["aggregates"]["all"]["false_answer"]["value"]
    assert f"it still answers {ours:.0%} about the documents that ship, and {squad:.0%} of SQuAD 2.0's".replace(
        "%", " %"
    ) in doc("README.md")


def test_readme_says_how_many_builds_were_killed() -> None:
    assert f"tried with {figures('index_crash')['builds killed']} killed builds" in doc("README.md")


def test_formats_says_how_much_longer_others_take() -> None:
    kept, text = figures("loading_speed"), doc("docs/formats.md")
    times = [round(kept[".pdf"][f"ms by {name}"] / kept[".pdf"]["ms"]) for name in ("pypdf", "pdfminer.six")]
    assert f"take {times[0]} and {times[1]} times as long" in text
    assert 4.5 < kept[".html"]["ms by html5lib"] / kept[".html"]["ms"] < 5
    assert "takes almost five times as long" in text


def test_chat_says_what_waiting_was_measured() -> None:
    paint, load = figures("chat_first_paint"), figures("chat_load")
    first, whole, work = paint["first_paint_ms"], load["whole_answer_ms"], load["processor_ms_per_answer"]
    assert load["lost"] == load["wrong"] == load["refused"] == 0
    text = doc("docs/chat.md")
    for sentence in (
        f"painted {first['median']} ms after Enter (median; 95th percentile {first['p95']} ms)",
        f"got {load['answers']:,} answers, none lost, wrong or refused, "
        f"after {whole['median']} ms (median; {whole['p95']} ms)",
        f"takes {work['server']} ms of a core in the server and {work['crowd']} ms in the crowd",
        f"{paint['update_s']:.1f} s to see that no document changed, {paint['start_s']:.1f} s to start, of which "
        f"{paint['gradio_s']:.1f} s are the import of Gradio, and {paint['page_s']:.1f} s for the page",
    ):
        assert sentence in text


def test_index_life_says_what_an_update_was_measured_to_cost() -> None:
    kept = figures("index_rebuild")
    beyond = kept["one document changed, s of work beyond the scan (must be less than 1)"]
    share = kept["one document changed / build from nothing, work"]
    assert f"costs {beyond} s of work beyond the scan, and {share} of the build" in doc("docs/index-life.md")


def test_index_life_says_what_memory_one_large_file_was_measured_to_take() -> None:
    (one,) = figures("index_memory_of_a_file").values()
    assert f"takes {one['MiB at most']} MiB at most" in doc("docs/index-life.md")


def test_reader_says_what_it_was_trained_on() -> None:
    rounds = json.loads((REPOSITORY / "rag" / "reader.json").read_text(encoding="utf-8"))["rounds"]
    text = doc("docs/reader.md")
    assert f"some {round(sum(r['examples_seen'] for r in rounds), -3):,} examples in all" in text
    assert f"of which it saw {rounds[-1]['examples_seen']:,} before" in text


def test_reader_says_how_many_questions_were_written_for_it() -> None:
    with lzma.open(REPOSITORY / "evals" / "reader" / "written.jsonl.xz", "rt", encoding="utf-8") as lines:
        asked = [question for line in lines for question in json.loads(line)["asked"]]
    unanswered = sum(len(question) == 1 for question in asked)
    several = sum(len(question) > 3 for question in asked)
    text = doc("docs/reader.md")
    assert f"So {len(asked):,} questions were written" in text
    assert f"{unanswered:,} of them unanswered" in text
    assert f"every stretch that answers ({several:,} in all)" in text


def test_every_loader_was_fuzzed_for_ten_minutes() -> None:
    assert "Ten minutes each" in doc("docs/formats.md")
    assert set(figures("loader_fuzzing")) == set(KINDS)
    assert all(row["seconds"] >= 600 for row in figures("loader_fuzzing").values())
